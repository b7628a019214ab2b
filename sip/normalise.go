package sip

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// spaced are the headers in which sipgo does not find what blanks stand around, although they may (RFC 3261 section 25.1,
// the rules SEMI, EQUAL, SLASH and COMMA; RFC 4475 section 3.1.1.1).
var spaced = map[string]bool{"via": true, "from": true, "to": true, "contact": true, "m": true, "record-route": true}

// normalise gives a message that means the same and that sipgo reads right; b itself, if it is that already. It may be up to
// maxAdded octets longer.
func normalise(b []byte) []byte {
	head, body, ok := bytes.Cut(b, endOfHead)
	if !ok {
		return b
	}
	lines := strings.Split(string(head), "\r\n")
	out := unfolded(lines)
	changed := len(out) != len(lines)
	top, from, id := -1, "", ""
	for i, l := range out[1:] {
		i++
		name, v, ok := strings.Cut(l, ":")
		if !ok {
			return b
		}
		name = longName(strings.ToLower(strings.TrimRight(name, " \t")))
		if spaced[name] {
			if s := squeezed(v); s != strings.TrimSpace(v) {
				v, changed = s, true
				out[i] = name + ": " + v
			}
		}
		switch name {
		case "via":
			if top < 0 {
				top = i
			}
		case "from":
			from = v
		case "call-id", "cseq":
			id += "\x00" + strings.TrimSpace(strings.TrimRight(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
		}
	}
	if top > 0 && from != "" && !strings.HasPrefix(out[0], "SIP/") && untraceable(out[top], from) {
		sum := sha256.Sum256([]byte(out[top] + "\x00" + from + id))
		out[top] += ";branch=z9hG4bK" + hex.EncodeToString(sum[:8])
		changed = true
	}
	if !changed {
		return b
	}
	return append([]byte(strings.Join(out, "\r\n")+"\r\n\r\n"), body...)
}

// maxAdded is how much longer a normalised message may be: a branch.
const maxAdded = 48

// untraceable says whether sipgo could not tell the transaction of a request, which RFC 2543 allows: neither a branch nor a
// From tag. INVITE, ACK and CANCEL are given the same branch then.
func untraceable(via, from string) bool {
	return !strings.Contains(via, "branch=") && !strings.Contains(via, ",") && !strings.Contains(from, ";tag=")
}

// squeezed takes the blanks around separators out of a header value, but not out of quoted text.
func squeezed(v string) string {
	v = strings.TrimSpace(v)
	var out strings.Builder
	quoted, blank := false, false
	for i := 0; i < len(v); i++ {
		c := v[i]
		switch {
		case quoted:
			out.WriteByte(c)
			if c == '\\' && i+1 < len(v) {
				i++
				out.WriteByte(v[i])
			}
			quoted = c != '"'
			continue
		case c == ' ' || c == '\t':
			blank = true
			continue
		}
		if blank && !separates(c) && (out.Len() == 0 || !separates(out.String()[out.Len()-1])) {
			out.WriteByte(' ')
		}
		blank, quoted = false, c == '"'
		out.WriteByte(c)
	}
	return out.String()
}

func separates(c byte) bool { return c == ';' || c == '=' || c == '/' || c == ',' }
