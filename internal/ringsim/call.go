package ringsim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// CallSpec says what a call is like. The zero value is an inbound call to the first agent, answered at once, whose parties
// say what [Numbered] says.
type CallSpec struct {
	Agent    string   // extension number; default the first agent's
	Customer Customer // default made up
	Outbound bool     // the agent called the customer
	IVR      bool     // an announcement took the call first, so the agent's party is not number 2
	Ringing  bool     // the agent did not answer yet: [Call.Answer]
	// ThirdParty adds one more person, so that RingCentral refuses to supervise a party.
	ThirdParty bool

	Form Form      // default Config.Form
	Law  trunk.Law // PCMU (default) or PCMA
	SRTP *bool     // default: SRTP where the device registered over TLS
	Late bool      // INVITEs come without SDP

	CustomerAudio, AgentAudio trunk.Source // default Numbered with numbers of their own for each call
	Impair                    Impair
	// Invite, if set, changes each INVITE of the call before it goes out. It must not call methods of Sim or Call.
	Invite func(*trunk.Invite)
	// For is when the customer hangs up; zero means that the caller of StartCall does it.
	For time.Duration
}

// Customer is the far side.
type Customer struct{ Number, Name string }

// Impair says what the way does to each stream.
type Impair struct{ Customer, Agent, Mix trunk.Impairment }

// Call is one live call of an agent. All methods are safe for concurrent use.
type Call struct {
	// Set by StartCall, then constant.
	sim     *Sim
	session *session
	spec    CallSpec

	over       chan struct{} // closed when the call ends: INVITEs that ring are cancelled, dialogs get a BYE
	supervised chan struct{} // closed once the call is heard as its form promises
	done       chan struct{} // closed when the call has ended and all dialogs with it
}

// Stream is one m= line of a dialog with what is said on it. [trunk.Stream.Sent] tells which octets of Source went out.
type Stream struct {
	*trunk.Stream
	Dialog *trunk.Dialog
	Role   Role
	Party  string // the monitored party, empty for a mix of the session
	Source trunk.Source
}

// Dialog is one answered INVITE.
type Dialog struct {
	*trunk.Dialog
	Own       []string // the supervisor's parties that it serves
	Monitored []string // the parties asked for, empty at session level
}

// ErrCallEnded says that a call ended before what was waited for.
var ErrCallEnded = errors.New("ringsim: call ended")

// StartCall puts an agent into a call.
func (s *Sim) StartCall(spec CallSpec) (*Call, error) {
	now := time.Now()
	s.mu.Lock()
	c, err := s.startLocked(spec, now)
	s.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("ringsim: start call: %w", err)
	}
	if spec.For > 0 {
		if err := s.enqueue(&hangup{call: c, after: spec.For}); err != nil {
			c.Hangup()
			return nil, err
		}
	}
	s.log.Info("call started", slog.String("call", c.session.id), slog.String("agent", c.session.agent.extension.Number), slog.String("form", string(c.session.form)))
	return c, nil
}

func (s *Sim) startLocked(spec CallSpec, now time.Time) (*Call, error) {
	w := &s.world
	w.forget(now)
	if spec.Agent == "" {
		spec.Agent = fmt.Sprint(FirstAgentNumber)
	}
	x := s.cfg.Account.byNumber(spec.Agent)
	if x == nil {
		return nil, fmt.Errorf("agent %s: no such extension", spec.Agent)
	}
	switch spec.Form {
	case "":
		spec.Form = s.cfg.Form
	case FormTwoDialogs, FormTwoLines, FormMixed:
	default:
		return nil, fmt.Errorf("form %q, want two_dialogs, two_lines or mixed", spec.Form)
	}
	if spec.Customer.Number == "" {
		n := w.random.Uint64N(100)
		spec.Customer.Number = fmt.Sprintf("+140855501%02d", n)
		if spec.Customer.Name == "" {
			spec.Customer.Name = "CUSTOMER " + string(rune('A'+n%26))
		}
	}
	if spec.CustomerAudio == nil {
		spec.CustomerAudio = Numbered(w.random.Uint32())
	}
	if spec.AgentAudio == nil {
		spec.AgentAudio = Numbered(w.random.Uint32())
	}
	se := &session{id: newSessionID(w.random, now), legacy: newLegacyID(w.random), created: now, form: spec.Form}
	c := &Call{sim: s, session: se, spec: spec, over: make(chan struct{}), supervised: make(chan struct{}), done: make(chan struct{})}
	se.call = c
	s.seat(se, x, now)
	w.sessions = append(w.sessions, se)
	return c, nil
}

// seat adds the parties in the order in which they came.
func (s *Sim) seat(se *session, x *Extension, now time.Time) {
	r, spec := s.world.random, &se.call.spec
	customer := endpoint{phone: spec.Customer.Number, name: spec.Customer.Name}
	agent := endpoint{phone: x.Phone, name: x.Name, extension: x.ID}
	from, to := customer, agent
	if spec.Outbound {
		for _, d := range s.cfg.Account.Devices {
			if d.Extension == x.ID {
				agent.device = d.ID
				break
			}
		}
		from, to = agent, customer
	}
	ours := &party{role: RoleAgent, extension: x, from: from, to: to, state: stateAnswered, answered: now}
	theirs := &party{role: RoleCustomer, from: from, to: to, state: stateAnswered, answered: now}
	if spec.Ringing {
		ours.state, ours.answered = stateProceeding, time.Time{}
		if spec.Outbound {
			theirs.state, theirs.answered = stateProceeding, time.Time{}
		}
	}
	first, last := theirs, ours
	if spec.Outbound {
		first, last = ours, theirs
	}
	first.direction, last.direction = outbound, inbound
	se.agent, se.peer = ours, theirs
	se.add(first, r)
	if spec.IVR {
		se.add(&party{role: RoleOther, direction: inbound, from: from, to: to, state: stateDisconnected}, r)
	}
	se.add(last, r)
	if spec.ThirdParty {
		third := endpoint{phone: "+14155550199", name: "THIRD PARTY"}
		se.add(&party{role: RoleOther, direction: inbound, from: from, to: third, state: stateAnswered, answered: now}, r)
	}
}

// SessionID is the telephony session's id.
func (c *Call) SessionID() string { return c.session.id }

// AgentParty is the id of the agent's party.
func (c *Call) AgentParty() string { return c.session.agent.id }

// CustomerParty is the id of the customer's party.
func (c *Call) CustomerParty() string { return c.session.peer.id }

// Form is how the call's audio comes when it is supervised.
func (c *Call) Form() Form { return c.session.form }

// Spec is what the call is like, with its defaults filled in.
func (c *Call) Spec() CallSpec { return c.spec }

// Answer makes the agent of a ringing call answer.
func (c *Call) Answer() {
	now := time.Now()
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	for _, p := range []*party{c.session.agent, c.session.peer} {
		if p.state == stateProceeding {
			p.state, p.answered = stateAnswered, now
		}
	}
}

// Hold shows the agent's party as holding; the streams go on.
func (c *Call) Hold() { c.move(stateAnswered, stateHold) }

// Resume ends Hold.
func (c *Call) Resume() { c.move(stateHold, stateAnswered) }

func (c *Call) move(from, to string) {
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	if c.session.agent.state == from {
		c.session.agent.state = to
	}
}

// Hangup ends the call: all parties leave, each supervisor's dialog gets a BYE. It does not wait for them; see Done.
func (c *Call) Hangup() {
	now := time.Now()
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	c.hangupLocked(now)
}

func (c *Call) hangupLocked(now time.Time) {
	if !c.session.ended.IsZero() {
		return
	}
	c.session.ended = now
	for _, p := range c.session.parties {
		p.state, p.reason = stateDisconnected, ""
	}
	if l := c.session.pending; l != nil { // was never sent
		c.session.pending = nil
		l.ended = true
		close(l.done)
	}
	close(c.over)
	c.noteLocked()
}

// noteLocked looks whether somebody waits for what has become of the call.
func (c *Call) noteLocked() {
	heard := map[*party]bool{}
	running := false
	for _, l := range c.session.legs {
		running = running || !l.ended
		if l.dialog == nil {
			continue
		}
		for _, sv := range l.supervisions {
			heard[sv.monitored] = true
		}
	}
	if heard[nil] || heard[c.session.agent] && heard[c.session.peer] {
		closeOnce(c.supervised)
	}
	if !c.session.ended.IsZero() && !running {
		closeOnce(c.done)
	}
}

// closeOnce closes a channel that only holders of Sim.mu close.
func closeOnce(ch chan struct{}) {
	select {
	case <-ch:
	default:
		close(ch)
	}
}

// WaitSupervised waits until the call is heard as a whole: the session, or both of its parties.
func (c *Call) WaitSupervised(ctx context.Context) error {
	select {
	case <-c.supervised:
		return nil
	default:
	}
	select {
	case <-c.supervised:
		return nil
	case <-c.done:
		return fmt.Errorf("call %s: not supervised: %w", c.session.id, ErrCallEnded)
	case <-ctx.Done():
		return fmt.Errorf("call %s: not supervised: %w", c.session.id, ctx.Err())
	}
}

// Done is closed when the call has ended and all of its dialogs with it.
func (c *Call) Done() <-chan struct{} { return c.done }

// Dialogs lists the answered INVITEs, those that have ended too, in the order of the requests.
func (c *Call) Dialogs() []Dialog {
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	var out []Dialog
	for _, l := range c.session.legs {
		if l.dialog == nil {
			continue
		}
		d := Dialog{Dialog: l.dialog}
		for _, sv := range l.supervisions {
			d.Own = append(d.Own, sv.party.id)
			if sv.monitored != nil {
				d.Monitored = append(d.Monitored, sv.monitored.id)
			}
		}
		out = append(out, d)
	}
	return out
}

// Streams lists the streams of all dialogs.
func (c *Call) Streams() []Stream {
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	var out []Stream
	for _, l := range c.session.legs {
		out = append(out, l.streams...)
	}
	return out
}

// hangup is the task that ends a call in time.
type hangup struct {
	call  *Call
	after time.Duration
}

func (h *hangup) run(ctx context.Context, _ *Sim) {
	t := time.NewTimer(h.after)
	defer t.Stop()
	select {
	case <-t.C:
		h.call.Hangup()
	case <-h.call.over:
	case <-ctx.Done():
	}
}
