package sip

import (
	"bytes"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// maxVias bounds the Via lines that a refusal repeats.
const maxVias = 32

// reject answers a request that sipgo's parser refuses, as RFC 3261 section 21.4.1 has it and RFC 4475 asks for: 400, without
// a transaction, to where it came from. nil: there is nothing to be answered, because it is a response, an ACK, or lacks what
// an answer must repeat. The answer is no longer than the request and a hundred octets: nothing is amplified.
func (a *Account) reject(b []byte) []byte {
	head, _, _ := bytes.Cut(b, endOfHead)
	lines := strings.Split(string(head), "\r\n")
	method, _, ok := strings.Cut(lines[0], " ")
	if !ok || !isToken(method) || method == string(gosip.ACK) || !strings.Contains(lines[0], "SIP/") {
		return nil
	}
	var out strings.Builder
	out.WriteString("SIP/2.0 " + refusalOf(lines[0]) + "\r\n")
	vias, seen := 0, map[string]bool{}
	for _, l := range unfolded(lines[1:]) {
		name, v, _ := strings.Cut(l, ":")
		name = longName(strings.ToLower(strings.TrimRight(name, " \t")))
		switch name {
		case "via":
			if vias++; vias > maxVias {
				return nil
			}
		case "from", "to", "call-id", "cseq":
			if seen[name] {
				continue
			}
			seen[name] = true
		default:
			continue
		}
		v = clean(strings.TrimSpace(v), maxHeader)
		if name == "to" && !strings.Contains(strings.ToLower(v), "tag") {
			v += ";tag=" + newTag()
		}
		out.WriteString(name + ": " + v + "\r\n")
	}
	if vias == 0 || len(seen) < 4 {
		return nil
	}
	out.WriteString("server: " + a.cfg.UserAgent + "\r\ncontent-length: 0\r\n\r\n")
	if out.Len() > len(b)+100 {
		return nil
	}
	return []byte(out.String())
}

// refusalOf is the status for a request line that sipgo refuses: its scheme may be one that we don't serve.
func refusalOf(line string) string {
	_, uri, _ := strings.Cut(line, " ")
	scheme, _, ok := strings.Cut(uri, ":")
	switch strings.ToLower(scheme) {
	case "sip", "sips", "tel":
	default:
		if ok && isToken(scheme) {
			return "416 " + phrase(416)
		}
	}
	return "400 " + phrase(400)
}

// unfolded joins continued lines (RFC 3261 section 7.3.1).
func unfolded(lines []string) []string {
	out := make([]string, 0, len(lines))
	for i := 0; i < len(lines); {
		end := i + 1
		for end < len(lines) && lines[end] != "" && (lines[end][0] == ' ' || lines[end][0] == '\t') {
			end++
		}
		if end == i+1 || i == 0 {
			out = append(out, lines[i])
			i++
			continue
		}
		joined := make([]string, end-i)
		for j, l := range lines[i:end] {
			joined[j] = strings.TrimSpace(l)
		}
		out = append(out, strings.Join(joined, " "))
		i = end
	}
	return out
}

// longName gives the long form of the compact names that matter here (RFC 3261 section 7.3.3).
func longName(name string) string {
	switch name {
	case "v":
		return "via"
	case "f":
		return "from"
	case "t":
		return "to"
	case "i":
		return "call-id"
	}
	return name
}

// isToken: RFC 3261 section 25.1.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-.!%*_+`'~", c) >= 0 {
			continue
		}
		return false
	}
	return s != "" && len(s) <= 64
}
