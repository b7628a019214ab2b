package sip_test

import (
	"testing"

	"github.com/earshot/earshot/sip"
)

func TestAnswersAreCountedByTheirCode(t *testing.T) {
	p, h := start(t, "tcp", nil)
	p.newDialog("yes").establish(sdpOne)
	p.newDialog("no").call("x")
	h.set(func() { h.refuse = &sip.Refusal{Code: 433} })
	p.newDialog("strange").call(sdpOne)
	h.set(func() { h.refuse, h.hold = nil, make(chan struct{}) })
	d := p.newDialog("cancelled")
	p.send(d.request("INVITE", sdpOne))
	h.leg(2, func(*leg) bool { return true })
	p.send(d.request("CANCEL", ""))
	if res := p.final(d.cseq("INVITE")); !res.is("487") {
		t.Fatalf("got %q", res.start)
	}
	want := map[string]int64{"200": 1, "400": 2, "487": 1}
	eventually(t, func() bool { return h.acc.Answers()["487"] == 1 })
	for code, n := range h.acc.Answers() {
		if n != want[code] {
			t.Errorf("%s: %d, want %d", code, n, want[code])
		}
	}
	if n := len(h.acc.Answers()); n > 64 {
		t.Errorf("%d labels", n)
	}
}
