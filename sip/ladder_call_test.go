package sip_test

import (
	"strings"
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/sip"
)

func TestLadderOfACallIsThereWhileItLivesAndAfter(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		p, h := start(t, network, nil)
		d := p.newDialog("climb")
		d.establish(strings.Replace(sdpOne, "RTP/AVP 111 0 8 101", "RTP/SAVP 0", 1) + "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n")
		h.leg(0, func(l *leg) bool { return l.dialog != nil })
		l, ok := h.acc.Ladder("climb")
		if !ok || !l.Live {
			t.Fatalf("no ladder of a live call: %v %+v", ok, l)
		}
		d.ask("BYE", "")
		eventually(t, func() bool { l, ok = h.acc.Ladder("climb"); return ok && !l.Live && len(l.Steps) == 6 })
		var got []string
		for _, s := range l.Steps {
			word, rest, _ := strings.Cut(s.Start(), " ")
			if word == "SIP/2.0" {
				word = rest[:3]
			}
			got = append(got, map[bool]string{true: ">", false: "<"}[s.Out]+word)
			if s.Net != strings.ToUpper(network) || s.Peer != p.addr() {
				t.Errorf("%s over %s with %s, want %s with %s", word, s.Net, s.Peer, network, p.addr())
			}
		}
		if all := strings.Join(got, " "); all != "<INVITE >100 >200 <ACK <BYE >200" {
			t.Errorf("got %s", all)
		}
		if text := l.String(); strings.Contains(text, "d0Rmdm") || strings.Count(text, "inline:***") != 2 || !strings.Contains(text, "<-  INVITE sip:200@") {
			t.Errorf("got %s", text)
		}
		list := h.acc.Ladders()
		if len(list) != 1 || list[0].CallID != "climb" || strings.Contains(list[0].Steps[0].Text, "\n") {
			t.Errorf("list: %+v", list)
		}
	})
}

func TestLadderOfTheRegistrationHasNoCredentials(t *testing.T) {
	p, h := start(t, "udp", func(c *sip.Config) { c.RingCentral = false })
	_ = p
	text := h.acc.Registration().String()
	if !strings.Contains(text, "->  REGISTER sip:127.0.0.1 SIP/2.0") || !strings.Contains(text, "<-  SIP/2.0 200 OK") || strings.Contains(text, "s3cret") {
		t.Errorf("got %s", text)
	}
}

func TestLadderOfARefusedCall(t *testing.T) {
	p, h := start(t, "tcp", nil)
	d := p.newDialog("no")
	if res := d.call("x"); !res.is("400") {
		t.Fatalf("got %q", res.start)
	}
	l, ok := h.acc.Ladder("no")
	if !ok || l.Live || len(l.Steps) < 2 || !strings.HasPrefix(l.Steps[len(l.Steps)-1].Start(), "SIP/2.0 400") {
		t.Errorf("got %v %+v", ok, l)
	}
}

// A recording keeps what was said when its leg ends: by then the answer must be out.
func TestLadderOfACallThatHasNoPortsHoldsOurAnswerWhenItsLegEnds(t *testing.T) {
	p, h := start(t, "tcp", nil)
	cause := call.Cause{Code: call.CodeNoCapacity, Text: "media.ports: none"}
	h.set(func() { h.hold = make(chan struct{}) })
	d := p.newDialog("full")
	p.send(d.request("INVITE", sdpOne))
	h.leg(0, func(*leg) bool { return true })
	var last string
	h.set(func() {
		h.legs[0].prepareErr = &sip.Refusal{Code: 486, Cause: cause}
		h.legs[0].onEnded = func() {
			if l, ok := h.acc.Ladder("full"); ok {
				last = l.Steps[len(l.Steps)-1].Start()
			}
		}
		close(h.hold)
	})
	if res := p.final(d.cseq("INVITE")); !res.is("486") {
		t.Errorf("got %q", res.start)
	}
	if c := h.ended(0); c != cause {
		t.Errorf("cause: got %+v, want %+v", c, cause)
	}
	h.set(func() {
		if !strings.HasPrefix(last, "SIP/2.0 486") {
			t.Errorf("last message when the leg ended: %q, want our 486", last)
		}
	})
}
