package sip

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/sip/offer"
)

// ownWhy is why we send a re-INVITE; its SDP is always the one that stands.
type ownWhy uint8

const (
	whyHeal    ownWhy = iota // the flow is another: the far side must learn the way
	whyRefresh               // the session timer, our turn
	whyWatch                 // the session timer, the peer's turn, and it did not come
	whyProbe                 // no session timer, and the media is silent
)

var ownWhyNames = [...]string{"heal", "refresh", "watch", "probe"}

// String names it for logs.
func (w ownWhy) String() string { return ownWhyNames[w] }

// maxGone is how often RingCentral may say "no such dialog" to our re-INVITE before we believe it, at one try each
// reinviteAgain: endpoint asks REST meanwhile and ends the call sooner. Another registrar is believed the second time. While
// media comes in nobody is believed.
const (
	maxGone     = 20
	maxGoneElse = 2
)

// ownWork is what is known of requests of ours. Owned by the dialog's goroutine.
type ownWork struct {
	ctx    context.Context // ends with the dialog //nolint:containedctx // lives exactly as long as run
	busy   bool            // a re-INVITE is out
	why    ownWhy
	again  time.Time // of the next try
	gone   int       // 481 and 408 in a row
	raised int       // 422 that were obeyed since the last 2xx
	offer  *offer.Exchange
	flow   *flow
	asked  bool                           // a challenge was answered by the request that is out
	proof  gosip.Header                   // its credentials; nil: none
	acks   *atomic.Pointer[gosip.Request] // the ACK, for repeated 2xx

	// The last re-INVITE: its CSeq, when it left, and whether it may have had a 2xx.
	seq     uint32
	sent    time.Time
	granted bool
}

// ownResult is what came of a request of ours.
type ownResult struct {
	bye bool
	res *gosip.Response
	err error
}

// inDialog builds a request of ours: route set, target, our CSeq (RFC 3261 section 12.2.1.1).
func (d *Dialog) inDialog(method gosip.RequestMethod, f *flow, seq uint32) *gosip.Request {
	target, routes := d.target, d.routes
	if len(routes) > 0 {
		if _, loose := param(routes[0].UriParams, "lr"); !loose {
			// A strict router wants to be the Request-URI, and the target last.
			target, routes = routes[0], append(append([]gosip.Uri{}, routes[1:]...), d.target)
		}
	}
	req := gosip.NewRequest(method, *target.Clone())
	req.Recipient.Headers = nil
	for _, r := range routes {
		req.AppendHeader(&gosip.RouteHeader{Address: *r.Clone()})
	}
	id := gosip.CallIDHeader(d.key.callID)
	req.AppendHeader(gosip.HeaderClone(d.local))
	req.AppendHeader(gosip.HeaderClone(d.remote))
	req.AppendHeader(&id)
	req.AppendHeader(&gosip.CSeqHeader{SeqNo: seq, MethodName: method})
	if method == gosip.INVITE {
		req.AppendHeader(gosip.NewHeader("Contact", d.a.contact(f)))
		req.AppendHeader(gosip.NewHeader("Allow", allow))
		req.AppendHeader(gosip.NewHeader("Supported", supported))
	}
	return req
}

func (d *Dialog) nextSeq() uint32 {
	d.localSeq++
	return d.localSeq
}

// flowChanged heals the dialog: REGISTER alone does not move it to the new flow (seen at RingCentral), a re-INVITE with the
// SDP that stands does; an UPDATE first would get 481.
func (d *Dialog) flowChanged() {
	f := d.a.current()
	if f == nil || f.identity() == d.route {
		return
	}
	if d.ack != nil || d.own.busy {
		d.own.why, d.own.again = whyHeal, time.Now().Add(d.a.cfg.tune.reorderWait)
		return
	}
	d.reinvite(whyHeal)
}

// reinvite sends our SDP again. Without a flow it waits: mailFlow comes with the next one.
func (d *Dialog) reinvite(why ownWhy) {
	f := d.a.current()
	if f == nil || d.own.busy || d.ended {
		return
	}
	if d.ack != nil {
		d.again(why, d.a.cfg.tune.reorderWait)
		return
	}
	d.repeatACK(f)
	x, err := d.x.Reoffer()
	if err != nil {
		d.log.Warn("re-INVITE not sent", attr.Err(err))
		d.refreshed = time.Now() // the session timer must not spin on it
		return
	}
	req := d.inDialog(gosip.INVITE, f, d.nextSeq())
	d.own.seq, d.own.sent, d.own.granted = d.localSeq, time.Now(), true
	hs := d.timer.requestHeaders()
	for i := 0; i+1 < len(hs); i += 2 {
		req.AppendHeader(gosip.NewHeader(hs[i], hs[i+1]))
	}
	d.authorize(req)
	req.AppendHeader(gosip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody(x.Marshal())
	d.own.busy, d.own.why, d.own.offer, d.own.flow, d.own.again = true, why, x, f, time.Time{}
	d.own.acks = new(atomic.Pointer[gosip.Request])
	d.a.counters.add(cntOwnReinvites, 1)
	ctx, acks := d.own.ctx, d.own.acks
	d.a.wg.Go(func() {
		res, err := d.a.invite(ctx, f, outgoing{req: req, to: d.direct, acks: acks, queue: why == whyHeal})
		d.deliver(mail{kind: mailResult, result: ownResult{res: res, err: err}})
	})
}

// deliver posts what must not be lost; it waits for room.
func (d *Dialog) deliver(m mail) {
	select {
	case d.mail <- m:
	case <-d.done:
	}
}

// maxHeals at once after a new flow.
const maxHeals = 10

// outgoing is a re-INVITE of ours.
type outgoing struct {
	req   *gosip.Request
	to    string
	acks  *atomic.Pointer[gosip.Request] // the ACK, once there is one
	queue bool                           // one of many after a new flow
}

// invite sends a re-INVITE and waits for its final response. Repeated 2xx get the ACK again, as long as the transaction
// lives.
func (a *Account) invite(ctx context.Context, f *flow, out outgoing) (*gosip.Response, error) {
	if out.queue {
		select {
		case a.heals <- struct{}{}:
			defer func() { <-a.heals }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, a.cfg.tune.reinviteLimit)
	defer cancel()
	tx, err := a.begin(ctx, f, out.req, out.to)
	if err != nil {
		return nil, err
	}
	tx.OnRetransmission(func(res *gosip.Response) {
		if ack := out.acks.Load(); ack != nil && res.IsSuccess() {
			_ = a.ua.TransportLayer().WriteMsg(ack.Clone())
		}
	})
	res, err := final(ctx, f, tx)
	if err != nil {
		tx.Terminate()
	}
	return res, err
}

// result takes what came of our re-INVITE or BYE.
func (d *Dialog) result(r ownResult) {
	asked := r.err == nil && d.challenged(r.res)
	if r.bye {
		if f := d.a.current(); asked && f != nil {
			d.sendBye(f)
			return
		}
		d.end(d.byes[0].cause)
		return
	}
	d.own.busy = false
	d.own.granted = r.err != nil || r.res.IsSuccess()
	why := d.own.why
	if asked {
		d.reinvite(why)
		return
	}
	switch {
	case r.err != nil:
		d.ownFailed(why, 0, r.err)
	case r.res.IsSuccess():
		d.reinvited(r.res)
	case r.res.StatusCode == 422 && d.own.raised < maxRaised && d.raise(r.res):
		d.own.raised++
		d.reinvite(why)
		return
	default:
		d.ownFailed(why, r.res.StatusCode, nil)
	}
	if f := d.a.current(); f != nil && f != d.own.flow && !d.ended {
		d.flowChanged() // it changed again meanwhile
	}
	d.tryBye()
}

// reinvited takes the 2xx to our re-INVITE: ACK, target, session timer, answer.
func (d *Dialog) reinvited(res *gosip.Response) {
	d.retarget(res)
	ack := d.inDialog(gosip.ACK, d.own.flow, d.localSeq)
	if d.own.proof != nil {
		ack.AppendHeader(gosip.HeaderClone(d.own.proof))
	}
	d.a.address(d.own.flow, ack, d.direct)
	d.own.acks.Store(ack.Clone())
	if d.own.flow.alive() {
		_ = d.a.ua.TransportLayer().WriteMsg(ack)
	}
	d.own.gone, d.own.raised = 0, 0
	d.route = d.own.flow.identity()
	d.timer, d.refreshed = d.timer.answered(res), time.Now()
	if d.own.why == whyProbe {
		d.probed(d.refreshed)
	}
	body, ok := sdpOf(res)
	if !ok || len(body) == 0 {
		return
	}
	x, err := d.own.offer.Answered(body)
	if err != nil {
		d.log.Warn("answer not usable", attr.Err(err))
		return
	}
	commit, _, err := prepare(d.leg, x)
	if err != nil {
		d.log.Warn("answer not usable", attr.Err(err))
		return
	}
	commit()
	d.x = x
}

// maxRaised is how often a 422 is obeyed at once: one for each proxy on the way, for all that is known. One that asks for a second
// more each time would have us ask ten thousands of times in a row; what comes after these is a refusal like any other.
const maxRaised = 4

// raise takes a longer session interval that the far side insists on.
func (d *Dialog) raise(res *gosip.Response) (ok bool) {
	d.timer, ok = d.timer.raised(res)
	return ok
}

func (d *Dialog) again(why ownWhy, in time.Duration) {
	d.own.why, d.own.again = why, time.Now().Add(in)
}

// glareWait is how long after a 491 who did not make the Call-ID waits: up to 2 s (RFC 3261 section 14.1).
func glareWait(rnd float64, second time.Duration) time.Duration {
	return time.Duration(rnd * float64(2*second))
}

// ownFailed decides what a failed re-INVITE means. Broken signalling never ends a call by itself: media may go on.
func (d *Dialog) ownFailed(why ownWhy, code int, err error) {
	t := d.a.cfg.tune
	d.a.counters.add(cntOwnReinvitesFailed, 1)
	d.log.Debug("re-INVITE failed", slog.String("why", why.String()), slog.Int("code", code), attr.Err(err))
	switch {
	case code == 491:
		d.again(why, glareWait(d.a.random(), t.second))
		return
	case d.lost(why, code, err):
		d.hangUp(call.Cause{Code: call.CodeSessionExpired, Text: "the far side sends nothing and answers nothing"})
		return
	case code == 481 || code == 408:
		if d.gone() {
			return
		}
	case why == whyProbe && err == nil:
		d.probed(time.Now()) // whatever it said, somebody is there
		return
	}
	if d.expired(time.Now()) || why == whyWatch && err == nil {
		d.expire()
		return
	}
	if err != nil && d.a.current() == nil {
		return // mailFlow comes with the next flow
	}
	if d.probing() && d.leg.Silence() >= d.patience() {
		why = whyProbe
	}
	d.again(why, t.reinviteAgain)
}

// gone handles a 481 or 408 to our re-INVITE; true: nothing is left to be done.
func (d *Dialog) gone() bool {
	t := d.a.cfg.tune
	d.own.gone++
	if silence := d.leg.Silence(); silence < t.silence {
		// It may have forgotten the dialog: the call goes on. If its media has just ended it may also be over, and the BYE lost:
		// that is known once the silence is long enough.
		wait := t.reinviteAgain
		if d.own.gone == 1 {
			wait = min(wait, t.silence-silence)
		}
		d.again(d.own.why, wait)
		return true
	}
	limit := maxGoneElse
	if d.a.cfg.RingCentral {
		limit = maxGone
	}
	if d.own.gone < limit {
		return false
	}
	d.end(call.Cause{Code: call.CodeFlowLost, Text: "the far side does not know the call any more"})
	return true
}

// expired says whether the session interval is over.
func (d *Dialog) expired(now time.Time) bool {
	return d.timer.seconds > 0 && !now.Before(d.refreshed.Add(d.timer.whole(d.a.cfg.tune.second)))
}

// expire ends a session that nobody refreshed (RFC 4028 section 10).
func (d *Dialog) expire() {
	d.hangUp(call.Cause{Code: call.CodeSessionExpired, Text: "nobody refreshed the session"})
}

// sessionTick: the session timer is due.
func (d *Dialog) sessionTick(now time.Time) {
	if d.a.current() == nil {
		// No flow to refresh on: that is the flow's trouble, not the call's. Look again later.
		d.again(whyRefresh, d.a.cfg.tune.reinviteAgain)
		d.refreshed = now
		return
	}
	if d.timer.ours {
		d.reinvite(whyRefresh)
		return
	}
	d.reinvite(whyWatch)
}

// bye is one wish to end the dialog.
type bye struct {
	cause call.Cause
	limit time.Time
}

// errGone: the dialog ended before.
var errGone = errors.New("bye: the call is over")

// healAll tells all dialogs of a new flow, once it is registered.
func (a *Account) healAll() {
	f := a.current()
	if f == nil || f.identity() == a.lastHeal {
		return
	}
	a.lastHeal = f.identity()
	for _, d := range a.calls.all() {
		if !d.post(mail{kind: mailFlow}) {
			a.lastHeal = flowIdentity{} // it is busy, or over: at the next REGISTER again, who is healed doesn't mind
		}
	}
}
