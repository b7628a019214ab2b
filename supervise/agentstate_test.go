package supervise

import (
	"slices"
	"testing"
	"time"
)

func TestWhatTheAgentDoesIsTold(t *testing.T) {
	s := newFed(t, ModeParty, true)
	s.event("s1", 2, "c1 - Answered out")
	s.event("s1", 3, "a2 7 Setup num=+1408")
	s.want("")
	s.event("s1", 4, "a2 7 Answered num=+1408")
	s.want("wanted s1, wanted s1 c1, ask s1 c1, ask s1 a2")
	s.joinParties("s1", "c1", "a2")
	s.after(time.Minute)
	s.event("s1", 5, "a2 7 Hold")
	s.want("")
	s.event("s1", 6, "a2 7 Answered")
	s.want("")
	s.event("s1", 7, "a4 9 Setup")
	s.event("s1", 8, "a2 7 Disconnected reason=BlindTransfer")
	s.want("")
	s.c.ended(s.now, "s1", "a2", hangup)
	s.c.ended(s.now, "s1", "c1", hangup)
	s.after(5 * time.Second)
	s.event("s1", 9, "a4 9 Answered")
	s.want("wanted s1 c1, ask s1 c1, ask s1 a4")
	s.event("s1", 10, "a4 9 Disconnected")
	s.event("s1", 11, "c1 - Disconnected")
	s.want("")
	want := []string{"s1 7 a2 talks", "s1 7 a2 holds", "s1 7 a2 talks", "s1 7 a2 left BlindTransfer", "s1 9 a4 talks", "s1 9 a4 left"}
	if !slices.Equal(s.told, want) {
		t.Errorf("got %q, want %q", s.told, want)
	}
}

func TestOfACallThatPolicyLeavesAloneNothingIsTold(t *testing.T) {
	s := newFed(t, ModeParty, true)
	s.c.policy.Internal = false
	s.event("s2", 2, "x1 7 Answered out far=9")
	s.event("s2", 3, "x2 9 Answered far=7")
	s.want("excused s2 internal")
	if len(s.told) > 0 {
		t.Errorf("got %q, want nothing", s.told)
	}
}
