package sip

import (
	"slices"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// answering is how a caller wants its call answered.
type answering struct {
	auto   bool // at once, by nobody
	person bool // by a person or not at all: Answer-Mode: Manual;require (RFC 5373 section 4.1)
	mode   bool // it wrote one of RFC 5373's headers, and hears of ours in the 200
}

// autoWords in Alert-Info or Call-Info ask for auto-answer: RingCentral's "Auto Answer", which is no URI, and what PBXs send to
// phones, such as info=alert-autoanswer and Polycom's "Ring Answer". RFC 7462 has no URN for it.
var autoWords = []string{"auto answer", "autoanswer", "auto-answer", "ring answer", "ring-answer"}

// readAnswering reads all forms of auto-answer: Alert-Info, Call-Info (whose URI may be missing), Answer-Mode and
// Priv-Answer-Mode (RFC 5373), intercom=true in the Request-URI. answer-after=5 asks for it too: nobody is here whom five
// seconds of ringing would warn.
func readAnswering(req *gosip.Request) (a answering) {
	for _, n := range []string{"Alert-Info", "Call-Info"} {
		for _, h := range req.GetHeaders(n) {
			v := strings.ToLower(h.Value())
			a.auto = a.auto || slices.ContainsFunc(autoWords, func(w string) bool { return strings.Contains(v, w) }) || answerAfter(v)
		}
	}
	intercom, _ := param(req.Recipient.UriParams, "intercom")
	a.auto = a.auto || strings.EqualFold(intercom, "true")
	for _, n := range []string{"Answer-Mode", "Priv-Answer-Mode"} {
		v := value(req, n)
		mode, params, _ := strings.Cut(strings.ToLower(v), ";")
		switch strings.TrimSpace(mode) {
		case "auto":
			a.auto = true
		case "manual":
			a.person = a.person || slices.ContainsFunc(strings.Split(params, ";"), func(p string) bool { return strings.TrimSpace(p) == "require" })
		}
		a.mode = a.mode || v != ""
	}
	return a
}

// answerAfter finds answer-after=SECONDS among the parameters of a lower-case value.
func answerAfter(v string) bool {
	for f := range strings.SplitSeq(v, ";") {
		k, n, _ := strings.Cut(f, "=")
		if _, ok := seconds(n); ok && strings.TrimSpace(k) == "answer-after" {
			return true
		}
	}
	return false
}

// headers are those of the 200.
func (a answering) headers() []string {
	if !a.mode {
		return nil
	}
	return []string{"Answer-Mode", "Auto"}
}
