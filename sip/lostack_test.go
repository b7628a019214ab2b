package sip_test

import (
	"fmt"
	"testing"

	"github.com/earshot/earshot/call"
)

func TestNextRequestOfThePeerStandsInForALostACK(t *testing.T) {
	for _, method := range []string{"INVITE", "UPDATE", "INFO", "OPTIONS", "REFER"} {
		t.Run(method, func(t *testing.T) {
			p, h := start(t, "udp", nil)
			old := p.newDialog("old")
			old.establish(sdpOne)
			h.leg(0, func(l *leg) bool { return l.dialog != nil })
			d := p.newDialog("lost")
			d.call(sdpOne, fmt.Sprintf("Replaces: old;to-tag=%s;from-tag=%s", old.far, old.tag),
				"Session-Expires: 90;refresher=uas", "Supported: timer")
			body := ""
			if method == "INVITE" || method == "UPDATE" {
				body = sdpOne
			}
			p.send(d.request(method, body, "Session-Expires: 90;refresher=uas", "Supported: timer"))
			h.leg(1, func(l *leg) bool { return l.dialog != nil })
			if c := h.ended(0); c.Code != call.CodeReplaced {
				t.Errorf("cause of the old one: %+v", c)
			}
			if method == "INVITE" {
				p.final(d.cseq("INVITE"))
				p.send(d.request("ACK", ""))
			}
			p.nextOf(func(m *msg) bool { return m.is("INVITE") && m.get("Call-Id") == "lost" }) // the session timer runs
			if n := h.counter("dialogs_established"); n != 2 {
				t.Errorf("%d established, want 2", n)
			}
		})
	}
}

func TestByeIsNoProofOfAnAnswer(t *testing.T) {
	p, h := start(t, "udp", nil)
	d := p.newDialog("bye")
	d.call(sdpOne)
	if res := d.ask("BYE", ""); !res.is("200") {
		t.Errorf("BYE: %q", res.start)
	}
	if c := h.ended(0); c.Code != call.CodeHangup {
		t.Errorf("cause %+v, want that of who hung up while our 200 was on its way", c)
	}
	if n := h.counter("dialogs_established"); n != 0 {
		t.Errorf("%d established", n)
	}
}

func TestRequestWithOtherTagsIsNoProofOfAnAnswer(t *testing.T) {
	p, h := start(t, "udp", nil)
	d := p.newDialog("tags")
	d.call(sdpOne)
	d.far = "another"
	if res := d.ask("OPTIONS", ""); !res.is("200") {
		t.Errorf("OPTIONS: %q", res.start)
	}
	if n := h.counter("dialogs_established"); n != 0 {
		t.Errorf("%d established", n)
	}
}

// The ACK with the answer to our offer is lost: the next INVITE says what it would have said.
func TestReinviteStandsInForTheLostAnswerOfALateOffer(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		p, h := start(t, network, nil)
		d := p.newDialog("late")
		if res := d.call(""); !res.is("200") {
			t.Fatalf("got %q", res.start)
		}
		if res := d.ask("INVITE", sdpOne); !res.is("200") {
			t.Fatalf("re-INVITE: %q", res.start)
		}
		p.send(d.request("ACK", ""))
		l := h.leg(0, func(l *leg) bool { return l.dialog != nil })
		h.set(func() {
			if s := l.prepared[len(l.prepared)-1]; len(s) != 1 || s[0].Remote.Port() != 42898 {
				t.Errorf("prepared %+v", s)
			}
		})
		if res := d.ask("BYE", ""); !res.is("200") {
			t.Errorf("BYE: %q", res.start)
		}
		if c := h.ended(0); c.Code != call.CodeHangup {
			t.Errorf("cause %+v", c)
		}
	})
}

func TestSecondLateOfferAfterALostAnswerMakesTheCall(t *testing.T) {
	p, h := start(t, "udp", nil)
	d := p.newDialog("twice")
	d.call("")
	if res := d.ask("INVITE", ""); !res.is("200") {
		t.Fatalf("re-INVITE: %q", res.start)
	}
	if n := h.counter("dialogs_established"); n != 0 {
		t.Errorf("established before there was an answer")
	}
	p.send(d.request("ACK", sdpOne))
	h.leg(0, func(l *leg) bool { return l.dialog != nil })
}
