package sip

import (
	"strings"

	"github.com/earshot/earshot/call"
)

// maxFields bounds what one of RingCentral's headers may hold.
const maxFields = 32

// fields reads "key=value;key=value" with blanks anywhere between and keys of any case; a field without "=" has an empty
// value. The first of equal keys counts. Values are cleaned. nil if there is none.
func fields(value string) map[string]string {
	var m map[string]string
	for f := range strings.SplitSeq(value, ";") {
		k, v, _ := strings.Cut(f, "=")
		k = strings.ToLower(strings.TrimSpace(k))
		if k == "" || len(k) > maxText {
			continue
		}
		k = clean(k, maxText)
		if _, ok := m[k]; ok {
			continue
		}
		if m == nil {
			m = make(map[string]string)
		}
		if len(m) >= maxFields {
			break
		}
		m[k] = clean(strings.TrimSpace(v), maxText)
	}
	return m
}

// partyRef reads p-rc-api-ids and p-rc-api-monitoring-ids by key: both orders and both spacings are documented.
func partyRef(value string) PartyRef {
	m := fields(value)
	return PartyRef{Session: m["session-id"], Party: m["party-id"]}
}

// callInfo reads p-rc-api-call-info; keys keep their spelling, as in "callerIdName".
func callInfo(value string) map[string]string {
	spelled := make(map[string]string)
	for f := range strings.SplitSeq(value, ";") {
		k, _, _ := strings.Cut(f, "=")
		k = strings.TrimSpace(k)
		if low := clean(strings.ToLower(k), maxText); spelled[low] == "" && len(spelled) < maxFields {
			spelled[low] = clean(k, maxText)
		}
	}
	m := fields(value)
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		if s := spelled[k]; s != "" {
			k = s
		}
		out[k] = v
	}
	return out
}

// autoAnswer says whether the caller wants the call answered at once: Alert-Info "Auto Answer" (RingCentral; no URI),
// Alert-Info with info=alert-autoanswer or a urn:alert:service:auto-callback-like text of RFC 7462, answer-after=0 in
// Call-Info (its URI may be missing), Answer-Mode or Priv-Answer-Mode: Auto (RFC 5373).
func autoAnswer(m headerer) bool {
	for _, h := range m.GetHeaders("Alert-Info") {
		v := strings.ToLower(h.Value())
		if strings.Contains(v, "auto answer") || strings.Contains(v, "autoanswer") || strings.Contains(v, "auto-answer") {
			return true
		}
	}
	for _, h := range m.GetHeaders("Call-Info") {
		for f := range strings.SplitSeq(strings.ToLower(h.Value()), ";") {
			k, v, _ := strings.Cut(f, "=")
			if strings.TrimSpace(k) == "answer-after" {
				if d, ok := seconds(v); ok && d == 0 {
					return true
				}
			}
		}
	}
	for _, n := range []string{"Answer-Mode", "Priv-Answer-Mode"} {
		mode, _, _ := strings.Cut(value(m, n), ";")
		if strings.EqualFold(strings.TrimSpace(mode), "auto") {
			return true
		}
	}
	return false
}

// reasonText gives the Reason headers of a BYE or CANCEL for the record (RFC 3326).
func reasonText(m headerer) string {
	var parts []string
	for _, h := range m.GetHeaders("Reason") {
		parts = append(parts, strings.TrimSpace(h.Value()))
		if len(parts) >= 4 {
			break
		}
	}
	return clean(strings.Join(parts, ", "), maxText)
}

// hangup is the cause of a BYE.
func hangup(m headerer) call.Cause { return call.Cause{Code: call.CodeHangup, Text: reasonText(m)} }
