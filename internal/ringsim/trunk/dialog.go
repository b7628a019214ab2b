package trunk

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Dialog is one call to a device. All methods are safe for concurrent use.
type Dialog struct {
	// Set by Invite, then constant.
	t        *Trunk
	in       Invite
	name     string // for violations
	callID   string
	userName string
	contact  string // URI of the REGISTER's Contact: where our requests go
	own      string // URI of our Contact: where theirs must go
	local    string // our From, with its tag
	localTag string
	streams  []*Stream
	done     chan struct{}
	turn     chan struct{} // holds one token: who has it may send a re-INVITE or an UPDATE; Invite has it first

	// Trunk.mu guards the fields below.
	flow      *flow
	remote    string // the device's To, with its tag once it answered
	cseq      uint32
	their     int64 // CSeq of the device's last request, -1 before the first
	ours      *ours
	last      []byte // SDP of ours that went out last
	theirs    []byte // SDP of theirs that came last
	answering *serverInvite
	ending    bool
	ended     bool
	cause     string
	answered  time.Time
	interval  time.Duration // session timer, zero is none
	refresher string
	refreshed time.Time
}

// newDialog opens the ports of a call's streams and enters it in the books.
func (t *Trunk) newDialog(in Invite, b binding) (*Dialog, error) {
	d := &Dialog{
		t: t, in: in, callID: in.CallID, userName: in.UserName, contact: b.contact, flow: b.flow,
		done: make(chan struct{}), turn: make(chan struct{}, 1), localTag: hex.EncodeToString(random(9)), their: -1,
	}
	if d.callID == "" {
		d.callID = hex.EncodeToString(random(16))
	}
	d.name = "call " + d.callID
	host := t.host(b.flow)
	d.own = fmt.Sprintf("sip:%s@%s;transport=%s", in.FromUser, host, b.flow.network)
	d.local = fmt.Sprintf("<sip:%s@%s>;tag=%s", in.FromUser, bracketed(host.Addr()), d.localTag)
	if in.FromName != "" {
		d.local = fmt.Sprintf("%q %s", in.FromName, d.local)
	}
	// RingCentral's To has the host it sees the device at, not the domain.
	d.remote = fmt.Sprintf("<sip:%s@%s>", in.ToUser, bracketed(b.flow.remote.Addr()))
	d.ours = newOurs(t.cfg.MediaIP, in.SRTP)
	for i, line := range in.Lines {
		if err := d.addLine(i, line); err != nil {
			d.release()
			return nil, err
		}
	}
	if err := t.enter(d); err != nil {
		d.release()
		return nil, err
	}
	for _, s := range d.streams {
		if !t.spawn(func() { s.receive(s.port) }) {
			d.end("trunk closed")
			return nil, ErrClosed
		}
	}
	return d, nil
}

// addLine opens one m= line's stream.
func (d *Dialog) addLine(i int, line Line) error {
	s, err := d.t.openStream(fmt.Sprintf("%s, m-line %d", d.name, i+1), line)
	if err != nil {
		return err
	}
	d.streams = append(d.streams, s)
	l := ourLine{port: portOf(s.port.conn), title: line.Title, direction: line.Direction, laws: line.Laws, mux: line.Plan.RTCP > 0}
	if l.direction == "" {
		l.direction = "sendrecv"
	}
	if l.laws == nil {
		l.laws = []Law{PCMU, PCMA}
	}
	if line.Refused {
		l.port = 0
	}
	l.renew()
	d.ours.lines = append(d.ours.lines, l)
	return nil
}

// enter puts a dialog in the books. Each has numbers of its own in CSeq.
func (t *Trunk) enter(d *Dialog) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.running || t.closed {
		return ErrClosed
	}
	if t.dialogs[d.callID] != nil {
		return fmt.Errorf("invite: Call-ID %s is in use", d.callID)
	}
	t.dialogs[d.callID] = d
	t.streams = append(t.streams, d.streams...)
	d.cseq = t.nextCSeq
	t.nextCSeq += 1000
	return nil
}

func (d *Dialog) release() {
	for _, s := range d.streams {
		s.closePorts()
	}
}

// host is the address that a flow's device sees us at.
func (t *Trunk) host(f *flow) netip.AddrPort {
	if f.local.Addr().IsUnspecified() {
		return netip.AddrPortFrom(t.cfg.MediaIP, f.local.Port())
	}
	return f.local
}

// bracketed is an address as a URI's host.
func bracketed(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

func (d *Dialog) via(f *flow) string {
	return fmt.Sprintf("SIP/2.0/%s %s;branch=%s", strings.ToUpper(f.network), d.t.host(f), newBranch())
}

// request begins a request of the dialog, with the next CSeq.
func (d *Dialog) request(method string) *message {
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	d.cseq++
	return &message{method: method, uri: d.contact, headers: []Header{
		{"Via", d.via(d.flow)}, {"Max-Forwards", "69"}, {"User-Agent", "RC_SIPWRP_25.111"}, {"From", d.local},
		{"To", d.remote}, {"Contact", "<" + d.own + ">"}, {"Call-ID", d.callID}, {"CSeq", fmt.Sprintf("%d %s", d.cseq, method)},
	}}
}

// describe adds what an INVITE or an UPDATE says of the session.
func (d *Dialog) describe(m *message) {
	m.add("Allow", "SUBSCRIBE, NOTIFY, REFER, INVITE, ACK, BYE, CANCEL, UPDATE, INFO")
	m.add("Supported", d.in.Supported)
	if d.in.SessionExpires > 0 {
		m.add("Session-Expires", fmt.Sprintf("%d;refresher=%s", int(d.in.SessionExpires.Seconds()), d.in.Refresher))
		m.add("Min-SE", fmt.Sprint(int(min(minSE, d.in.SessionExpires).Seconds())))
	}
}

// carry gives a message its SDP.
func (d *Dialog) carry(m *message, sdp []byte) {
	m.add("Content-Type", "application/sdp")
	m.body = sdp
}

// sdpLocked is our SDP, with the next version if it says something else than the last one, RFC 3264 section 8.
func (d *Dialog) sdpLocked(o *ours) []byte {
	b := o.marshal()
	if d.last != nil && string(b) != string(d.last) {
		o.version++
		b = o.marshal()
	}
	d.last = b
	return b
}

// CallID is the SIP Call-ID.
func (d *Dialog) CallID() string { return d.callID }

// UserName is whose device it is.
func (d *Dialog) UserName() string { return d.userName }

// Done is closed when the dialog ended.
func (d *Dialog) Done() <-chan struct{} { return d.done }

// Cause is why the dialog ended, "" while it lives.
func (d *Dialog) Cause() string {
	d.t.mu.Lock()
	defer d.t.mu.Unlock()
	return d.cause
}

// Line is the stream of the i-th m= line, from 0.
func (d *Dialog) Line(i int) *Stream { return d.streams[i] }

// Lines is how many there are.
func (d *Dialog) Lines() int { return len(d.streams) }

// Bye sends what is delayed on the streams, then BYE, and waits for its answer. The dialog ends in any case.
func (d *Dialog) Bye(ctx context.Context) error { return d.bye(ctx, "bye") }

// byeWait is how long an answer to BYE is waited for. RingCentral's own SDK never sends one.
const (
	byeWait    = 5 * time.Second
	laxByeWait = time.Second
)

func (d *Dialog) bye(ctx context.Context, cause string) error {
	d.t.mu.Lock()
	if d.ending || d.ended {
		d.t.mu.Unlock()
		<-d.done
		return nil
	}
	d.ending = true
	f := d.flow
	d.t.mu.Unlock()
	defer d.end(cause)
	for _, s := range d.streams {
		s.stop()
	}
	wait := laxByeWait
	if d.t.cfg.Strict {
		wait = byeWait
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	r, err := d.t.exchange(ctx, f, d.request("BYE"), d.done)
	if errors.Is(err, ErrEnded) {
		return nil // its BYE and ours crossed
	}
	if err != nil {
		d.t.mu.Lock()
		gone := f.closed || f.forgotten || d.t.closed
		d.t.mu.Unlock()
		if !gone && ctx.Err() != nil {
			d.t.strictly("%s: BYE was not answered", d.name)
		}
		return err
	}
	if r.code != 200 {
		d.t.strictly("%s: BYE was answered with %d %s", d.name, r.code, r.reason)
		return &RefusedError{r.code, r.reason}
	}
	return nil
}

// Forget ends the dialog without a BYE, as if it had been lost on its way.
func (d *Dialog) Forget(cause string) { d.end(cause) }

// end takes the dialog out of the books, stops its media and closes its ports. Only the first cause counts.
func (d *Dialog) end(cause string) {
	d.t.mu.Lock()
	if d.ended {
		d.t.mu.Unlock()
		return
	}
	d.ended, d.ending, d.cause = true, true, cause
	if d.t.dialogs[d.callID] == d {
		delete(d.t.dialogs, d.callID)
	}
	d.t.streams = slices.DeleteFunc(d.t.streams, func(s *Stream) bool { return slices.Contains(d.streams, s) })
	d.t.mu.Unlock()
	d.release()
	close(d.done)
}
