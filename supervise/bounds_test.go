package supervise

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
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

// TestHugeTextsAndListsAreNotKept: what one message can make us keep is bounded by what RingCentral has of it in earnest.
func TestHugeTextsAndListsAreNotKept(t *testing.T) {
	t.Parallel()
	huge := strings.Repeat("x", 300_000)
	if ev, err := parseEvent([]byte(`{"body":{"telephonySessionId":"` + huge + `","parties":[{"id":"p1"}]}}`)); err == nil {
		t.Errorf("a session's id of %d octets is taken", len(ev.session))
	}
	party := `{"id":"p1","status":{"code":"` + huge + `","reason":"` + huge + `","peerId":{"telephonySessionId":"` + huge + `"}},"extensionId":"` + huge +
		`","from":{"name":"` + strings.Repeat("é", 300_000) + `","phoneNumber":"` + huge + `"},"to":{"extensionNumber":"` + huge + `","extensionId":"` + huge + `"}}`
	ev, err := parseEvent([]byte(`{"body":{"telephonySessionId":"s1","parties":[{"id":"` + huge + `"},` + party + `]}}`))
	if err != nil || len(ev.parties) != 1 {
		t.Fatalf("got %d parties, %v, want the one whose id is none of a book", len(ev.parties), err)
	}
	p := ev.parties[0]
	if kept := fmt.Sprintf("%+v", p); len(kept) > 8*maxIDOctets || !utf8.ValidString(kept) {
		t.Errorf("%d octets are kept of a party, valid %t", len(kept), utf8.ValidString(kept))
	}
	if p.ExtensionID != "" || p.Far.ExtensionID != "" || p.Peer.Session != "" {
		t.Errorf("ids are cut: %.20q, %.20q, %.20q: they would name somebody else", p.ExtensionID, p.Far.ExtensionID, p.Peer.Session)
	}
	many := `{"records":[` + strings.Repeat(`{},`, 2*maxItems) + `{}]}`
	if l, err := parseList[presenceRecord]([]byte(many)); err == nil {
		t.Errorf("a page of %d records is taken: a look that lacks some says nothing", len(l))
	}
	if s, err := parseSession([]byte(`{"parties":[` + strings.Repeat(`{"id":"p"},`, 2*maxItems) + `{"id":"p"}]}`)); err != nil || len(s) > maxItems+1 {
		t.Errorf("a session of %d parties, %v", len(s), err)
	}
}
