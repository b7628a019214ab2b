package trunk

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// message is one SIP message. Header names are as received, but for compact forms, which are spelled out.
type message struct {
	method, uri string // of a request
	code        int    // of a response, zero for a request
	reason      string
	headers     []Header
	body        []byte
	counted     bool // Content-Length was there
}

// compact forms of RFC 3261 section 7.3.3 and RFC 4028.
var compact = map[string]string{
	"i": "Call-ID", "m": "Contact", "e": "Content-Encoding", "l": "Content-Length", "c": "Content-Type", "f": "From",
	"s": "Subject", "k": "Supported", "t": "To", "v": "Via", "x": "Session-Expires", "o": "Event", "u": "Allow-Events",
}

var errMessage = errors.New("sip message")

// get is the first value of a header, "" where there is none.
func (m *message) get(name string) string {
	for _, h := range m.headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// all gives every field of that name, in order, unsplit.
func (m *message) all(name string) []Header {
	var out []Header
	for _, h := range m.headers {
		if strings.EqualFold(h.Name, name) {
			out = append(out, h)
		}
	}
	return out
}

func (m *message) add(name, value string) { m.headers = append(m.headers, Header{name, value}) }

// cseq gives both parts of CSeq.
func (m *message) cseq() (uint32, string) {
	number, method, _ := strings.Cut(strings.TrimSpace(m.get("CSeq")), " ")
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return 0, ""
	}
	return uint32(n), strings.TrimSpace(method)
}

// branch is the topmost Via's.
func (m *message) branch() string {
	via, _, _ := strings.Cut(m.get("Via"), ",")
	return params(via)["branch"]
}

// bytes writes the message. Content-Length comes last: readers were seen that look for it there.
func (m *message) bytes() []byte {
	var b bytes.Buffer
	if m.code != 0 {
		fmt.Fprintf(&b, "SIP/2.0 %d %s\r\n", m.code, m.reason)
	} else {
		fmt.Fprintf(&b, "%s %s SIP/2.0\r\n", m.method, m.uri)
	}
	for _, h := range m.headers {
		if !strings.EqualFold(h.Name, "Content-Length") {
			fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
		}
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(m.body))
	b.Write(m.body)
	return b.Bytes()
}

// parseMessage reads one datagram. What follows Content-Length is ignored, RFC 3261 section 18.3.
func parseMessage(b []byte) (*message, error) {
	b = bytes.TrimLeft(b, "\r\n")
	head, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok {
		return nil, fmt.Errorf("%w: no empty line after the headers", errMessage)
	}
	m, size, err := parseHead(string(head))
	if err != nil {
		return nil, err
	}
	if !m.counted {
		size = len(body)
	}
	if size > len(body) {
		return nil, fmt.Errorf("%w: Content-Length %d, but %d octets follow", errMessage, size, len(body))
	}
	m.body = bytes.Clone(body[:size])
	return m, nil
}

// readMessage reads one message from a connection. ping tells that CRLFCRLF came before it and message is nil.
func readMessage(r *bufio.Reader) (m *message, ping bool, err error) {
	var head strings.Builder
	empty := 0
	for {
		line, err := readLine(r, maxMessage-head.Len())
		if err != nil {
			return nil, false, err
		}
		if line != "" {
			head.WriteString(line)
			head.WriteString("\r\n")
			continue
		}
		if head.Len() > 0 {
			break
		}
		if empty++; empty == 2 { // RFC 5626 section 3.5.1
			return nil, true, nil
		}
	}
	m, size, err := parseHead(strings.TrimSuffix(head.String(), "\r\n"))
	if err != nil {
		return nil, false, err
	}
	if size > maxMessage {
		return nil, false, fmt.Errorf("%w: Content-Length %d, at most %d", errMessage, size, maxMessage)
	}
	m.body = make([]byte, size)
	_, err = io.ReadFull(r, m.body)
	return m, false, err
}

func readLine(r *bufio.Reader, most int) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > most {
			return "", fmt.Errorf("%w: head is over %d octets", errMessage, maxMessage)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return "", err
		}
		return strings.TrimRight(string(line), "\r\n"), nil
	}
}

// parseHead reads start line and headers, without the empty line, and gives the Content-Length.
func parseHead(head string) (*message, int, error) {
	lines := strings.Split(head, "\r\n")
	m, err := parseStart(lines[0])
	if err != nil {
		return nil, 0, err
	}
	size := 0
	for _, line := range lines[1:] {
		if line != "" && (line[0] == ' ' || line[0] == '\t') && len(m.headers) > 0 { // folded, RFC 3261 section 7.3.1
			last := &m.headers[len(m.headers)-1]
			last.Value = strings.TrimSpace(last.Value + " " + strings.TrimSpace(line))
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, 0, fmt.Errorf("%w: header %.40q", errMessage, line)
		}
		if long := compact[strings.ToLower(name)]; long != "" {
			name = long
		}
		m.add(name, strings.TrimSpace(value))
	}
	if v := m.get("Content-Length"); v != "" {
		size, err = strconv.Atoi(v)
		if err != nil || size < 0 {
			return nil, 0, fmt.Errorf("%w: Content-Length %.40q", errMessage, v)
		}
		m.counted = true
	}
	return m, size, nil
}

func parseStart(line string) (*message, error) {
	a, rest, _ := strings.Cut(line, " ")
	b, c, _ := strings.Cut(rest, " ")
	if a == "SIP/2.0" {
		code, err := strconv.Atoi(b)
		if err != nil || code < 100 || code > 699 {
			return nil, fmt.Errorf("%w: status line %.60q", errMessage, line)
		}
		return &message{code: code, reason: c}, nil
	}
	if a == "" || b == "" || c != "SIP/2.0" {
		return nil, fmt.Errorf("%w: start line %.60q", errMessage, line)
	}
	return &message{method: a, uri: b}, nil
}
