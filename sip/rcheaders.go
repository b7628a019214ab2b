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
