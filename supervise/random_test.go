package supervise

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// TestRandomHistories drives the core with random results, INVITEs, ends, looks and words by hand. Never is a released call asked for, never are two requests for the same
// party under way, never is a session read twice at once, the core never spins, and when the call is over all is given back.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		mode := []string{ModeParty, ModeSession}[rnd.IntN(2)]
		c := newCore(mode, 10*time.Second)
		c.own, c.policy.Internal = ownSet{"8"}, true
		now := time.Unix(1_000_000, 0)
		posts, reads := map[string]bool{}, map[string]bool{}
		dialogs := map[string]int{}
		step := func(registered bool) {
			next := c.tick(now, registered)
			for _, a := range c.take() {
				switch a := a.(type) {
				case actAsk:
					if posts[a.party] || !registered {
						t.Fatalf("seed %d: party %q asked while a request is under way, or not registered", seed, a.party)
					}
					if dialogs[a.party] > 0 {
						t.Fatalf("seed %d: party %q asked while its dialog is up", seed, a.party)
					}
					if s := c.sessions[a.session]; s == nil || c.given(s.id) {
						t.Fatalf("seed %d: a released call is asked for", seed)
					}
					posts[a.party] = true
				case actRead:
					if reads[a.session] {
						t.Fatalf("seed %d: session read twice at once", seed)
					}
					reads[a.session] = true
				}
			}
			if registered && !next.IsZero() && !next.After(now) {
				t.Fatalf("seed %d: the core asks to be ticked again at once", seed)
			}
		}
		parties := func() []partyState {
			all := []partyState{{ID: "c1", Status: "Answered"}, {ID: "a2", ExtensionID: "7", Status: []string{"Answered", "Hold", "Setup"}[rnd.IntN(3)]}}
			if rnd.IntN(5) == 0 {
				all = append(all, partyState{ID: "o3", ExtensionID: "8", Status: "Answered", Supervising: true})
			}
			if rnd.IntN(5) == 0 {
				all = append(all, partyState{ID: "h9", ExtensionID: "55", Status: "Answered", Supervising: true})
			}
			if rnd.IntN(5) == 0 {
				all = append(all, partyState{ID: "x5", ExtensionID: "9", Status: "Answered"})
			}
			return all[rnd.IntN(2):]
		}
		outcomes := []outcome{outcomeDone, outcomeDone, outcomeBusy, outcomeLater, outcomeRefused, outcomeUnclear}
		answerAll := func(o func() outcome) {
			for p := range posts {
				delete(posts, p)
				c.asked(now, "s1", p, "o"+p, o(), now.Add(time.Second), errors.New("x"))
			}
			for r := range reads {
				delete(reads, r)
				c.read(now, r, parties(), o(), now.Add(time.Second), errors.New("x"))
			}
		}
		party := func() string { return []string{"", "c1", "a2"}[rnd.IntN(3)] }
		for range 200 {
			now = now.Add(time.Duration(rnd.IntN(4000)) * time.Millisecond)
			switch rnd.IntN(9) {
			case 0, 1:
				snap := snapshot{taken: now, any: map[string]bool{"oc1": rnd.IntN(2) == 0}}
				if rnd.IntN(6) > 0 {
					snap.calls = []agentCall{{agent: Agent{ID: "7"}, session: "s1", party: "a2", held: rnd.IntN(4) == 0}}
				}
				c.look(now, snap)
			case 2, 3:
				answerAll(func() outcome { return outcomes[rnd.IntN(len(outcomes))] })
			case 4:
				c.match(now, Ref{"s1", "o" + party()}, Ref{"s1", party()})
			case 5:
				p := party()
				if _, j := c.key("s1", p); j != nil && j.party.ID == p && j.dialogs == 0 {
					c.answered(now, "s1", p)
					dialogs[p] = j.dialogs
				}
			case 6:
				p := party()
				if _, j := c.key("s1", p); j != nil && j.party.ID == p {
					c.ended(now, "s1", p, call.Cause{Code: []call.Code{call.CodeHangup, call.CodeReleased}[rnd.IntN(2)]})
					dialogs[p] = j.dialogs
				}
			case 7:
				if rnd.IntN(4) == 0 {
					c.force(now, agentCall{agent: Agent{ID: "7"}, session: "s1", party: "a2"}, []string{"", ModeParty, ModeSession}[rnd.IntN(3)])
				}
			case 8:
				if s := c.sessions["s1"]; s != nil && rnd.IntN(4) == 0 {
					c.release(now, s)
				}
			}
			step(rnd.IntN(8) > 0)
		}
		// The call is over: presence no longer shows it, all requests fail, all dialogs end.
		for range 100 {
			now = now.Add(5 * time.Second)
			c.look(now, snapshot{taken: now})
			for _, p := range []string{"", "c1", "a2"} {
				c.ended(now, "s1", p, call.Cause{Code: call.CodeHangup})
			}
			dialogs = map[string]int{}
			answerAll(func() outcome { return outcomeLater })
			step(true)
		}
		if len(c.sessions) != 0 || len(posts)+len(reads) != 0 {
			t.Fatalf("seed %d: after the call: got %d sessions, %d requests, want none", seed, len(c.sessions), len(posts)+len(reads))
		}
	}
}
