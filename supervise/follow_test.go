package supervise

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/call"
)

// newFed is a script with a live feed; 7 (108) and 9 (110) are agents, 8 is the supervisor, 500 a queue.
func newFed(t *testing.T, mode string, account bool) *script {
	s := newScript(t, mode)
	for id, number := range map[string]string{"7": "108", "9": "110"} {
		s.c.agents.add(extensionDoc{ID: text(id), Number: text(number)})
	}
	s.c.agents.learn([]extensionDoc{{ID: "500", Number: "500", Type: queueType}})
	s.c.fed(s.now, true, account)
	return s
}

// stateOf reads "id ext status" with words more: out, sup, reason=…, far=<extension>, num=… (the far end's), own=… (its number),
// peer=<session>/<party>.
func stateOf(text string) partyState {
	f := strings.Fields(text)
	p := partyState{ID: f[0], ExtensionID: strings.Trim(f[1], "-"), Status: f[2]}
	for _, w := range f[3:] {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "out":
			p.Outbound = true
		case "sup":
			p.Supervising, p.Reason = true, "Supervising"
		case "queue":
			p.Queue = true
		case "reason":
			p.Reason = value
		case "far":
			p.Far.ExtensionID = value
		case "num":
			p.Far.Number = value
		case "own":
			p.Number = value
		case "peer":
			p.Peer.Session, p.Peer.Party, _ = strings.Cut(value, "/")
		default:
			panic("stateOf: " + w)
		}
	}
	return p
}

// event gives an event of one party.
func (s *script) event(session string, seq int64, party string) {
	s.c.event(s.now, sessionEvent{session: session, sequence: seq, parties: []partyState{stateOf(party)}})
}

func TestAnsweredEventIsAskedAtOnceWithoutAReading(t *testing.T) {
	s := newFed(t, ModeParty, true)
	s.event("s1", 2, "c1 - Setup out")
	s.event("s1", 4, "c1 - Answered out") // taken by the queue
	s.event("s1", 5, "q2 500 Answered")
	s.event("s1", 6, "a3 7 Setup")
	s.event("s1", 7, "a3 7 Proceeding")
	s.want("")
	s.after(7 * time.Second)
	s.event("s1", 8, "a3 7 Answered") // the queue's party has not left yet
	s.want("wanted s1, wanted s1 c1, ask s1 c1, ask s1 a3")
	s.granted("s1", "c1", "o4")
	s.granted("s1", "a3", "o5")
	s.want("asked s1 customer, asked s1 agent")
	s.event("s1", 9, "o4 8 Answered out sup")
	s.event("s1", 10, "o5 8 Answered out sup")
	s.event("s1", 11, "q2 500 Disconnected")
	s.want("")
	s.c.match(s.now, Ref{"s1", "o4"}, Ref{"s1", "c1"})
	s.c.match(s.now, Ref{"s1", "o5"}, Ref{"s1", "a3"})
	s.c.answered(s.now, "s1", "c1")
	s.c.answered(s.now, "s1", "a3")
	s.want("joined s1 customer, joined s1 agent, confirmed s1 true")
	// Hold and its end are no second join.
	s.event("s1", 12, "a3 7 Hold")
	s.want("")
	s.event("s1", 13, "a3 7 Answered")
	s.event("s1", 8, "a3 7 Answered")
	s.want("")
	s.event("s1", 14, "a3 7 Disconnected")
	s.event("s1", 15, "c1 - Disconnected out")
	s.c.ended(s.now, "s1", "c1", hangup)
	s.c.ended(s.now, "s1", "a3", hangup)
	s.want("gone s1")
	s.event("s1", 13, "a3 7 Answered") // late
	s.look("s1 a3")                    // presence lags behind
	s.want("")
	if st := s.c.feed; st.stale != 2 {
		t.Errorf("got %d stale events, want 2", st.stale)
	}
}

func TestAgentsOwnFeedNeedsOneReadingInPartyMode(t *testing.T) {
	s := newFed(t, ModeParty, false)
	s.event("s1", 8, "a3 7 Answered num=+1408")
	s.want("wanted s1, read s1")
	s.read("s1", "c1 - Answered", "a3 7 Answered")
	s.want("wanted s1 c1, ask s1 c1, ask s1 a3")
	// In session mode nobody else need be named.
	s = newFed(t, ModeSession, false)
	s.event("s1", 8, "a3 7 Answered num=+1408")
	s.want("wanted s1, ask s1")
	// A call between two agents: each names the other.
	s = newFed(t, ModeParty, false)
	s.event("s2", 3, "a1 7 Proceeding out far=9")
	s.event("s2", 4, "a2 9 Answered far=7")
	s.event("s2", 5, "a1 7 Answered out far=9")
	s.want("wanted s2, wanted s2 a1, ask s2 a1, ask s2 a2")
	// A conference of which only the agents are told: the reading finds the third.
	s = newFed(t, ModeParty, false)
	s.event("s3", 3, "a1 7 Answered num=+1408")
	s.event("s3", 4, "a2 9 Answered num=+1408")
	s.want("wanted s3, read s3")
	s.read("s3", "c9 - Answered", "a1 7 Answered", "a2 9 Answered")
	s.want("wanted s3 c9, ask s3")
}

// TestTheOthersEventIsWaitedForAMoment: RingCentral was seen to send it 28 ms later; a reading would cost a request.
func TestTheOthersEventIsWaitedForAMoment(t *testing.T) {
	s := newFed(t, ModeParty, true)
	s.event("s1", 8, "a3 7 Answered out")
	s.want("wanted s1")
	s.after(28 * time.Millisecond)
	s.event("s1", 9, "c4 - Answered")
	s.want("wanted s1 c4, ask s1 c4, ask s1 a3")
	s = newFed(t, ModeParty, true)
	s.event("s1", 8, "a3 7 Answered out")
	s.want("wanted s1")
	if d := s.next.Sub(s.now); d != otherSoon {
		t.Errorf("next tick: got in %s, want in %s", d, otherSoon)
	}
	s.after(otherSoon) // it was lost
	s.want("read s1")
}

func TestEventDuringAReadingIsNotWaitedFor(t *testing.T) {
	s := newFed(t, ModeParty, true)
	s.event("s1", 8, "a3 7 Answered out")
	s.want("wanted s1")
	s.after(otherSoon)
	s.want("read s1")
	s.event("s1", 9, "c4 - Answered") // now both are named
	s.want("wanted s1 c4, ask s1 c4, ask s1 a3")
	s.c.match(s.now, Ref{"s1", "o5"}, Ref{"s1", "c4"})
	s.read("s1", "a3 7 Answered out", "c4 - Answered")
	s.want("")
	// The reading is older than an event that came meanwhile.
	s = newFed(t, ModeParty, true)
	s.event("s1", 8, "a3 7 Answered out")
	s.want("wanted s1")
	s.after(otherSoon)
	s.want("read s1")
	s.event("s1", 9, "a3 7 Disconnected out")
	s.read("s1", "a3 7 Answered out", "c4 - Answered")
	s.want("failed s1 hangup, gone s1")
}

func TestWhoLeavesAndComesIsFollowed(t *testing.T) {
	s := newFed(t, ModeParty, true)
	s.event("s1", 2, "c1 - Answered out")
	s.event("s1", 8, "a3 7 Answered")
	s.want("wanted s1, wanted s1 c1, ask s1 c1, ask s1 a3")
	for _, p := range []string{"c1", "a3"} {
		s.granted("s1", p, "o"+p)
		s.c.match(s.now, Ref{"s1", "o" + p}, Ref{"s1", p})
		s.c.answered(s.now, "s1", p)
	}
	s.want("asked s1 customer, joined s1 customer, asked s1 agent, joined s1 agent")
	// Blind transfer to the other agent, in the same session.
	s.after(time.Minute)
	s.event("s1", 9, "a3 7 Disconnected reason=BlindTransfer")
	s.c.ended(s.now, "s1", "a3", hangup)
	s.c.ended(s.now, "s1", "c1", hangup)
	s.event("s1", 10, "a4 9 Setup")
	s.want("")
	if !s.c.lives("s1", s.now) {
		t.Error("a call that is being transferred: got over, want alive")
	}
	s.after(10 * time.Second)
	s.event("s1", 11, "a4 9 Answered")
	s.want("wanted s1 c1, ask s1 c1, ask s1 a4")
	if a := s.c.sessions["s1"].agent; a.Extension != "110" {
		t.Errorf("agent: got %+v, want 110", a)
	}
	// Nobody takes it: after a while it is over.
	s = newFed(t, ModeParty, true)
	s.event("s1", 2, "c1 - Answered out")
	s.event("s1", 8, "a3 7 Answered")
	s.want("wanted s1, wanted s1 c1, ask s1 c1, ask s1 a3")
	s.refused("s1", "c1", outcomeRefused)
	s.refused("s1", "a3", outcomeRefused)
	s.want("failed s1 refused, failed s1 refused, read s1") // who else listens?
	s.read("s1", "c1 - Answered out", "a3 7 Answered")
	s.event("s1", 9, "a3 7 Disconnected reason=BlindTransfer")
	s.want("")
	s.after(transferWait)
	s.want("gone s1")
}

func TestPresenceAndFeedDoNotContradictEachOther(t *testing.T) {
	s := newFed(t, ModeSession, true)
	s.event("s1", 2, "c1 - Answered out")
	s.event("s1", 8, "a3 7 Answered")
	s.want("wanted s1, wanted s1 c1, ask s1")
	s.refused("s1", "", outcomeRefused)
	s.want("failed s1 refused, read s1")
	s.read("s1", "c1 - Answered out", "a3 7 Answered")
	s.after(10 * time.Second)
	s.look() // flickers
	s.want("read s1")
	s.read("s1", "c1 - Answered out", "a3 7 Answered")
	s.want("")
	if !s.c.lives("s1", s.now) {
		t.Error("a flicker of presence ended a call that events say lives")
	}
	// The last event was lost: the look's absence has the session read, and that ends it.
	s.after(20 * time.Second)
	s.look()
	s.want("read s1")
	s.c.read(s.now, "s1", nil, outcomeLater, time.Time{}, nil)
	s.want("gone s1")
}

var hangup = call.Cause{Code: call.CodeHangup}

// TestAnyOrderOfEventsGivesTheSameView: repeated and shuffled events leave what those in order leave; after a lost one,
// a reading does.
func TestAnyOrderOfEventsGivesTheSameView(t *testing.T) {
	codes := []string{"Setup", "Proceeding", "Answered", "Hold", "Answered", "Disconnected"}
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		var events []sessionEvent
		step := map[string]int{}
		for seq := int64(2); seq < 30; seq++ {
			p := fmt.Sprintf("p-%d", rnd.IntN(4))
			if step[p] == len(codes) {
				continue
			}
			events = append(events, sessionEvent{session: "s", sequence: seq, parties: []partyState{{ID: p, Status: codes[step[p]]}}})
			step[p]++
		}
		now := time.Unix(1, 0)
		states := func(v *view) map[string]string {
			m := map[string]string{}
			for _, p := range v.parties {
				m[p.ID] = p.Status
			}
			return m
		}
		ordered, shuffled, lossy := &view{}, &view{}, &view{}
		for _, ev := range events {
			ordered.merge(now, ev)
		}
		mixed := append([]sessionEvent(nil), events...)
		mixed = append(mixed, events[rnd.IntN(len(events)):]...)
		rnd.Shuffle(len(mixed), func(i, k int) { mixed[i], mixed[k] = mixed[k], mixed[i] })
		for _, ev := range mixed {
			shuffled.merge(now, ev)
			if rnd.IntN(3) > 0 {
				lossy.merge(now, ev)
			}
		}
		lossy.mergeRead(now, ordered.states(), lossy.top)
		for _, ev := range mixed[:rnd.IntN(len(mixed))] { // some come after the reading that already holds them
			if ev.sequence <= lossy.readTop {
				lossy.merge(now, ev)
			}
		}
		for name, v := range map[string]*view{"shuffled": shuffled, "lossy": lossy} {
			if d := cmp.Diff(states(ordered), states(v)); d != "" {
				t.Fatalf("seed %d, %s:\n%s", seed, name, d)
			}
		}
	}
}

func TestEventIsJoinedWithTwoRequestsAtMost(t *testing.T) {
	for _, account := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f, feed := newFake(t), newFakeFeed(t)
			var asked []time.Duration
			var answered time.Time
			f.supervised = func(session, party, own string) {
				f.set(func() { asked = append(asked, time.Since(answered)) })
				f.sup.Match(Ref{session, own}, Ref{session, party})
				f.sup.Answered(session, party)
			}
			f.hook = func(_ http.ResponseWriter, r *http.Request, _ string) bool { // a network with some way to go
				if strings.Contains(r.URL.Path, "telephony") {
					pass(20 * time.Millisecond)
				}
				return false
			}
			s, _, _ := fedBy(t, f, feed, nil)
			eventually(t, 5*time.Second, "a live feed", live1(s))
			if account {
				s.mu.Lock()
				for i := range maxFilters + 1 {
					s.core.agents.add(extensionDoc{ID: text(fmt.Sprint(7000 + i))})
				}
				s.mu.Unlock()
				s.refilter()
			}
			pass(10 * time.Second)
			f.set(func() { f.sessions[sess1] = twoParty() })
			reads := f.requests("GET .*/telephony/")
			feed.tell("", eventOf(sess1, 4, custParty, "", "Outbound", "Answered"))
			pass(time.Second)
			answered = time.Now()
			feed.tell(agentExt, eventOf(sess1, 8, agentParty, agentExt, "Inbound", "Answered"))
			eventually(t, time.Second, "joined", func() bool { st := s.Status(); return len(st.Calls) == 1 && st.Calls[0].State == "joined" })
			want, gets := 20*time.Millisecond, 0
			if !account { // the customer's party is not told of: one reading
				want, gets = 40*time.Millisecond, 1
			}
			if len(asked) != 2 || asked[1] != want || f.requests("GET .*/telephony/")-reads != gets {
				t.Errorf("account %t: got POSTs after %v and %d readings, want both after %s and %d", account, asked, f.requests("GET .*/telephony/")-reads, want, gets)
			}
		})
	}
}
