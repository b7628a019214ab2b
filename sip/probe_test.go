package sip_test

import (
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/sip"
)

const (
	gone      = "481 Call/Transaction Does Not Exist"
	noAnswer  = ""
	probeWait = 50 * time.Millisecond
)

// upSilent is an established call at a plain registrar whose media has been silent for so long.
func upSilent(t *testing.T, silence time.Duration, change func(*sip.Config), headers ...string) (*peer, *house, *dialog, *leg, *msg) {
	t.Helper()
	p, h, d, l, first := up(t, "tcp", func(c *sip.Config) {
		c.RingCentral, c.ProbeAfter = false, -1
		tm := short
		tm.Reinvite = 200 * time.Millisecond
		*c = c.WithTimers(tm)
		if change != nil {
			change(c)
		}
	}, headers...)
	h.set(func() { l.silence = silence })
	return p, h, d, l, first
}

func probing(c *sip.Config) { c.ProbeAfter = probeWait }

func (p *peer) accepts(re *msg) {
	re.write(re.answer("200 OK", sdpOne, "Contact: <sip:108@"+p.addr()+">", "Content-Type: application/sdp"))
	p.next("ACK")
}

// nothing fails if one of these comes.
func (p *peer) nothing(within time.Duration, whats ...string) {
	p.t.Helper()
	limit := time.NewTimer(within)
	defer limit.Stop()
	for {
		select {
		case m := <-p.in:
			for _, w := range whats {
				if m.is(w) {
					p.t.Fatalf("got %q, want none", m.start)
				}
			}
		case <-limit.C:
			return
		}
	}
}

func TestForgottenCallGoesOnWhileMediaComes(t *testing.T) {
	for _, code := range []string{gone, "408 Request Timeout"} {
		p, h, _, l, _ := upSilent(t, 0, nil)
		p.cut()
		for range 4 {
			re := p.next("INVITE")
			re.write(re.answer(code, ""))
		}
		h.set(func() {
			if len(l.ended) != 0 {
				t.Errorf("%s: ended while media came in: %v", code, l.ended)
			}
			l.silence = time.Hour
		})
		p.wg.Go(func() {
			for {
				select {
				case m := <-p.in:
					if m.is("INVITE") {
						m.write(m.answer(code, ""))
					}
				case <-t.Context().Done():
					return
				}
			}
		})
		if c := h.ended(0); c.Code != call.CodeFlowLost {
			t.Errorf("%s: cause %+v", code, c)
		}
	}
}

func TestForgottenSessionGoesOnWhileMediaComes(t *testing.T) {
	p, h, _, l, _ := upSilent(t, 0, nil, "Session-Expires: 90;refresher=uac", "Supported: timer")
	for range 20 { // longer than the session
		re := p.next("INVITE")
		re.write(re.answer(gone, ""))
	}
	h.set(func() {
		if len(l.ended) != 0 {
			t.Errorf("ended while media came in: %v", l.ended)
		}
	})
}

func TestVanishedPeerOfACallWithoutSessionTimerIsFoundOut(t *testing.T) {
	for _, answer := range []string{gone, "408 Request Timeout", noAnswer} {
		t.Run("answer "+answer, func(t *testing.T) {
			p, h, _, _, first := upSilent(t, time.Hour, probing)
			re := p.next("INVITE")
			if re.body != first.body {
				t.Errorf("the probe has another SDP: %s", re.body)
			}
			if answer != noAnswer {
				re.write(re.answer(answer, ""))
			}
			bye := p.next("BYE")
			if !strings.Contains(bye.get("Reason"), "cause=408") {
				t.Errorf("Reason %q", bye.get("Reason"))
			}
			if c := h.ended(0); c.Code != call.CodeSessionExpired {
				t.Errorf("cause %+v", c)
			}
		})
	}
}

func TestPeerThatAnswersProbesLivesAndIsAskedLessOften(t *testing.T) {
	p, h, _, l, _ := upSilent(t, time.Hour, probing)
	var at []time.Time
	for range 4 {
		re := p.next("INVITE")
		at = append(at, time.Now())
		p.accepts(re)
	}
	for i, want := range []time.Duration{probeWait, 2 * probeWait, 4 * probeWait} {
		if got := at[i+1].Sub(at[i]); got < want-5*time.Millisecond || got > want+2*time.Second {
			t.Errorf("pause %d: %v, want %v", i, got, want)
		}
	}
	h.set(func() {
		if len(l.ended) != 0 {
			t.Errorf("ended: %v", l.ended)
		}
	})
}

func TestAnyAnswerToAProbeIsLife(t *testing.T) {
	p, h, _, l, _ := upSilent(t, time.Hour, probing)
	for _, code := range []string{"500 Server Internal Error", "488 Not Acceptable Here", "405 Method Not Allowed"} {
		re := p.next("INVITE")
		re.write(re.answer(code, ""))
	}
	p.accepts(p.next("INVITE"))
	h.set(func() {
		if len(l.ended) != 0 {
			t.Errorf("ended: %v", l.ended)
		}
	})
}

func TestMediaThatComesIsNotProbed(t *testing.T) {
	p, _, _, _, _ := upSilent(t, 0, probing)
	p.nothing(5*probeWait, "INVITE")
}

func TestSessionTimerIsWatchdogEnough(t *testing.T) {
	p, _, _, _, _ := upSilent(t, time.Hour, probing, "Session-Expires: 9000;refresher=uac", "Supported: timer")
	p.nothing(5*probeWait, "INVITE")
}

func TestHeldCallMayBeSilentForLonger(t *testing.T) {
	p, h, d, l, _ := upSilent(t, 0, probing)
	if res := d.ask("INVITE", strings.Replace(sdpOne, "sendrecv", "sendonly", 1)); !res.is("200") {
		t.Fatalf("hold: %q", res.start)
	}
	p.send(d.request("ACK", ""))
	h.set(func() { l.silence = 5 * probeWait })
	p.nothing(3*probeWait, "INVITE")
	h.set(func() { l.silence = time.Hour })
	p.next("INVITE")
}

// After a cut the healing re-INVITE finds nobody either: that is the end too.
func TestHealingThatFindsNobodyEndsASilentCall(t *testing.T) {
	p, h, _, _, _ := upSilent(t, time.Hour, func(c *sip.Config) { c.ProbeAfter = time.Second })
	p.cut()
	p.next("INVITE") // heal
	p.next("INVITE")
	p.next("BYE")
	if c := h.ended(0); c.Code != call.CodeSessionExpired {
		t.Errorf("cause %+v", c)
	}
}
