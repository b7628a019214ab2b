package endpoint

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/internal/who"
	"github.com/earshot/earshot/media"
)

// The modes of consent, and what becomes of audio until it is given.
const (
	ConsentAssumed  = "assumed"  // every call may be recorded: Basis says why
	ConsentRequired = "required" // each call waits for Consent
	UntilMask       = "mask"     // what is said before is silence for good
	UntilMemory     = "memory"   // media.MemorySpan of it waits in memory, and goes out with consent
)

// ConsentConfig says on what ground calls are recorded. The zero value states none, which is told at every start.
type ConsentConfig struct {
	Mode, Basis string
	Until       string // of ConsentRequired: UntilMask, the default, or UntilMemory
}

func (c *ConsentConfig) check() error {
	switch {
	case c.Mode != "" && c.Mode != ConsentAssumed && c.Mode != ConsentRequired:
		return fmt.Errorf("endpoint: consent: got %q, want %s or %s", c.Mode, ConsentAssumed, ConsentRequired)
	case c.Mode == ConsentAssumed && c.Basis == "":
		return errors.New("endpoint: consent: assumed needs a basis: on what ground is it assumed?")
	}
	if c.Until == "" {
		c.Until = UntilMask
	}
	if c.Until != UntilMask && c.Until != UntilMemory {
		return fmt.Errorf("endpoint: consent until: got %q, want %s or %s", c.Until, UntilMask, UntilMemory)
	}
	return nil
}

// ConsentRequest is what somebody says of a call.
type ConsentRequest struct {
	Given    bool
	Basis    string // the ground; empty: the configured one
	Evidence string // where that can be looked up
	By       string // who consented or refused; empty: who asks
}

// ErrBadConsent is returned by Consent, wrapped, for what can't be.
var ErrBadConsent = errors.New("bad consent")

// Consented is what became of it.
type Consented struct {
	Call  string `json:"call"`
	Agent string `json:"agent,omitempty"`
	State string `json:"state"` // given, refused
	// From is the moment from which audio goes out, or is held back.
	From time.Time `json:"from"`
	Dir  string    `json:"dir,omitempty"`
	// Changed: it was not so before.
	Changed bool `json:"changed"`
	// NotDurable says why a restart would not know of it; empty: it does.
	NotDurable string `json:"not_durable,omitempty"`
}

// byPolicyHook is who consents where the policy's hook says so.
const byPolicyHook = "policy hook"

// Consent says that a call may be recorded, or that it may not; also after the other was said. The call is named by its id, its agent's extension number,
// or is the only one. The answer comes when it holds. ErrNoCall: there is no such call; ErrBadConsent: no consent is required.
func (e *Endpoint) Consent(ctx context.Context, id, agent string, req ConsentRequest) (Consented, error) {
	if e.cfg.Consent.Mode != ConsentRequired {
		return Consented{}, fmt.Errorf("%w: record.consent is %q: no call waits for it", ErrBadConsent, e.cfg.Consent.Mode)
	}
	if h := e.elsewhere(id, agent); h != nil {
		return e.consentElsewhere(ctx, h, req)
	}
	c, err := e.here(id, agent)
	if err != nil {
		return Consented{}, err
	}
	return c.consent(ctx, req)
}

// said is what a request says, now.
func (e *Endpoint) said(ctx context.Context, req ConsentRequest) call.Consent {
	said := call.Consent{
		Mode: ConsentRequired, Basis: req.Basis, Evidence: req.Evidence, By: req.By, At: time.Now().UTC(), State: call.ConsentRefused,
	}
	if req.Given {
		said.State = call.ConsentGiven
	}
	if said.Basis == "" {
		said.Basis = e.cfg.Consent.Basis
	}
	if said.By == "" {
		said.By = who.From(ctx)
	}
	return said
}

// consent does what Consent asks.
func (c *Call) consent(ctx context.Context, req ConsentRequest) (Consented, error) {
	c.consenting.Lock()
	defer c.consenting.Unlock()
	said := c.e.said(ctx, req)
	out := Consented{Call: c.id, Agent: c.who(), State: said.State, Changed: c.description().Consent.State != said.State}
	var kept error
	if req.Given { // who comes back after a crash must know it before audio is given away
		kept = c.e.consents.write(c.id, c.description().Sessions, said, said.At)
	}
	applied, err := answered(ctx, c.turnConsent(said))
	if err != nil {
		return Consented{}, fmt.Errorf("consent %s: %w", c.id, err)
	}
	if !req.Given { // held back at once: the disk may be slow
		kept = c.e.consents.write(c.id, c.description().Sessions, said, said.At)
	}
	if kept != nil {
		out.NotDurable = kept.Error()
		c.e.log.Error("consent not durable", attr.Call(c.id), attr.Err(kept), "hint", diskHint)
	}
	out.From = c.e.engine.Wall(applied.From)
	if rec, _ := c.recording(c.newest()); rec != nil {
		out.Dir = rec.Result().Dir
	}
	c.e.noteConsent(ctx, c.id, said)
	c.e.log.Info("consent", attr.Call(c.id), "state", said.State, "changed", out.Changed)
	return out, nil
}

// noteConsent has the evidence log name what was said.
func (e *Endpoint) noteConsent(ctx context.Context, id string, said call.Consent) {
	e.Note(who.Because(ctx, because(said.State+" by "+said.By, said.Basis)), actConsent, About{Call: id})
}

// turnConsent lets the call's audio out, or holds it back, and tells the recordings.
func (c *Call) turnConsent(said call.Consent) <-chan media.Applied {
	c.mu.Lock()
	was := c.info.Consent.State
	c.info.Consent = said
	memory := c.remembers
	c.remembers = false
	c.mu.Unlock()
	c.tell()
	c.postConsent(said)
	switch {
	case said.State == call.ConsentGiven && memory:
		return c.timeline.Leave(true, "")
	case said.State == call.ConsentGiven:
		return c.letOut(media.HolderConsent)
	case memory:
		c.noteHeld(media.HolderConsent, max(c.timeline.Zero(), 1), "refused")
		return c.timeline.Leave(false, "refused")
	case was == call.ConsentWaiting: // held back already
		return c.holdBack(media.HolderConsent, max(c.timeline.Zero(), 1), "refused")
	default: // what waited and is not out yet is wiped
		return c.holdBack(media.HolderConsent, 0, "withdrawn")
	}
}

// postConsent puts what was said into the call's record.
func (c *Call) postConsent(said call.Consent) {
	c.post(call.Event{Type: call.EventConsent, Facts: map[string]any{"state": said.State, "basis": said.Basis, "by": said.By, "evidence": said.Evidence}})
}

// gate has the call wait for consent, where that is required and was not said before: by the policy's hook, or of a call that this one goes on from. It is called before
// the call's first track is open.
func (c *Call) gate(ids ...string) {
	cfg := c.e.cfg.Consent
	said := call.Consent{Mode: cfg.Mode, Basis: cfg.Basis}
	if cfg.Mode == ConsentRequired {
		said.State = call.ConsentWaiting
		if found, ok := c.consentOf(ids); ok {
			said = found
		}
	}
	c.mu.Lock()
	c.info.Consent = said
	c.remembers = said.State == call.ConsentWaiting && cfg.Until == UntilMemory
	memory := c.remembers
	c.mu.Unlock()
	c.tell()
	if cfg.Mode != ConsentRequired {
		return
	}
	switch {
	case said.State == call.ConsentGiven:
	case memory:
		c.timeline.Keep()
	default:
		why := "not given yet"
		if said.State == call.ConsentRefused {
			why = "refused"
		}
		c.holdBack(media.HolderConsent, max(c.timeline.Zero(), 1), why)
	}
	c.postConsent(said)
}

// wordOn is the newest that somebody said of the calls and sessions that ids name.
func (c *Call) wordOn(ids []string) (newest call.Consent, ok bool) {
	for _, id := range ids {
		said, err := c.e.consents.read(id)
		if err != nil {
			c.e.log.Error("consent of an earlier process not read: the call waits for it", attr.Call(c.id), attr.Err(err), "hint", diskHint)
		}
		if said.State != "" && said.At.After(newest.At) {
			newest, ok = said, true
		}
	}
	return newest, ok
}

// consentOf finds what was said of the calls and sessions that ids name: the newest word counts.
func (c *Call) consentOf(ids []string) (newest call.Consent, ok bool) {
	newest, ok = c.wordOn(ids)
	if ok || c.mode == "" {
		return newest, ok
	}
	for _, id := range ids {
		if basis, given := c.ear.sup.Consent(id); given {
			return call.Consent{Mode: ConsentRequired, Basis: basis, State: call.ConsentGiven, At: time.Now().UTC(), By: byPolicyHook}, true
		}
	}
	return newest, false
}

// followConsent has what was said of another call, or session, count for this one: they are one. Where something was said of both, a later refusal
// counts, and a later consent does not: nobody gave it for what this call was.
func (c *Call) followConsent(id string) {
	if c.e.cfg.Consent.Mode != ConsentRequired {
		return
	}
	c.consenting.Lock()
	defer c.consenting.Unlock()
	now := c.description().Consent
	switch said, ok := c.wordOn([]string{id}); {
	case now.State == call.ConsentWaiting:
		if now, ok = c.consentOf([]string{id}); !ok {
			return
		}
		c.turnConsent(now)
	case ok && now.State == call.ConsentGiven && said.State == call.ConsentRefused && said.At.After(now.At):
		now = said
		c.turnConsent(now)
	}
	if err := c.e.consents.write(c.id, c.description().Sessions, now, now.At); err != nil {
		c.e.log.Error("consent not durable", attr.Call(c.id), attr.Err(err), "hint", diskHint)
	}
}

// sayConsent tells at the start where no ground was stated.
func (e *Endpoint) sayConsent() {
	if e.cfg.Consent.Mode == "" && e.cfg.Record != nil {
		e.log.Warn("on what ground calls are recorded is not stated", "hint", "set record.consent: see docs/consent.md; each recording.json says \"not stated\" until then")
	}
}
