package endpoint_test

import (
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// An agents' own feed does not tell of a third person from outside.
func TestConferenceGoesOnAsANextPart(t *testing.T) {
	t.Parallel()
	for _, known := range []string{byAccount} {
		t.Run(known, func(t *testing.T) {
			t.Parallel()
			w := newLife(t, lifeSpec{known: known})
			c := w.start(ringsim.CallSpec{Agent: "108"})
			w.talk(c, time.Second)
			third, err := c.AddParty(ringsim.PartySpec{Number: "+14155550123"})
			w.must(err)
			w.until("a second of the three", func() bool { return w.tracks("mix", 1) == 1 })
			w.must(c.DropParty(third)) // the two that are left go on as they are
			w.talk(c, time.Second)
			w.hangUp(c)
			got := w.one(2, c)
			if !slices.Equal(got[0].Channels, []string{"customer", "agent"}) || !slices.Equal(got[1].Channels, []string{"mix"}) {
				t.Errorf("channels: got %v and %v", got[0].Channels, got[1].Channels)
			}
			for _, r := range got {
				if r.State != "recorded" {
					t.Errorf("part %d: got %s (%s), want recorded: all that came is there", r.Part, r.State, r.Cause)
				}
			}
		})
	}
}

const oneSession = "/restapi/v1.0/account/{account}/telephony/sessions/{session}"

// everyWay runs a test for each way in which calls become known.
func everyWay(t *testing.T, ways []string, f func(t *testing.T, known string)) {
	t.Parallel()
	for _, known := range ways {
		t.Run(known, func(t *testing.T) {
			t.Parallel()
			f(t, known)
		})
	}
}

func TestBlindTransferToAMonitoredAgentIsOneCall(t *testing.T) {
	everyWay(t, []string{byAgents, byAccount, byPresence}, func(t *testing.T, known string) {
		w := newLife(t, lifeSpec{known: known})
		c := w.start(ringsim.CallSpec{Agent: "108"})
		w.talk(c, time.Second)
		w.must(c.TransferBlind("109"))
		w.until("the first agent's dialogs are down", func() bool { return w.dialogs() == 0 })
		<-time.After(1500 * time.Millisecond) // it rings
		c.Answer()
		w.heard(c)
		w.talk(c, time.Second)
		w.hangUp(c)
		r := w.one(1, c)[0]
		wantGaps(t, r, "agent_left", "agent_left")
		wantState(t, r, "recorded", "hangup")
		if n := len(r.Tracks); n != 4 {
			t.Errorf("got %d tracks, want two for each agent", n)
		}
		if known != byPresence {
			wantEvent(t, r, `"reason":"BlindTransfer"`)
		}
	})
}

func TestBlindTransferIsOneCallInEveryForm(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]lifeSpec{
		"one stream": {mode: "session", form: ringsim.FormMixed}, "two lines": {form: ringsim.FormTwoLines},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newLife(t, s)
			c := w.start(ringsim.CallSpec{Agent: "108"})
			w.talk(c, 700*time.Millisecond)
			w.must(c.TransferBlind("109"))
			w.until("the first agent's dialogs are down", func() bool { return w.dialogs() == 0 })
			c.Answer()
			w.heard(c)
			w.talk(c, 700*time.Millisecond)
			w.hangUp(c)
			r := w.one(1, c)[0]
			wantState(t, r, "recorded", "hangup")
			if len(r.Gaps) == 0 {
				t.Error("got no gap, want the time between the agents")
			}
		})
	}
}

func TestBlindTransferAwayEndsTheCall(t *testing.T) {
	everyWay(t, []string{byAgents, byAccount, byPresence}, func(t *testing.T, known string) {
		w := newLife(t, lifeSpec{known: known, rejoin: time.Second})
		c := w.start(ringsim.CallSpec{Agent: "108"})
		w.talk(c, time.Second)
		w.must(c.TransferBlind("111"))
		c.Answer()
		w.until("no call left", func() bool { return len(w.ep.Status().Calls) == 0 })
		w.hangUp(c)
		r := w.one(1, c)[0]
		wantGaps(t, r)
		wantState(t, r, "recorded", "hangup")
		wantEvent(t, r, `"type":"agent_left"`)
		wantEvent(t, r, `"reason":"BlindTransfer"`)
	})
}

func TestTransferToAQueueIsOneCall(t *testing.T) {
	everyWay(t, []string{byAgents, byAccount, byPresence}, func(t *testing.T, known string) {
		w := newLife(t, lifeSpec{known: known})
		c := w.start(ringsim.CallSpec{Agent: "108"})
		w.talk(c, time.Second)
		w.must(c.TransferQueue("Support", "110"))
		w.until("the first agent's dialogs are down", func() bool { return w.dialogs() == 0 })
		w.must(c.RingNext("109")) // 110 did not take it
		c.Answer()
		w.heard(c)
		w.talk(c, time.Second)
		w.hangUp(c)
		r := w.one(1, c)[0]
		if known != byPresence { // which shows the new agent with the next look only, and that costs up to a second of audio
			wantState(t, r, "recorded", "hangup")
		}
		wantEvent(t, r, `"agent":"109"`)
	})
}

func TestAttendedTransferToAMonitoredAgentIsOneCall(t *testing.T) {
	everyWay(t, []string{byAgents, byAccount, byPresence}, func(t *testing.T, known string) {
		w := newLife(t, lifeSpec{known: known})
		c := w.start(ringsim.CallSpec{Agent: "108"})
		w.talk(c, time.Second)
		consult, err := c.Consult(ringsim.CallSpec{Peer: "109"})
		w.must(err)
		w.until("the consultation between colleagues is excused", func() bool { return w.waits("excused") == 1 })
		reads := w.sim.Requested("GET", oneSession)
		w.must(c.TransferAttended(consult))
		w.heard(consult)
		w.talk(consult, time.Second)
		// One of the session that goes on, and, where only the agents' own parties are told of, one of that which it goes on from.
		if n := w.sim.Requested("GET", oneSession) - reads; n < 1 && known == byAgents || n > 2 && known != byPresence {
			t.Errorf("got %d session readings for the transfer, want at most two", n)
		}
		w.hangUp(consult, c)
		r := w.one(1, c, consult)[0]
		wantState(t, r, "recorded", "hangup")
		wantEvent(t, r, `"type":"call_moved"`)
	})
}

// An attended transfer between two calls that were both heard: they stay two, and the later one names the earlier.
func TestTwoCallsThatAreJoinedNameEachOther(t *testing.T) {
	everyWay(t, []string{byAgents, byAccount, byPresence}, func(t *testing.T, known string) {
		w := newLife(t, lifeSpec{known: known, rejoin: 2 * time.Second})
		c := w.start(ringsim.CallSpec{Agent: "108"})
		w.talk(c, 700*time.Millisecond)
		consult, err := c.Consult(ringsim.CallSpec{Customer: ringsim.Customer{Number: "+14155550177", Name: "SUPPLIER"}})
		w.must(err)
		w.heard(consult)
		w.talk(consult, 700*time.Millisecond)
		w.must(c.TransferAttended(consult)) // the two outside talk on, without the agent
		w.until("no call left", func() bool { return len(w.ep.Status().Calls) == 0 })
		w.hangUp(consult, c)
		first, second := oracle.Parts(t, w.dir, c.SessionID()), oracle.Parts(t, w.dir, consult.SessionID())
		if len(first) != 1 || len(second) != 1 {
			t.Fatalf("got %d and %d folders, want one each", len(first), len(second))
		}
		if got := second[0].Call.Earlier; !slices.Equal(got, []string{c.SessionID()}) {
			t.Errorf("the later call goes on from %v, want %s", got, c.SessionID())
		}
		wantEvent(t, first[0], `"call_id":"`+consult.SessionID()+`"`)
	})
}

func TestConsultationBesideAHeldCallIsACallOfItsOwn(t *testing.T) {
	everyWay(t, []string{byAgents, byAccount, byPresence}, func(t *testing.T, known string) {
		w := newLife(t, lifeSpec{known: known})
		c := w.start(ringsim.CallSpec{Agent: "108"})
		w.talk(c, time.Second)
		consult, err := c.Consult(ringsim.CallSpec{Customer: ringsim.Customer{Number: "+14155550177", Name: "SUPPLIER"}})
		w.must(err)
		w.heard(consult)
		w.talk(consult, time.Second) // both at once, one of them on hold
		consult.Hangup()
		<-consult.Done()
		c.Resume()
		w.talk(c, time.Second)
		w.hangUp(c)
		for _, x := range []*ringsim.Call{c, consult} {
			got := oracle.Parts(t, w.dir, x.SessionID())
			if len(got) != 1 {
				t.Fatalf("call %s: got %d folders, want 1", x.SessionID(), len(got))
			}
			oracle.CompareParts(t, "call "+x.SessionID(), x.Streams(), got, oracle.Limits{ApartSamples: apart})
			wantState(t, got[0], "recorded", "hangup")
			wantGaps(t, got[0])
			if x == c {
				wantEvent(t, got[0], `"type":"agent_holds"`)
				wantEvent(t, got[0], `"type":"agent_talks"`)
			}
		}
	})
}

func TestParkAndPickUpIsOneCall(t *testing.T) {
	everyWay(t, []string{byAgents, byAccount, byPresence}, func(t *testing.T, known string) {
		w := newLife(t, lifeSpec{known: known})
		c := w.start(ringsim.CallSpec{Agent: "108"})
		w.talk(c, time.Second)
		w.must(c.Park())
		w.until("the dialogs are down", func() bool { return w.dialogs() == 0 })
		<-time.After(1500 * time.Millisecond) // it waits in the park
		next, err := c.PickUp("109")
		w.must(err)
		w.heard(next)
		w.talk(next, time.Second)
		w.hangUp(next, c)
		r := w.one(1, c, next)[0]
		wantGaps(t, r, "agent_left", "agent_left")
		wantState(t, r, "recorded", "hangup")
	})
}

func TestAgentWhoTakesAnotherPhoneIsOneCall(t *testing.T) {
	everyWay(t, []string{byAgents, byAccount, byPresence}, func(t *testing.T, known string) {
		w := newLife(t, lifeSpec{known: known})
		c := w.start(ringsim.CallSpec{Agent: "108"})
		w.talk(c, time.Second)
		w.must(c.SwitchDevice())
		w.heard(c)
		w.talk(c, time.Second)
		w.hangUp(c)
		r := w.one(1, c)[0]
		for _, g := range append(r.Gaps, r.Missing...) {
			if g.Samples > 8000 {
				t.Errorf("gap %+v: longer than a second", g)
			}
		}
	})
}

func TestStoppedWhileTwoPartsAreOpenBothAreSealedInOrder(t *testing.T) {
	t.Parallel()
	w := newLife(t, lifeSpec{known: byAccount})
	c := w.start(ringsim.CallSpec{Agent: "108"})
	_, err := c.AddParty(ringsim.PartySpec{Number: "+14155550123"})
	w.must(err)
	w.until("the three", func() bool { return w.tracks("mix", 0.7) == 1 })
	w.end()
	c.Hangup()
	<-c.Done()
	got := oracle.Parts(t, w.dir, c.SessionID()) // which looks at the hashes
	if len(got) != 2 {
		t.Fatalf("got %d folders, want 2", len(got))
	}
	for _, r := range got {
		wantState(t, r, "recorded", "shutdown")
	}
}
