package sip

import (
	"log/slog"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/sip/offer"
)

// ackWait is a 2xx of ours that waits for its ACK: sipgo does not repeat it (RFC 3261 section 13.3.1.4).
type ackWait struct {
	in    *inRequest
	res   *gosip.Response
	seq   uint32
	first bool
	late  bool            // the ACK must bring the answer to our offer
	offer *offer.Exchange // late, in a re-INVITE: not committed yet
	next  time.Time
	every time.Duration
	t2    time.Duration
	ends  time.Time
}

func newAckWait(in *inRequest, res *gosip.Response, t tuning, first bool) *ackWait {
	now := time.Now()
	return &ackWait{
		in: in, res: res, seq: seqOf(in.req), first: first, next: now.Add(t.t1), every: t.t1, t2: t.t2, ends: now.Add(64 * t.t1),
	}
}

// finish lets the transaction go.
func (w *ackWait) finish() { close(w.in.done) }

// repeat sends the 200 again, on TCP and TLS too; after 64*T1 it gives up.
func (d *Dialog) repeat(now time.Time) {
	w := d.ack
	if !now.Before(w.ends) {
		d.a.counters.add(cntNoACK, 1)
		d.ack = nil
		w.finish()
		if w.first {
			d.log.Warn("no ACK to our 200")
			d.hangUp(call.Cause{Code: call.CodeNoACK, Text: "our 200 was not acknowledged"})
			return
		}
		// A re-INVITE's: the call goes on as it was; what the peer heard of our answer it will show.
		d.release()
		return
	}
	w.every = min(2*w.every, w.t2)
	w.next = now.Add(w.every)
	if w.next.After(w.ends) {
		w.next = w.ends
	}
	d.a.counters.add(cntRepeats, 1)
	if w.in.tx.Respond(w.res) == nil {
		return
	}
	// The connection of the INVITE is gone: its answer goes the way the caller is reached by now.
	if f := d.a.current(); f != nil {
		res := w.res.Clone()
		res.SetDestination(f.target.addr.String())
		_ = d.a.srv.WriteResponse(res)
	}
}

// acked takes an ACK: by the CSeq of the 2xx that it is for.
func (d *Dialog) acked(req *gosip.Request) {
	w := d.ack
	if w == nil || seqOf(req) != w.seq {
		return // a repeated one, or of a call that is past
	}
	d.ack = nil
	w.finish()
	if w.late && !d.lateAnswer(w, req) && w.first {
		d.hangUp(call.Cause{Code: call.CodeProtocol, Text: "the ACK brought no usable answer to our offer"})
		return
	}
	if w.first {
		d.establish()
	}
	d.release()
	d.tryBye()
}

// provedBy takes a request of the far side as the ACK to our first 200: it can have our tag from nowhere else. Not a BYE,
// which ends what never was a call; not where the ACK must bring an answer.
func (d *Dialog) provedBy(req *gosip.Request) {
	w := d.ack
	if w == nil || !w.first || w.late || req.Method == gosip.BYE || keyOf(req) != d.key {
		return
	}
	d.ack = nil
	w.finish()
	d.establish()
	d.tryBye()
}

// establish makes an answered INVITE a call, once.
func (d *Dialog) establish() {
	if d.established {
		return
	}
	d.established = true
	d.a.counters.add(cntEstablished, 1)
	d.log.Info("dialog answered", attr.Remote(d.first.req.Source()), slog.Int("streams", len(d.x.Streams())))
	d.leg.Established(d)
	if d.replaces != nil {
		d.replaces.replacedBy(d)
		d.replaces = nil // a chain of calls that replace each other would keep them all
	}
}

// lateAnswer takes the answer to our offer from the ACK.
func (d *Dialog) lateAnswer(w *ackWait, req *gosip.Request) bool {
	offered := w.offer
	if offered == nil {
		offered = d.x
	}
	body, ok := sdpOf(req)
	if !ok || len(body) == 0 {
		return false
	}
	x, err := offered.Answered(body)
	if err != nil {
		d.log.Warn("answer not usable", attr.Err(err))
		return false
	}
	commit, _, err := prepare(d.leg, x)
	if err != nil {
		d.log.Warn("answer not usable", attr.Err(err))
		return false
	}
	commit()
	d.x = x
	return true
}
