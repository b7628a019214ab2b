package supervise

import (
	"fmt"
	"testing"
	"time"
)

// TestMoreCallsThanAreKeptInMindCostNothing: a feed that makes up sessions fills no memory, holds nothing up, and is told of.
func TestMoreCallsThanAreKeptInMindCostNothing(t *testing.T) {
	t.Parallel()
	c := newCore(ModeParty, 10*time.Second)
	c.agents.add(extensionDoc{ID: "7", Number: "107"})
	now := time.Unix(1_000_000, 0)
	c.fed(now, true, true)
	tell := func(i int) {
		c.event(now, sessionEvent{session: fmt.Sprint("s", i), sequence: 1, parties: []partyState{{ID: "a", ExtensionID: "7", Status: "Answered"}}})
	}
	const more = 20_000
	for i := range maxSessions {
		tell(i)
	}
	begun := time.Now()
	for i := range more {
		tell(maxSessions + i)
	}
	took := time.Since(begun)
	c.look(now, snapshot{taken: now.Add(-time.Hour), calls: []agentCall{{agent: Agent{ID: "7"}, session: "p", party: "a"}}})
	if len(c.sessions) != maxSessions || len(c.views) > maxViews {
		t.Errorf("%d sessions, %d views, want %d and %d at most", len(c.sessions), len(c.views), maxSessions, maxViews)
	}
	t.Logf("%d events took %v", more, took)
	short := 0
	for _, a := range c.take() {
		if _, ok := a.(actShort); ok {
			short++
		}
	}
	if short != 1 {
		t.Errorf("told %d times that calls are missed, want once", short)
	}
}
