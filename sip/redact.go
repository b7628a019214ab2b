package sip

import (
	"bytes"
	"fmt"
	"strings"
)

// cutOut stands where something secret stood.
const cutOut = "***"

// redacted gives a message as it may be kept and shown: lines end with LF, control characters are replaced, credentials and
// keys are cut out, and so is a body that is no SDP: it may hold digits that a caller typed, or what people write.
func redacted(b []byte) string {
	head, body, _ := bytes.Cut(b[:min(len(b), 2*maxMessage)], endOfHead)
	var out strings.Builder
	kind := ""
	for i, l := range unfolded(strings.Split(string(head), "\r\n")) {
		if i > maxHeaders || out.Len() > maxStepText {
			out.WriteString("...\n")
			break
		}
		name, v, ok := strings.Cut(l, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		switch {
		case i == 0 || !ok:
		case name == "authorization", name == "proxy-authorization", name == "www-authenticate", name == "proxy-authenticate", name == "authentication-info":
			l = l[:len(l)-len(v)] + " " + publicDigest(v)
		case name == "content-type" || name == "c":
			kind = strings.ToLower(strings.TrimSpace(v))
		}
		out.WriteString(cleanLine(l) + "\n")
	}
	if len(body) == 0 {
		return out.String()
	}
	out.WriteString("\n")
	if !strings.HasPrefix(kind, "application/sdp") && !strings.HasPrefix(kind, "multipart/") && kind != "" {
		fmt.Fprintf(&out, "[%d octets]\n", len(body))
		return out.String()
	}
	other := 0
	for l := range strings.SplitSeq(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n") {
		switch {
		case out.Len() > maxStepText:
			out.WriteString("...\n")
			return out.String()
		case len(l) >= 2 && l[1] == '=' && l[0] >= 'a' && l[0] <= 'z':
			out.WriteString(cleanLine(publicSDP(l)) + "\n")
		case strings.HasPrefix(l, "--") && strings.HasPrefix(kind, "multipart/"):
			out.WriteString(cleanLine(l) + "\n")
		default:
			other += len(l)
		}
	}
	if other > 0 {
		fmt.Fprintf(&out, "[%d octets]\n", other)
	}
	return out.String()
}

// maxShownLine bounds a line of a message that is kept.
const maxShownLine = 1024

// cleanLine makes a line fit to be shown; a password in a URI and a key anywhere are cut out.
func cleanLine(l string) string {
	l = clean(l, maxShownLine)
	for at := 0; ; {
		i := strings.Index(lowASCII(l[at:]), "inline:")
		if i < 0 {
			break
		}
		at += i + len("inline:")
		end := at
		for end < len(l) && !strings.ContainsRune(" \t;,\"", rune(l[end])) {
			end++
		}
		l = l[:at] + cutOut + l[end:]
		at += len(cutOut)
	}
	return withoutPassword(l)
}

// withoutPassword cuts the password out of each sip: URI (RFC 3261 section 19.1.1).
func withoutPassword(l string) string {
	for at := 0; ; {
		i := strings.Index(lowASCII(l[at:]), "sip")
		if i < 0 {
			return l
		}
		at += i + len("sip")
		rest := strings.TrimPrefix(strings.TrimPrefix(l[at:], "s"), "S")
		if !strings.HasPrefix(rest, ":") {
			continue
		}
		user := len(l) - len(rest) + 1
		end := user
		for end < len(l) && !strings.ContainsRune("@ \t<>\"", rune(l[end])) {
			end++
		}
		if end == len(l) || l[end] != '@' {
			continue
		}
		if colon := strings.IndexByte(l[user:end], ':'); colon >= 0 {
			l = l[:user+colon+1] + cutOut + l[end:]
		}
	}
}

// publicDigest keeps of a challenge or of credentials what helps to see why they were refused, and helps nobody to answer.
func publicDigest(v string) string {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(v), " ")
	if !strings.EqualFold(scheme, "digest") {
		return cutOut
	}
	out := "Digest"
	for p := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(p), "=")
		switch strings.ToLower(name) {
		case "realm", "algorithm", "qop", "stale", "nc", "uri", "username":
			if ok {
				out += " " + name + "=" + value
			}
		}
	}
	return out + " " + cutOut
}

// publicSDP cuts keys out of a line: SDES, k=, key management, and what ICE is authenticated with.
func publicSDP(l string) string {
	low := lowASCII(l)
	switch {
	case strings.HasPrefix(low, "k="), strings.HasPrefix(low, "a=key-mgmt:"), strings.HasPrefix(low, "a=ice-pwd:"), strings.HasPrefix(low, "a=ice-ufrag:"):
		at := strings.IndexAny(l, ":")
		if low[0] == 'k' {
			at = 1
		}
		return l[:at+1] + cutOut
	case strings.HasPrefix(low, "a=crypto:"):
		if f := strings.Fields(l); len(f) > 2 {
			return f[0] + " " + f[1] + " inline:" + cutOut
		}
		return "a=crypto:" + cutOut
	}
	return l
}
