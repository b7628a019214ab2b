package sip_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/sip/offer"
)

func version(body string) string {
	for l := range strings.Lines(body) {
		if strings.HasPrefix(l, "o=") {
			return strings.TrimSpace(l)
		}
	}
	return ""
}

// up is an established call.
func up(t *testing.T, network string, change func(*sip.Config), headers ...string) (*peer, *house, *dialog, *leg, *msg) {
	t.Helper()
	p, h := start(t, network, change)
	d := p.newDialog("d1")
	res := d.establish(sdpOne, headers...)
	return p, h, d, h.leg(0, func(l *leg) bool { return l.dialog != nil }), res
}

func TestReinviteHoldAndResume(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		p, h, d, l, first := up(t, network, nil)
		held := d.ask("INVITE", strings.Replace(sdpOne, "sendrecv", "sendonly", 1))
		p.send(d.request("ACK", ""))
		if !held.is("200") || !strings.Contains(held.body, "a=recvonly") {
			t.Fatalf("hold: %s", held)
		}
		h.set(func() {
			if s := l.prepared[1][0]; !s.Hold || s.Ours != offer.RecvOnly {
				t.Errorf("stream %+v", s)
			}
		})
		back := d.ask("INVITE", sdpOne)
		p.send(d.request("ACK", ""))
		same := d.ask("INVITE", sdpOne)
		p.send(d.request("ACK", ""))
		if version(back.body) == version(first.body) || version(back.body) != version(same.body) {
			t.Errorf("o= lines: %q, %q, %q", version(first.body), version(back.body), version(same.body))
		}
		h.leg(0, func(l *leg) bool { return l.commits == 4 })
	})
}

func TestBadReinviteLeavesTheSessionAsItWas(t *testing.T) {
	p, h, d, l, _ := up(t, "udp", nil)
	for _, c := range []struct {
		body, want string
		headers    []string
	}{
		{strings.Replace(sdpOne, "111 0 8 101", "9", 1), "488", nil},
		{"rubbish", "400", nil},
		{"x", "415", []string{"Content-Type: text/plain"}},
		{sdpOne, "420", []string{"Require: foo"}},
		{sdpOne, "422", []string{"Supported: timer", "Session-Expires: 10"}},
	} {
		res := d.ask("INVITE", c.body, c.headers...)
		p.send(d.request("ACK", ""))
		if !res.is(c.want) {
			t.Errorf("got %q, want %s", res.start, c.want)
		}
	}
	h.set(func() { l.prepareErr = errTest })
	if res := d.ask("INVITE", sdpOne); !res.is("488") {
		t.Errorf("prepare: got %q", res.start)
	}
	p.send(d.request("ACK", ""))
	h.set(func() {
		l.prepareErr = nil
		if len(l.prepared) != 1 || len(l.ended) != 0 {
			t.Errorf("prepared %d times, ended %v", len(l.prepared), l.ended)
		}
	})
	if res := d.ask("INVITE", sdpOne); !res.is("200") {
		t.Errorf("after: %q", res.start)
	}
}

func TestReinviteWithoutSDPOffersAgain(t *testing.T) {
	p, h, d, l, first := up(t, "udp", nil)
	res := d.ask("INVITE", "")
	if !res.is("200") || version(res.body) != version(first.body) {
		t.Fatalf("got %s", res)
	}
	p.send(d.request("ACK", strings.Replace(sdpOne, "42898", "43000", 1)))
	h.leg(0, func(l *leg) bool { return l.commits == 2 })
	h.set(func() {
		if got := l.prepared[1][0].Remote.Port(); got != 43000 {
			t.Errorf("port %d", got)
		}
	})
	// Without an answer the call stays as it was.
	if res := d.ask("INVITE", ""); !res.is("200") {
		t.Fatalf("got %q", res.start)
	}
	p.send(d.request("ACK", ""))
	if res := d.ask("OPTIONS", ""); !res.is("200") {
		t.Errorf("OPTIONS: %q", res.start)
	}
}

func TestOfferWhileOursIsOpenIsRefused(t *testing.T) {
	p, _, d, _, _ := up(t, "udp", nil)
	if res := d.ask("INVITE", ""); !res.is("200") {
		t.Fatalf("got %q", res.start)
	}
	ack := d.request("ACK", sdpOne)
	if res := d.ask("UPDATE", sdpOne); !res.is("500") || res.get("Retry-After") == "" {
		t.Errorf("UPDATE: %s", res)
	}
	if res := d.ask("INVITE", sdpOne); !res.is("491") {
		t.Errorf("INVITE: %q", res.start)
	}
	p.send(ack)
}

func TestUpdate(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		_, h, d, l, _ := up(t, network, nil, "Session-Expires: 1800;refresher=uac", "Supported: timer")
		res := d.ask("UPDATE", "", "Session-Expires: 1800;refresher=uac", "Supported: timer")
		if !res.is("200") || res.get("Session-Expires") != "1800;refresher=uac" || res.get("Contact") == "" || res.body != "" {
			t.Errorf("without SDP: %s", res)
		}
		res = d.ask("UPDATE", strings.Replace(sdpOne, "42898", "42902", 1))
		if !res.is("200") || !strings.Contains(res.body, "m=audio") {
			t.Errorf("with SDP: %s", res)
		}
		h.set(func() {
			if len(l.prepared) != 2 || l.prepared[1][0].Remote.Port() != 42902 {
				t.Errorf("prepared %+v", l.prepared)
			}
		})
	})
}

func TestOtherRequestsInTheDialog(t *testing.T) {
	_, h, d, _, _ := up(t, "udp", nil)
	for _, c := range []struct {
		method, body, want string
		headers            []string
	}{
		{"OPTIONS", "", "200", nil},
		{"INFO", "Signal=5\r\nDuration=160\r\n", "200", []string{"Content-Type: application/dtmf-relay"}},
		{"INFO", "#", "200", []string{"Content-Type: application/dtmf"}},
		{"INFO", "Signal=long", "200", []string{"Content-Type: application/dtmf-relay"}},
		{"INFO", `{"request":{}}`, "200", []string{"Content-Type: application/json;charset=utf-8"}},
		{"INFO", "", "200", nil},
		{"NOTIFY", "", "200", []string{"Event: foo"}},
		{"MESSAGE", "<Msg/>", "200", []string{"Content-Type: x-rc/agent"}},
		{"REFER", "", "603", []string{"Refer-To: <sip:1@127.0.0.1>"}},
		{"SUBSCRIBE", "", "489", []string{"Event: presence"}},
		{"PRACK", "", "405", nil},
		{"FOO", "", "501", nil},
	} {
		if res := d.ask(c.method, c.body, c.headers...); !res.is(c.want) {
			t.Errorf("%s %q: got %q, want %s", c.method, c.body, res.start, c.want)
		}
	}
	h.leg(0, func(l *leg) bool { return strings.Join(l.digits, "") == "5#" })
}

func TestRequestsOutsideOfDialogs(t *testing.T) {
	for _, ring := range []bool{true, false} {
		p, _ := start(t, "udp", func(c *sip.Config) { c.RingCentral = ring })
		pick := func(yes, no string) string {
			if ring {
				return yes
			}
			return no
		}
		for i, c := range []struct {
			method, want string
			headers      []string
		}{
			{"OPTIONS", "200", nil},
			{"NOTIFY", "200", []string{"Event: check-sync"}},
			{"NOTIFY", pick("200", "489"), []string{"Event: foo"}},
			{"MESSAGE", pick("200", "405"), nil},
			{"REFER", "603", nil},
			{"SUBSCRIBE", "489", nil},
			{"BYE", "481", nil},
			{"UPDATE", "481", nil},
			{"INFO", "481", nil},
			{"PUBLISH", "405", nil},
			{"FOO", "501", nil},
			{"CANCEL", "481", nil},
		} {
			d := p.newDialog(fmt.Sprintf("out%v%d", ring, i))
			d.invite = d.via()
			if res := d.ask(c.method, "", c.headers...); !res.is(c.want) {
				t.Errorf("ring %v: %s %v: got %q, want %s", ring, c.method, c.headers, res.start, c.want)
			} else if c.want == "405" || c.want == "501" {
				if !strings.Contains(res.get("Allow"), "INVITE") {
					t.Errorf("%s: no Allow: %s", c.method, res)
				}
			}
			d.far = "nobody"
			if c.method == "INFO" {
				if res := d.ask("INFO", ""); !res.is("481") {
					t.Errorf("unknown dialog: %q", res.start)
				}
			}
		}
	}
}

func TestRingCentralsOtherTagsFindTheDialogByCallID(t *testing.T) {
	p, _, d, _, _ := up(t, "tls", nil)
	d.tag, d.far = "another", "another-too"
	if res := d.ask("INVITE", sdpOne); !res.is("200") {
		t.Errorf("INVITE: %q", res.start)
	}
	p.send(d.request("ACK", ""))
	if res := d.ask("BYE", ""); !res.is("200") {
		t.Errorf("BYE: %q", res.start)
	}
}

func TestOtherTagsAreNobodyElsewhere(t *testing.T) {
	_, _, d, _, _ := up(t, "udp", func(c *sip.Config) { c.RingCentral = false })
	d.far = "another-too"
	if res := d.ask("INVITE", sdpOne); !res.is("481") {
		t.Errorf("INVITE: %q", res.start)
	}
}

func TestLowerCSeqIsRefused(t *testing.T) {
	p, _, d, _, _ := up(t, "udp", nil)
	for method, want := range map[string]string{"INVITE": "500", "UPDATE": "500", "INFO": "200", "OPTIONS": "200"} {
		d.seq = 50
		if res := d.ask(method, sdpOne); !res.is(want) {
			t.Errorf("%s: got %q, want %s", method, res.start, want)
		}
		if method == "INVITE" {
			p.send(d.request("ACK", ""))
		}
	}
}

func TestOurByeGoesTheWayOfTheDialog(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		p, h, d, l, _ := up(t, network, nil, "Record-Route: <sip:192.0.2.1:5070;lr>", "Record-Route: <sip:192.0.2.2;lr>")
		h.mu.Lock()
		dlg := l.dialog
		h.mu.Unlock()
		if dlg.CallID() != "d1" {
			t.Errorf("Call-ID %q", dlg.CallID())
		}
		if err := dlg.Bye(t.Context(), call.Cause{Code: call.CodeReleased, Text: "by hand"}); err != nil {
			t.Errorf("Bye: %v", err)
		}
		bye := p.next("BYE")
		if bye.start != "BYE sip:108@"+p.addr()+" SIP/2.0" {
			t.Errorf("start line %q", bye.start)
		}
		if got := bye.header.Values("Route"); strings.Join(got, " ") != "<sip:192.0.2.1:5070;lr> <sip:192.0.2.2;lr>" {
			t.Errorf("Route %q", got)
		}
		if bye.from != h.acc.State().Local.String() {
			t.Errorf("left from %s, want the flow %s", bye.from, h.acc.State().Local)
		}
		if !strings.Contains(bye.get("To"), "tag="+d.tag) || !strings.Contains(bye.get("From"), "tag="+d.far) {
			t.Errorf("tags: From %q To %q", bye.get("From"), bye.get("To"))
		}
		if c := h.ended(0); c.Code != call.CodeReleased || c.Text != "by hand" {
			t.Errorf("cause %+v", c)
		}
		if err := dlg.Bye(t.Context(), call.Cause{}); err == nil {
			t.Error("second Bye: no error")
		}
	})
}

func TestStrictRouterIsTheRequestURI(t *testing.T) {
	p, h, _, l, _ := up(t, "udp", nil, "Record-Route: <sip:192.0.2.1:5070>")
	h.mu.Lock()
	dlg := l.dialog
	h.mu.Unlock()
	_ = dlg.Bye(t.Context(), call.Cause{Code: call.CodeReleased})
	bye := p.next("BYE")
	if bye.start != "BYE sip:192.0.2.1:5070 SIP/2.0" || bye.get("Route") != "<sip:108@"+p.addr()+">" {
		t.Errorf("got %s", bye)
	}
}

func TestContactOfReinviteIsTheNewTarget(t *testing.T) {
	p, h, d, l, _ := up(t, "udp", nil)
	req := d.request("INVITE", sdpOne)
	p.send(strings.Replace(req, "Contact: <sip:108@", "Contact: <sip:moved@", 1))
	p.final(d.cseq("INVITE"))
	p.send(d.request("ACK", ""))
	h.mu.Lock()
	dlg := l.dialog
	h.mu.Unlock()
	_ = dlg.Bye(t.Context(), call.Cause{Code: call.CodeReleased})
	if bye := p.next("BYE"); !strings.HasPrefix(bye.start, "BYE sip:moved@") {
		t.Errorf("got %q", bye.start)
	}
}

// A short second makes 90 s of session 0.9 s.
func TestSessionThatNobodyRefreshesIsRefreshedByUsThenEnds(t *testing.T) {
	p, h, d, _, first := up(t, "udp", nil, "Session-Expires: 90;refresher=uac", "Supported: timer")
	re := p.next("INVITE")
	if version(re.body) != version(first.body) || re.get("Session-Expires") != "90;refresher=uas" || !strings.Contains(re.get("Contact"), d.contact) {
		t.Errorf("our re-INVITE: %s", re)
	}
	re.write(re.answer("200 OK", sdpOne, "Contact: <sip:108@"+p.addr()+">", "Content-Type: application/sdp", "Session-Expires: 90;refresher=uas"))
	p.next("ACK")
	re = p.next("INVITE")
	re.write(re.answer("500 Server Internal Error", ""))
	p.next("ACK")
	bye := p.next("BYE")
	if !strings.Contains(bye.get("Reason"), "cause=408") {
		t.Errorf("Reason %q", bye.get("Reason"))
	}
	if c := h.ended(0); c.Code != call.CodeSessionExpired {
		t.Errorf("cause %+v", c)
	}
}

func TestWeRefreshAtHalfTheIntervalWhenItIsOurTurn(t *testing.T) {
	p, h, _, _, first := up(t, "tcp", nil, "Session-Expires: 90;refresher=uas", "Supported: timer")
	if first.get("Session-Expires") != "90;refresher=uas" {
		t.Errorf("Session-Expires %q", first.get("Session-Expires"))
	}
	for range 2 {
		re := p.next("INVITE")
		if re.get("Session-Expires") != "90;refresher=uac" || version(re.body) != version(first.body) {
			t.Errorf("our re-INVITE: %s", re)
		}
		re.write(re.answer("200 OK", sdpOne, "Contact: <sip:108@"+p.addr()+">", "Content-Type: application/sdp", "Session-Expires: 90;refresher=uac", "Require: timer"))
		p.next("ACK")
	}
	h.set(func() {
		if len(h.legs[0].ended) != 0 {
			t.Errorf("ended: %v", h.legs[0].ended)
		}
	})
}

func TestRefreshedSessionGoesOn(t *testing.T) {
	p, h, d, _, _ := up(t, "udp", nil, "Session-Expires: 90;refresher=uac", "Supported: timer")
	timer := time.NewTicker(300 * time.Millisecond)
	defer timer.Stop()
	for range 4 {
		<-timer.C
		if res := d.ask("UPDATE", "", "Session-Expires: 90;refresher=uac", "Supported: timer"); !res.is("200") {
			t.Fatalf("UPDATE: %q", res.start)
		}
	}
	if n := h.counter("own_reinvites"); n != 0 {
		t.Errorf("%d re-INVITEs of ours", n)
	}
	_ = p
}

func TestGlareIsRefusedAndOursTriedAgain(t *testing.T) {
	p, _, d, _, _ := up(t, "tcp", nil, "Session-Expires: 90;refresher=uas", "Supported: timer")
	re := p.next("INVITE")
	if res := d.ask("INVITE", sdpOne); !res.is("491") {
		t.Errorf("theirs: %q", res.start)
	}
	p.send(d.request("ACK", ""))
	if res := d.ask("UPDATE", "", "Supported: timer"); !res.is("200") {
		t.Errorf("UPDATE without SDP: %q", res.start)
	}
	re.write(re.answer("491 Request Pending", ""))
	again := p.next("INVITE")
	if again.get("Cseq") == re.get("Cseq") {
		t.Error("same CSeq")
	}
	ok := again.answer("200 OK", sdpOne, "Contact: <sip:108@"+p.addr()+">", "Content-Type: application/sdp")
	again.write(ok)
	first := p.next("ACK")
	again.write(ok) // our ACK was lost
	if second := p.next("ACK"); second.get("Cseq") != first.get("Cseq") {
		t.Errorf("ACK %q, then %q", first.get("Cseq"), second.get("Cseq"))
	}
}

func TestOurReinviteToAForgottenCall(t *testing.T) {
	for _, ring := range []bool{true, false} {
		p, h, _, l, _ := up(t, "tcp", func(c *sip.Config) { c.RingCentral = ring }, "Session-Expires: 90000;refresher=uas", "Supported: timer")
		h.set(func() { l.silence = time.Hour })
		p.cut()
		for range 2 {
			re := p.next("INVITE")
			re.write(re.answer("481 Call/Transaction Does Not Exist", ""))
		}
		if !ring { // believed the second time
			if c := h.ended(0); c.Code != call.CodeFlowLost {
				t.Errorf("cause %+v", c)
			}
			continue
		}
		re := p.next("INVITE") // RingCentral: media may go on; REST decides
		re.write(re.answer("200 OK", sdpOne, "Contact: <sip:108@"+p.addr()+">", "Content-Type: application/sdp"))
		p.next("ACK")
		h.set(func() {
			if len(h.legs[0].ended) != 0 {
				t.Errorf("ended: %v", h.legs[0].ended)
			}
		})
	}
}

func TestRequestsBeyondTheMailboxAreRefused(t *testing.T) {
	p, h, d, l, _ := up(t, "udp", nil)
	h.mu.Lock() // the leg hangs in Digit
	p.send(d.request("INFO", "1", "Content-Type: application/dtmf"))
	for range 60 {
		p.send(d.request("OPTIONS", ""))
	}
	res := p.nextOf(func(m *msg) bool { return m.is("500") })
	h.mu.Unlock()
	if res.get("Retry-After") == "" {
		t.Errorf("got %s", res)
	}
	h.leg(0, func(*leg) bool { return len(l.digits) == 1 })
	if h.counter("requests_overflow") == 0 {
		t.Error("not counted")
	}
}
