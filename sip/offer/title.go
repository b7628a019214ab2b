package offer

import (
	"strings"
	"unicode/utf8"
)

// maxTitle bounds the i= text that is kept, in octets: RingCentral's is about 100.
const maxTitle = 256

// parseTitle reads RingCentral's form of a media line's i=: "<session> party-id=<party>". The ids are opaque. Either order
// is taken, as is a session that carries its key; any other text has no ids.
func parseTitle(title string) (session, party string) {
	for _, word := range strings.FieldsFunc(title, func(r rune) bool { return r == ' ' || r == ';' || r == ',' }) {
		key, value, found := strings.Cut(word, "=")
		switch {
		case found && strings.EqualFold(key, "party-id"):
			if party != "" || value == "" {
				return "", ""
			}
			party = value
		case found && strings.EqualFold(key, "session-id"):
			if session != "" || value == "" {
				return "", ""
			}
			session = value
		case session == "":
			session = word // may hold "=": base64
		default:
			return "", ""
		}
	}
	if session == "" || party == "" {
		return "", ""
	}
	return session, party
}

// cleanText makes foreign text fit for records and logs: valid UTF-8 without control characters, single blanks, bounded.
func cleanText(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < 0x20, r >= 0x7f && r < 0xa0, r == '\u2028', r == '\u2029':
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= maxTitle {
		return s
	}
	end := maxTitle
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.TrimSpace(s[:end])
}
