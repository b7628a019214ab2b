package supervise

import (
	"testing"
	"time"
)

func TestNothingNewIsAskedForWhileBarredAndACallThatWasHeardIsJoinedAgain(t *testing.T) {
	s := newFed(t, ModeParty, true)
	s.begin("1")
	s.want("wanted 1, wanted 1 c1, ask 1 c1, ask 1 a1")
	s.joinParties("1", "c1", "a1")
	s.c.barred = "disk nearly full"
	s.begin("2")
	s.want("wanted 2, wanted 2 c2, failed 2 disk_full")
	s.after(time.Minute)
	s.want("") // told once
	if got := s.c.sessions["2"].obstacle.text; got != "disk nearly full" {
		t.Errorf("obstacle: got %q", got)
	}
	s.c.ended(s.now, "1", "c1", hangup)
	s.after(barredAgain)
	s.want("read 1")
	s.read("1", "c1 - Answered out", "a1 7 Answered")
	s.want("ask 1 c1") // it is heard, and goes on
	s.c.barred = ""
	s.after(barredAgain)
	s.want("read 2")
	s.read("2", "c2 - Answered out", "a2 7 Answered")
	s.want("ask 2 c2, ask 2 a2")
}
