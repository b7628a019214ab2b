package sip_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/sip"
)

// RFC 4028 section 7.4: who refuses our interval says which it takes.
func TestRFC4028LongerIntervalOfA422IsTaken(t *testing.T) {
	for _, refresher := range []string{"uas", "uac"} { // whoever's turn it was
		t.Run(refresher, func(t *testing.T) {
			p, h, _, _, _ := up(t, "tcp", nil, "Session-Expires: 90;refresher="+refresher, "Supported: timer")
			first := p.next("INVITE")
			first.write(first.answer("422 Session Interval Too Small", "", "Min-SE: 300"))
			second := p.next("INVITE")
			if got := second.get("Session-Expires"); !strings.HasPrefix(got, "300;") || second.get("Min-SE") != "300" || second.get("CSeq") == first.get("CSeq") {
				t.Errorf("Session-Expires %q, Min-SE %q, CSeq %q; want 300, 300 and another CSeq", got, second.get("Min-SE"), second.get("CSeq"))
			}
			second.write(second.answer("200 OK", sdpOne, "Contact: <sip:108@"+p.addr()+">", "Content-Type: application/sdp", second.sessionExpires()))
			p.next("ACK")
			h.set(func() {
				if len(h.legs[0].ended) != 0 {
					t.Errorf("ended: %v", h.legs[0].ended)
				}
			})
		})
	}
}

// sessionExpires repeats the header, as an answer does.
func (m *msg) sessionExpires() string { return "Session-Expires: " + m.get("Session-Expires") }

// A 422 that asks for no more than it got, or for more than a day, is a refusal like any other.
func TestIntervalOfA422IsBounded(t *testing.T) {
	for _, least := range []string{"90", "86401", "many", ""} {
		t.Run("Min-SE "+least, func(t *testing.T) {
			t.Parallel()
			p, h, _, _, _ := up(t, "tcp", nil, "Session-Expires: 90;refresher=uac", "Supported: timer")
			re := p.next("INVITE")
			re.write(re.answer("422 Session Interval Too Small", "", "Min-SE: "+least))
			p.next("BYE") // it was the far side's turn, and it does not take ours either
			if c := h.ended(0); c.Code != call.CodeSessionExpired {
				t.Errorf("cause %+v", c)
			}
		})
	}
}

// A far side that wants a second more each time gets an end of it, and the call goes on.
func TestIntervalThatRisesEachTimeIsNotChasedAtOnce(t *testing.T) {
	p, h, _, _, _ := up(t, "tcp", func(c *sip.Config) {
		tm := short
		tm.Again = time.Hour
		*c = c.WithTimers(tm)
	}, "Session-Expires: 90;refresher=uas", "Supported: timer")
	for n := range 5 {
		re := p.next("INVITE")
		re.write(re.answer("422 Session Interval Too Small", "", fmt.Sprint("Min-SE: ", 910+n)))
	}
	p.nothing(100*time.Millisecond, "INVITE", "BYE")
	h.set(func() {
		if len(h.legs[0].ended) != 0 {
			t.Errorf("ended: %v", h.legs[0].ended)
		}
	})
}

func TestContactOfA2xxOrAnUpdateIsTheNewTarget(t *testing.T) {
	for _, way := range []string{"2xx to our re-INVITE", "UPDATE", "UPDATE with SDP"} {
		t.Run(way, func(t *testing.T) {
			p, h, d, l, _ := up(t, "tcp", nil, "Session-Expires: 90;refresher=uas", "Supported: timer")
			if body, ok := map[string]string{"UPDATE": "", "UPDATE with SDP": sdpOne}[way]; ok {
				p.send(strings.Replace(d.request("UPDATE", body), "Contact: <sip:108@", "Contact: <sip:moved@", 1))
				p.final(d.cseq("UPDATE"))
			} else {
				re := p.next("INVITE")
				re.write(re.answer("200 OK", sdpOne, "Contact: <sip:moved@"+p.addr()+">", "Content-Type: application/sdp", re.sessionExpires()))
				if ack := p.next("ACK"); !strings.HasPrefix(ack.start, "ACK sip:moved@") {
					t.Errorf("ACK: %q", ack.start)
				}
			}
			h.mu.Lock()
			dlg := l.dialog
			h.mu.Unlock()
			_ = dlg.Bye(t.Context(), call.Cause{Code: call.CodeReleased})
			if bye := p.next("BYE"); !strings.HasPrefix(bye.start, "BYE sip:moved@") {
				t.Errorf("BYE: %q", bye.start)
			}
		})
	}
}

// The answer to a re-INVITE goes out at once, so a second one finds no first that is still open (RFC 3261 section 14.2): it
// waits for the first one's ACK.
func TestReinvitesAtOnceAreAnsweredOneAfterTheOther(t *testing.T) {
	p, h, d, _, _ := up(t, "tcp", nil)
	one := d.request("INVITE", strings.Replace(sdpOne, "42898", "42900", 1))
	first, ack := d.cseq("INVITE"), d.request("ACK", "")
	two := d.request("INVITE", strings.Replace(sdpOne, "42898", "42902", 1))
	p.send(one + two)
	if res := p.final(first); !res.is("200") && !res.is("500") { // 500: sipgo turned them round, and ours is the newer
		t.Errorf("first: %q", res.start)
	}
	p.send(ack)
	if res := p.final(d.cseq("INVITE")); !res.is("200") {
		t.Errorf("second: %q", res.start)
	}
	p.send(d.request("ACK", ""))
	l := h.leg(0, func(l *leg) bool { return l.commits >= 2 })
	h.set(func() {
		if got := l.prepared[len(l.prepared)-1][0].Remote.Port(); got != 42902 {
			t.Errorf("remote port %d, want that of the newer offer, 42902", got)
		}
	})
}

// Two that came before the first ACK of all: the second waits for the ACK of the one before it, not for that first one only.
func TestReinvitesThatWaitedGoOutInTurn(t *testing.T) {
	p, _ := start(t, "tcp", func(c *sip.Config) {
		tm := short
		tm.Reorder = 5 * time.Second
		*c = c.WithTimers(tm)
	})
	d := p.newDialog("turn")
	d.call(sdpOne)
	ack := d.request("ACK", "")
	one := d.request("INVITE", strings.Replace(sdpOne, "42898", "42900", 1))
	first, ackOne := d.cseq("INVITE"), d.request("ACK", "")
	p.send(one)
	p.next("100") // sipgo's, after 200 ms: it waits
	p.send(d.request("INVITE", strings.Replace(sdpOne, "42898", "42902", 1)))
	p.next("100")
	p.send(ack)
	if res := p.final(first); !res.is("200") {
		t.Errorf("first: %q", res.start)
	}
	limit := time.NewTimer(50 * time.Millisecond)
	defer limit.Stop()
	for waiting := true; waiting; {
		select {
		case m := <-p.in:
			if m.get("CSeq") == d.cseq("INVITE") && m.is("200") {
				t.Error("the second was answered before the first one's ACK")
			}
		case <-limit.C:
			waiting = false
		}
	}
	p.send(ackOne)
	if res := p.final(d.cseq("INVITE")); !res.is("200") {
		t.Errorf("second: %q", res.start)
	}
	p.send(d.request("ACK", ""))
}

// Nobody answers our BYEs: the end comes all the same, each call is told once.
func TestShutdownSaysByeToAllAndWaitsForNobody(t *testing.T) {
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
	const n = 60 // more than go out at once
	for i := range n {
		d := p.newDialog(fmt.Sprint("s", i))
		d.seq = 10 * i // a CSeq of its own, by which the peer finds the answer
		d.establish(sdpOne)
	}
	eventually(t, func() bool { return h.counter("dialogs_established") == n })
	p.setBye(func(*msg) string { return "\r\n" })
	a.Drain()
	if res := p.newDialog("options").ask("OPTIONS", ""); !res.is("503") || res.get("Retry-After") == "" {
		t.Errorf("OPTIONS: %s", res)
	}
	cancel()
	byes := map[string]bool{}
	p.nextOf(func(m *msg) bool {
		if m.is("BYE") {
			byes[m.get("Call-Id")] = true
		}
		return m.is("REGISTER")
	})
	if len(byes) != n {
		t.Errorf("%d calls had a BYE before we un-registered, want %d", len(byes), n)
	}
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	for i := range n {
		if c := h.ended(i); c.Code != call.CodeShutdown {
			t.Errorf("call %d: %+v", i, c)
		}
	}
}
