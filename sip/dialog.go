package sip

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/sip/offer"
)

// maxMail bounds what waits for a dialog; maxHeld the requests that came before the ACK.
const (
	maxMail = 32
	maxHeld = 4
)

// mailKind is what a dialog hears.
type mailKind uint8

const (
	mailRequest mailKind = iota
	mailACK
	mailFlow   // the flow is another
	mailBye    // our side wants to end it
	mailResult // a request of ours was answered
)

type mail struct {
	kind   mailKind
	req    *gosip.Request // mailRequest, mailACK
	in     *inRequest     // mailRequest
	bye    *bye           // mailBye
	result ownResult      // mailResult
}

// inRequest is a request in the hands of a dialog. done is closed when its transaction is no longer needed; answered is
// written by the dialog's goroutine and may be read after done or the dialog's done.
type inRequest struct {
	req      *gosip.Request
	tx       gosip.ServerTransaction
	done     chan struct{}
	answered bool
}

func (in *inRequest) respond(res *gosip.Response) error {
	in.answered = true
	return in.tx.Respond(res)
}

// Dialog is one call that we answered, from our 200 to its end. Its goroutine owns all that changes.
type Dialog struct {
	// Set before run, then constant.
	a     *Account
	key   dialogKey
	leg   Leg
	tag   string     // ours
	first *inRequest // the INVITE
	// direct is where requests of ours go, if the call did not come by a proxy (UDP, AcceptFrom); else "".
	direct string
	log    *slog.Logger
	mail   chan mail
	done   chan struct{} // closed after leg.Ended

	// Owned by run.
	local, remote gosip.Header // From and To of our requests
	localSeq      uint32
	remoteSeq     uint32
	target        gosip.Uri
	routes        []gosip.Uri
	route         flowIdentity // the flow the far side knows
	x             *offer.Exchange
	timer         sessionTimer
	refreshed     time.Time // when the session timer began
	established   bool
	ack           *ackWait
	held          []*inRequest
	heldUntil     time.Time
	own           ownWork
	probe         probe
	auth          digestAuth
	byes          []*bye
	byeSent       bool
	byeLimit      time.Time
	replaces      *Dialog
	cause         call.Cause
	ended         bool
}

// CallID gives the Call-ID.
func (d *Dialog) CallID() string { return d.key.callID }

func (a *Account) newDialog(inv *invite, f *flow, leg Leg, timer sessionTimer) *Dialog {
	req := inv.req
	now := time.Now()
	d := &Dialog{
		a: a, key: dialogKey{callID: inv.id.callID, local: inv.tag, remote: inv.id.from}, leg: leg, tag: inv.tag,
		log: a.log.With(attr.Leg(clean(inv.id.callID, maxText))), mail: make(chan mail, maxMail), done: make(chan struct{}),
		first:    &inRequest{req: req, tx: inv.srv, done: make(chan struct{}), answered: true},
		localSeq: rand.Uint32N(1 << 16), remoteSeq: inv.id.seq, route: f.identity(), timer: timer, refreshed: now,
		auth: digestAuth{user: a.cfg.AuthorizationID, password: a.cfg.Password},
	}
	if src, err := netip.ParseAddrPort(req.Source()); err == nil && !f.reliable() && !a.isProxy(src.Addr()) {
		d.direct = req.Source()
	}
	from := req.To().AsFrom()
	from.Params.Add("tag", inv.tag)
	to := req.From().AsTo()
	d.local, d.remote = &from, &to
	d.retarget(req)
	for _, h := range req.GetHeaders("Record-Route") {
		if rr, ok := h.(*gosip.RecordRouteHeader); ok {
			d.routes = append(d.routes, *rr.Address.Clone())
		}
	}
	return d
}

// retarget takes the Contact of a target-refresh request or its answer (RFC 3261 section 12.2.1.2).
func (d *Dialog) retarget(m headerer) {
	for _, h := range m.GetHeaders("Contact") {
		if c, ok := h.(*gosip.ContactHeader); ok && !c.Address.Wildcard && c.Address.Host != "" {
			d.target = *c.Address.Clone()
			return
		}
	}
	if d.target.Host == "" && d.remote != nil {
		if to, ok := d.remote.(*gosip.ToHeader); ok {
			d.target = *to.Address.Clone() // no Contact at all: RFC 2543
		}
	}
}

// okTo builds a 2xx with what every one of ours carries. The Contact is the one that is registered.
func (d *Dialog) okTo(req *gosip.Request, tag string, body []byte, headers ...[]string) *gosip.Response {
	res := d.a.reply(req, tag, 200, "", "Allow", allow, "Supported", supported)
	if f := d.a.current(); f != nil {
		res.AppendHeader(gosip.NewHeader("Contact", d.a.contact(f)))
	}
	for _, hs := range headers {
		for i := 0; i+1 < len(hs); i += 2 {
			res.AppendHeader(gosip.NewHeader(hs[i], hs[i+1]))
		}
	}
	if body != nil {
		res.AppendHeader(gosip.NewHeader("Content-Type", "application/sdp"))
		res.SetBody(body)
	}
	return res
}

// begin notes that our first 200 is out.
func (d *Dialog) begin(res *gosip.Response, x *offer.Exchange, inv *invite, replaces *Dialog) {
	d.x, d.replaces = x, replaces
	d.ack = newAckWait(d.first, res, d.a.cfg.tune, true)
	d.ack.late = inv.req.Body() == nil || len(inv.req.Body()) == 0
}

// post hands mail to the dialog; false if it has no room or is no more.
func (d *Dialog) post(m mail) bool {
	select {
	case <-d.done:
		return false
	default:
	}
	select {
	case d.mail <- m:
		return true
	case <-d.done:
		return false
	default:
		d.a.counters.add(cntMailFull, 1)
		return false
	}
}

// run follows the dialog to its end.
func (d *Dialog) run() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	d.own.ctx = ctx
	t := time.NewTimer(0)
	defer t.Stop()
	for !d.ended {
		wait := time.Duration(1<<63 - 1)
		if at := d.nextTime(); !at.IsZero() {
			wait = max(time.Until(at), 0)
		}
		t.Reset(wait)
		select {
		case m := <-d.mail:
			d.guarded(func() { d.handle(m) })
		case <-t.C:
			d.guarded(func() { d.tick(time.Now()) })
		}
	}
	d.finish()
}

// guarded keeps a fault, ours or the leg's, to this one call.
func (d *Dialog) guarded(f func()) {
	defer func() {
		if p := recover(); p != nil {
			d.a.panicked(d.key.callID, p)
			d.end(call.Cause{Code: call.CodeInternal, Text: "a fault in earshot"})
		}
	}()
	f()
}

func (d *Dialog) handle(m mail) {
	switch m.kind {
	case mailRequest:
		d.request(m.in)
	case mailACK:
		d.acked(m.req)
	case mailFlow:
		d.flowChanged()
	case mailBye:
		d.wantBye(m.bye)
	case mailResult:
		d.result(m.result)
	}
}

// end makes cause the end; the first counts.
func (d *Dialog) end(c call.Cause) {
	if d.ended {
		return
	}
	d.ended, d.cause = true, c
}

// finish tells everybody, once.
func (d *Dialog) finish() {
	if d.ack != nil {
		d.ack.finish()
	}
	func() {
		defer func() {
			if p := recover(); p != nil {
				d.a.panicked(d.key.callID, p)
			}
		}()
		d.leg.Ended(d.cause)
	}()
	d.a.counters.add(cntEnded, 1)
	d.a.ladders.unpin(d.key.callID)
	d.log.Info("dialog ended", attr.Cause(d.cause))
	d.a.calls.remove(d)
	close(d.done)
}

// nextTime is when the dialog must look again by itself; zero: never.
func (d *Dialog) nextTime() time.Time {
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if d.ack != nil {
		sooner(d.ack.next)
	}
	sooner(d.heldUntil)
	sooner(d.byeLimit)
	if len(d.byes) == 0 && !d.own.busy {
		sooner(d.own.again)
		sooner(d.sessionDue())
		sooner(d.probeDue())
	}
	return next
}

// sessionDue is when the session timer wants something of us; a planned re-INVITE of ours serves it too.
func (d *Dialog) sessionDue() time.Time {
	if d.timer.seconds == 0 || !d.established || d.ack != nil || !d.own.again.IsZero() {
		return time.Time{}
	}
	return d.refreshed.Add(d.timer.due(d.a.cfg.tune.second))
}

func (d *Dialog) tick(now time.Time) {
	due := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	if d.ack != nil && due(d.ack.next) {
		d.repeat(now)
	}
	if due(d.heldUntil) {
		d.release()
	}
	if due(d.byeLimit) && !d.ended {
		d.byeGivenUp()
	}
	if d.ended || len(d.byes) > 0 || d.own.busy {
		return
	}
	switch {
	case due(d.own.again):
		d.own.again = time.Time{}
		d.reinvite(d.own.why)
	case due(d.sessionDue()):
		d.sessionTick(now)
	case due(d.probeDue()):
		d.probeTick(now)
	}
}
