package supervise

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/call"
)

func TestOccupiedPlaceIsItsOwnCauseAndTakenWhenFree(t *testing.T) {
	// Found by reading after the refusal, whatever its code.
	for _, o := range []outcome{outcomeRefused, outcomeLater} {
		s := newScript(t, ModeSession)
		s.look("s1 a2")
		s.want("wanted s1, read s1")
		s.read("s1", append(talk, "h9 55 sup")...)
		s.want("wanted s1 c1, ask s1") // the reading may lag: asked once
		s.refused("s1", "", o)
		s.want("failed s1 occupied")
		for range 3 {
			s.after(occupiedEvery)
			s.want("read s1")
			s.read("s1", append(talk, "h9 55 sup")...)
			s.want("")
		}
		s.after(occupiedEvery)
		s.want("read s1")
		s.read("s1", talk...)
		s.want("ask s1")
	}
	// By event: at once.
	s := newFed(t, ModeParty, true)
	s.event("s1", 2, "c1 - Answered out")
	s.event("s1", 3, "a2 7 Answered")
	s.want("wanted s1, wanted s1 c1, ask s1 c1, ask s1 a2")
	s.refused("s1", "c1", outcomeRefused)
	s.refused("s1", "a2", outcomeRefused)
	s.want("failed s1 refused, failed s1 refused, read s1")
	s.read("s1", append(talk, "h9 55 sup")...)
	s.want("failed s1 occupied")
	s.after(5 * time.Second)
	s.event("s1", 9, "h9 55 Disconnected")
	s.after(time.Millisecond)
	s.want("ask s1 c1, ask s1 a2")
}

// TestOccupiedPlaceIsReadAgainAfterTheAgentsOwnEvents: an agents' feed does not tell that the other supervisor has left.
func TestOccupiedPlaceIsReadAgainAfterTheAgentsOwnEvents(t *testing.T) {
	s := newFed(t, ModeSession, false)
	s.event("s1", 3, "a2 7 Answered num=+14085550164")
	s.want("wanted s1, ask s1")
	s.refused("s1", "", outcomeRefused)
	s.want("failed s1 refused, read s1")
	s.read("s1", append(talk, "h9 55 sup")...)
	s.want("failed s1 occupied, wanted s1 c1")
	s.after(5 * time.Second)
	s.event("s1", 5, "a4 7 Answered num=+14085550164") // the agent's other phone: joins begin anew
	s.event("s1", 6, "a2 7 Disconnected reason=CallSwitch")
	s.want("")
	s.after(occupiedEvery)
	s.want("read s1")
	s.read("s1", "c1 - Answered out", "a4 7 Answered")
	s.want("ask s1")
}

func TestFullDeviceIsToldAndTheCallJoinedWhenADialogEnds(t *testing.T) {
	s := newFed(t, ModeParty, true)
	s.c.devices[0].max = 3
	begin := func(id string) {
		s.event(id, 2, "c"+id+" - Answered out")
		s.event(id, 3, "a"+id+" 7 Answered")
	}
	begin("1")
	s.want("wanted 1, wanted 1 c1, ask 1 c1, ask 1 a1")
	s.joinParties("1", "c1", "a1")
	begin("2")
	s.want("wanted 2, wanted 2 c2, failed 2 no_capacity, short")
	s.want("") // told once
	s.after(10 * time.Minute)
	s.want("short")
	s.event("1", 4, "a1 7 Disconnected")
	s.c.ended(s.now, "1", "a1", hangup)
	s.want("")
	s.c.ended(s.now, "1", "c1", hangup)
	s.want("gone 1")
	s.after(freeSettle) // RingCentral may count it a moment longer
	s.want("read 2")    // the parties may be others by now
	s.read("2", "c2 - Answered out", "a2 7 Answered")
	s.want("ask 2 c2, ask 2 a2")
}

func TestLimitOfTheDeviceIsLearned(t *testing.T) {
	s := newFed(t, ModeSession, true)
	begin := func(id string) {
		s.event(id, 2, "c"+id+" - Answered out")
		s.event(id, 3, "a"+id+" 7 Answered")
	}
	begin("1")
	s.want("wanted 1, wanted 1 c1, ask 1")
	s.joinParties("1", "")
	begin("2")
	s.want("wanted 2, wanted 2 c2, ask 2")
	s.granted("2", "", "o2")
	s.want("asked 2 mix")
	s.after(10 * time.Second)
	s.want("probe 0, failed 2 no_invite, read 2")
	s.read("2", "c2 - Answered out", "a2 7 Answered")
	s.after(noInviteFirst)
	s.want("read 2")
	s.read("2", "c2 - Answered out", "a2 7 Answered")
	s.want("ask 2 again")
	s.granted("2", "", "o3")
	s.want("asked 2 mix")
	s.after(10 * time.Second)
	s.want("probe 0, learned 1, failed 2 no_invite, read 2")
	s.read("2", "c2 - Answered out", "a2 7 Answered")
	begin("3")
	s.want("wanted 3, wanted 3 c3, failed 3 no_capacity, short")
	s.c.ended(s.now, "1", "", hangupBy(call.CodeReleased))
	s.want("")
	s.after(freeSettle)
	s.want("ask 3") // a dialog ended: one fits
	s.c.match(s.now, Ref{"3", "o4"}, Ref{})
	s.c.answered(s.now, "3", "")
	s.want("joined 3 mix")
	if n := s.c.devices[0].limit(s.now); n != 1 {
		t.Errorf("limit: got %d, want 1 as learned", n)
	}
	s.after(learnedFirst)
	if n := s.c.devices[0].limit(s.now); n != 0 {
		t.Errorf("later: got %d, want it forgotten", n)
	}
}

func TestRemainingRequestsOfOtherProgramsCount(t *testing.T) {
	l := newLimiter()
	now := time.Unix(1_000_000, 0)
	header := func(limit, remaining int) http.Header {
		return http.Header{"X-Rate-Limit-Group": {"light"}, "X-Rate-Limit-Limit": {fmt.Sprint(limit)}, "X-Rate-Limit-Remaining": {fmt.Sprint(remaining)},
			"X-Rate-Limit-Window": {"60"}}
	}
	if l.take(groupLight, shareAll, now) != 0 {
		t.Fatal("the first request: got a wait")
	}
	l.note(groupLight, 200, header(50, 9), now) // others sent 40
	n := 0
	for l.take(groupLight, shareAll, now) == 0 {
		n++
	}
	if n != 9 {
		t.Errorf("9 remain: got %d requests through", n)
	}
	if l.take(groupLight, shareAll, now.Add(time.Minute)) != 0 {
		t.Error("a window later: got a wait")
	}
	l.note(groupLight, 200, header(50, 0), now.Add(time.Minute))
	if d := l.take(groupLight, shareAll, now.Add(time.Minute)); d != time.Minute {
		t.Errorf("none remain: got a wait of %s, want a minute", d)
	}
	l.note(groupLight, 200, header(50, 49), now.Add(61*time.Second))
	if l.take(groupLight, shareAll, now.Add(61*time.Second)) != 0 {
		t.Error("newer answer: got a wait")
	}
}

func TestLoginUnderWayAtTheEndIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.hook = func(w http.ResponseWriter, r *http.Request, body string) bool {
			if !strings.HasSuffix(r.URL.Path, "/token") {
				return false
			}
			pass(time.Second)
			f.oauth(w, r, body)
			return true
		}
		s := mustNew(t, f.config())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		pass(500 * time.Millisecond)
		cancel()
		<-done
		if f.logins != 1 || len(f.tokens) != 0 {
			t.Errorf("got %d logins, %d alive, want one, revoked", f.logins, len(f.tokens))
		}
	})
}

func TestUnclearAnswersAreLookedAtToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.sessions[sess1] = twoParty()
		posts, looked := 0, true
		f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
			switch {
			case strings.HasSuffix(r.URL.Path, "/supervise"):
				f.set(func() {
					if posts++; !looked {
						t.Errorf("request %d: repeated without a look", posts)
					}
					looked = false
				})
				w.WriteHeader(502) // and it was not done
			case strings.Contains(r.URL.Path, "/telephony/sessions/"):
				f.set(func() { looked = true })
				return false
			default:
				return false
			}
			return true
		}
		running(t, f, func(c *Config) { c.Mode = ModeSession })
		pass(10 * time.Minute)
		if posts < maxUnclear || posts > 20 {
			t.Errorf("got %d requests in 10 minutes of 502", posts)
		}
	})
}
