package sip_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/sip"
)

func networks(t *testing.T, f func(t *testing.T, network string)) {
	for _, n := range []string{"udp", "tcp", "tls"} {
		t.Run(n, func(t *testing.T) { f(t, n) })
	}
}

func TestCallOnTheRegisteredFlowIsAnswered(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		p, h := start(t, network, nil)
		d := p.newDialog("c1")
		p.send(d.request("INVITE", sdpOne, "p-rc-api-ids: party-id=p-1-4;session-id=s-1",
			"P-RC-API-Monitoring-IDs: session-id=s-1; party-id=p-1-2", "Alert-Info: Auto Answer",
			"Call-Info: ;Answer-After=0", "Session-Expires: 14400;refresher=uac", "Supported: replaces, timer",
			"Record-Route: <sip:127.0.0.1:5999;lr>", "p-rc-api-call-info: callAttributes=queue-call,reject;queueName=Sales"))
		p.next("100")
		res := d.learn(p.final(d.cseq("INVITE")))
		if !res.is("200") {
			t.Fatalf("got %q", res.start)
		}
		contact := d.contact
		for name, want := range map[string]string{
			"Contact": "<" + contact + ">", "Session-Expires": "14400;refresher=uac", "Require": "timer", "Allow": "UPDATE",
			"Supported": "timer", "Record-Route": "<sip:127.0.0.1:5999;lr>", "Content-Type": "application/sdp",
		} {
			if got := res.get(name); !strings.Contains(got, want) {
				t.Errorf("%s: got %q, want %q in it", name, got, want)
			}
		}
		if !strings.Contains(res.body, "m=audio 20000 RTP/AVP 0 8 101") && !strings.Contains(res.body, "m=audio 20000 RTP/AVP 0") {
			t.Errorf("answer: %s", res.body)
		}
		p.send(d.request("ACK", ""))
		l := h.leg(0, func(l *leg) bool { return l.dialog != nil })
		h.set(func() {
			inv := l.inv
			if inv.Own != (sip.PartyRef{Session: "s-1", Party: "p-1-4"}) || inv.Monitored != (sip.PartyRef{Session: "s-1", Party: "p-1-2"}) {
				t.Errorf("parties: %+v %+v", inv.Own, inv.Monitored)
			}
			if !inv.AutoAnswer || inv.CallID != "c1" || inv.FromUser != "108" || inv.CallInfo["queueName"] != "Sales" || len(inv.Lines) != 1 || inv.Offer == nil {
				t.Errorf("invitation: %+v", inv)
			}
			if l.commits != 1 || l.undos != 0 {
				t.Errorf("commits %d, undos %d", l.commits, l.undos)
			}
		})
		if bye := d.ask("BYE", "", `Reason: Q.850;cause=16;text="bye"`); !bye.is("200") {
			t.Errorf("BYE: %q", bye.start)
		}
		if c := h.ended(0); c.Code != call.CodeHangup || !strings.Contains(c.Text, "cause=16") {
			t.Errorf("cause: %+v", c)
		}
		eventually(t, func() bool { return h.acc.State().Dialogs == 0 })
		if got := d.ask("INFO", ""); !got.is("481") {
			t.Errorf("after BYE: %q", got.start)
		}
	})
}

func TestSeveralLinesAreAnsweredInPlace(t *testing.T) {
	p, h := start(t, "udp", nil)
	res := p.newDialog("two").establish(sdpTwo)
	i, j := strings.Index(res.body, "m=audio 20000 RTP/AVP 0"), strings.Index(res.body, "m=audio 20002 RTP/AVP 8")
	if i < 0 || j < i {
		t.Errorf("answer:\n%s", res.body)
	}
	l := h.leg(0, func(l *leg) bool { return l.dialog != nil })
	h.set(func() {
		if ls := l.inv.Lines; len(ls) != 2 || ls[0].Party != "cs1-7" || ls[1].Party != "cs1-8" {
			t.Errorf("lines: %+v", ls)
		}
	})
}

func TestLostACKRepeatsThe200UntilItComes(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		p, h := start(t, network, nil)
		d := p.newDialog("lost")
		first := d.call(sdpOne)
		for range 3 {
			again := p.final(d.cseq("INVITE"))
			if again.body != first.body || again.get("To") != first.get("To") {
				t.Fatalf("another 200: %s", again)
			}
		}
		p.send(d.request("ACK", ""))
		h.leg(0, func(l *leg) bool { return l.dialog != nil })
	})
}

func TestACKWithTheInvitesBranchCounts(t *testing.T) {
	p, h := start(t, "udp", nil)
	d := p.newDialog("branch")
	d.call(sdpOne)
	ack := d.request("ACK", "")
	_, rest, _ := strings.Cut(ack, "Max-Forwards")
	head, _, _ := strings.Cut(ack, "Via")
	p.send(head + "Via: " + d.invite + "\r\nMax-Forwards" + rest)
	h.leg(0, func(l *leg) bool { return l.dialog != nil })
}

func TestWithoutACKTheCallEndsWithBYE(t *testing.T) {
	p, h := start(t, "tcp", func(c *sip.Config) {
		tm := short
		tm.T1 = 3 * time.Millisecond
		*c = c.WithTimers(tm)
	})
	d := p.newDialog("noack")
	d.call(sdpOne)
	bye := p.next("BYE")
	if !strings.Contains(bye.start, "sip:108@"+p.addr()) || !strings.Contains(bye.get("To"), d.tag) || !strings.Contains(bye.get("From"), d.far) {
		t.Errorf("BYE: %s", bye)
	}
	if c := h.ended(0); c.Code != call.CodeNoACK {
		t.Errorf("cause: %+v", c)
	}
}

// A copy that was under way when the ACK came: sipgo has forgotten the transaction by then.
func TestRFC6026LateCopyOfAnAnsweredInviteMakesNoSecondCall(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		p, h := start(t, network, nil)
		d := p.newDialog("copy")
		invite := d.request("INVITE", sdpOne)
		p.send(invite)
		d.learn(p.final(d.cseq("INVITE")))
		p.send(d.request("ACK", ""))
		h.leg(0, func(l *leg) bool { return l.dialog != nil })
		p.send(invite)
		if network != "udp" { // where sipgo remembers it
			eventually(t, func() bool { return h.counter("invites") == 2 })
		}
		for _, method := range []string{"OPTIONS", "BYE"} {
			if res := d.ask(method, ""); !res.is("200") {
				t.Errorf("%s: %q", method, res.start)
			}
		}
		h.ended(0)
		h.set(func() {
			if n := len(h.legs); n != 1 {
				t.Errorf("%d calls, want 1", n)
			}
		})
	})
}

func TestCancelBeforeTheAnswer(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		p, h := start(t, network, nil)
		h.set(func() { h.hold = make(chan struct{}) })
		d := p.newDialog("cancel")
		p.send(d.request("INVITE", sdpOne))
		h.leg(0, func(*leg) bool { return true })
		p.send(d.request("CANCEL", "", "Reason: SIP;cause=200;text=\"elsewhere\""))
		var got []string
		for len(got) < 2 {
			m := p.nextOf(func(m *msg) bool { return m.method() == "" && !m.is("100") })
			got = append(got, m.start+" "+m.get("CSeq"))
			if m.is("487") {
				d.learn(m)
				p.send(d.request("ACK", ""))
			}
		}
		all := strings.Join(got, "|")
		if !strings.Contains(all, "SIP/2.0 200 OK "+d.cseq("CANCEL")) || !strings.Contains(all, "SIP/2.0 487 Request Terminated "+d.cseq("INVITE")) {
			t.Errorf("answers: %s", all)
		}
		if c := h.ended(0); c.Code != call.CodeCancelled || !strings.Contains(c.Text, "elsewhere") {
			t.Errorf("cause: %+v", c)
		}
	})
}

// Both in one segment: sipgo hands the CANCEL on first, nearly always.
func TestCancelInOneSegmentWithItsInvite(t *testing.T) {
	p, h := start(t, "tcp", nil)
	h.set(func() { h.hold = make(chan struct{}) })
	for i := range 20 {
		d := p.newDialog(fmt.Sprintf("seg%d", i))
		p.send(d.request("INVITE", sdpOne) + d.request("CANCEL", ""))
		if res := p.final(d.cseq("INVITE")); !res.is("487") {
			t.Fatalf("INVITE: %q", res.start)
		}
	}
	eventually(t, func() bool { return h.acc.State().Dialogs == 0 })
}

// Whoever wins, the far side sees one final answer to the INVITE, and the leg one end.
func TestCancelRacesTheAnswer(t *testing.T) {
	p, h := start(t, "udp", nil)
	for i := range 40 {
		d := p.newDialog(fmt.Sprintf("race%d", i))
		p.send(d.request("INVITE", sdpOne))
		p.send(d.request("CANCEL", ""))
		res := d.learn(p.final(d.cseq("INVITE")))
		p.send(d.request("ACK", ""))
		switch {
		case res.is("200"):
			if bye := d.ask("BYE", ""); !bye.is("200") {
				t.Fatalf("BYE: %q", bye.start)
			}
		case !res.is("487"):
			t.Fatalf("INVITE: %q", res.start)
		}
	}
	eventually(t, func() bool { return h.acc.State().Dialogs == 0 })
	h.mu.Lock()
	n := len(h.legs)
	h.mu.Unlock()
	for i := range n {
		h.ended(i)
		h.set(func() {
			if got := len(h.legs[i].ended); got != 1 {
				t.Errorf("leg %d: ended %d times", i, got)
			}
		})
	}
}

func TestByeInOneSegmentWithTheACK(t *testing.T) {
	p, h := start(t, "tcp", nil)
	for i := range 20 {
		d := p.newDialog(fmt.Sprintf("ab%d", i))
		if res := d.call(sdpOne); !res.is("200") {
			t.Fatalf("INVITE: %q", res.start)
		}
		p.send(d.request("ACK", "") + d.request("BYE", ""))
		if res := p.final(d.cseq("BYE")); !res.is("200") {
			t.Fatalf("BYE: %q", res.start)
		}
		if c := h.ended(i); c.Code != call.CodeHangup {
			t.Errorf("cause: %+v", c)
		}
	}
}

func TestReinviteBeforeItsACKWaits(t *testing.T) {
	p, h := start(t, "tcp", nil)
	d := p.newDialog("early")
	d.call(sdpOne)
	ack := d.request("ACK", "")
	p.send(d.request("INVITE", strings.ReplaceAll(sdpOne, "42898", "42900")))
	p.send(ack)
	if res := p.final(d.cseq("INVITE")); !res.is("200") {
		t.Fatalf("re-INVITE: %q", res.start)
	}
	l := h.leg(0, func(l *leg) bool { return l.dialog != nil && len(l.prepared) == 2 })
	h.set(func() {
		if got := l.prepared[1][0].Remote.Port(); got != 42900 {
			t.Errorf("remote port %d, want 42900", got)
		}
	})
}

func TestLateOffer(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		p, h := start(t, network, nil)
		d := p.newDialog("late")
		res := d.call("")
		if !res.is("200") || !strings.Contains(res.body, "m=audio 20000 RTP/") {
			t.Fatalf("got %s", res)
		}
		answer := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
		if network == "tls" {
			answer = strings.Replace(answer, "AVP 0", "SAVP 0", 1) + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n"
		}
		p.send(d.request("ACK", answer))
		l := h.leg(0, func(l *leg) bool { return l.dialog != nil })
		h.set(func() {
			if len(l.prepared) != 2 || l.commits != 2 || l.prepared[0][0].Remote.IsValid() || l.prepared[1][0].Remote.Port() != 4000 {
				t.Errorf("prepared %+v, commits %d", l.prepared, l.commits)
			}
			if l.inv.Offer != nil {
				t.Error("there was no offer")
			}
		})
	})
}

func TestLateOfferWithoutAnswerEndsWithBYE(t *testing.T) {
	p, h := start(t, "udp", nil)
	d := p.newDialog("late0")
	d.call("")
	p.send(d.request("ACK", ""))
	p.next("BYE")
	if c := h.ended(0); c.Code != call.CodeProtocol {
		t.Errorf("cause: %+v", c)
	}
}

func TestRefusals(t *testing.T) {
	p, h := start(t, "udp", func(c *sip.Config) { c.RingCentral = false })
	h.set(func() { h.refuse = &sip.Refusal{Code: 486, Reason: "Not Now", RetryAfter: 1500 * time.Millisecond} })
	cases := []struct {
		name, body string
		headers    []string
		user       string
		want       string
		header     string
	}{
		{name: "handler", body: sdpOne, want: "486", header: "Retry-After: 2"},
		{name: "no codec", body: "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 9\r\n", want: "488", header: "Warning: 304"},
		{name: "no sdp", body: "hello", want: "400"},
		{name: "body type", body: "hello", headers: []string{"Content-Type: text/plain"}, want: "415", header: "Accept: application/sdp"},
		{name: "encoding", body: sdpOne, headers: []string{"Content-Encoding: gzip"}, want: "415", header: "Accept-Encoding: identity"},
		{name: "require", body: sdpOne, headers: []string{"Require: timer, foo"}, want: "420", header: "Unsupported: foo"},
		{name: "short session", body: sdpOne, headers: []string{"Supported: timer", "Session-Expires: 60"}, want: "422", header: "Min-SE: 90"},
		{name: "somebody else", body: sdpOne, user: "999", want: "404"},
		{name: "replaces nobody", body: sdpOne, headers: []string{"Replaces: x;to-tag=a;from-tag=b"}, want: "481"},
		{name: "two replaces", body: sdpOne, headers: []string{"Replaces: x;to-tag=a;from-tag=b", "Replaces: y;to-tag=a;from-tag=b"}, want: "400"},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			d := p.newDialog(fmt.Sprintf("ref%d", i))
			if c.user != "" {
				d.contact = strings.Replace(d.contact, "200@", c.user+"@", 1)
			}
			res := d.call(c.body, c.headers...)
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

func TestTheSameInviteByTwoWaysIsOneCall(t *testing.T) {
	p, h := start(t, "udp", nil)
	h.set(func() { h.hold = make(chan struct{}) })
	d := p.newDialog("merge")
	p.send(d.request("INVITE", sdpOne))
	h.leg(0, func(*leg) bool { return true })
	first := d.invite
	d.seq--
	p.send(d.request("INVITE", sdpOne))
	res := p.final(d.cseq("INVITE"))
	if !res.is("482") || strings.Contains(res.get("Via"), first) {
		t.Errorf("second: %s", res)
	}
	h.set(func() { close(h.hold) })
	if res := p.final(d.cseq("INVITE")); !res.is("200") {
		t.Errorf("first: %q", res.start)
	}
}

func TestMoreThanMaxCallsAreBusy(t *testing.T) {
	p, _ := start(t, "udp", func(c *sip.Config) { c.MaxCalls = 1 })
	p.newDialog("one").establish(sdpOne)
	if res := p.newDialog("more").call(sdpOne); !res.is("486") {
		t.Errorf("got %q, want 486", res.start)
	}
}

func TestDrainingRefusesNewCallsOnly(t *testing.T) {
	p, h := start(t, "udp", nil)
	d := p.newDialog("old")
	d.establish(sdpOne)
	h.acc.Drain()
	if res := p.newDialog("new").call(sdpOne); !res.is("503") || res.get("Retry-After") == "" {
		t.Errorf("new: %s", res)
	}
	if res := d.ask("INVITE", sdpOne); !res.is("200") {
		t.Errorf("old: %q", res.start)
	}
}

func TestAStrangersDatagramsAreNotHeard(t *testing.T) {
	p, h := start(t, "udp", nil)
	c, err := net.ListenPacket("udp", "127.0.0.9:0")
	if err != nil {
		t.Skipf("127.0.0.9: %v", err)
	}
	defer c.Close()
	to := net.UDPAddrFromAddrPort(h.acc.State().Local)
	d := p.newDialog("stranger")
	if _, err := c.WriteTo([]byte(d.request("INVITE", sdpOne)), to); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return h.counter("datagrams_foreign") == 1 })
	if n := h.counter("invites"); n != 0 {
		t.Errorf("%d INVITEs were heard", n)
	}
	for _, b := range []string{"\r\n\r\n", "\x00\x01\x00\x00\x21\x12\xa4\x42" + strings.Repeat("x", 12), "garbage\x00\xff", "INVITE sip:x SIP/2.0\r\n\r\n"} {
		p.send(b)
	}
	eventually(t, func() bool { return h.counter("datagrams_keepalive") == 1 && h.counter("datagrams_stun") == 1 })
	p.newDialog("after").establish(sdpOne)
}

func TestReplacesTakesThePlaceOfTheOldDialog(t *testing.T) {
	p, h := start(t, "udp", nil)
	old := p.newDialog("old")
	old.establish(sdpOne)
	h.leg(0, func(l *leg) bool { return l.dialog != nil })
	d := p.newDialog("new")
	d.establish(sdpOne, fmt.Sprintf("Replaces: old;to-tag=%s;from-tag=%s", old.far, old.tag))
	bye := p.next("BYE")
	if bye.get("Call-ID") != "old" {
		t.Errorf("BYE to %q", bye.get("Call-ID"))
	}
	if c := h.ended(0); c.Code != call.CodeReplaced {
		t.Errorf("cause: %+v", c)
	}
}

// A caller may replace his call again and again: each names the one before it, and none of them may be kept for that.
func TestReplacedDialogIsForgotten(t *testing.T) {
	p, h := start(t, "tcp", nil)
	old := p.newDialog("old")
	old.establish(sdpOne)
	h.leg(0, func(l *leg) bool { return l.dialog != nil })
	p.newDialog("new").establish(sdpOne, fmt.Sprintf("Replaces: old;to-tag=%s;from-tag=%s", old.far, old.tag))
	h.ended(0)
	var first weak.Pointer[sip.Dialog]
	h.set(func() { first, h.legs[0].dialog = weak.Make(h.legs[0].dialog), nil })
	eventually(t, func() bool { runtime.GC(); return first.Value() == nil })
}

func TestPrepareErrorRefusesTheCall(t *testing.T) {
	p, h := start(t, "udp", nil)
	h.set(func() { h.hold = make(chan struct{}) })
	d := p.newDialog("prep")
	p.send(d.request("INVITE", sdpOne))
	h.leg(0, func(*leg) bool { return true })
	h.set(func() {
		h.legs[0].prepareErr = fmt.Errorf("no ports: %w", &sip.Refusal{Code: 480})
		close(h.hold)
	})
	if res := p.final(d.cseq("INVITE")); !res.is("480") {
		t.Errorf("got %q", res.start)
	}
	if c := h.ended(0); c.Code != call.CodeRefused {
		t.Errorf("cause %+v", c)
	}
}

func TestAnswerLargerThanOnePacketLeavesOnUDP(t *testing.T) {
	p, _ := start(t, "udp", nil)
	var routes []string
	for i := range 40 {
		routes = append(routes, fmt.Sprintf("Record-Route: <sip:proxy-with-a-rather-long-name-%d.example.com;lr;tag=0123456789>", i))
	}
	res := p.newDialog("large").call(sdpTwo, routes...)
	if n := len(res.String()); !res.is("200") || n < 2000 {
		t.Errorf("%d octets of %q", n, res.start)
	}
}

func TestIdentifiersOfStrangersAreCleaned(t *testing.T) {
	p, h := start(t, "udp", nil)
	p.newDialog("../../etc/passwd").establish(sdpOne)
	l := h.leg(0, func(l *leg) bool { return l.dialog != nil })
	if l.inv.CallID != "../../etc/passwd" { // as it came: nobody may use it as a file name
		t.Errorf("Call-ID %q", l.inv.CallID)
	}
	if res := p.newDialog(strings.Repeat("x", 600)).call(sdpOne); !res.is("400") {
		t.Errorf("long Call-ID: %q", res.start)
	}
	p.newDialog("bell\x07\xff").establish(sdpOne)
	if l := h.leg(1, func(l *leg) bool { return l.dialog != nil }); l.inv.CallID != "bell__" {
		t.Errorf("Call-ID %q", l.inv.CallID)
	}
}

// Many calls at once, each with a re-INVITE: every one answered, none left behind.
func TestManyCallsAtOnce(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		p, h := start(t, network, nil)
		const n = 30
		ds := make([]*dialog, n)
		for i := range ds {
			ds[i] = p.newDialog(fmt.Sprintf("many%d", i))
			p.send(ds[i].request("INVITE", sdpOne))
		}
		byID := make(map[string]*dialog)
		for _, d := range ds {
			byID[d.id] = d
		}
		for range ds {
			m := p.nextOf(func(m *msg) bool {
				return m.is("200") && byID[m.get("Call-Id")] != nil && byID[m.get("Call-Id")].far == ""
			})
			d := byID[m.get("Call-Id")]
			d.learn(m)
			p.send(d.request("ACK", ""))
		}
		eventually(t, func() bool { return h.counter("dialogs_established") == n })
		for _, d := range ds {
			p.send(d.request("BYE", ""))
		}
		eventually(t, func() bool { return h.counter("dialogs_ended") == n && h.acc.State().Dialogs == 0 })
	})
}

func TestMultipartBodyHoldsTheOffer(t *testing.T) {
	p, _ := start(t, "udp", nil)
	body := "--b1\r\nContent-Type: application/x-other\r\n\r\nhello\r\n--b1\r\nContent-Type: application/sdp\r\n\r\n" + sdpOne + "\r\n--b1--\r\n"
	if res := p.newDialog("multi").call(body, "Content-Type: multipart/mixed;boundary=b1"); !res.is("200") || !strings.Contains(res.body, "m=audio 20000") {
		t.Errorf("got %s", res)
	}
	if res := p.newDialog("none").call("--b1\r\nContent-Type: text/plain\r\n\r\nx\r\n--b1--\r\n", `Content-Type: multipart/mixed;boundary="b1"`); !res.is("415") {
		t.Errorf("without sdp: %q", res.start)
	}
}

// A PBX of accept_from calls directly: our BYE goes to it, not to the proxy.
func TestCallFromAnAcceptedNetwork(t *testing.T) {
	p, h := start(t, "udp", func(c *sip.Config) {
		c.AcceptFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.8/32")}
		c.RingCentral = false
	})
	pbx := newPeer(t, "udp", "127.0.0.8:0", nil)
	to, err := net.ResolveUDPAddr("udp", h.acc.State().Local.String())
	if err != nil {
		t.Fatal(err)
	}
	contact := p.newDialog("").contact
	pbx.mu.Lock()
	pbx.flow = func(s string) { _, _ = pbx.pc.WriteTo([]byte(s), to) }
	pbx.contact = contact
	pbx.mu.Unlock()
	pbx.newDialog("direct").establish(sdpOne)
	l := h.leg(0, func(l *leg) bool { return l.dialog != nil })
	h.mu.Lock()
	dlg := l.dialog
	h.mu.Unlock()
	if err := dlg.Bye(t.Context(), call.Cause{Code: call.CodeReleased}); err != nil {
		t.Error(err)
	}
	pbx.next("BYE")
}

func TestStopAnswersAWaitingInviteWith503(t *testing.T) {
	h := newHouse(t)
	p := newPeer(t, "udp", "", nil)
	a, err := sip.New(config(p, h))
	if err != nil {
		t.Fatal(err)
	}
	h.acc = a
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	h.registered()
	h.set(func() { h.hold = make(chan struct{}) })
	d := p.newDialog("waits")
	p.send(d.request("INVITE", sdpOne))
	h.leg(0, func(*leg) bool { return true })
	cancel()
	if res := p.final(d.cseq("INVITE")); !res.is("503") || res.get("Retry-After") == "" {
		t.Errorf("got %s", res)
	}
	if c := h.ended(0); c.Code != call.CodeShutdown {
		t.Errorf("cause %+v", c)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
