package trunk

import (
	"context"
	"fmt"
	"slices"
)

// Reinvite is what a re-INVITE changes, on all lines; the zero value is a refresh with the same SDP.
type Reinvite struct {
	Direction string // "" means unchanged
	NewPort   bool   // our media moves; nothing is sent from there before the device's first packet to it
	NewKey    bool
	Revive    bool // lines that were offered with port 0 are offered with their ports
	NoSDP     bool // the device offers, the ACK carries our answer
}

// Reinvite sends a re-INVITE and takes over what its answer says. *RefusedError where the device refuses: then all stays as
// it was.
func (d *Dialog) Reinvite(ctx context.Context, r Reinvite) error {
	if err := d.takeTurn(ctx); err != nil {
		return err
	}
	defer d.giveTurn()
	o, err := d.changed(r)
	if err != nil {
		d.undecided(false)
		return err
	}
	m := d.request("INVITE")
	d.describe(m)
	d.t.mu.Lock()
	f, before, old := d.flow, d.ours, d.last
	if !r.NoSDP && r == (Reinvite{}) {
		d.carry(m, d.last)
	} else if !r.NoSDP {
		d.carry(m, d.sdpLocked(o))
	}
	d.t.mu.Unlock()
	err = d.renegotiate(ctx, f, m, o, r.NoSDP)
	d.undecided(false)
	if err != nil {
		d.t.mu.Lock()
		d.ours, d.last = before, old
		d.t.mu.Unlock()
	}
	return err
}

// changed is our SDP to be, with new ports opened.
func (d *Dialog) changed(r Reinvite) (*ours, error) {
	d.undecided(true)
	d.t.mu.Lock()
	o := *d.ours
	o.lines = slices.Clone(o.lines)
	d.t.mu.Unlock()
	if r == (Reinvite{}) {
		return &o, nil
	}
	o.answer = false
	for i := range o.lines {
		l := &o.lines[i]
		if r.Direction != "" {
			l.direction = r.Direction
		}
		if r.NewKey {
			l.renew()
		}
		s := d.streams[i]
		if r.Revive && l.port == 0 && s.line.Refused {
			l.port = portOf(s.port.conn)
		}
		if !r.NewPort || l.port == 0 {
			continue
		}
		port, err := s.renewPort()
		if err != nil {
			return nil, err
		}
		l.port = portOf(port.conn)
		if !d.t.spawn(func() { s.receive(port) }) {
			return nil, ErrClosed
		}
	}
	return &o, nil
}

// undecided tells the streams that keys and ports may be the new ones already, or that the question is settled.
func (d *Dialog) undecided(on bool) {
	for _, s := range d.streams {
		s.pending(on)
	}
}

func (d *Dialog) renegotiate(ctx context.Context, f *flow, m *message, o *ours, late bool) error {
	tx, err := d.t.begin(f, m, d.done)
	if err != nil {
		if tx != nil {
			d.t.finish(tx, nil, nil)
		}
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timerB, ErrNoAnswer)
	defer cancel()
	answer, _, err := d.await(ctx, tx)
	if err != nil {
		d.t.finish(tx, nil, nil)
		return err
	}
	if answer.code >= 300 {
		d.refused(tx, m, answer)
		return &RefusedError{answer.code, answer.reason}
	}
	d.checkHead(answer)
	reply, outcome, err := d.settle(o, answer, late)
	if err != nil {
		d.acknowledge(tx, answer, nil)
		d.t.violation("%s: re-INVITE: %v", d.name, err)
		return &RefusedError{488, err.Error()}
	}
	d.commit(o, outcome)
	d.acknowledge(tx, answer, reply)
	d.startTimers(answer)
	return nil
}

func (d *Dialog) takeTurn(ctx context.Context) error {
	select {
	case <-d.turn:
		return nil
	case <-d.done:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Dialog) giveTurn() { d.turn <- struct{}{} }

// Update sends an UPDATE without a body, a refresh of the session (RFC 4028 section 7.4).
func (d *Dialog) Update(ctx context.Context) error {
	if err := d.takeTurn(ctx); err != nil {
		return err
	}
	defer d.giveTurn()
	m := d.request("UPDATE")
	d.describe(m)
	r, err := d.ask(ctx, m)
	if err != nil {
		return err
	}
	if r.code != 200 {
		return &RefusedError{r.code, r.reason}
	}
	d.startTimers(r)
	return nil
}

// Options sends OPTIONS in the dialog and gives the answer's code.
func (d *Dialog) Options(ctx context.Context) (int, error) {
	return d.code(ctx, d.request("OPTIONS"))
}

// Info sends INFO, for example application/dtmf-relay.
func (d *Dialog) Info(ctx context.Context, contentType string, body []byte) (int, error) {
	return d.code(ctx, d.content("INFO", contentType, body))
}

// Notify sends an unsolicited NOTIFY of an event package, for example check-sync.
func (d *Dialog) Notify(ctx context.Context, event string) (int, error) {
	m := d.request("NOTIFY")
	m.add("Event", event)
	m.add("Subscription-State", "active")
	return d.code(ctx, m)
}

// Message sends MESSAGE, for example x-rc/agent.
func (d *Dialog) Message(ctx context.Context, contentType string, body []byte) (int, error) {
	return d.code(ctx, d.content("MESSAGE", contentType, body))
}

func (d *Dialog) content(method, contentType string, body []byte) *message {
	m := d.request(method)
	m.add("Content-Type", contentType)
	m.body = body
	return m
}

func (d *Dialog) code(ctx context.Context, m *message) (int, error) {
	r, err := d.ask(ctx, m)
	if err != nil {
		return 0, err
	}
	return r.code, nil
}

// ask sends a request of a living dialog.
func (d *Dialog) ask(ctx context.Context, m *message) (*message, error) {
	d.t.mu.Lock()
	f, ended := d.flow, d.ending
	d.t.mu.Unlock()
	if ended {
		return nil, ErrEnded
	}
	r, err := d.t.exchange(ctx, f, m, d.done)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.name, err)
	}
	return r, nil
}
