package ringsim

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// leg is one INVITE to a supervisor's device and what becomes of it. It is a task.
type leg struct {
	session *session
	// supervisions that this INVITE serves: one, or two where they share it.
	supervisions []*supervision
	delay        time.Duration
	waitFor      <-chan struct{} // ReverseInvites: the other leg's answer
	answered     chan struct{}   // closed with the device's answer
	over         chan struct{}   // closed when the listener is sent away: what rings is cancelled, a dialog gets a BYE
	done         chan struct{}   // closed when nothing more happens

	// Guarded by Sim.mu.
	dialog  *trunk.Dialog
	streams []Stream
	ended   bool
	stopped bool // over is closed
}

const byeTimeout = 5 * time.Second

// planLocked says which INVITE follows a request: none while FormTwoLines waits for the second one.
func (s *Sim) planLocked(se *session, sv *supervision) *leg {
	if se.form == FormTwoLines && sv.monitored != nil {
		if l := se.pending; l != nil {
			l.supervisions = append(l.supervisions, sv)
			if l.supervisions[0].monitored == sv.monitored {
				return nil // the same party again: the other one is still missing
			}
			se.pending = nil
			return l
		}
		se.pending = s.newLegLocked(se, sv)
		return nil
	}
	l := s.newLegLocked(se, sv)
	if sv.monitored != nil && (s.cfg.Switches.ReverseInvites || se.reversed != nil || s.takeFaultLocked(FaultInvitesReversed, time.Now()) != nil) {
		if se.reversed == nil {
			se.reversed = make(chan struct{})
			l.waitFor = se.reversed
		} else {
			l.answered, se.reversed = se.reversed, nil
		}
	}
	return l
}

func (s *Sim) newLegLocked(se *session, sv *supervision) *leg {
	l := &leg{session: se, supervisions: []*supervision{sv}, answered: make(chan struct{}), over: make(chan struct{}), done: make(chan struct{})}
	const least, spread = 50 * time.Millisecond, int64(100 * time.Millisecond)
	switch d := s.cfg.Switches.InviteDelay; {
	case s.cfg.Switches.InviteFirst || d < 0:
	case d == 0:
		l.delay = least + time.Duration(s.world.random.Int64N(spread))
	default:
		l.delay = d
	}
	se.legs = append(se.legs, l)
	return l
}

// run sends the INVITE and stays until the dialog's end.
func (l *leg) run(ctx context.Context, s *Sim) {
	defer s.legEnded(l)
	d := l.call(ctx, s)
	if d == nil {
		return
	}
	select {
	case <-d.Done():
	case <-ctx.Done():
	case <-l.over:
		if s.cfg.Switches.LoseByes {
			d.Forget("bye lost")
			return
		}
		ctx, cancel := context.WithTimeout(ctx, byeTimeout)
		defer cancel()
		if err := d.Bye(ctx); err != nil && !errors.Is(err, trunk.ErrEnded) && !errors.Is(err, trunk.ErrClosed) {
			s.log.Warn("bye failed", slog.String("call", l.session.id), slog.Any("err", err))
		}
	}
}

// stopLocked sends the listener away.
func (l *leg) stopLocked() {
	if l.stopped {
		return
	}
	l.stopped = true
	close(l.over)
	if l.session.pending != l {
		return
	}
	l.session.pending = nil // was never sent
	l.ended = true
	for _, sv := range l.supervisions {
		sv.party.state, sv.party.reason = stateDisconnected, ""
	}
	close(l.done)
}

// call sends the INVITE when its time has come; the listener's end cancels it. Without an answer there is no dialog.
func (l *leg) call(ctx context.Context, s *Sim) *trunk.Dialog {
	var watch sync.WaitGroup
	defer watch.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch.Go(func() {
		select {
		case <-l.over:
			cancel()
		case <-ctx.Done():
		}
	})
	if !l.wait(ctx) {
		return nil
	}
	user, n := l.supervisions[0].device.UserName, l.supervisions[0].device.MaxDialogs
	if n == 0 {
		n = s.cfg.Switches.DialogsPerDevice
	}
	if n > 0 && s.trunk.Dialogs(user) >= n {
		s.log.Info("invite not sent", slog.String("call", l.session.id), slog.String("reason", "device has as many calls as it may"))
		return nil
	}
	copies, send := s.inviteFault(ctx, l)
	if !send {
		return nil
	}
	in, streams := s.invite(l)
	in.Copies += copies
	d, err := s.trunk.Invite(ctx, in)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("invite failed", slog.String("call", l.session.id), slog.Any("err", err))
		}
		return nil
	}
	s.legAnswered(l, d, streams)
	return d
}

// wait holds the INVITE back as planned; false means that there is nothing to send any more.
func (l *leg) wait(ctx context.Context) bool {
	if l.waitFor != nil {
		t := time.NewTimer(inviteFirstWait)
		defer t.Stop()
		select {
		case <-l.waitFor:
		case <-t.C:
		case <-ctx.Done():
		}
	}
	if l.delay > 0 {
		t := time.NewTimer(l.delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

func (s *Sim) legAnswered(l *leg, d *trunk.Dialog, streams []Stream) {
	s.mu.Lock()
	l.dialog = d
	for i := range streams {
		streams[i].Stream, streams[i].Dialog = d.Line(i), d
	}
	l.streams = streams
	for _, sv := range l.supervisions {
		sv.answered = true
		if sv.party.live() {
			s.tellLocked(l.session, sv.party, time.Now())
		}
	}
	l.session.call.noteLocked()
	s.mu.Unlock()
	close(l.answered)
}

// legEnded takes the supervisor's parties out of the session, so that another one may listen.
func (s *Sim) legEnded(l *leg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	for _, sv := range l.supervisions {
		if p := sv.party; p.live() && p.told {
			s.changeLocked(l.session, p, stateDisconnected, "", time.Now())
		} else if p.live() {
			p.state, p.reason = stateDisconnected, ""
		}
	}
	close(l.done)
	l.session.call.noteLocked()
}

// invite writes the INVITE of a supervision: headers and audio.
func (s *Sim) invite(l *leg) (trunk.Invite, []Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	se, own := l.session, l.supervisions[0]
	spec := &se.call.spec
	in := trunk.Invite{
		UserName: own.device.UserName, FromUser: own.agent.extension.Number, FromName: own.agent.extension.Name,
		CallID: own.party.callID, Late: spec.Late, SRTP: s.srtp(spec, own.device.UserName),
	}
	token := "<" + own.party.callID[:22] + "..>"
	in.Headers = []trunk.Header{{Name: "p-rc-api-ids", Value: s.ids(own.party.id, se.id)}}
	if own.monitored != nil && len(l.supervisions) == 1 && se.form != FormTwoLines {
		// At session level and in the form with two lines nobody has seen it.
		in.Headers = append(in.Headers, trunk.Header{Name: "p-rc-api-monitoring-ids", Value: s.ids(own.monitored.id, se.id)})
	}
	if !own.silent {
		in.Headers = append(in.Headers,
			trunk.Header{Name: "Alert-Info", Value: "Auto Answer"},
			trunk.Header{Name: "Call-Info", Value: token + ";purpose=info;Answer-After=0"})
	}
	in.Headers = append(in.Headers, trunk.Header{Name: "P-Acme-VSA", Value: "200:" + token[1:len(token)-1]})
	streams := s.streams(l)
	for _, st := range streams {
		in.Lines = append(in.Lines, s.line(se, own, st))
	}
	if spec.Invite != nil {
		spec.Invite(&in)
	}
	return in, streams
}

func (s *Sim) ids(party, session string) string {
	if s.cfg.Switches.SessionFirst {
		return "session-id=" + session + "; party-id=" + party
	}
	return "party-id=" + party + ";session-id=" + session
}

// streams says what each line of an INVITE carries.
func (s *Sim) streams(l *leg) []Stream {
	se, own := l.session, l.supervisions[0]
	db := se.call.spec.Leak
	customer := Stream{Role: RoleCustomer, Party: se.peer.id, Source: leak(se.peer.voice, se.agent.voice, db)}
	agent := Stream{Role: RoleAgent, Party: se.agent.id, Source: leak(se.agent.voice, se.peer.voice, db)}
	switch {
	case se.form == FormTwoLines:
		return []Stream{customer, agent}
	case se.form == FormMixed || own.monitored == nil:
		mix := Stream{Role: RoleMix, Source: &se.room}
		if own.monitored != nil {
			mix.Party = own.monitored.id
		}
		return []Stream{mix}
	case own.monitored == se.peer:
		return []Stream{customer}
	case own.monitored == se.agent:
		return []Stream{agent}
	default:
		return []Stream{{Role: RoleOther, Party: own.monitored.id, Source: own.monitored.voice}}
	}
}

func (s *Sim) line(se *session, own *supervision, st Stream) trunk.Line {
	spec := &se.call.spec
	line := trunk.Line{Source: st.Source, Begin: se.begin}
	switch st.Role {
	case RoleCustomer:
		line.Plan = spec.Impair.Customer
	case RoleAgent:
		line.Plan = spec.Impair.Agent
	default:
		line.Plan = spec.Impair.Mix
	}
	if spec.Law == trunk.PCMA {
		line.Laws = []trunk.Law{trunk.PCMA}
	}
	if own.sendOnly {
		line.Direction = "sendonly"
	}
	if se.form == FormTwoLines {
		id := st.Party
		if s.cfg.Switches.ForeignLineIDs {
			const foreign = 70 // ids of the session's parties never get there
			n := foreign
			if st.Role == RoleAgent {
				n++
			}
			id = se.partyID(n)
		}
		line.Title = se.id + " party-id=" + id
	}
	return line
}

// srtp: a device that registered over TLS is offered SRTP, others plain RTP, unless the call says otherwise.
func (s *Sim) srtp(spec *CallSpec, userName string) bool {
	if spec.SRTP != nil {
		return *spec.SRTP
	}
	return s.trunk.Transport(userName) == "tls"
}
