package sip

import (
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// single are the headers that a request has once (RFC 3261 section 20), with their compact names.
var single = [...][2]string{{"From", "f"}, {"To", "t"}, {"Call-ID", "i"}, {"CSeq", ""}, {"Max-Forwards", ""}}

// misfit says how a request that can be read is refused for its form, code 0 if it is not. The cases are RFC 4475's.
func misfit(req *gosip.Request) (code int, reason string) {
	if !strings.EqualFold(req.SipVersion, "SIP/2.0") {
		return 505, "Version Not Supported"
	}
	if len(req.Recipient.String()) > maxHeader {
		return 414, "Request-URI Too Long"
	}
	for _, names := range single {
		if count(req, names[0], names[1]) > 1 {
			return 400, "Several " + names[0]
		}
	}
	length := ""
	for _, n := range []string{"Content-Length", "l"} {
		for _, h := range req.GetHeaders(n) {
			v := strings.TrimSpace(h.Value())
			if length != "" && v != length {
				return 400, "Several Content-Length"
			}
			length = v
		}
	}
	if len(req.Recipient.Headers) > 0 { // RFC 3261 section 19.1.1: not in a Request-URI
		return 400, "Headers In Request-URI"
	}
	switch strings.ToLower(req.Recipient.Scheme) {
	case "sip", "sips", "tel":
	default:
		return 416, ""
	}
	if req.Method == gosip.INVITE && !takesSDP(req) {
		return 406, "Not Acceptable"
	}
	return 0, ""
}

func count(req *gosip.Request, name, compact string) int {
	n := len(req.GetHeaders(name))
	if compact != "" {
		n += len(req.GetHeaders(compact))
	}
	return n
}

// takesSDP says whether the sender of an INVITE would read our answer; without Accept it does (RFC 3261 section 20.1).
func takesSDP(req *gosip.Request) bool {
	kinds := listed(req, "Accept")
	for _, k := range kinds {
		k, _, _ = strings.Cut(k, ";")
		switch strings.TrimSpace(k) {
		case "application/sdp", "application/*", "*/*":
			return true
		}
	}
	return len(kinds) == 0
}
