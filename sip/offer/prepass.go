package offer

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// MaxOctets and MaxLines bound a description. RingCentral's are under 2 KiB and have one or two lines.
const (
	MaxOctets = 32 << 10
	MaxLines  = 32 // m= lines
)

// ErrTooLarge is a description beyond MaxOctets or MaxLines; it stands inside a *SyntaxError.
var ErrTooLarge = errors.New("description is too large")

// SyntaxError is a body that is not SDP, or that we do not read for its size.
type SyntaxError struct {
	Line int // from 1; 0: the whole
	Err  error
}

// Error names the line.
func (e *SyntaxError) Error() string {
	if e.Line == 0 {
		return "sdp: " + e.Err.Error()
	}
	return "sdp: line " + strconv.Itoa(e.Line) + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *SyntaxError) Unwrap() error { return e.Err }

// mline is an m= line as written: the answer needs its kind, proto and formats even if no parser of ours knows them.
type mline struct {
	kind, proto string
	port        int // 0: refused by its author, or not a port
	formats     []string
}

// section is the session's part of a description, or one m= line's.
type section struct {
	m          mline
	info, conn string // i= and c=, cleaned; conn is "IN IP4|IP6 address"
	attributes []string
}

// prepass cuts a body into sections of what is understood, and drops the rest line by line: one bad line must not cost the
// call. sections[0] is the session's, the others follow the m= lines.
func prepass(body []byte) ([]section, error) {
	if len(body) > MaxOctets {
		return nil, &SyntaxError{Err: fmt.Errorf("%w: %d octets, at most %d", ErrTooLarge, len(body), MaxOctets)}
	}
	lines, first, err := describe(body)
	if err != nil {
		return nil, err
	}
	sections := make([]section, 1, 3)
	for i, line := range lines {
		letter, value, ok := splitLine(line)
		if !ok {
			continue
		}
		if letter == 'm' {
			m, err := parseMLine(value)
			if err != nil {
				return nil, &SyntaxError{Line: first + i, Err: err}
			}
			if len(sections) > MaxLines {
				return nil, &SyntaxError{Line: first + i, Err: fmt.Errorf("%w: more than %d m= lines", ErrTooLarge, MaxLines)}
			}
			sections = append(sections, section{m: m})
			continue
		}
		sections[len(sections)-1].take(letter, value)
	}
	return sections, nil
}

// describe finds the description in a body: all of it, or one part of a multipart. first is the number of lines[0].
func describe(body []byte) (lines []string, first int, err error) {
	text := strings.ReplaceAll(string(body), "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	all := strings.Split(text, "\n")
	start, multipart := -1, false
	for i, line := range all {
		letter, value, ok := splitLine(line)
		if ok && letter == 'v' {
			if value != "0" {
				return nil, 0, &SyntaxError{Line: i + 1, Err: fmt.Errorf("v=%.20q, want 0", value)}
			}
			start = i
			break
		}
		multipart = multipart || strings.HasPrefix(line, "--")
		if !multipart && strings.TrimSpace(line) != "" {
			break // neither SDP nor the start of a multipart
		}
	}
	if start < 0 {
		return nil, 0, &SyntaxError{Err: errors.New("no v= line: this is not SDP")}
	}
	lines = all[start+1:]
	for i, line := range lines {
		if strings.HasPrefix(line, "--") { // the multipart's boundary (RFC 2046 section 5.1.1)
			return lines[:i], start + 2, nil
		}
	}
	return lines, start + 2, nil
}

// splitLine reads "letter=value", with blanks around the sign as some write it.
func splitLine(line string) (letter byte, value string, ok bool) {
	line = strings.TrimSpace(line)
	if line == "" {
		return 0, "", false
	}
	value, ok = strings.CutPrefix(strings.TrimLeft(line[1:], " \t"), "=")
	return line[0], strings.TrimSpace(value), ok
}

// take keeps what a line says if we use it. RFC 8866 section 5: what is not understood is ignored. b=, k=, z=, t= and o=
// change nothing for a receiver.
func (s *section) take(letter byte, value string) {
	switch letter {
	case 'i':
		if s.info == "" {
			s.info = cleanText(value)
		}
	case 'c':
		if s.conn == "" {
			s.conn = cleanConnection(value)
		}
	case 'a':
		if value = cleanAttribute(value); value != "" {
			s.attributes = append(s.attributes, value)
		}
	}
}

// parseMLine reads "<media> <port>[/<number>] <proto> <fmt> ..." (RFC 8866 section 5.14). A port that is none makes a
// refused line, so that the other lines live; a line that cannot even be repeated is an error.
func parseMLine(value string) (mline, error) {
	f := strings.Fields(cleanAttribute(value))
	if len(f) < 3 {
		return mline{}, fmt.Errorf("m= has %d fields, want at least 3", len(f))
	}
	m := mline{kind: f[0], proto: f[2], formats: f[3:]}
	port, _, _ := strings.Cut(f[1], "/")
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		m.port = int(n)
	}
	if len(m.formats) == 0 {
		m.formats = []string{"0"} // the grammar wants one, in our answer too
	}
	return m, nil
}

// cleanConnection reads c= down to "IN IP4|IP6 address", without TTL and count; empty if it is something else.
func cleanConnection(value string) string {
	f := strings.Fields(value)
	if len(f) != 3 || !strings.EqualFold(f[0], "IN") {
		return ""
	}
	family := strings.ToUpper(f[1])
	host, _, _ := strings.Cut(f[2], "/")
	if family != "IP4" && family != "IP6" || !isHost(host) {
		return ""
	}
	return "IN " + family + " " + host
}

// isHost says whether s is an address or could be a host name.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if s == "" || len(s) > 253 {
		return false
	}
	for _, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

// cleanAttribute drops control characters and broken UTF-8: what we repeat must not make lines of its own.
func cleanAttribute(value string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\t' || r == 0x7f || r == '\u0085' || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(value, "")))
}

// rewrite writes the sections in the one order and form that the parser takes. A kind or proto that it does not know
// (m=image, udptl) is handed over as a substitute; the original stays in section.m.
func rewrite(sections []section) []byte {
	var b strings.Builder
	b.WriteString("v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\n")
	for i, s := range sections {
		if i > 0 {
			kind, proto := s.m.kind, s.m.proto
			if !strings.EqualFold(kind, "audio") || !knownProto(proto) {
				kind, proto = "application", "UDP"
			}
			fmt.Fprintf(&b, "m=%s %d %s %s\r\n", strings.ToLower(kind), s.m.port, strings.ToUpper(proto), strings.Join(s.m.formats, " "))
		}
		if s.info != "" {
			b.WriteString("i=" + s.info + "\r\n")
		}
		if s.conn != "" {
			b.WriteString("c=" + s.conn + "\r\n")
		}
		if i == 0 {
			b.WriteString("t=0 0\r\n")
		}
		for _, a := range s.attributes {
			b.WriteString("a=" + a + "\r\n")
		}
	}
	return []byte(b.String())
}
