package trunk

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// FuzzMessage: what was read is written so that it is read the same again, and a connection frames it like a datagram.
func FuzzMessage(f *testing.F) {
	f.Add([]byte("BYE sip:108@127.0.0.1 SIP/2.0\r\nv: SIP/2.0/UDP x;branch=z9hG4bK1\r\nf: <sip:a@b>;tag=1\r\nt: <sip:c@d>\r\ni: 1\r\nCSeq: 2 BYE\r\nl: 3\r\n\r\nabc"))
	f.Add([]byte("SIP/2.0 200 OK\r\nSubject: a\r\n  folded\r\nContact: \"x;<\" <sip:a@b;ob>;+sip.instance=\"<urn:uuid:1>\"\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte("\r\n\r\nOPTIONS sip:x SIP/2.0\nA:b\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err != nil {
			if !errors.Is(err, errMessage) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		m.cseq()
		m.branch()
		credentials(m.get("Authorization"))
		uri, _ := address(m.get("Contact"))
		userHost(uri)
		m.body = bytes.Trim(m.body, "\x00")
		again, err := parseMessage(m.bytes())
		if err != nil {
			t.Fatalf("own writing is not read: %v\n%q", err, m.bytes())
		}
		if again.method != m.method || again.code != m.code || !bytes.Equal(again.body, m.body) {
			t.Fatalf("read %+v, again %+v", m, again)
		}
		if strings.ContainsAny(string(m.bytes()[:len(m.bytes())-len(m.body)-4]), "\x00") || bareLineEnds(m) {
			return // a connection is read by lines: those end at each LF
		}
		framed, _, err := readMessage(bufio.NewReader(bytes.NewReader(append(m.bytes(), "rest"...))))
		if err != nil || !reflect.DeepEqual(framed.headers, again.headers) || !bytes.Equal(framed.body, m.body) {
			t.Fatalf("framed %+v %v, want %+v", framed, err, again)
		}
	})
}

// bareLineEnds tells of a CR or LF inside a line.
func bareLineEnds(m *message) bool {
	head, _, _ := bytes.Cut(m.bytes(), []byte("\r\n\r\n"))
	return bytes.ContainsAny(bytes.ReplaceAll(head, []byte("\r\n"), nil), "\r\n")
}

// FuzzConnection: any octets give messages, pings or an end, never more octets than came.
func FuzzConnection(f *testing.F) {
	f.Add([]byte("\r\n\r\nBYE sip:x SIP/2.0\r\nContent-Length: 2\r\n\r\nab\r\n\r\n"))
	f.Add([]byte("SIP/2.0 100 Trying\r\nl:99999999\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		for n := 0; ; n++ {
			m, ping, err := readMessage(r)
			if err != nil {
				if !errors.Is(err, errMessage) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("error of another kind: %v", err)
				}
				return
			}
			if n > len(b) || (!ping && m == nil) || (m != nil && len(m.body) > len(b)) {
				t.Fatalf("%d messages of %d octets", n, len(b))
			}
		}
	})
}

// FuzzSDP: what is taken has as many lines as it has m=, and can be checked as an answer and answered as an offer.
func FuzzSDP(f *testing.F) {
	f.Add([]byte("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0 101\r\ni=s party-id=1\r\n" +
		"a=rtpmap:0 PCMU/8000\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|2^31\r\na=recvonly\r\n"))
	f.Add([]byte("v=0\no=- a b IN IP4 h\nm=audio 0 RTP/AVP 8\nc=IN IP6 ::1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSDP(b)
		if err != nil {
			if !errors.Is(err, errSDP) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		if len(s.media) > maxMediaLines {
			t.Fatalf("%d m-lines", len(s.media))
		}
		for _, srtp := range []bool{false, true} {
			o := newOurs(netip.AddrFrom4([4]byte{127, 0, 0, 1}), srtp)
			for range s.media {
				l := ourLine{port: 4000, direction: "sendrecv", laws: []Law{PCMU, PCMA}}
				l.renew()
				o.lines = append(o.lines, l)
			}
			if a, _, err := checkAnswer(o, s); err == nil && len(a) != len(s.media) {
				t.Fatalf("%d lines agreed of %d", len(a), len(s.media))
			}
			if a, err := answerOffer(o, s); err == nil {
				o.answer = true
				if again, err := parseSDP(o.marshal()); len(a) > 0 && (err != nil || len(again.media) != len(a)) {
					t.Fatalf("own answer: %v\n%s", err, o.marshal())
				}
			}
		}
	})
}

// FuzzRTP: no datagram reads beyond itself, and nothing opens without its key.
func FuzzRTP(f *testing.F) {
	f.Add(appendRTP(nil, true, 0, 1, 2, 3))
	f.Add([]byte{0xB1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 1, 1, 2, 3, 4, 2, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := parseRTP(b); ok && p.header+len(p.payload) > len(b) {
			t.Fatalf("header %d and payload %d of %d octets", p.header, len(p.payload), len(b))
		}
		if _, ok := newSRTP(suite80, make([]byte, 30)).open(bytes.Clone(b)); ok {
			t.Fatal("it opened")
		}
	})
}
