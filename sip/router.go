package sip

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/earshot/earshot/internal/attr"
)

// serve is the one handler of all requests. sipgo calls it in a goroutine of its own for each.
func (a *Account) serve(req *gosip.Request, tx gosip.ServerTransaction) {
	switch a.gate.enter() {
	case entryGranted:
	case entryFull:
		a.crowded(req)
		a.turnAway(req)
		return
	case entryShut:
		return
	}
	defer a.gate.leave()
	defer func() {
		if p := recover(); p != nil {
			a.panicked(callID(req), p)
			if req.Method != gosip.ACK {
				_ = tx.Respond(a.reply(req, "", 500, ""))
			}
		}
	}()
	if req.Method == gosip.ACK {
		a.serveACK(req)
		return
	}
	if reason := malformed(req); reason != "" {
		a.unreadable(noticeMalformed, req.Source(), string(req.Method)+": "+reason)
		brief(tx, a.reply(req, newTag(), 400, reason))
		return
	}
	if code, reason := misfit(req); code != 0 {
		a.unreadable(noticeMalformed, req.Source(), string(req.Method)+": "+reason)
		brief(tx, a.reply(req, newTag(), code, reason))
		return
	}
	switch {
	case req.Method == gosip.CANCEL:
		a.serveCancel(req, tx)
	case toTag(req) != "":
		a.serveInDialog(req, tx)
	default:
		a.serveOutside(req, tx)
	}
}

// panicked tells of a fault that was caught.
func (a *Account) panicked(leg string, p any) {
	a.counters.add(cntPanics, 1)
	a.log.Error("handler panicked", attr.Leg(clean(leg, maxText)), attr.Err(fmt.Errorf("%v", p)),
		slog.String("stack", clean(string(debug.Stack()), 4<<10)))
}

// malformed names what a request lacks to be answered by the rules, "" if nothing. From, To, Call-ID, CSeq and Via may
// each be missing in what sipgo hands on.
func malformed(req *gosip.Request) string {
	seq := req.CSeq()
	switch {
	case len(req.Headers()) > maxHeaders:
		return "Too Many Headers"
	case req.From() == nil:
		return "Missing From"
	case req.To() == nil:
		return "Missing To"
	case req.CallID() == nil:
		return "Missing Call-ID"
	case seq == nil:
		return "Missing CSeq"
	case !strings.EqualFold(strings.TrimSpace(string(seq.MethodName)), string(req.Method)): // sipgo cuts at the first blank
		return "CSeq Of Another Method"
	case req.Via() == nil:
		return "Missing Via"
	case len(callID(req)) > maxID || len(fromTag(req)) > maxID || len(toTag(req)) > maxID:
		return "Identifier Too Long"
	}
	if m := req.MaxForwards(); m != nil && m.Val() > 255 {
		return "Bad Max-Forwards"
	}
	for _, h := range req.Headers() {
		if len(h.Value()) > maxHeader {
			return "Header Too Long"
		}
	}
	return ""
}

func keyOf(req *gosip.Request) dialogKey {
	return dialogKey{callID: callID(req), local: toTag(req), remote: fromTag(req)}
}

func (a *Account) serveACK(req *gosip.Request) {
	if req.From() == nil || req.To() == nil || req.CallID() == nil || req.CSeq() == nil || len(req.Headers()) > maxHeaders {
		a.unreadable(noticeMalformed, req.Source(), string(req.Method))
		return
	}
	if d := a.calls.find(keyOf(req), a.cfg.RingCentral); d != nil {
		d.post(mail{kind: mailACK, req: req})
	}
}

// serveCancel gets the CANCELs that sipgo could not match: each message has a goroutine of its own, and the CANCEL's was
// quicker than its INVITE's (measured: 199 of 200 when both are in one segment).
func (a *Account) serveCancel(req *gosip.Request, tx gosip.ServerTransaction) {
	inv, early := a.calls.cancel(context.Background(), keyOfTx(req), keyOfInvite(req), a.cfg.tune.reorderWait)
	if inv != nil {
		early = inv.cancelled(reasonText(req))
		if early {
			_ = inv.srv.Respond(a.reply(inv.req, inv.tag, 487, ""))
		}
		early = true // CANCEL after the final response: 200 without effect (RFC 3261 section 9.2)
	}
	if early {
		_ = tx.Respond(a.reply(req, "", 200, ""))
		return
	}
	brief(tx, a.reply(req, newTag(), 481, ""))
}

// serveInDialog routes by To tag; RingCentral sends requests of a dialog with other tags.
func (a *Account) serveInDialog(req *gosip.Request, tx gosip.ServerTransaction) {
	d := a.calls.find(keyOf(req), a.cfg.RingCentral)
	if d == nil {
		if a.cfg.RingCentral && (req.Method == gosip.NOTIFY || req.Method == gosip.MESSAGE) {
			_ = tx.Respond(a.reply(req, "", 200, ""))
			return
		}
		a.counters.add(cntUnknownDialog, 1)
		brief(tx, a.reply(req, "", 481, ""))
		return
	}
	if req.Method == gosip.INVITE && !a.calls.again(keyOfTx(req), keyOfInvite(req), time.Now()) {
		_ = tx.Respond(a.reply(req, "", 487, ""))
		return
	}
	m := mail{kind: mailRequest, req: req, in: &inRequest{req: req, tx: tx, done: make(chan struct{})}}
	if !d.post(m) {
		_ = tx.Respond(a.overflow(req, d))
		return
	}
	a.linger(d, m.in)
}

// overflow answers what a dialog has no room for, or no life.
func (a *Account) overflow(req *gosip.Request, d *Dialog) *gosip.Response {
	select {
	case <-d.done:
		return a.reply(req, "", 481, "")
	default:
		return a.reply(req, "", 500, "", "Retry-After", "1")
	}
}

// linger stays until the dialog has done with the request: sipgo ends the transaction when its handler returns. Old
// devices re-use the INVITE's branch in the ACK; that one comes by the transaction.
func (a *Account) linger(d *Dialog, in *inRequest) {
	for {
		select {
		case ack := <-in.tx.Acks():
			d.post(mail{kind: mailACK, req: ack})
		case <-in.done:
			return
		case <-d.done:
			if !in.answered {
				_ = in.tx.Respond(a.reply(in.req, "", 481, ""))
			}
			return
		}
	}
}

// serveOutside answers what belongs to no dialog.
func (a *Account) serveOutside(req *gosip.Request, tx gosip.ServerTransaction) {
	tag := newTag()
	say := func(code int, headers ...string) { brief(tx, a.reply(req, tag, code, "", headers...)) }
	if bad := unsupported(req); bad != "" {
		say(420, "Unsupported", bad)
		return
	}
	switch req.Method {
	case gosip.INVITE:
		a.serveInvite(req, tx)
	case gosip.OPTIONS:
		if a.draining.Load() {
			say(503, "Retry-After", retryDraining)
			return
		}
		say(200, "Allow", allow, "Accept", accept, "Supported", supported)
	case gosip.NOTIFY:
		a.answerNotify(req, say)
	case gosip.MESSAGE:
		if a.cfg.RingCentral {
			say(200)
			return
		}
		say(405, "Allow", allow)
	case gosip.REFER:
		say(603)
	case gosip.SUBSCRIBE:
		say(489, "Allow-Events", allowEvents)
	case gosip.BYE, gosip.UPDATE, gosip.INFO:
		a.counters.add(cntUnknownDialog, 1)
		say(481)
	case gosip.PRACK, gosip.PUBLISH, gosip.REGISTER:
		say(405, "Allow", allow)
	default:
		say(501, "Allow", allow)
	}
}

const (
	retryDraining = "30"
	allowEvents   = "talk, hold, refer, check-sync, message-summary"
)

// answerNotify: RingCentral's are all taken, unsolicited ones too (481 and 482 caused trouble); of others those that
// phones get unasked.
func (a *Account) answerNotify(req *gosip.Request, say func(code int, headers ...string)) {
	event, _, _ := strings.Cut(value(req, "Event", "o"), ";")
	event = strings.ToLower(strings.TrimSpace(event))
	switch {
	case a.cfg.RingCentral, event == "talk", event == "hold", event == "refer", event == "check-sync", event == "message-summary":
		say(200)
	default:
		say(489, "Allow-Events", allowEvents)
	}
}

// known are the extensions that may be required of us. 100rel: we send no 1xx but 100, so there is nothing to make
// reliable (RFC 3262 section 3).
var known = map[string]bool{"timer": true, "replaces": true, "100rel": true, "from-change": true, "histinfo": true, "norefersub": true, "answermode": true}

// unsupported lists what a request requires and we don't know (RFC 3261 section 8.2.2.3), "" if nothing.
func unsupported(req *gosip.Request) string {
	var bad []string
	for _, r := range listed(req, "Require") {
		if !known[r] && len(bad) < 16 {
			bad = append(bad, clean(r, 64))
		}
	}
	return strings.Join(bad, ", ")
}

// seqOf is the CSeq number; the caller knows that there is one.
func seqOf(req *gosip.Request) uint32 { return req.CSeq().SeqNo }

func itoa(n int) string { return strconv.Itoa(n) }
