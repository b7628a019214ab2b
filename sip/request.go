package sip

import (
	"context"
	"fmt"
	"net/netip"

	gosip "github.com/emiago/sipgo/sip"
)

// allMethods are those that the router hears of by name; any other comes by OnNoRoute.
var allMethods = []gosip.RequestMethod{
	gosip.INVITE, gosip.ACK, gosip.CANCEL, gosip.BYE, gosip.OPTIONS, gosip.INFO, gosip.UPDATE, gosip.NOTIFY, gosip.MESSAGE,
	gosip.REFER, gosip.SUBSCRIBE, gosip.PRACK, gosip.PUBLISH, gosip.REGISTER,
}

// What we can do, for Allow, Supported and Accept.
const (
	allow     = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, NOTIFY, MESSAGE"
	supported = "timer, replaces, norefersub"
	accept    = "application/sdp, application/dtmf-relay, application/dtmf"
)

// flowIdentity tells whether two flows are the same to the far side.
type flowIdentity struct {
	local, remote, public netip.AddrPort
	stream                *flow // a TCP or TLS connection is like no other
}

func (f *flow) identity() flowIdentity {
	id := flowIdentity{local: f.local, remote: f.target.addr}
	if p := f.public.Load(); p != nil {
		id.public = *p
	}
	if f.reliable() {
		id.stream = f
	}
	return id
}

// address makes req leave on f and nowhere else: the destination wins over Route and Request-URI, and the local address
// picks the connection. sipgo would dial one of its own. to is "", or on UDP another address than the proxy's.
func (a *Account) address(f *flow, req *gosip.Request, to string) {
	via := &gosip.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: f.net,
		Host: f.local.Addr().WithZone("").String(), Port: int(f.local.Port()),
	}
	via.Params.Add("rport", "")
	via.Params.Add("branch", gosip.GenerateBranch())
	if f.reliable() {
		via.Params.Add("alias", "") // RFC 5923: requests for us may use this connection
	}
	hops := gosip.MaxForwardsHeader(70)
	req.PrependHeader(via, &hops)
	req.AppendHeader(gosip.NewHeader("User-Agent", a.cfg.UserAgent))
	req.SetBody(req.Body())
	req.SetTransport(f.net)
	if to == "" || f.reliable() {
		to = f.target.addr.String()
	}
	req.SetDestination(to)
	req.Laddr = f.key
}

// begin sends req on f in a transaction. It blocks for one write at most.
func (a *Account) begin(ctx context.Context, f *flow, req *gosip.Request, to string) (*gosip.ClientTx, error) {
	a.address(f, req, to)
	if !f.alive() {
		return nil, errNoFlow
	}
	tx, err := a.ua.TransactionLayer().Request(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("send %s: %w", req.Method, err)
	}
	return tx, nil
}

// final waits for the final response to a transaction on f.
func final(ctx context.Context, f *flow, tx *gosip.ClientTx) (*gosip.Response, error) {
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, fmt.Errorf("transaction: %w", tx.Err())
		case <-f.down:
			return nil, f.cause
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// do sends req on f and waits for its final response; not for INVITE.
func (a *Account) do(ctx context.Context, f *flow, req *gosip.Request, to string) (*gosip.Response, error) {
	tx, err := a.begin(ctx, f, req, to)
	if err != nil {
		return nil, err
	}
	defer tx.Terminate()
	return final(ctx, f, tx)
}

// reply answers req with our tag in To, and with headers given as name, value, name, value.
func (a *Account) reply(req *gosip.Request, tag string, code int, reason string, headers ...string) *gosip.Response {
	if reason == "" {
		reason = phrase(code)
	}
	res := gosip.NewResponseFromRequest(req, code, reason, nil)
	res.SipVersion = "SIP/2.0" // not the request's: RFC 3261 section 7.2
	if to := res.To(); to != nil && code > 100 && tag != "" && toTag(req) == "" {
		to.Params.Add("tag", tag)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		res.AppendHeader(gosip.NewHeader(headers[i], headers[i+1]))
	}
	if code > 100 {
		res.AppendHeader(gosip.NewHeader("Server", a.cfg.UserAgent))
	}
	if req.Method == gosip.INVITE && code != 487 {
		a.answers.count(code)
	}
	return res
}
