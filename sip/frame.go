package sip

import (
	"bytes"
	"errors"
	"strconv"
)

// maxMessage bounds one message: what a UDP datagram can hold, on streams too.
const maxMessage = 65535 - maxAdded

// Why a stream can't be cut into messages any more: nobody knows where the next one begins.
var (
	errNoLength  = errors.New("no Content-Length, or one that is no number")
	errTwoLength = errors.New("two different Content-Length")
	errTooLarge  = errors.New("message too large")
)

// framer cuts a stream into messages (RFC 3261 section 18.3), so that one that can't be parsed is refused by itself: sipgo
// would close the connection for it, and any caller could make a proxy's flow fall.
//
// Invariant: at <= scanned <= len(buf).
type framer struct {
	buf     []byte
	at      int // what lies before was given
	scanned int // no header section ends before
	total   int // of the message at at; 0: not known yet
}

// add takes octets in. What next gave is not valid any more.
func (f *framer) add(b []byte) {
	if f.at > 0 {
		f.buf = f.buf[:copy(f.buf, f.buf[f.at:])]
		f.scanned -= f.at
		f.at = 0
	}
	f.buf = append(f.buf, b...)
}

// pending says whether a message has begun and is not whole.
func (f *framer) pending() bool { return f.at < len(f.buf) }

// next gives the next piece: a whole message, or the blanks between two of them (keep-alives); nil if more octets are needed.
// With an error it gives what there is of the message; after that the stream is of no use.
func (f *framer) next() ([]byte, error) {
	rest := f.buf[f.at:]
	if n := blanks(rest); n > 0 {
		return f.take(n), nil
	}
	if f.total == 0 {
		from := max(f.scanned-f.at-len(endOfHead)+1, 0)
		i := bytes.Index(rest[from:], endOfHead)
		if i < 0 {
			f.scanned = len(f.buf)
			if len(rest) >= maxMessage {
				return rest, errTooLarge
			}
			return nil, nil
		}
		head := from + i + len(endOfHead)
		body, err := contentLength(rest[:head])
		if err != nil {
			return rest[:head], err
		}
		if body > maxMessage-head {
			return rest[:head], errTooLarge
		}
		f.total = head + body
	}
	if len(rest) < f.total {
		return nil, nil
	}
	return f.take(f.total), nil
}

func (f *framer) take(n int) []byte {
	b := f.buf[f.at : f.at+n]
	f.at += n
	f.scanned, f.total = f.at, 0
	return b
}

var endOfHead = []byte("\r\n\r\n")

// blanks counts the octets that may stand before a message: CRLF, and the NULs that some devices send.
func blanks(b []byte) int {
	n := 0
	for n < len(b) && (b[n] == '\r' || b[n] == '\n' || b[n] == 0) {
		n++
	}
	return n
}

// contentLength finds how long the body is.
func contentLength(head []byte) (int, error) {
	found, length := false, 0
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, v, ok := bytes.Cut(line, []byte(":"))
		name = bytes.TrimRight(name, " \t")
		if !ok || !bytes.EqualFold(name, []byte("content-length")) && !bytes.EqualFold(name, []byte("l")) {
			continue
		}
		n, err := strconv.ParseUint(string(bytes.TrimSpace(v)), 10, 31)
		if err != nil {
			return 0, errNoLength
		}
		if found && int(n) != length {
			return 0, errTwoLength
		}
		found, length = true, int(n)
	}
	if !found {
		return 0, errNoLength
	}
	return length, nil
}
