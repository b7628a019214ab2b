package sip_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/sip"
)

// What becomes of a torture message besides a final answer.
const (
	nothing = "nothing" // no answer: a response that belongs to no request of ours, or is none
	closed  = "closed"  // no answer, and the stream ends: nobody knows where the next message begins
	refused = "400, closed"
)

// torture is RFC 4475 section 3, all 49 messages, with what we do. differs is why, where the RFC would have something else.
var torture = []struct {
	name, udp, tcp, differs string
}{
	// 3.1.1: valid messages.
	{"wsinv", "481", "481", ""}, // it has a To tag
	{"intmeth", "501", "501", ""},
	{"esc01", "200", "200", ""},
	{"escnull", "405", "405", ""}, // we are no registrar
	{"esc02", "501", "501", ""},   // the method is not REGISTER
	{"lwsdisp", "200", "200", ""},
	{"longreq", "200", "200", ""},
	{"dblreq", "405", closed, "what follows on a stream has no Content-Length"},
	{"semiuri", "200", "200", ""},
	{"transports", "200", "200", ""},
	{"mpart01", "200", "200", ""}, // RingCentral's MESSAGEs are all taken
	{"unreason", nothing, nothing, ""},
	{"noreason", nothing, nothing, ""},
	// 3.1.2: invalid messages.
	{"badinv01", "400", "400", ""},
	{"clerr", "400", closed, "a stream brings the rest, or ends when it did not in time: until then it can't be told from a slow one"},
	{"ncl", "400", refused, ""},
	{"scalar02", "400", "400", ""},
	{"scalarlg", nothing, nothing, ""},
	{"quotbal", "400", "400", ""},
	{"ltgtruri", "400", "400", ""},
	{"lwsruri", "400", "400", ""},
	{"lwsstart", "400", "400", ""},
	{"trws", "400", "400", ""},
	{"escruri", "400", "400", ""},
	{"baddate", "200", "200", ""}, // Date is of no use to us
	{"regbadct", "405", "405", ""},
	{"badaspec", "400", "400", ""},
	{"baddn", "400", closed, "the message as published lacks its last empty line: on a stream it is not whole"},
	{"badvers", "505", "505", ""},
	{"mismatch01", "400", "400", ""},
	{"mismatch02", "400", "400", ""}, // 501 would do as well
	{"bigcode", nothing, nothing, ""},
	// 3.2: transaction layer.
	{"badbranch", "200", "200", ""}, // known by the rules of RFC 2543
	// 3.3: application layer.
	{"insuf", "400", "400", ""},
	{"unkscm", "416", "416", ""},
	{"novelsc", "416", "416", ""},
	{"unksm2", "405", "405", ""},
	{"bext01", "420", "420", ""},
	{"invut", "415", "415", ""},
	{"regaut01", "405", "405", ""},
	{"multi01", "400", "400", ""},
	{"mcl01", "400", refused, ""},
	{"bcast", nothing, nothing, ""},
	{"zeromf", "200", "200", ""},
	{"cparam01", "405", "405", ""},
	{"cparam02", "405", "405", ""},
	{"regescrt", "405", "405", ""},
	{"sdp01", "406", "406", ""},
	// 3.4: backward compatibility.
	{"inv2543", "200", refused, "RFC 2543 without Content-Length ends a message on a stream with the connection: that is our flow"},
}

var topVia = regexp.MustCompile(`(?i)\r\n(via|v)[ \t]*:[^\r]*(\r\n[ \t][^\r]*)*`)

// message reads one. The top Via of those for UDP asks for the answer to come to where the request came from: at port 5060 of
// this machine nobody listens.
func message(t *testing.T, name, network string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "torture", name+".dat"))
	if err != nil {
		t.Fatal(err)
	}
	if at := topVia.FindIndex(b); network == "udp" && at != nil {
		via := string(b[at[0]:at[1]])
		first, others, several := strings.Cut(via, ",")
		if via = first + ";rport"; several {
			via += "," + others
		}
		return string(b[:at[0]]) + via + string(b[at[1]:])
	}
	return string(b)
}

func TestRFC4475EveryMessageHasItsOutcome(t *testing.T) {
	files, err := filepath.Glob("testdata/torture/*.dat")
	if err != nil || len(files) != len(torture) || len(files) != 49 {
		t.Fatalf("%d files and %d rows, want 49 of each: %v", len(files), len(torture), err)
	}
	for _, network := range []string{"udp", "tcp"} {
		for _, m := range torture {
			t.Run(network+"/"+m.name, func(t *testing.T) {
				// An account for each: they share branches.
				p, h := start(t, network, func(c *sip.Config) {
					tm := short
					tm.Message = 150 * time.Millisecond
					*c = c.WithTimers(tm)
				})
				want := m.udp
				if network == "tcp" {
					want = m.tcp
				}
				suffer(t, p, h, message(t, m.name, network), want)
				if n := h.counter("panics"); n != 0 {
					t.Errorf("%d panics", n)
				}
			})
		}
	}
}

// suffer sends a message and wants its outcome, and then an ordinary request to be answered.
func suffer(t *testing.T, p *peer, h *house, text, want string) {
	t.Helper()
	p.drain()
	flows := h.counter("flows")
	p.send(text)
	if code, _, _ := strings.Cut(want, ","); code != nothing && code != closed {
		got := p.nextOf(func(m *msg) bool { return m.method() == "" && !m.is("100") && strings.Contains(text, m.get("Call-Id")) })
		if !got.is(code) {
			t.Errorf("got %q, want %s", got.start, code)
		}
		if strings.HasSuffix(got.get("CSeq"), "INVITE") {
			p.send(ackTo(text, got))
		}
	}
	if strings.HasSuffix(want, closed) {
		eventually(t, func() bool { return h.counter("flows") > flows && h.acc.State().Registered })
	} else if n := h.counter("flows"); n != flows {
		t.Errorf("%d flows, want %d: the message has cost one", n, flows)
	}
	fence := p.newDialog("fence")
	p.send(fence.request("OPTIONS", ""))
	res := p.nextOf(func(m *msg) bool {
		return m.method() == "" && !m.is("100") && m.get("CSeq") != "" && !p.again(m, text, want)
	})
	if res.get("Call-Id") != "fence" || !res.is("200") {
		t.Errorf("got %q of %s, want nothing but the 200 to OPTIONS", res.start, res.get("Call-Id"))
	}
}

// drain forgets what came.
func (p *peer) drain() {
	for {
		select {
		case <-p.in:
		default:
			return
		}
	}
}

// again says whether m is a repeated answer to an INVITE, which had none of our ACKs yet; or an answer that was on its way when
// its stream ended.
func (p *peer) again(m *msg, text, want string) bool {
	return (strings.HasSuffix(m.get("CSeq"), "INVITE") || strings.HasSuffix(want, closed)) && strings.Contains(text, m.get("Call-Id"))
}

// ackTo acknowledges a 200 to a message that was sent as text.
func ackTo(text string, res *msg) string {
	var b strings.Builder
	b.WriteString("ACK sip:200@127.0.0.1 SIP/2.0\r\nMax-Forwards: 70\r\n")
	for _, l := range res.lines {
		switch n, v, _ := strings.Cut(l, ":"); strings.ToLower(n) {
		case "via", "from", "to", "call-id":
			b.WriteString(l + "\r\n")
		case "cseq":
			b.WriteString("CSeq: " + strings.Fields(v)[0] + " ACK\r\n")
		}
	}
	b.WriteString("Content-Length: 0\r\n\r\n")
	return b.String()
}
