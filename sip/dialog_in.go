package sip

import (
	"errors"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/sip/offer"
)

// request takes a request of the far side. Requests arrive in any order: what changes the session waits for the ACK that
// must have come before it; a BYE waits for nothing.
func (d *Dialog) request(in *inRequest) {
	req := in.req
	session := req.Method == gosip.INVITE || req.Method == gosip.UPDATE
	if session && d.ack != nil && d.heldUntil.IsZero() && len(d.held) < maxHeld {
		d.held = append(d.held, in)
		d.heldUntil = time.Now().Add(d.a.cfg.tune.reorderWait)
		return
	}
	if len(d.held) > 0 && session && len(d.held) < maxHeld {
		d.held = append(d.held, in)
		return
	}
	d.serve(in)
}

// release serves what was held back.
func (d *Dialog) release() {
	held := d.held
	d.held, d.heldUntil = nil, time.Time{}
	for i, in := range held {
		if d.ended {
			return // linger answers the others
		}
		if d.ack != nil && i > 0 {
			// The one before was a re-INVITE, and its ACK is out: the same rule again.
			d.held = append(d.held, held[i:]...)
			d.heldUntil = time.Now().Add(d.a.cfg.tune.reorderWait)
			return
		}
		d.serve(in)
	}
}

// serve answers one request.
func (d *Dialog) serve(in *inRequest) {
	req := in.req
	seq := seqOf(req)
	d.provedBy(req)
	d.heard(time.Now())
	ordered := req.Method == gosip.INVITE || req.Method == gosip.UPDATE
	if ordered && seq < d.remoteSeq {
		// RFC 3261 section 12.2.2. Only where order matters: sipgo may turn it round on the way.
		d.say(in, 500, "Retry-After", "1")
		return
	}
	if bad := unsupported(req); bad != "" {
		d.say(in, 420, "Unsupported", bad)
		return
	}
	d.remoteSeq = max(d.remoteSeq, seq)
	switch req.Method {
	case gosip.INVITE:
		d.serveReinvite(in)
	case gosip.UPDATE:
		d.serveUpdate(in)
	case gosip.BYE:
		_ = in.respond(d.a.reply(req, d.tag, 200, ""))
		close(in.done)
		d.end(hangup(req))
	case gosip.INFO:
		d.serveInfo(in)
	case gosip.OPTIONS:
		d.say(in, 200, "Allow", allow, "Accept", accept, "Supported", supported)
	case gosip.NOTIFY:
		d.a.answerNotify(req, func(code int, headers ...string) { d.say(in, code, headers...) })
	case gosip.MESSAGE:
		if d.a.cfg.RingCentral {
			d.say(in, 200)
			return
		}
		d.say(in, 405, "Allow", allow)
	case gosip.REFER:
		d.say(in, 603)
	case gosip.SUBSCRIBE:
		d.say(in, 489, "Allow-Events", allowEvents)
	case gosip.PRACK, gosip.PUBLISH, gosip.REGISTER:
		d.say(in, 405, "Allow", allow)
	default:
		d.say(in, 501, "Allow", allow)
	}
}

// say answers with a final response that needs no ACK of ours to be waited for.
func (d *Dialog) say(in *inRequest, code int, headers ...string) {
	_ = in.respond(d.a.reply(in.req, d.tag, code, "", headers...))
	close(in.done)
}

func (d *Dialog) refuse(in *inRequest, r *refusal) {
	d.a.counters.add(cntReinvitesFailed, 1)
	d.log.Debug("reoffer refused", attr.Cause(r.cause))
	_ = in.respond(d.a.reply(in.req, d.tag, r.code, r.reason, r.headers...))
	close(in.done)
}

// glare says whether an offer can't be taken now: ours is out (RFC 3261 section 14.2, RFC 3311 section 5.2).
func (d *Dialog) glare(in *inRequest, offers bool) bool {
	switch {
	case d.own.busy && offers:
		d.say(in, 491)
	case d.ack != nil && d.ack.late && d.ack.first && in.req.Method == gosip.INVITE:
		// Nobody sends another INVITE before the ACK of the one before (RFC 3261 section 14.1): that ACK is lost, and with it
		// the answer to our offer. What this one brings stands in for it.
		return false
	case d.ack != nil && d.ack.late:
		if in.req.Method == gosip.INVITE {
			d.say(in, 491)
		} else {
			d.say(in, 500, "Retry-After", "1")
		}
	default:
		return false
	}
	return true
}

// serveReinvite answers a re-INVITE; one that can't be served leaves the session as it was.
func (d *Dialog) serveReinvite(in *inRequest) {
	if d.glare(in, true) {
		return
	}
	timer, ok := offeredTimer(in.req)
	if !ok {
		d.refuse(in, no(422, "session interval too small", "Min-SE", itoa(minSE)))
		return
	}
	_ = in.tx.Respond(d.a.reply(in.req, "", 100, ""))
	res, late, r := d.reoffer(in, timer)
	if r != nil {
		d.refuse(in, r) // the ACK that is waited for may come yet
		return
	}
	first := false
	if w := d.ack; w != nil {
		// The peer goes on, so it had our 200: its ACK was lost on the way.
		first = w.first
		w.finish()
	}
	d.ack = newAckWait(in, res, d.a.cfg.tune, false)
	d.ack.late, d.ack.offer = late != nil, late
	if first && late == nil {
		d.establish()
	}
	d.ack.first = first && late != nil // again our offer: only its answer makes the call
	d.refresh(timer, in.req)
}

// refresh starts the session timer anew and takes the new target.
func (d *Dialog) refresh(timer sessionTimer, req *gosip.Request) {
	d.timer, d.refreshed = timer, time.Now()
	d.retarget(req)
	if f := d.a.current(); f != nil && cameOn(req, f) {
		d.route = f.identity()
	}
}

// cameOn says whether req came on f: then the far side knows the way.
func cameOn(req *gosip.Request, f *flow) bool { return req.Source() == f.target.addr.String() }

// reoffer answers the SDP of a request with a 200. late is our offer if the request had none.
func (d *Dialog) reoffer(in *inRequest, timer sessionTimer) (res *gosip.Response, late *offer.Exchange, r *refusal) {
	o, r := readOffer(in.req)
	if r != nil {
		return nil, nil, r
	}
	x, r := d.a.exchange(o, nil, d.x)
	if r != nil {
		return nil, nil, r
	}
	commit, undo := func() {}, func() {}
	if o != nil {
		var err error
		if commit, undo, err = prepare(d.leg, x); err != nil {
			return nil, nil, no(488, err.Error())
		}
	}
	res = d.okTo(in.req, d.tag, x.Marshal(), timer.headers())
	if err := in.respond(res); err != nil {
		undo()
		code := 500
		if errors.Is(err, gosip.ErrTransactionCanceled) {
			code = 487 // sipgo has stored our 200 to repeat it: put the right answer back
		}
		return nil, nil, no(code, err.Error())
	}
	commit()
	d.a.counters.add(cntReinvites, 1)
	if o == nil {
		return res, x, nil
	}
	d.x = x
	return res, nil, nil
}

// serveUpdate: with SDP like a re-INVITE, without a refresh of the session (RFC 3311; RingCentral drops the call if it is
// not answered).
func (d *Dialog) serveUpdate(in *inRequest) {
	body, ok := sdpOf(in.req)
	offers := !ok || len(body) > 0
	if offers && d.glare(in, true) {
		return
	}
	timer, ok := offeredTimer(in.req)
	if !ok {
		d.refuse(in, no(422, "session interval too small", "Min-SE", itoa(minSE)))
		return
	}
	if !offers {
		_ = in.respond(d.okTo(in.req, d.tag, nil, timer.headers()))
		close(in.done)
		d.refresh(timer, in.req)
		return
	}
	if _, _, r := d.reoffer(in, timer); r != nil {
		d.refuse(in, r)
		return
	}
	close(in.done)
	d.refresh(timer, in.req)
}

// serveInfo takes DTMF; all else is answered and ignored. RingCentral wants 200 to all of them.
func (d *Dialog) serveInfo(in *inRequest) {
	if pkg := value(in.req, "Info-Package"); pkg != "" && !d.a.cfg.RingCentral {
		d.say(in, 469, "Recv-Info", "nil") // RFC 6086 section 4.2.2: we have asked for none
		return
	}
	d.say(in, 200)
	digit, length := readDTMF(mediaType(in.req), in.req.Body())
	if digit != "" && d.established {
		d.leg.Digit(digit, length)
	}
}

// Bounds of a DTMF digit in INFO.
const (
	defaultDigit = 250 * time.Millisecond
	maxDigit     = 10 * time.Second
)

// readDTMF reads application/dtmf-relay ("Signal=5", "Duration=160" in ms) and application/dtmf ("5").
func readDTMF(kind string, body []byte) (digit string, length time.Duration) {
	length = defaultDigit
	switch kind {
	case "application/dtmf":
		digit = strings.TrimSpace(string(body[:min(len(body), 16)]))
	case "application/dtmf-relay":
		for line := range strings.Lines(string(body[:min(len(body), 1024)])) {
			k, v, _ := strings.Cut(line, "=")
			v = strings.TrimSpace(v)
			switch strings.ToLower(strings.TrimSpace(k)) {
			case "signal":
				digit = v
			case "duration":
				if ms, err := strconv.ParseUint(v, 10, 16); err == nil && ms > 0 {
					length = min(time.Duration(ms)*time.Millisecond, maxDigit)
				}
			}
		}
	}
	digit = strings.ToUpper(digit)
	if len(digit) != 1 || !strings.Contains("0123456789*#ABCD", digit) {
		return "", 0
	}
	return digit, length
}
