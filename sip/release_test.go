package sip_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/sip"
)

// released is an account in a call whose registration was released. registers counts what it has sent so far; at the end of
// the test, with the account gone, it must be the same, unless more is allowed.
func released(t *testing.T, network string) (p *peer, h *house, d *dialog, registers *atomic.Int64) {
	t.Helper()
	registers = new(atomic.Int64)
	allowed := registers.Load
	t.Cleanup(func() { // runs last: the account has ended
		if n := registers.Load(); n != allowed() {
			t.Errorf("%d REGISTERs, want %d: none after the release", n, allowed())
		}
	})
	p, h, d, _, _ = up(t, network, nil)
	p.onRegister(func(m *msg) string {
		registers.Add(1)
		return p.accept(m)
	})
	if err := h.acc.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := h.acc.State(); s.Registered || s.Status != "released" || s.Dialogs != 1 {
		t.Fatalf("state %+v", s)
	}
	before := registers.Load()
	allowed = func() int64 { return before }
	return p, h, d, registers
}

func TestAReleasedAccountKeepsItsCallsAndDoesNotUnregister(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		p, h, d, _ := released(t, network)
		if res := d.ask("INVITE", sdpOne); !res.is("200") {
			t.Errorf("re-INVITE: %q", res.start)
		}
		p.send(d.request("ACK", ""))
		late := p.newDialog("d2") // the other process has not registered yet
		late.establish(sdpOne)
		h.leg(1, func(l *leg) bool { return l.dialog != nil })
		if res := d.ask("BYE", ""); !res.is("200") {
			t.Errorf("BYE: %q", res.start)
		}
		if c := h.ended(0); c.Code != call.CodeHangup {
			t.Errorf("cause %+v", c)
		}
	})
}

func TestAReleasedFlowThatDiesIsMadeAnewForItsCalls(t *testing.T) {
	p, h, d, _ := released(t, "tcp")
	old := h.acc.State().Local
	p.cut()
	re := p.next("INVITE")
	if s := h.acc.State(); s.Registered || s.Local == old || re.from != s.Local.String() {
		t.Errorf("re-INVITE from %s, state %+v", re.from, s)
	}
	re.write(re.answer("200 OK", sdpOne, "Contact: <sip:108@"+p.addr()+">", "Content-Type: application/sdp"))
	p.next("ACK")
	bye := d.request("BYE", "")
	re.write(bye)
	if res := p.final(d.cseq("BYE")); !res.is("200") {
		t.Errorf("BYE: %q", res.start)
	}
	h.ended(0)
}

func TestResumeRegistersAtOnceOnTheFlowThatIsThere(t *testing.T) {
	p, h, _, _, _ := up(t, "tcp", nil)
	if err := h.acc.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	local := h.acc.State().Local
	if err := h.acc.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.registered()
	if m := p.next("REGISTER"); m.from != local.String() || strings.Contains(m.get("Contact"), "expires=0") {
		t.Errorf("REGISTER from %s, Contact %q, want the flow %s", m.from, m.get("Contact"), local)
	}
}

func TestReleaseOfAnEndedAccountIsDone(t *testing.T) {
	var acc *sip.Account
	t.Run("run", func(t *testing.T) {
		_, h := start(t, "tcp", nil)
		acc = h.acc
	})
	if err := acc.Release(t.Context()); err != nil {
		t.Error(err)
	}
}
