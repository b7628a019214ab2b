package trunk

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// ours is the trunk's side of a dialog's SDP: what its next offer or answer says.
type ours struct {
	id, version uint64
	ip          netip.Addr
	srtp        bool
	lines       []ourLine
	answer      bool // the formats are those of the answer, not RingCentral's list
}

// ourLine is one m= line of ours.
type ourLine struct {
	port      uint16 // 0: refused
	title     string
	direction string
	laws      []Law
	keys      [2][]byte  // offered under the tags 1 (suite80) and 2 (suite32)
	chosen    cryptoLine // in an answer: tag and suite of theirs, key of ours
	mux       bool
	answered  []string // in an answer: one audio format, and 101 where it was offered
}

// newOurs takes numbers as large as those seen: version near the end of uint64 must be read as text.
func newOurs(ip netip.Addr, srtp bool) *ours {
	b := random(16)
	return &ours{
		id: binary.BigEndian.Uint64(b) | 1<<63, version: binary.BigEndian.Uint64(b[8:])>>2 | 1<<62, ip: ip, srtp: srtp,
	}
}

// renew gives a line new keys.
func (l *ourLine) renew() {
	for i := range l.keys {
		l.keys[i] = random(keyOctets + saltOctets)
	}
}

// marshal writes forms A, B and C of the fact sheet: lower-case names, PCMU not first, no ptime. With one line static
// formats have an rtpmap too; with several only dynamic ones, and the direction stands in the last block if all agree.
func (o *ours) marshal() []byte {
	var b bytes.Buffer
	family := "IP4"
	if o.ip.Is6() {
		family = "IP6"
	}
	fmt.Fprintf(&b, "v=0\r\no=- %d %d IN %s %s\r\ns=SmcSip\r\nc=IN %s %s\r\nt=0 0\r\n", o.id, o.version, family, o.ip, family, o.ip)
	same := !slices.ContainsFunc(o.lines, func(l ourLine) bool { return l.direction != o.lines[0].direction })
	for i := range o.lines {
		o.line(&b, &o.lines[i], len(o.lines) > 1, !same || i == len(o.lines)-1)
	}
	return b.Bytes()
}

func (o *ours) line(b *bytes.Buffer, l *ourLine, several, direction bool) {
	proto := "RTP/AVP"
	if o.srtp {
		proto = "RTP/SAVP"
	}
	formats := o.offered(l)
	fmt.Fprintf(b, "m=audio %d %s", l.port, proto)
	for _, f := range formats {
		fmt.Fprintf(b, " %s", f)
	}
	b.WriteString("\r\n")
	if l.title != "" {
		fmt.Fprintf(b, "i=%s\r\n", l.title)
	}
	for _, f := range formats {
		if n, _ := strconv.Atoi(f); n >= 96 || !several {
			b.WriteString(rtpmaps[f])
		}
	}
	if l.mux {
		b.WriteString("a=rtcp-mux\r\n")
	}
	if direction {
		fmt.Fprintf(b, "a=%s\r\n", l.direction)
	}
	for _, c := range o.cryptos(l) {
		fmt.Fprintf(b, "a=crypto:%s %s inline:%s\r\n", c.tag, c.suite, base64.StdEncoding.EncodeToString(c.key))
	}
}

// offered is the line's formats as they go out.
func (o *ours) offered(l *ourLine) []string {
	if o.answer {
		return l.answered
	}
	return l.formats()
}

// cryptos is the line's keys as they go out.
func (o *ours) cryptos(l *ourLine) []cryptoLine {
	switch {
	case !o.srtp || l.port == 0:
		return nil
	case o.answer:
		return []cryptoLine{l.chosen}
	default:
		return []cryptoLine{{"1", suite80, l.keys[0]}, {"2", suite32, l.keys[1]}}
	}
}

// formats is RingCentral's list with the laws that are offered, in their order.
func (l *ourLine) formats() []string {
	out := []string{"111", "9"}
	for i, law := range l.laws {
		if i == 1 {
			out = append(out, "18", "96")
		}
		out = append(out, strconv.Itoa(int(law)))
	}
	if len(l.laws) < 2 {
		out = append(out, "18", "96")
	}
	return append(out, "109", "101")
}

// rtpmaps are the format lines of RingCentral's offers.
var rtpmaps = map[string]string{
	"111": "a=rtpmap:111 OPUS/48000/2\r\na=fmtp:111 useinbandfec=1;usedtx=0\r\na=rtcp-fb:111 ccm tmmbr\r\n",
	"9":   "a=rtpmap:9 g722/8000\r\n",
	"0":   "a=rtpmap:0 pcmu/8000\r\n",
	"18":  "a=rtpmap:18 g729/8000\r\na=fmtp:18 annexb=no\r\n",
	"96":  "a=rtpmap:96 ilbc/8000\r\na=fmtp:96 mode=20\r\n",
	"8":   "a=rtpmap:8 pcma/8000\r\n",
	"109": "a=rtpmap:109 OPUS/16000\r\na=fmtp:109 useinbandfec=1\r\na=rtcp-fb:109 ccm tmmbr\r\n",
	"101": "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n",
}

// random octets; crypto/rand never fails.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
