package ringsim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/earshot/earshot/internal/ringsim/trunk"
)

type trunkSource = trunk.Source

var silence = trunk.Silence{}

// ErrNoAgent says that a call has no agent who could do something to it.
var ErrNoAgent = errors.New("ringsim: no agent talks on this call")

// reinvite is the task that changes the direction of a dialog's streams.
type reinvite struct {
	dialog    *trunk.Dialog
	direction string
}

func (r *reinvite) run(ctx context.Context, s *Sim) {
	ctx, cancel := context.WithTimeout(ctx, byeTimeout)
	defer cancel()
	if err := r.dialog.Reinvite(ctx, trunk.Reinvite{Direction: r.direction}); err != nil && !errors.Is(err, trunk.ErrEnded) {
		s.log.Warn("re-invite failed", slog.String("direction", r.direction), slog.Any("err", err))
	}
}

// taskLocked hands work to Run; what doesn't fit is logged.
func (s *Sim) taskLocked(t task) {
	if err := s.enqueue(t); err != nil {
		s.log.Warn("task dropped", slog.Any("err", err))
	}
}

// end is who stands behind a number: an extension of the account, or somebody outside.
func (s *Sim) end(number, name string) (*Extension, endpoint) {
	if x := s.cfg.Account.byNumber(number); x != nil {
		return x, endpoint{phone: x.Phone, name: x.Name, extension: x.ID}
	}
	return nil, endpoint{phone: number, name: name}
}

// do runs f under the lock for a call that lives and that an agent of the account has.
func (c *Call) do(what string, f func(s *Sim, se *session, now time.Time) error) error {
	now := time.Now()
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	err := ErrCallEnded
	if c.session.ended.IsZero() {
		if err = ErrNoAgent; c.session.agent.talking() && c.session.agent.extension != nil {
			err = f(c.sim, c.session, now)
		}
	}
	if err != nil {
		return fmt.Errorf("call %s: %s: %w", c.session.id, what, err)
	}
	return nil
}

// successorLocked is the party of whom the call goes to; it rings.
func (s *Sim) successorLocked(se *session, to string, queue bool, now time.Time) *party {
	x, e := s.end(to, "")
	src := trunkSource(Numbered(s.world.random.Uint32()))
	if _, numbered := se.agent.voice.source().(Numbered); !numbered {
		src = se.agent.voice.source() // speech stays speech
	}
	role := RoleOther
	if x != nil {
		role = RoleAgent
	}
	p := s.enterLocked(se, &party{
		role: role, direction: inbound, extension: x, from: se.peer.ends(), to: e, queue: queue,
		voice: newVoice(src),
	}, stateSetup, now)
	s.changeLocked(se, p, stateProceeding, "", now)
	return p
}

// ends is the party's own number, whoever called.
func (p *party) ends() endpoint {
	if p.direction == outbound {
		return p.from
	}
	return p.to
}

// anewLocked makes p the call's agent: it has to be supervised anew.
func (c *Call) anewLocked(p *party) {
	c.session.agent = p
	c.supervised = make(chan struct{})
}

// TransferBlind lets the agent give the call away to another extension or to a number outside, and leave. The new party
// rings until [Call.Answer].
func (c *Call) TransferBlind(to string) error {
	return c.do("transfer to "+to, func(s *Sim, se *session, now time.Time) error {
		old := se.agent
		if s.cfg.Account.byNumber(to) == old.extension {
			return fmt.Errorf("%s has the call already", to)
		}
		p := s.successorLocked(se, to, false, now)
		c.anewLocked(p)
		s.leaveLocked(se, old, stateDisconnected, reasonBlind, now)
		return nil
	})
}

// TransferQueue lets the agent give the call to a queue, which offers it to another agent: it rings there until
// [Call.Answer].
func (c *Call) TransferQueue(queue, agent string) error {
	return c.do("transfer to queue "+queue, func(s *Sim, se *session, now time.Time) error {
		x := s.cfg.Account.byNumber(agent)
		if x == nil {
			return fmt.Errorf("agent %s: no such extension", agent)
		}
		old := se.agent
		s.passLocked(se, queue, now)
		c.anewLocked(s.successorLocked(se, agent, true, now))
		s.leaveLocked(se, old, stateDisconnected, reasonBlind, now)
		return nil
	})
}

// passLocked shows an announcement or queue that has the call for a moment.
func (s *Sim) passLocked(se *session, name string, now time.Time) {
	x := &Extension{ID: machineID, Number: "700", Name: name}
	p := s.enterLocked(se, &party{
		role: RoleOther, direction: inbound, extension: x, from: se.peer.ends(),
		to: endpoint{phone: se.call.spec.dialed(s), name: name, extension: x.ID},
	}, stateSetup, now)
	if se.peer.state != stateAnswered {
		s.changeLocked(se, se.peer, stateAnswered, "", now)
	}
	p.answered = now // so nobody missed it
	s.changeLocked(se, p, stateDisconnected, "", now)
}

// machineID is the extension of announcements and queues; no list shows it.
const machineID = "62290000016"

// RingNext gives a call that rings to another agent, as a queue does when nobody answers.
func (c *Call) RingNext(agent string) error {
	now := time.Now()
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	se := c.session
	switch {
	case !se.ended.IsZero():
		return fmt.Errorf("call %s: ring next: %w", se.id, ErrCallEnded)
	case se.agent.state != stateProceeding:
		return fmt.Errorf("call %s: ring next: the agent's party is %s, want Proceeding", se.id, se.agent.state)
	case s.cfg.Account.byNumber(agent) == nil:
		return fmt.Errorf("call %s: ring next: agent %s: no such extension", se.id, agent)
	}
	old := se.agent
	c.anewLocked(s.successorLocked(se, agent, old.queue, now))
	s.leaveLocked(se, old, stateDisconnected, reasonNoAnswer, now)
	return nil
}

// Consult holds the call and lets its agent call somebody else meanwhile: an extension, or a number outside. What comes of
// it is a call of its own; see [Call.TransferAttended].
func (c *Call) Consult(spec CallSpec) (*Call, error) {
	var other *Call
	err := c.do("consult", func(s *Sim, se *session, now time.Time) error {
		if se.agent.state == stateAnswered {
			s.changeLocked(se, se.agent, stateHold, "", now)
			s.holdLocked(se, true, now)
		}
		spec.Agent, spec.Outbound = se.agent.extension.Number, true
		if spec.AgentAudio == nil {
			spec.AgentAudio = se.agent.voice.source()
		}
		var err error
		other, err = s.startLocked(spec, now)
		return err
	})
	return other, err
}

// TransferAttended joins the call's far side with that of the agent's consultation, and the agent leaves both. It goes on as
// the consultation: here the far side is Gone, with the peerId of its party there.
func (c *Call) TransferAttended(consult *Call) error {
	return c.do("attended transfer", func(s *Sim, se *session, now time.Time) error {
		to := consult.session
		if !to.ended.IsZero() || to == se || to.agent.extension != se.agent.extension || !to.peer.talking() {
			return errors.New("the consultation is over, or another agent's")
		}
		goer, leaver, target := se.peer, to.agent, to.peer
		p := s.moveLocked(se, goer, to, reasonAttended, now)
		consult.anewLocked(target)
		to.peer = p
		if target.extension != nil {
			target.role = RoleAgent
		}
		s.leaveLocked(to, leaver, stateDisconnected, reasonAttended, now)
		se.call.hangupWithLocked(reasonAttended, now)
		return nil
	})
}

// moveLocked lets a party go on in another session: Gone here, Answered there.
func (s *Sim) moveLocked(from *session, p *party, to *session, reason string, now time.Time) *party {
	q := s.enterLocked(to, &party{
		role: p.role, direction: outbound, extension: p.extension, from: p.ends(), to: to.peer.ends(),
		voice: newVoice(p.voice.source()),
	}, stateAnswered, now)
	p.peer = &peer{legacy: to.legacy, session: to.id, party: q.id}
	for _, l := range from.legs {
		l.stopLocked()
	}
	s.changeLocked(from, p, stateGone, reason, now)
	return q
}

// Park puts the call into a park location; the agent is free, whoever listens is sent away.
func (c *Call) Park() error {
	return c.do("park", func(s *Sim, se *session, now time.Time) error {
		s.world.parks++
		se.parked, se.agent.park = true, fmt.Sprintf("*8%02d", s.world.parks%100)
		s.leaveLocked(se, se.agent, stateParked, reasonPark, now)
		return nil
	})
}

// PickUp lets an agent take a parked call. It goes on as another session: in the old one the far side is Gone.
func (c *Call) PickUp(agent string) (*Call, error) {
	now := time.Now()
	s := c.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	old := c.session
	x := s.cfg.Account.byNumber(agent)
	switch {
	case !old.ended.IsZero():
		return nil, fmt.Errorf("call %s: pick up: %w", old.id, ErrCallEnded)
	case !old.parked:
		return nil, fmt.Errorf("call %s: pick up: it is not parked", old.id)
	case x == nil:
		return nil, fmt.Errorf("call %s: pick up: agent %s: no such extension", old.id, agent)
	}
	spec := c.spec
	spec.Agent, spec.Outbound, spec.Ringing, spec.IVR, spec.Queue, spec.ThirdParty, spec.AgentAudio = agent, true, false, false, "", false, nil
	fresh := s.newCallLocked(&spec, now)
	se := fresh.session
	agentEnd := endpoint{phone: x.Phone, name: x.Name, extension: x.ID}
	se.agent = s.enterLocked(se, &party{
		role: RoleAgent, direction: outbound, extension: x, from: agentEnd, to: old.peer.ends(), voice: newVoice(spec.AgentAudio),
	}, stateSetup, now)
	se.peer = &party{
		role: RoleCustomer, direction: inbound, extension: old.peer.extension, from: agentEnd, to: old.peer.ends(),
		voice: newVoice(old.peer.voice.source()),
	}
	s.changeLocked(se, se.agent, stateAnswered, "", now)
	s.enterLocked(se, se.peer, stateAnswered, now)
	old.peer.peer = &peer{legacy: se.legacy, session: se.id, party: se.peer.id}
	old.parked = false
	s.changeLocked(old, old.peer, stateGone, reasonPickup, now)
	c.hangupWithLocked(reasonPickup, now)
	return fresh, nil
}

// PartySpec is one more person for a call.
type PartySpec struct {
	Number string // an extension's short number, or one outside
	Name   string
	Audio  trunk.Source // default Numbered
}

// AddParty makes a conference of the call: one more person talks. Supervisions go on; RingCentral refuses to begin one of a
// party. It gives the new party's id.
func (c *Call) AddParty(spec PartySpec) (string, error) {
	var id string
	err := c.do("add party", func(s *Sim, se *session, now time.Time) error {
		if spec.Number == "" {
			return errors.New("no number")
		}
		if spec.Audio == nil {
			spec.Audio = Numbered(s.world.random.Uint32())
		}
		x, e := s.end(spec.Number, spec.Name)
		p := s.enterLocked(se, &party{
			role: RoleOther, direction: inbound, extension: x, from: se.agent.ends(), to: e, voice: newVoice(spec.Audio),
		}, stateSetup, now)
		s.changeLocked(se, p, stateProceeding, "", now)
		s.changeLocked(se, p, stateAnswered, "", now)
		id = p.id
		return nil
	})
	return id, err
}

// DropParty takes a person off the line; the call ends with the last but one.
func (c *Call) DropParty(id string) error {
	return c.do("drop party", func(s *Sim, se *session, now time.Time) error {
		p := se.party(id)
		if p == nil || !p.live() || p.role == RoleSupervisor {
			return fmt.Errorf("party %s: not on the line", id)
		}
		s.leaveLocked(se, p, stateDisconnected, "", now)
		return nil
	})
}

// SwitchDevice lets the agent go on with another of its phones: a new party of the same extension.
func (c *Call) SwitchDevice() error {
	return c.do("switch device", func(s *Sim, se *session, now time.Time) error {
		old := se.agent
		e := old.ends()
		e.device = "802" + e.extension
		p := s.enterLocked(se, &party{
			role: RoleAgent, direction: inbound, extension: old.extension, from: se.peer.ends(), to: e, queue: old.queue,
			voice: newVoice(old.voice.source()),
		}, stateAnswered, now)
		c.anewLocked(p)
		s.leaveLocked(se, old, stateDisconnected, reasonSwitch, now)
		return nil
	})
}

// HangupBy ends the call; by says who hung up: the agent, or else the far side.
func (c *Call) HangupBy(by Role) {
	now := time.Now()
	c.sim.mu.Lock()
	defer c.sim.mu.Unlock()
	if !c.session.ended.IsZero() {
		return
	}
	first := c.session.peer
	if by == RoleAgent {
		first = c.session.agent
	}
	if first.live() {
		c.sim.changeLocked(c.session, first, stateDisconnected, "", now)
	}
	c.hangupLocked(now)
}
