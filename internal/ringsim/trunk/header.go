package trunk

import (
	"strings"
)

// address takes a name-addr or addr-spec apart: the URI without brackets, and the header's parameters.
func address(value string) (uri string, p map[string]string) {
	if open := unquoted(value, '<'); open >= 0 {
		if end := strings.IndexByte(value[open:], '>'); end >= 0 {
			return value[open+1 : open+end], params(value[open+end+1:])
		}
	}
	// Without brackets parameters are the header's, RFC 3261 section 20.10.
	uri, _, _ = strings.Cut(strings.TrimSpace(value), ";")
	return uri, params(value)
}

// tag of a From or To.
func tag(value string) string {
	_, p := address(value)
	return p["tag"]
}

// userHost gives a SIP URI's user and its host without port, lower case.
func userHost(uri string) (user, host string) {
	_, rest, ok := strings.Cut(uri, ":")
	if !ok {
		return "", ""
	}
	rest, _, _ = strings.Cut(rest, ";")
	rest, _, _ = strings.Cut(rest, "?")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, rest = rest[:at], rest[at+1:]
	}
	host = rest
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.HasSuffix(rest, "]") {
		host = rest[:i]
	}
	return user, strings.ToLower(host)
}

// params reads ;name=value pairs, also quoted values; what stands before the first semicolon is skipped. Names are lower
// case, and a name without value has "".
func params(s string) map[string]string {
	out := map[string]string{}
	start := unquoted(s, ';')
	for start >= 0 {
		s = s[start+1:]
		part := s
		if start = unquoted(s, ';'); start >= 0 {
			part = s[:start]
		}
		name, value, _ := strings.Cut(part, "=")
		if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
			out[name] = unquote(value)
		}
	}
	return out
}

// credentials reads the comma separated parameters of an Authorization: Digest header; nil if it is none.
func credentials(value string) map[string]string {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	if !strings.EqualFold(scheme, "Digest") {
		return nil
	}
	out := map[string]string{}
	for rest != "" {
		part := rest
		if i := unquoted(rest, ','); i >= 0 {
			part, rest = rest[:i], rest[i+1:]
		} else {
			rest = ""
		}
		name, v, _ := strings.Cut(part, "=")
		out[strings.ToLower(strings.TrimSpace(name))] = unquote(v)
	}
	return out
}

func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return strings.ReplaceAll(s[1:len(s)-1], `\"`, `"`)
	}
	return s
}

// unquoted finds a character outside quotes, -1 if there is none.
func unquoted(s string, c byte) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == c && !quoted:
			return i
		}
	}
	return -1
}

// has tells whether a comma separated list, such as Supported, names that option.
func has(list, option string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(item), option) {
			return true
		}
	}
	return false
}
