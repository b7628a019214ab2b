package trunk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// serverInvite is a 200 of ours that waits for its ACK.
type serverInvite struct {
	cseq  uint32
	late  bool // the ACK brings the answer
	ours  *ours
	acked chan struct{}
}

// allowed is what the trunk answers with 200 to a device.
const allowed = "SUBSCRIBE, NOTIFY, REFER, INVITE, ACK, BYE, CANCEL, UPDATE, INFO"

// outOfDialog refuses what a supervisor's device has no business to send: it would be heard by somebody.
func (t *Trunk) outOfDialog(f *flow, m *message) {
	switch m.method {
	case "OPTIONS":
		t.respond(f, m, &message{code: 200, reason: "OK", headers: []Header{{"Allow", allowed}}})
	case "CANCEL":
		t.violation("CANCEL from %s of no transaction", f.remote)
		t.respond(f, m, &message{code: 481, reason: "Call/Transaction Does Not Exist"})
	case "INVITE", "REFER", "SUBSCRIBE", "PUBLISH", "MESSAGE", "INFO", "NOTIFY":
		t.violation("%s from %s outside a dialog: a listener only answers", m.method, f.remote)
		t.respond(f, m, &message{code: 403, reason: "Forbidden"})
	default:
		t.violation("%s from %s: unknown request", m.method, f.remote)
		t.respond(f, m, &message{code: 405, reason: "Method Not Allowed", headers: []Header{{"Allow", allowed}}})
	}
}

// inDialog takes a request of the device within one of our dialogs.
func (t *Trunk) inDialog(f *flow, m *message) {
	t.mu.Lock()
	d := t.dialogs[m.get("Call-ID")]
	t.mu.Unlock()
	if m.method == "ACK" {
		if d != nil {
			d.acked(m)
		}
		return
	}
	if d == nil {
		t.respond(f, m, &message{code: 481, reason: "Call/Transaction Does Not Exist"})
		return
	}
	if r, text := d.admit(f, m); r != nil {
		if text != "" {
			t.violation("%s: %s: %s", d.name, m.method, text)
		}
		t.respond(f, m, r)
		return
	}
	if m.uri != d.own {
		t.strictly("%s: %s: Request-URI is %s, want our Contact %s", d.name, m.method, m.uri, d.own)
		if t.cfg.Strict {
			t.respond(f, m, &message{code: 404, reason: "Not Found"})
			return
		}
	}
	d.take(f, m)
}

// admit tells whether a request belongs to the dialog and came on its flow; else how it is refused, and what is wrong.
func (d *Dialog) admit(f *flow, m *message) (*message, string) {
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	gone := &message{code: 481, reason: "Call/Transaction Does Not Exist"}
	if strict := d.t.cfg.Strict; strict && (tag(m.get("To")) != d.localTag || tag(m.get("From")) != tag(d.remote)) {
		return gone, "tags are not the dialog's"
	}
	n, _ := m.cseq()
	if int64(n) <= d.their {
		return &message{code: 500, reason: "Server Internal Error"}, fmt.Sprintf("CSeq %d after %d", n, d.their)
	}
	if f != d.flow {
		known := slices.ContainsFunc(d.t.bindings[d.userName], func(b *binding) bool { return b.flow == f })
		switch {
		case !known:
			return gone, "came on a flow that nobody registered over"
		case m.method == "INVITE": // moves the dialog to the new flow, once it is answered
		case m.method == "BYE":
		default: // seen at RingCentral: after a reconnect only a re-INVITE repairs the route
			return gone, ""
		}
	}
	d.their = int64(n)
	return nil, ""
}

func (d *Dialog) take(f *flow, m *message) {
	ok := &message{code: 200, reason: "OK", headers: []Header{{"Contact", "<" + d.own + ">"}, {"Allow", allowed}}}
	switch m.method {
	case "BYE":
		d.t.respond(f, m, &message{code: 200, reason: "OK"})
		cause := "bye by device"
		if reason := m.get("Reason"); reason != "" {
			cause += ": " + reason
		}
		d.end(cause)
	case "INVITE":
		d.reinvited(f, m)
	case "UPDATE":
		if len(m.body) > 0 {
			d.t.respond(f, m, &message{code: 488, reason: "Not Acceptable Here"})
			return
		}
		if v := m.get("Session-Expires"); v != "" {
			ok.add("Session-Expires", v)
		}
		d.t.respond(f, m, ok)
		d.touched()
	case "OPTIONS":
		d.t.respond(f, m, ok)
	case "INFO", "REFER", "MESSAGE", "NOTIFY", "SUBSCRIBE":
		d.t.violation("%s: %s: a listener must not act on the call", d.name, m.method)
		d.t.respond(f, m, &message{code: 403, reason: "Forbidden"})
	default:
		d.t.violation("%s: %s: unknown request", d.name, m.method)
		d.t.respond(f, m, &message{code: 405, reason: "Method Not Allowed", headers: []Header{{"Allow", allowed}}})
	}
}

// reinvited answers a re-INVITE of the device: a refresh, or the repair of its route after a reconnect.
func (d *Dialog) reinvited(f *flow, m *message) {
	n, _ := m.cseq()
	select {
	case <-d.turn:
	default: // RFC 3261 section 14.2
		d.t.respond(f, m, &message{code: 491, reason: "Request Pending"})
		return
	}
	s := &serverInvite{cseq: n, late: len(m.body) == 0, acked: make(chan struct{})}
	d.t.mu.Lock()
	o := *d.ours
	o.lines = slices.Clone(o.lines)
	d.t.mu.Unlock()
	s.ours = &o
	var outcome []agreed
	if !s.late {
		offer, err := parseSDP(m.body)
		if err == nil {
			d.checkVersion(offer, m.body)
			outcome, err = answerOffer(&o, offer)
		}
		if err != nil {
			d.giveTurn()
			d.t.strictly("%s: re-INVITE of the device: %v", d.name, err)
			d.t.respond(f, m, &message{code: 488, reason: "Not Acceptable Here"})
			return
		}
		d.checkKeys(outcome)
		o.answer = true
	}
	d.t.mu.Lock()
	d.flow, d.answering = f, s
	body := d.sdpLocked(&o)
	d.t.mu.Unlock()
	if outcome != nil {
		d.commit(&o, outcome)
	}
	r := &message{code: 200, reason: "OK", headers: []Header{{"Contact", "<" + d.own + ">"}, {"Allow", allowed}}}
	if v := m.get("Session-Expires"); v != "" {
		r.add("Session-Expires", v)
		r.add("Require", "timer")
	}
	d.carry(r, body)
	d.t.respond(f, m, r)
	d.touched()
	if !d.t.spawn(func() { d.untilAcked(f, r.bytes(), s) }) {
		d.giveTurn()
	}
}

// untilAcked repeats a 200 of ours until its ACK is there, RFC 3261 section 13.3.1.4.
func (d *Dialog) untilAcked(f *flow, raw []byte, s *serverInvite) {
	defer d.giveTurn()
	end := time.NewTimer(timerB)
	defer end.Stop()
	interval := t1
	again := time.NewTimer(interval)
	defer again.Stop()
	for {
		select {
		case <-s.acked:
			return
		case <-d.done:
			return
		case <-again.C:
			_ = d.t.send(f, raw)
			interval = min(2*interval, t2)
			again.Reset(interval)
		case <-end.C:
			d.t.violation("%s: no ACK to the 200 of the device's re-INVITE", d.name)
			return
		}
	}
}

// acked takes an ACK of the device.
func (d *Dialog) acked(m *message) {
	n, _ := m.cseq()
	d.t.mu.Lock()
	s := d.answering
	if s == nil || s.cseq != n {
		d.t.mu.Unlock()
		return
	}
	d.answering = nil
	d.t.mu.Unlock()
	defer close(s.acked)
	if !s.late {
		return
	}
	answer, err := parseSDP(m.body)
	if err != nil {
		d.t.violation("%s: ACK without an answer: %v", d.name, err)
		return
	}
	outcome, _, err := checkAnswer(s.ours, answer)
	if err != nil {
		d.t.violation("%s: ACK: %v", d.name, err)
		return
	}
	d.t.mu.Lock()
	d.theirs = bytes.Clone(m.body)
	d.t.mu.Unlock()
	d.commit(s.ours, outcome)
}

// startTimers begins the session timer anew with what a 200 says.
func (d *Dialog) startTimers(answer *message) {
	interval, refresher := sessionExpires(answer)
	if interval == 0 {
		interval = max(d.in.SessionExpires, 0) // tolerated; then we refresh
		refresher = "uac"
	}
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	d.interval, d.refresher, d.refreshed = interval, refresher, time.Now()
	if d.answered.IsZero() {
		d.answered = d.refreshed
	}
}

func (d *Dialog) touched() {
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	d.refreshed = time.Now()
}

// watchDialogs refreshes sessions, and ends those that nobody refreshes or listens to any more.
func (t *Trunk) watchDialogs(now time.Time) {
	t.mu.Lock()
	dialogs := make([]*Dialog, 0, len(t.dialogs))
	for _, d := range t.dialogs {
		if !d.ending && !d.answered.IsZero() {
			dialogs = append(dialogs, d)
		}
	}
	t.mu.Unlock()
	for _, d := range dialogs {
		d.watch(now)
	}
}

func (d *Dialog) watch(now time.Time) {
	heard := d.lastHeard()
	d.t.mu.Lock()
	if heard.Before(d.answered) {
		heard = d.answered
	}
	age := now.Sub(d.refreshed)
	refresh := d.interval > 0 && d.refresher == "uac" && age >= d.interval/2
	expired := d.interval > 0 && d.refresher != "uac" && age >= d.interval
	if refresh {
		d.refreshed = now // one at a time; a failed one ends the dialog
	}
	d.t.mu.Unlock()
	switch {
	case d.in.InactivityBye > 0 && now.Sub(heard) > d.in.InactivityBye:
		d.byeSoon("no media from the device")
	case expired:
		d.t.violation("%s: the device did not refresh the session", d.name)
		d.byeSoon("session expired")
	case refresh:
		d.t.spawn(d.refresh)
	}
}

func (d *Dialog) byeSoon(cause string) {
	d.t.spawn(func() { _ = d.bye(context.Background(), cause) })
}

func (d *Dialog) refresh() {
	var err error
	if d.in.RefreshByUpdate {
		err = d.Update(context.Background())
	} else {
		err = d.Reinvite(context.Background(), Reinvite{})
	}
	if err != nil && !errors.Is(err, ErrEnded) {
		d.t.strictly("%s: session refresh: %v", d.name, err)
		_ = d.bye(context.Background(), "session refresh failed")
	}
}

// lastHeard is when the device's last packet came on any line.
func (d *Dialog) lastHeard() time.Time {
	var last time.Time
	for _, s := range d.streams {
		if h := s.heard(); h.After(last) {
			last = h
		}
	}
	return last
}
