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
	Peer     string   // extension number of a colleague who is the far side: an internal call
	IVR      bool     // an announcement took the call first, so the agent's party is not number 2
	Queue    string   // name of the call queue that it came through, which makes it a queue call
	Ringing  bool     // the agent did not answer yet: [Call.Answer]
	// ThirdParty adds one more person, so that RingCentral refuses to supervise a party.
	ThirdParty bool

	Form Form      // default Config.Form
	Law  trunk.Law // PCMU (default) or PCMA
	SRTP *bool     // default: SRTP where the device registered over TLS
	Late bool      // INVITEs come without SDP

	// Leak is how many dB below its own level the other party can be heard in a party's stream; default Config.Leak, negative: not
	// at all.
	Leak float64

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

	over chan struct{} // closed when the call ends
	done chan struct{} // closed when the call has ended and all dialogs with it

	// Sim.mu guards the field below.
	supervised chan struct{} // closed once the call is heard as its form promises; another one for each agent
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
	s.log.Info("call started", slog.String("call", c.session.id), slog.String("agent", c.spec.Agent), slog.String("form", string(c.session.form)))
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
	if far := s.cfg.Account.byNumber(spec.Peer); spec.Peer != "" && (far == nil || far == x) {
		return nil, fmt.Errorf("peer %s: want another extension", spec.Peer)
	}
	c := s.newCallLocked(&spec, now)
	s.seat(c.session, x, now)
	return c, nil
}

// newCallLocked makes a call without parties, with what the spec leaves open.
func (s *Sim) newCallLocked(spec *CallSpec, now time.Time) *Call {
	r := s.world.random
	if spec.CustomerAudio == nil {
		spec.CustomerAudio = Numbered(r.Uint32())
	}
	if spec.AgentAudio == nil {
		spec.AgentAudio = Numbered(r.Uint32())
	}
	if spec.Leak == 0 {
		spec.Leak = s.cfg.Leak
	}
	se := &session{id: newSessionID(r, now), legacy: newLegacyID(r), created: now, form: spec.Form}
	c := &Call{sim: s, session: se, spec: *spec, over: make(chan struct{}), supervised: make(chan struct{}), done: make(chan struct{})}
	se.call = c
	s.world.sessions = append(s.world.sessions, se)
	return c
}

// dialed is the number that the far side of an inbound call dialed.
func (spec *CallSpec) dialed(s *Sim) string {
	if x := s.cfg.Account.byNumber(spec.Agent); x != nil {
		return x.Phone
	}
	return ""
}

// seat adds the parties in the order in which they come, with the events that RingCentral was seen to send.
func (s *Sim) seat(se *session, x *Extension, now time.Time) {
	spec := &se.call.spec
	agent := endpoint{phone: x.Phone, name: x.Name, extension: x.ID}
	far, customer := (*Extension)(nil), endpoint{phone: spec.Customer.Number, name: spec.Customer.Name}
	if spec.Peer != "" {
		far, customer = s.end(spec.Peer, "")
	}
	from, to := customer, agent
	if spec.Outbound {
		agent.device = s.firstDevice(x)
		from, to = agent, customer
	}
	se.agent = &party{role: RoleAgent, extension: x, from: from, to: to, voice: newVoice(spec.AgentAudio), queue: spec.Queue != ""}
	se.peer = &party{role: RoleCustomer, extension: far, from: from, to: to, voice: newVoice(spec.CustomerAudio)}
	first, last := se.peer, se.agent
	if spec.Outbound {
		first, last = se.agent, se.peer
	}
	first.direction, last.direction = outbound, inbound
	s.enterLocked(se, first, stateSetup, now)
	if spec.IVR {
		s.passLocked(se, "IVR", now)
	}
	if spec.Queue != "" && !spec.Outbound {
		s.passLocked(se, spec.Queue, now)
	}
	if spec.Outbound && far == nil { // a number outside has no Setup
		s.enterLocked(se, last, stateProceeding, now)
	} else {
		s.enterLocked(se, last, stateSetup, now)
		s.changeLocked(se, last, stateProceeding, "", now)
	}
	if spec.Outbound {
		s.changeLocked(se, first, stateProceeding, "", now)
	}
	if !spec.Ringing {
		se.call.answerLocked(now)
	}
	if spec.ThirdParty {
		third := endpoint{phone: "+14155550199", name: "THIRD PARTY"}
		s.enterLocked(se, &party{role: RoleOther, direction: inbound, from: from, to: third, voice: newVoice(silence)}, stateAnswered, now)
	}
}

func (s *Sim) firstDevice(x *Extension) string {
	for _, d := range s.cfg.Account.Devices {
		if d.Extension == x.ID {
			return d.ID
		}
	}
	return ""
}

// SessionID is the telephony session's id.
func (c *Call) SessionID() string { return c.session.id }

// AgentParty is the id of the agent's party; a transfer changes it.
func (c *Call) AgentParty() string { return c.read(func(se *session) string { return se.agent.id }) }

// CustomerParty is the id of the far side's party.
func (c *Call) CustomerParty() string { return c.read(func(se *session) string { return se.peer.id }) }

// Agent is the extension number of who has the call; a transfer changes it. It is empty when that is nobody of the account.
func (c *Call) Agent() string {
	return c.read(func(se *session) string {
		if se.agent.extension == nil {
			return ""
		}
		return se.agent.extension.Number
	})
}

func (c *Call) read(f func(*session) string) string {
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	return f(c.session)
}

// Form is how the call's audio comes when it is supervised.
func (c *Call) Form() Form { return c.session.form }

// Spec is what the call is like, with its defaults filled in.
func (c *Call) Spec() CallSpec { return c.spec }

// Answer makes who rings answer.
func (c *Call) Answer() {
	now := time.Now()
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	c.answerLocked(now)
}

// answerLocked: the callee's party first, then the caller's, if no machine took the call before.
func (c *Call) answerLocked(now time.Time) {
	order := []*party{c.session.agent, c.session.peer}
	if order[0].direction == outbound {
		order[0], order[1] = order[1], order[0]
	}
	if p := order[0]; p.state != stateProceeding {
		return
	}
	for _, p := range order {
		if p.state == stateProceeding || p.state == stateSetup {
			c.sim.changeLocked(c.session, p, stateAnswered, "", now)
		}
	}
}

// Hold shows the agent's party as holding; what becomes of the streams says Switches.HoldMedia.
func (c *Call) Hold() { c.hold(stateAnswered, stateHold) }

// Resume ends Hold.
func (c *Call) Resume() { c.hold(stateHold, stateAnswered) }

func (c *Call) hold(from, to string) {
	now := time.Now()
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	if c.session.agent.state == from {
		c.sim.changeLocked(c.session, c.session.agent, to, "", now)
		c.sim.holdLocked(c.session, to == stateHold, now)
	}
}

// Hangup ends the call: all parties leave, each supervisor's dialog gets a BYE. It does not wait for them; see Done.
func (c *Call) Hangup() {
	now := time.Now()
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	c.hangupLocked(now)
}

func (c *Call) hangupLocked(now time.Time) { c.hangupWithLocked("", now) }

// hangupWithLocked lets those who are left leave: the agent, the far side, the others.
func (c *Call) hangupWithLocked(reason string, now time.Time) {
	se := c.session
	if !se.ended.IsZero() {
		return
	}
	se.ended = now
	order := append([]*party{se.agent, se.peer}, se.parties...)
	for _, p := range order {
		if !p.live() {
			continue
		}
		if p.supervision != nil && !p.told {
			p.state, p.reason = stateDisconnected, ""
			continue
		}
		why := reason
		switch {
		case p.supervision != nil:
			why = ""
		case p.state == stateProceeding || p.state == stateSetup:
			why = reasonCancelled
		}
		c.sim.changeLocked(se, p, stateDisconnected, why, now)
	}
	for _, l := range se.legs {
		l.stopLocked()
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
		if l.dialog == nil || l.stopped && c.session.ended.IsZero() {
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

// WaitSupervised waits until the call is heard as a whole: the session, or both of its parties. A call that changed hands has
// to be heard anew.
func (c *Call) WaitSupervised(ctx context.Context) error {
	c.sim.mu.Lock()
	supervised := c.supervised
	c.sim.mu.Unlock()
	select {
	case <-supervised:
		return nil
	default:
	}
	select {
	case <-supervised:
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
