package sip_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/sip"
)

// An INVITE is let in or turned away by what it requires, names, and is large with.
func TestRFC3261InviteIsAdmittedOrRefusedByName(t *testing.T) {
	p, h := start(t, "udp", func(c *sip.Config) { c.RingCentral = false })
	old := p.newDialog("old")
	old.establish(sdpOne)
	h.leg(0, func(l *leg) bool { return l.dialog != nil })
	for i, c := range []struct {
		name, body string
		headers    []string
		change     func(string) string
		want       string
		header     string
	}{
		{name: "Require 100rel: a 200 at once needs no PRACK", headers: []string{"Require: 100rel"}, want: "200"},
		{name: "Require of all that we know", headers: []string{"Require: timer, replaces, 100rel, from-change, histinfo, norefersub, answermode"}, want: "200"},
		{name: "Require join", headers: []string{"Require: join", "Join: old;to-tag=a;from-tag=b"}, want: "420", header: "Unsupported: join"},
		{name: "Join that is not required is passed over", headers: []string{"Join: old;to-tag=a;from-tag=b"}, want: "200"},
		{name: "Proxy-Require is for proxies", headers: []string{"Proxy-Require: foo"}, want: "200"},
		{name: "Max-Forwards 0 has reached us", change: replace("Max-Forwards: 70", "Max-Forwards: 0"), want: "200"},
		{name: "Max-Forwards 256", change: replace("Max-Forwards: 70", "Max-Forwards: 256"), want: "400"},
		{name: "scheme", change: replace("INVITE sip:", "INVITE xmpp:"), want: "416"},
		{name: "tel names no host: ours, as it came here", change: func(s string) string { return "INVITE tel:200 SIP/2.0\r\n" + s[strings.Index(s, "\r\n")+2:] }, want: "200"},
		{name: "early-only of an answered call", headers: []string{fmt.Sprintf("Replaces: old;to-tag=%s;from-tag=%s;early-only", old.far, old.tag)}, want: "486"},
		{name: "a person must answer", headers: []string{"Answer-Mode: Manual;require"}, want: "403"},
		{name: "a person should answer", headers: []string{"Answer-Mode: Manual"}, want: "200", header: "Answer-Mode: Auto"},
		{name: "auto-answer", headers: []string{"Answer-Mode: Auto;require"}, want: "200", header: "Answer-Mode: Auto"},
		{name: "too large", body: "v=0\r\n" + strings.Repeat("a=x\r\n", 8000), want: "413"},
		{name: "too many lines", body: sdpOne + strings.Repeat("m=audio 4000 RTP/AVP 0\r\n", 32), want: "413"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := p.newDialog(fmt.Sprint("adm", i))
			body := sdpOne
			if c.body != "" {
				body = c.body
			}
			text := d.request("INVITE", body, c.headers...)
			if c.change != nil {
				text = c.change(text)
			}
			p.send(text)
			var res *msg
			for res == nil || strings.HasPrefix(res.start, "SIP/2.0 100 ") {
				res = p.nextOf(func(m *msg) bool { return m.get("Call-Id") == d.id })
				if strings.HasPrefix(res.start, "SIP/2.0 18") {
					t.Errorf("a provisional answer that Require: 100rel would have to make reliable: %s", res)
				}
			}
			d.learn(res)
			p.send(d.request("ACK", ""))
			if !res.is(c.want) {
				t.Errorf("got %q, want %s", res.start, c.want)
			}
			if n, v, _ := strings.Cut(c.header, ": "); c.header != "" && !strings.Contains(res.get(n), v) {
				t.Errorf("%s: got %q, want %q", n, res.get(n), v)
			}
		})
	}
}

func replace(old, now string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, now, 1) }
}

// RFC 3261 section 8.2.2.3: a CANCEL with Require is still a CANCEL, and so is an ACK.
func TestRequireCountsNeitherInCancelNorInACK(t *testing.T) {
	p, h := start(t, "udp", nil)
	h.set(func() { h.hold = make(chan struct{}) })
	d := p.newDialog("cancel")
	p.send(d.request("INVITE", sdpOne))
	h.leg(0, func(*leg) bool { return true })
	p.send(d.request("CANCEL", "", "Require: foo"))
	if res := p.final(d.cseq("INVITE")); !res.is("487") {
		t.Errorf("INVITE: %q", res.start)
	}
	h.set(func() { h.hold = nil })
	d = p.newDialog("ack")
	d.call(sdpOne)
	p.send(d.request("ACK", "", "Require: foo"))
	h.leg(1, func(l *leg) bool { return l.dialog != nil })
}

func TestInvitationTellsWhoElseIsNamed(t *testing.T) {
	p, h := start(t, "tls", nil)
	many := make([]string, 20)
	for i := range many {
		many[i] = fmt.Sprintf("History-Info: <sip:%d@127.0.0.1>;index=1.%d", i, i)
	}
	p.newDialog("id").establish(sdpOne, append(many,
		`P-Asserted-Identity: "Bob" <sip:+12055550101@127.0.0.1>`, "P-Asserted-Identity: tel:+12055550101", "Remote-Party-ID: <sip:other@127.0.0.1>",
		"Diversion: <sip:500@127.0.0.1>;reason=no-answer\x07"+strings.Repeat("x", 2*256))...)
	p.newDialog("rpid").establish(sdpOne, `Remote-Party-ID: "Bob" <sip:200@127.0.0.1>;party=calling`)
	l, other := h.leg(0, func(l *leg) bool { return l.dialog != nil }), h.leg(1, func(l *leg) bool { return l.dialog != nil })
	id := l.inv.Identity
	if want := []string{`"Bob" <sip:+12055550101@127.0.0.1>`, "tel:+12055550101"}; !reflect.DeepEqual(id.Asserted, want) {
		t.Errorf("Asserted: got %q, want %q", id.Asserted, want)
	}
	if len(id.Diversion) != 1 || !strings.HasPrefix(id.Diversion[0], "<sip:500@127.0.0.1>;reason=no-answer_x") || len(id.Diversion[0]) != 256 {
		t.Errorf("Diversion: got %q, want one, cleaned and cut to 256 octets", id.Diversion)
	}
	if len(id.History) != 8 || !strings.Contains(id.History[7], "index=1.7") {
		t.Errorf("History: got %d, want the first 8", len(id.History))
	}
	if got := other.inv.Identity.Asserted; len(got) != 1 || !strings.Contains(got[0], "party=calling") {
		t.Errorf("Remote-Party-ID: got %q", got)
	}
	if !l.inv.Secure {
		t.Error("not secure, though it came over TLS")
	}
}

func TestInvitationTellsWhichDialogItReplaces(t *testing.T) {
	p, h := start(t, "udp", nil)
	old := p.newDialog("old")
	old.establish(sdpOne)
	l := h.leg(0, func(l *leg) bool { return l.dialog != nil })
	p.newDialog("new").establish(sdpOne, fmt.Sprintf("Replaces: old ; From-Tag=%s ; TO-TAG = %s", old.tag, old.far))
	now := h.leg(1, func(l *leg) bool { return l.dialog != nil })
	if l.inv.Replaces != "" || now.inv.Replaces != "old" || l.inv.Secure {
		t.Errorf("replaces %q, then %q; want none, then old", l.inv.Replaces, now.inv.Replaces)
	}
	if c := h.ended(0); c.Code != call.CodeReplaced {
		t.Errorf("cause %+v", c)
	}
}

// Too much at once: an INVITE is told so, for its caller could wait 32 s otherwise; what else comes gets no answer.
func TestOverloadAnswersInvitesWith503(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		p, h := start(t, network, nil)
		live := p.newDialog("live")
		live.establish(sdpOne)
		h.leg(0, func(l *leg) bool { return l.dialog != nil })
		empty := h.acc.FillGate()
		lost := p.newDialog("options")
		p.send(lost.request("OPTIONS", ""))
		eventually(t, func() bool { return h.counter("requests_overflow") == 1 })
		for i := range 3 {
			if res := p.newDialog(fmt.Sprint("more", i)).call(sdpOne); !res.is("503") || res.get("Retry-After") != "2" || !strings.Contains(res.get("To"), "tag=") {
				t.Errorf("got %s", res)
			}
		}
		p.send(live.request("INVITE", sdpOne)) // in a dialog: its caller must not take a 503 for the call's end
		eventually(t, func() bool { return h.counter("requests_overflow") == 5 })
		p.nothing(50*time.Millisecond, "503")
		empty()
		if res := live.ask("INVITE", sdpOne); !res.is("200") {
			t.Errorf("re-INVITE, when there was room again: %q", res.start)
		}
		p.send(live.request("ACK", ""))
		p.newDialog("after").establish(sdpOne)
		if n := h.counter("panics"); n != 0 {
			t.Errorf("%d panics", n)
		}
	})
}

func TestRFC6086UnknownInfoPackageIs469(t *testing.T) {
	_, _, d, _, _ := up(t, "udp", func(c *sip.Config) { c.RingCentral = false })
	res := d.ask("INFO", "x", "Content-Type: text/plain", "Info-Package: foo")
	if !res.is("469") || res.get("Recv-Info") != "nil" {
		t.Errorf("got %s", res)
	}
	if res := d.ask("INFO", "<media_control/>", "Content-Type: application/media_control+xml"); !res.is("200") {
		t.Errorf("without a package: %q", res.start)
	}
	_, _, ring, _, _ := up(t, "udp", nil)
	if res := ring.ask("INFO", "x", "Content-Type: text/plain", "Info-Package: foo"); !res.is("200") { // refusing caused trouble there
		t.Errorf("RingCentral: %q", res.start)
	}
}

// RFC 3261 section 17.2.1: until the final answer a copy of the INVITE gets what was said last, and is no call.
func TestCopyOfAnOpenInviteGetsTheLastAnswerAgain(t *testing.T) {
	p, h := start(t, "udp", nil)
	h.set(func() { h.hold = make(chan struct{}) })
	d := p.newDialog("copy")
	invite := d.request("INVITE", sdpOne)
	for range 3 {
		p.send(invite)
		p.next("100")
	}
	h.set(func() { close(h.hold) })
	d.learn(p.final(d.cseq("INVITE")))
	p.send(d.request("ACK", ""))
	h.leg(0, func(l *leg) bool { return l.dialog != nil })
	h.set(func() {
		if n := len(h.legs); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

// RFC 3261 section 17.2.1: over UDP a refusal is said again until it is acknowledged, and not afterwards.
func TestRefusalIsRepeatedUntilItsACK(t *testing.T) {
	t.Parallel()
	p, h := start(t, "udp", nil)
	h.set(func() { h.refuse = &sip.Refusal{Code: 486} })
	d := p.newDialog("refused")
	first := d.call(sdpOne)
	second := p.final(d.cseq("INVITE")) // after T1
	if !first.is("486") || second.get("To") != first.get("To") {
		t.Errorf("got %q with %q, then %q with %q", first.start, first.get("To"), second.start, second.get("To"))
	}
	ack := strings.Replace(d.request("ACK", ""), "To: <sip:200@127.0.0.1>", "To: "+first.get("To"), 1)
	_, rest, _ := strings.Cut(ack, "Max-Forwards")
	head, _, _ := strings.Cut(ack, "Via")
	p.send(head + "Via: " + d.invite + "\r\nMax-Forwards" + rest)
	p.nothing(1200*time.Millisecond, "486") // the third would come 1 s after the second
}
