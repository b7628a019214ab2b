package trunk

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Invite is a call to a device.
type Invite struct {
	UserName        string // whose binding is called
	FromUser        string // user of From and Contact: an extension, a number, anonymous
	FromName        string // display name of From, may be empty
	ToUser          string // user of To; default UserName. RingCentral's To need not be the address of record.
	CallID          string // default random
	Headers         []Header
	Lines           []Line        // m= lines; none means one with the defaults
	SRTP            bool          // RTP/SAVP with SDES keys
	Late            bool          // no SDP in the INVITE, the answer goes with the ACK
	SessionExpires  time.Duration // default 14400 s, negative means none
	Refresher       string        // default uac: the trunk refreshes
	RefreshByUpdate bool          // the trunk's refresh is an UPDATE, not a re-INVITE
	Supported       string        // default "replaces, timer, diversion, histinfo"
	Copies          int           // so many more times the INVITE is sent, in one transaction
	WithholdACKs    int           // so many 200s are left without ACK: the device must repeat them
	AnswerWithin    time.Duration // default Config.AnswerWithin
	InactivityBye   time.Duration // default Config.InactivityBye, negative means never
}

// Header is one header field as it goes out.
type Header struct{ Name, Value string }

// RefusedError says that the device refused, or that its answer is one that RingCentral would not take: then Code is 488
// and the dialog was ended with a BYE.
type RefusedError struct {
	Code   int
	Reason string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("invite: refused: %d %s", e.Code, e.Reason)
}

// What Invite and the dialog's requests may fail with besides RefusedError.
var (
	ErrNoBinding = errors.New("invite: device is not registered")
	ErrNoAnswer  = errors.New("invite: no answer in time")
	ErrClosed    = errors.New("trunk: not running")
	ErrNoFlow    = errors.New("dialog: the device's flow is gone")
	ErrEnded     = errors.New("dialog: ended")
)

// check applies the defaults.
func (in *Invite) check(cfg *Config) {
	if in.ToUser == "" {
		in.ToUser = in.UserName
	}
	if len(in.Lines) == 0 {
		in.Lines = []Line{{}}
	}
	if in.SessionExpires == 0 {
		in.SessionExpires = 14400 * time.Second
	}
	if in.Refresher == "" {
		in.Refresher = "uac"
	}
	if in.Supported == "" {
		in.Supported = "replaces, timer, diversion, histinfo"
	}
	in.AnswerWithin = orDefault(in.AnswerWithin, cfg.AnswerWithin)
	in.InactivityBye = orDefault(in.InactivityBye, cfg.InactivityBye)
}

// Invite calls the newest binding of a device on the flow it registered over and returns when the answer was
// acknowledged. The INVITE is cancelled after AnswerWithin, and when ctx ends.
func (t *Trunk) Invite(ctx context.Context, in Invite) (*Dialog, error) {
	in.check(&t.cfg)
	b, ok := t.newest(in.UserName)
	if !ok {
		return nil, ErrNoBinding
	}
	d, err := t.newDialog(in, b)
	if err != nil {
		return nil, err
	}
	tx, answer, err := d.ring(ctx)
	if err == nil {
		err = d.establish(tx, answer)
	}
	if err != nil {
		d.end(err.Error())
		return nil, err
	}
	d.giveTurn()
	return d, nil
}

// ring sends the INVITE and gives the 200, which has no ACK yet.
func (d *Dialog) ring(ctx context.Context) (*clientTx, *message, error) {
	m := d.request("INVITE")
	m.headers = append(m.headers, d.in.Headers...)
	d.describe(m)
	d.t.mu.Lock()
	f := d.flow
	if !d.in.Late {
		d.carry(m, d.sdpLocked(d.ours))
	}
	d.t.mu.Unlock()
	tx, err := d.t.begin(f, m, d.done) // if only the sending failed, it is as good as lost
	if tx == nil {
		return nil, nil, err
	}
	for range d.in.Copies {
		_ = d.t.send(f, tx.raw) // as good as lost
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.in.AnswerWithin, ErrNoAnswer)
	defer cancel()
	answer, tags, err := d.await(ctx, tx)
	if err != nil {
		return nil, nil, d.abandon(ctx, tx, m, len(tags) > 0, err)
	}
	if answer.code >= 300 {
		d.refused(tx, m, answer)
		return nil, nil, &RefusedError{answer.code, answer.reason}
	}
	for _, early := range tags {
		if early != "" && early != tag(answer.get("To")) {
			d.t.strictly("%s: To tag of the 200 differs from that of an earlier response", d.name)
			break
		}
	}
	return tx, answer, d.withhold(tx, answer)
}

// await gives the final response to an INVITE, and the To tags of the provisional ones.
func (d *Dialog) await(ctx context.Context, tx *clientTx) (final *message, tags []string, err error) {
	for {
		m, err := d.t.wait(ctx, tx)
		if err != nil {
			return nil, tags, err
		}
		if m.code >= 200 {
			return m, tags, nil
		}
		tags = append(tags, tag(m.get("To")))
	}
}

// refused acknowledges a final response that is no success, RFC 3261 section 17.1.1.3.
func (d *Dialog) refused(tx *clientTx, invite, answer *message) {
	ack := &message{method: "ACK", uri: invite.uri}
	n, _ := invite.cseq()
	for _, h := range invite.headers {
		switch h.Name {
		case "Via", "From", "Call-ID", "Max-Forwards":
			ack.headers = append(ack.headers, h)
		}
	}
	ack.add("To", answer.get("To"))
	ack.add("CSeq", fmt.Sprintf("%d ACK", n))
	d.t.finish(tx, answer, ack.bytes())
	_ = d.t.send(tx.flow, ack.bytes())
}

// abandon cancels an INVITE that was not answered in time, or whose caller has hung up, and gives the cause. A 200 that crosses
// the CANCEL, or comes before there is anything to cancel, is acknowledged, then ended with a BYE.
func (d *Dialog) abandon(ctx context.Context, tx *clientTx, invite *message, provisional bool, cause error) error {
	d.t.mu.Lock()
	gone := tx.flow.closed || tx.flow.forgotten || d.t.closed
	d.t.mu.Unlock()
	if !provisional && gone || errors.Is(cause, ErrClosed) {
		d.t.finish(tx, nil, nil)
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelWait)
	defer cancel()
	var answer *message
	if !provisional {
		// RFC 3261 section 9.1: CANCEL waits for the first response.
		first, err := d.t.wait(ctx, tx)
		if err != nil {
			d.t.finish(tx, nil, nil)
			return cause
		}
		if first.code >= 200 {
			answer = first
		}
	}
	if answer == nil {
		if answer = d.cancel(ctx, tx, invite); answer == nil {
			return cause
		}
	}
	if answer.code >= 300 {
		d.refused(tx, invite, answer)
		return cause
	}
	d.t.mu.Lock()
	d.remote = answer.get("To")
	d.t.mu.Unlock()
	d.acknowledge(tx, answer, nil)
	_ = d.bye(ctx, "cancelled too late")
	return cause
}

// cancel sends the CANCEL and gives the INVITE's final response; nil: none came.
func (d *Dialog) cancel(ctx context.Context, tx *clientTx, invite *message) *message {
	n, _ := invite.cseq()
	m := &message{method: "CANCEL", uri: invite.uri}
	for _, h := range invite.headers {
		switch h.Name {
		case "Via", "From", "To", "Call-ID", "Max-Forwards":
			m.headers = append(m.headers, h)
		}
	}
	m.add("CSeq", fmt.Sprintf("%d CANCEL", n))
	if r, err := d.t.exchange(ctx, tx.flow, m, d.done); err != nil || r.code != 200 {
		d.t.strictly("%s: CANCEL was not answered with 200", d.name)
	}
	answer, _, err := d.await(ctx, tx)
	if err != nil {
		d.t.strictly("%s: cancelled INVITE was not answered with 487", d.name)
		d.t.finish(tx, nil, nil)
		return nil
	}
	return answer
}

// cancelWait is how long a cancelled INVITE may take to end.
const cancelWait = 5 * time.Second

// withhold lets copies of the 200 come, as after a lost ACK. They must come at T1, 2*T1..., over any transport (RFC 3261
// section 13.3.1.4), and must be the same.
func (d *Dialog) withhold(tx *clientTx, answer *message) error {
	interval := t1
	for n := range d.in.WithholdACKs {
		ctx, cancel := context.WithTimeout(context.Background(), interval+2*t1)
		m, err := d.t.wait(ctx, tx)
		cancel()
		if errors.Is(err, ErrClosed) {
			return err
		}
		if err != nil {
			d.t.violation("%s: 200 without ACK was not repeated, copy %d", d.name, n+1)
			return nil
		}
		if string(m.bytes()) != string(answer.bytes()) {
			d.t.violation("%s: copy %d of the 200 differs from the first", d.name, n+1)
		}
		interval = min(2*interval, t2)
	}
	return nil
}

// establish checks the 200 and acknowledges it. What RingCentral would not take ends with a BYE.
func (d *Dialog) establish(tx *clientTx, answer *message) error {
	d.checkHead(answer)
	d.t.mu.Lock()
	d.remote = answer.get("To")
	d.t.mu.Unlock()
	o := d.ours // nobody changes it: Invite has the turn
	reply, outcome, err := d.settle(o, answer, d.in.Late)
	if err == nil {
		d.commit(o, outcome)
	}
	d.acknowledge(tx, answer, reply)
	if err != nil {
		d.t.violation("%s: %v", d.name, err)
		_ = d.bye(context.Background(), "answer not acceptable")
		return &RefusedError{488, err.Error()}
	}
	d.startTimers(answer)
	return nil
}

// settle reads the SDP of a 200. If it is an offer, reply is the answer to it, for the ACK.
func (d *Dialog) settle(o *ours, answer *message, late bool) (reply []byte, outcome []agreed, err error) {
	s, err := parseSDP(answer.body)
	if err != nil {
		return nil, nil, err
	}
	d.checkVersion(s, answer.body)
	if late {
		if outcome, err = answerOffer(o, s); err != nil {
			return nil, nil, err
		}
		o.answer = true
		d.t.mu.Lock()
		reply = d.sdpLocked(o)
		d.t.mu.Unlock()
	} else {
		var soft []string
		if outcome, soft, err = checkAnswer(o, s); err != nil {
			return nil, nil, err
		}
		for _, text := range soft {
			d.t.strictly("%s: %s", d.name, text)
		}
	}
	d.checkKeys(outcome)
	return reply, outcome, nil
}

// commit makes the outcome of an exchange the dialog's own.
func (d *Dialog) commit(o *ours, outcome []agreed) {
	d.t.mu.Lock()
	d.ours = o
	d.t.mu.Unlock()
	for i, s := range d.streams {
		s.agree(outcome[i])
	}
}

// acknowledge sends the ACK of a 2xx, and keeps it for copies. It goes to the Contact of the REGISTER, as was seen.
func (d *Dialog) acknowledge(tx *clientTx, answer *message, body []byte) {
	n, _ := answer.cseq()
	ack := &message{method: "ACK", uri: d.contact, headers: []Header{
		{"Via", d.via(tx.flow)}, {"Max-Forwards", "69"}, {"From", d.local}, {"To", answer.get("To")}, {"Call-ID", d.callID},
		{"CSeq", fmt.Sprintf("%d ACK", n)},
	}}
	if body != nil {
		d.carry(ack, body)
	}
	raw := ack.bytes()
	d.t.finish(tx, answer, raw)
	_ = d.t.send(tx.flow, raw)
}
