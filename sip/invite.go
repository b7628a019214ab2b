package sip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	gosip "github.com/emiago/sipgo/sip"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/sip/offer"
)

// Why an INVITE ended before its answer; cause of Handler's context.
var (
	errCancelled = errors.New("cancelled by the caller")
	errStopping  = errors.New("the account stops")
)

// inviteState: whoever moves it away from open may answer, nobody else.
type inviteState = int32

const (
	inviteOpen inviteState = iota
	inviteAnswered
	inviteCancelled
	inviteRefused
)

// invite is a new INVITE until its final answer.
type invite struct {
	req   *gosip.Request
	srv   gosip.ServerTransaction
	tag   string // ours, in all answers
	tx    txKey
	id    inviteKey
	asked answering
	state atomic.Int32
	text  atomic.Pointer[string] // Reason of the CANCEL
	stop  context.CancelCauseFunc
}

// cancelled notes a CANCEL; false if a final answer was quicker.
func (i *invite) cancelled(reason string) bool {
	i.text.Store(&reason)
	if !i.state.CompareAndSwap(inviteOpen, inviteCancelled) {
		return false
	}
	i.stop(errCancelled)
	return true
}

func (i *invite) cancelCause() call.Cause {
	c := call.Cause{Code: call.CodeCancelled}
	if t := i.text.Load(); t != nil {
		c.Text = *t
	}
	return c
}

// serveInvite takes a new INVITE from its admission to the ACK.
func (a *Account) serveInvite(req *gosip.Request, tx gosip.ServerTransaction) {
	a.counters.add(cntInvites, 1)
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	inv := &invite{
		req: req, srv: tx, tag: newTag(), tx: keyOfTx(req), stop: stop,
		id: keyOfInvite(req), asked: readAnswering(req),
	}
	if a.draining.Load() {
		a.counters.add(cntInvitesRefused, 1)
		_ = tx.Respond(a.reply(req, inv.tag, 503, "", "Retry-After", retryDraining))
		return
	}
	if !a.takeIn(inv) {
		return
	}
	// From here on the INVITE is counted; settle or promote takes it out, or this after a fault of the Handler.
	defer a.calls.forget(inv)
	if !tx.OnCancel(func(r *gosip.Request) { inv.cancelled(reasonText(r)) }) {
		inv.cancelled("")
	}
	tx.OnTerminate(func(string, error) { stop(errCancelled) })
	a.whileFlowLives(ctx, stop)
	_ = tx.Respond(a.reply(req, "", 100, ""))
	d, refusal := a.answer(ctx, inv)
	if refusal != nil {
		a.refuse(inv, refusal)
		return
	}
	if d == nil { // cancelled
		a.counters.add(cntInvitesCancelled, 1)
		a.calls.settle(inv, 487, time.Now())
		return
	}
	a.linger(d, d.first)
}

// takeIn admits an INVITE, or answers why not.
func (a *Account) takeIn(inv *invite) bool {
	verdict, code := a.calls.admit(inv, time.Now())
	switch verdict {
	case admitted:
		return true
	case admitRepeated:
		return false // the dialog sends our 200 again, as long as it lacks its ACK
	case admitBusy:
		a.counters.add(cntInvitesBusy, 1)
		code = 486
	case admitMerged:
		a.counters.add(cntMerged, 1)
		code = 482
	case admitCancelled:
		a.counters.add(cntInvitesCancelled, 1)
		code = 487
	case admitStopping:
		code = 503
	}
	a.counters.add(cntInvitesRefused, 1)
	brief(inv.srv, a.reply(inv.req, inv.tag, code, ""))
	return false
}

// refusal is our final no to a request.
type refusal struct {
	code    int
	reason  string
	headers []string
	cause   call.Cause
	leg     Leg // gets Ended with the cause once the answer is out, so that what was said is whole by then; nil: there is none
}

func no(code int, cause string, headers ...string) *refusal {
	return &refusal{code: code, headers: headers, cause: call.Cause{Code: call.CodeRefused, Text: clean(cause, maxText)}}
}

// refuse answers an INVITE with no, unless CANCEL was quicker.
func (a *Account) refuse(inv *invite, r *refusal) {
	code := r.code
	if inv.state.CompareAndSwap(inviteOpen, inviteRefused) {
		a.counters.add(cntInvitesRefused, 1)
		_ = inv.srv.Respond(a.reply(inv.req, inv.tag, r.code, r.reason, r.headers...))
		a.log.Warn("invite refused", attr.Leg(clean(inv.id.callID, maxText)), slog.Int("code", r.code), attr.Cause(r.cause))
	} else {
		a.counters.add(cntInvitesCancelled, 1)
		code = 487
	}
	if r.leg != nil {
		r.leg.Ended(r.cause)
	}
	a.calls.settle(inv, code, time.Now())
}

// answer asks the Handler and sends the 200. Neither dialog nor refusal: the INVITE was cancelled.
func (a *Account) answer(ctx context.Context, inv *invite) (*Dialog, *refusal) {
	timer, ok := offeredTimer(inv.req)
	if !ok {
		return nil, no(422, "session interval too small", "Min-SE", itoa(minSE))
	}
	if inv.asked.person { // and there is none here (RFC 5373 section 4.1)
		return nil, no(403, "the caller wants a person to answer")
	}
	replaced, r := a.replaced(inv.req)
	if r != nil {
		return nil, r
	}
	if r := a.notOurs(inv.req); r != nil {
		return nil, r
	}
	o, r := readOffer(inv.req)
	if r != nil {
		return nil, r
	}
	f := a.current()
	if f == nil {
		return nil, no(480, "no flow")
	}
	x, r := a.exchange(o, f, nil)
	if r != nil {
		return nil, r
	}
	in := a.invitation(inv)
	in.Offer, in.Lines, in.Secure = o, x.Streams(), f.secure()
	if replaced != nil {
		in.Replaces = clean(replaced.key.callID, maxID)
	}
	leg, err := a.cfg.Handler.Invited(ctx, in)
	if err != nil || leg == nil {
		return nil, handlerRefusal(ctx, err)
	}
	return a.accept(ctx, inv, f, leg, x, timer, replaced)
}

// handlerRefusal turns a Handler's error into an answer.
func handlerRefusal(ctx context.Context, err error) *refusal {
	var no503 = &refusal{code: 503, headers: []string{"Retry-After", retryDraining}, cause: call.Cause{Code: call.CodeShutdown}}
	if errors.Is(context.Cause(ctx), errStopping) {
		return no503
	}
	if errors.Is(err, ErrNotAcceptable) {
		return no(488, err.Error())
	}
	var ref *Refusal
	if !errors.As(err, &ref) || ref.Code < 300 || ref.Code > 699 {
		return no(500, fmt.Sprintf("handler: %v", err))
	}
	r := no(ref.Code, ref.text())
	if ref.Cause.Code != "" {
		r.cause = call.Cause{Code: ref.Cause.Code, Text: clean(ref.Cause.Text, maxText)}
	}
	r.reason = clean(ref.Reason, maxText)
	if ref.RetryAfter > 0 {
		r.headers = []string{"Retry-After", itoa(int((ref.RetryAfter + time.Second - 1) / time.Second))}
	}
	return r
}

// exchange makes our side of an offer, or our own offer where there is none.
func (a *Account) exchange(o *offer.Offer, f *flow, prev *offer.Exchange) (*offer.Exchange, *refusal) {
	var x *offer.Exchange
	var err error
	switch {
	case o != nil:
		x, err = o.Negotiate(a.cfg.Policy, prev)
	case prev != nil:
		x, err = prev.Reoffer()
	default:
		x, err = offer.NewOffer(a.cfg.Policy, f.secure())
	}
	if errors.Is(err, offer.ErrNothingUsable) {
		// RFC 3261 section 20.43: 304, one or more media types are not available.
		return nil, no(488, err.Error(), "Warning", `304 earshot "no usable media line"`)
	}
	if err != nil {
		return nil, no(500, err.Error())
	}
	return x, nil
}

// accept prepares the media side, sends the 200 and makes the dialog. Exactly one of answered and cancelled wins.
func (a *Account) accept(ctx context.Context, inv *invite, f *flow, leg Leg, x *offer.Exchange, timer sessionTimer, replaced *Dialog) (*Dialog, *refusal) {
	if ctx.Err() != nil {
		return nil, abandon(ctx, inv, leg)
	}
	commit, undo, err := prepare(leg, x)
	if err != nil {
		r := handlerRefusal(ctx, err)
		r.leg = leg
		return nil, r
	}
	d := a.newDialog(inv, f, leg, timer)
	a.ladders.pin(inv.id.callID)
	if ctx.Err() != nil || !a.calls.promote(inv, d, time.Now()) {
		undo()
		a.ladders.unpin(inv.id.callID)
		return nil, abandon(ctx, inv, leg)
	}
	res := d.okTo(inv.req, inv.tag, x.Marshal(), timer.headers(), inv.asked.headers())
	if err := inv.srv.Respond(res); err != nil {
		undo()
		a.calls.remove(d)
		cause := call.Cause{Code: call.CodeFlowLost, Text: "the 200 could not be sent"}
		if errors.Is(err, gosip.ErrTransactionCanceled) {
			// sipgo took the CANCEL between our check and its lock, and has stored our 200 to repeat it: put the right
			// answer back.
			_ = inv.srv.Respond(a.reply(inv.req, inv.tag, 487, ""))
			cause = inv.cancelCause()
		}
		leg.Ended(cause)
		a.ladders.unpin(inv.id.callID)
		close(d.done)
		return nil, nil
	}
	commit()
	d.begin(res, x, inv, replaced)
	a.wg.Go(d.run)
	return d, nil
}

// abandon ends a leg whose INVITE is no longer to be answered: cancelled, unless it is we who stop.
func abandon(ctx context.Context, inv *invite, leg Leg) *refusal {
	if errors.Is(context.Cause(ctx), errStopping) && inv.state.Load() == inviteOpen {
		leg.Ended(call.Cause{Code: call.CodeShutdown})
		return handlerRefusal(ctx, nil)
	}
	inv.state.CompareAndSwap(inviteOpen, inviteCancelled)
	leg.Ended(inv.cancelCause())
	return nil
}

// prepare asks the leg for addresses and completes our SDP.
func prepare(leg Leg, x *offer.Exchange) (commit, undo func(), err error) {
	local, commit, undo, err := leg.Prepare(x.Streams())
	if err != nil {
		return nil, nil, fmt.Errorf("prepare: %w", err)
	}
	if commit == nil {
		commit = func() {}
	}
	if undo == nil {
		undo = func() {}
	}
	if err := x.SetLocal(local); err != nil {
		undo()
		return nil, nil, err
	}
	return commit, undo, nil
}

// notOurs refuses what is addressed to somebody else (RFC 3261 section 8.2.2.1). RingCentral uses user parts of its own.
func (a *Account) notOurs(req *gosip.Request) *refusal {
	u := &req.Recipient
	switch strings.ToLower(u.Scheme) {
	case "sip", "sips", "tel":
	default:
		return no(416, "scheme "+u.Scheme)
	}
	if user, err := url.PathUnescape(u.User); err == nil && (user == a.cfg.Username || user == a.cfg.AuthorizationID) {
		return nil // RFC 3261 section 19.1.4: escaped or not is the same
	}
	if a.cfg.RingCentral || u.User == "" {
		return nil
	}
	return no(404, "request uri is for "+u.User)
}

// replaced finds the dialog that a Replaces header names (RFC 3891 section 3), nil without one.
func (a *Account) replaced(req *gosip.Request) (*Dialog, *refusal) {
	hs := req.GetHeaders("Replaces")
	if len(hs) == 0 {
		return nil, nil
	}
	if len(hs) > 1 {
		return nil, no(400, "several Replaces")
	}
	id, params, _ := strings.Cut(hs[0].Value(), ";")
	k := dialogKey{callID: strings.TrimSpace(id)}
	early := false
	for p := range strings.SplitSeq(params, ";") {
		name, v, _ := strings.Cut(p, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "to-tag":
			k.local = strings.TrimSpace(v)
		case "from-tag":
			k.remote = strings.TrimSpace(v)
		case "early-only":
			early = true
		}
	}
	d := a.calls.find(k, false)
	switch {
	case d == nil:
		return nil, no(481, "replaces: no such dialog")
	case early:
		return nil, no(486, "replaces: not early any more")
	}
	return d, nil
}

// readOffer finds the SDP of a request: nil without a body.
func readOffer(req *gosip.Request) (*offer.Offer, *refusal) {
	if e := strings.ToLower(value(req, "Content-Encoding", "e")); e != "" && e != "identity" {
		return nil, no(415, "content encoding "+e, "Accept-Encoding", "identity")
	}
	body, ok := sdpOf(req)
	if !ok {
		return nil, no(415, "content type "+mediaType(req), "Accept", accept)
	}
	if len(body) == 0 {
		return nil, nil
	}
	o, err := offer.Parse(body)
	if errors.Is(err, offer.ErrTooLarge) {
		return nil, no(413, err.Error())
	}
	if err != nil {
		return nil, no(400, err.Error())
	}
	return o, nil
}

// maxParts of a multipart body are looked at.
const maxParts = 8

// sdpOf gives the SDP of a message; of a multipart body its first such part (RFC 5621). Not ok: a body that is no SDP.
func sdpOf(m gosip.Message) (body []byte, ok bool) {
	h, _ := m.(headerer)
	if len(bytes.TrimSpace(m.Body())) == 0 {
		return nil, true
	}
	full := value(h, "Content-Type", "c")
	kind := mediaType(h)
	if kind == "application/sdp" || kind == "" {
		return m.Body(), true
	}
	if !strings.HasPrefix(kind, "multipart/") {
		return nil, optional(h)
	}
	_, params, err := mime.ParseMediaType(full)
	if err != nil || params["boundary"] == "" {
		return nil, false
	}
	r := multipart.NewReader(bytes.NewReader(m.Body()), params["boundary"])
	for range maxParts {
		p, err := r.NextRawPart()
		if err != nil {
			return nil, optional(h)
		}
		t, _, _ := strings.Cut(p.Header.Get("Content-Type"), ";")
		if strings.EqualFold(strings.TrimSpace(t), "application/sdp") {
			b, err := io.ReadAll(p)
			return b, err == nil
		}
	}
	return nil, false
}

// optional says whether a body that we can't read may be passed over (RFC 3261 section 20.11).
func optional(h headerer) bool {
	_, params, _ := strings.Cut(value(h, "Content-Disposition"), ";")
	for p := range strings.SplitSeq(params, ";") {
		k, v, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(k), "handling") {
			return strings.EqualFold(strings.TrimSpace(v), "optional")
		}
	}
	return false
}

// invitation tells the Handler what the INVITE says.
func (a *Account) invitation(inv *invite) *Invitation {
	req := inv.req
	from, to := req.From(), req.To()
	return &Invitation{
		CallID: clean(callID(req), maxID), Source: req.Source(),
		From: clean(from.Address.String(), maxText), FromName: clean(from.DisplayName, maxText), FromUser: clean(from.Address.User, maxText),
		To: clean(to.Address.String(), maxText), RequestURI: clean(req.Recipient.String(), maxText),
		Own:        partyRef(value(req, "p-rc-api-ids")),
		Monitored:  partyRef(value(req, "p-rc-api-monitoring-ids")),
		AutoAnswer: inv.asked.auto,
		CallInfo:   callInfo(value(req, "p-rc-api-call-info")),
		Identity:   identity(req),
	}
}
