package sip

import (
	"crypto/rand"
	"strings"
	"unicode/utf8"

	gosip "github.com/emiago/sipgo/sip"
)

// Lengths of what a stranger may make us keep.
const (
	maxHeaders = 128
	maxHeader  = 8 << 10 // octets of one header line
	maxID      = 512     // octets of a Call-ID or tag
	maxText    = 256     // octets of a text in an Invitation, log or cause
)

// param finds a parameter whatever its case: sipgo compares names as written.
func param(ps gosip.HeaderParams, name string) (string, bool) {
	for _, p := range ps {
		if strings.EqualFold(p.K, name) {
			return p.V, true
		}
	}
	return "", false
}

func fromTag(m gosip.Message) string {
	if f := m.From(); f != nil {
		tag, _ := param(f.Params, "tag")
		return tag
	}
	return ""
}

func toTag(m gosip.Message) string {
	if t := m.To(); t != nil {
		tag, _ := param(t.Params, "tag")
		return tag
	}
	return ""
}

func callID(m gosip.Message) string {
	if c := m.CallID(); c != nil {
		return c.Value()
	}
	return ""
}

// clean makes a text of a stranger safe to show: valid UTF-8, no control characters, at most limit octets.
func clean(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
		for n := 1; n < utf8.UTFMax && n <= len(s); n++ { // don't leave half a rune
			if last := s[len(s)-n:]; utf8.RuneStart(last[0]) {
				if !utf8.FullRuneInString(last) {
					s = s[:len(s)-n]
				}
				break
			}
		}
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == utf8.RuneError || r == 0x2028 || r == 0x2029 {
			return '_'
		}
		return r
	}, s)
}

// listed gives the comma-separated values of all headers with one of the names, trimmed and in lower case.
func listed(m headerer, names ...string) []string {
	var out []string
	for _, n := range names {
		for _, h := range m.GetHeaders(n) {
			for v := range strings.SplitSeq(h.Value(), ",") {
				if v = strings.ToLower(strings.TrimSpace(v)); v != "" {
					out = append(out, v)
				}
			}
		}
	}
	return out
}

// value gives the first header of one of the names, trimmed.
func value(m headerer, names ...string) string {
	for _, n := range names {
		if h := m.GetHeader(n); h != nil {
			return strings.TrimSpace(h.Value())
		}
	}
	return ""
}

// mediaType is the Content-Type in lower case, without parameters.
func mediaType(m headerer) string {
	t, _, _ := strings.Cut(value(m, "Content-Type", "c"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// newTag makes a tag or the random part of a Call-ID.
func newTag() string { return strings.ToLower(rand.Text()) }

// reasonPhrases are those of the codes that we send.
var reasonPhrases = map[int]string{
	100: "Trying", 200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout",
	413: "Request Entity Too Large", 414: "Request-URI Too Long", 415: "Unsupported Media Type", 416: "Unsupported URI Scheme", 420: "Bad Extension", 422: "Session Interval Too Small",
	469: "Bad Info Package", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 482: "Loop Detected", 486: "Busy Here",
	487: "Request Terminated", 488: "Not Acceptable Here", 489: "Bad Event", 491: "Request Pending", 500: "Server Internal Error",
	501: "Not Implemented", 503: "Service Unavailable", 505: "Version Not Supported", 603: "Decline",
}

func phrase(code int) string {
	if p := reasonPhrases[code]; p != "" {
		return p
	}
	return "Refused"
}
