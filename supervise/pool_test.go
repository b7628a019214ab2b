package supervise

import (
	"fmt"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// newPool is a script with several devices: login by device, and how many dialogs each takes.
func newPool(t *testing.T, mode string, logins, dialogs []int) *script {
	s := newFed(t, mode, true)
	s.c.equip(logins, dialogs)
	s.regs = make([]bool, len(logins))
	for i := range s.regs {
		s.regs[i] = true
	}
	return s
}

// begin lets a customer and the agent 7 talk in a session.
func (s *script) begin(id string) {
	s.event(id, 2, "c"+id+" - Answered out")
	s.event(id, 3, "a"+id+" 7 Answered")
}

// up answers one dialog of a session.
func (s *script) up(id, party string) {
	s.c.asked(s.now, id, party, "o"+id+party, outcomeDone, time.Time{}, nil)
	s.c.match(s.now, Ref{id, "o" + id + party}, Ref{id, party})
	s.c.answered(s.now, id, party)
	s.c.take()
}

func TestCallsAreSpreadAndBothPartiesOfOneAreOnOneDevice(t *testing.T) {
	s := newPool(t, ModeParty, []int{0, 0, 1}, []int{4, 4, 4})
	for i, want := range []string{"@0", "@1", "@2", "@0", "@1", "@2"} {
		id := fmt.Sprint(i)
		s.begin(id)
		s.want(fmt.Sprintf("wanted %[1]s, wanted %[1]s c%[1]s, ask %[1]s c%[1]s %[2]s, ask %[1]s a%[1]s %[2]s", id, want))
		s.up(id, "c"+id)
		s.up(id, "a"+id)
	}
	s.begin("x")
	s.want("wanted x, wanted x cx, failed x no_capacity, short")
	for _, id := range []string{"4"} {
		s.c.ended(s.now, id, "c"+id, hangupBy(call.CodeReleased))
		s.want("") // one dialog is not enough for two
		s.c.ended(s.now, id, "a"+id, hangupBy(call.CodeReleased))
		s.want("") // RingCentral may count it a moment longer
		if d := s.next.Sub(s.now); d != freeSettle {
			t.Errorf("next tick: got in %s, want in %s", d, freeSettle)
		}
		s.after(freeSettle)
		s.want("ask x cx @1, ask x ax @1")
	}
}

func TestSecondPartyIsAskedWhereTheFirstIsHeard(t *testing.T) {
	s := newPool(t, ModeParty, []int{0, 1}, []int{0, 0})
	s.begin("1")
	s.want("wanted 1, wanted 1 c1, ask 1 c1 @0, ask 1 a1 @0")
	s.up("1", "c1")
	s.up("1", "a1")
	s.c.ended(s.now, "1", "a1", hangup)
	s.after(rejoinFirst)
	s.want("read 1")
	s.read("1", "c1 - Answered out", "a1 7 Answered")
	s.want("ask 1 a1 again @0") // although 1 has no dialog at all
}

func TestSupervisorWhoMayListenIsAskedFirst(t *testing.T) {
	s := newPool(t, ModeSession, []int{0, 1, 2}, []int{0, 0, 0})
	s.c.cover(0, map[string]bool{"5": true})
	s.c.cover(1, map[string]bool{"5": true})
	s.c.cover(2, map[string]bool{"7": true})
	s.begin("1")
	s.want("wanted 1, wanted 1 c1, ask 1 @2")
	s.up("1", "")
	s.regs[2] = false
	s.begin("2")
	s.want("wanted 2, wanted 2 c2") // nobody else may: it is waited for
	s.regs[2] = true
	s.after(registeredAgain)
	s.want("ask 2 @2")
	// Whether a supervisor may is not known, and the one who may has no room: the call is not missed for that.
	s = newPool(t, ModeSession, []int{0, 1}, []int{1, 0})
	s.c.cover(0, map[string]bool{"7": true})
	s.begin("1")
	s.want("wanted 1, wanted 1 c1, ask 1 @0")
	s.up("1", "")
	s.begin("2")
	s.want("wanted 2, wanted 2 c2, ask 2 @1")
	// Whom nobody covers is asked for all the same, once: RingCentral says why not.
	s = newPool(t, ModeSession, []int{0, 1}, []int{0, 0})
	s.c.cover(0, map[string]bool{"5": true})
	s.c.cover(1, map[string]bool{"5": true})
	s.begin("1")
	s.want("wanted 1, wanted 1 c1, ask 1 @0")
}

func TestRefusedCallIsAskedForOnAnotherDevice(t *testing.T) {
	s := newPool(t, ModeSession, []int{0, 1}, []int{0, 0})
	s.begin("1")
	s.want("wanted 1, wanted 1 c1, ask 1 @0")
	s.refused("1", "", outcomeRefused)
	s.want("turned 1 0, read 1")
	s.read("1", "c1 - Answered out", "a1 7 Answered")
	s.want("ask 1 again @1")
	s.refused("1", "", outcomeRefused)
	s.want("failed 1 refused")
	// What may be a lag is waited for before the next device is asked.
	s = newPool(t, ModeSession, []int{0, 1}, []int{0, 0})
	s.begin("1")
	s.want("wanted 1, wanted 1 c1, ask 1 @0")
	tries := 1
	for s.refused("1", "", outcomeLater); tries < 10; tries++ {
		s.after(quickFirst << (tries - 1))
		s.c.tick(s.now, s.regs...)
		s.c.take()
		s.read("1", "c1 - Answered out", "a1 7 Answered")
		s.c.tick(s.now, s.regs...)
		acts := s.c.take()
		if ask, ok := acts[len(acts)-1].(actAsk); !ok {
			t.Fatalf("try %d: got %v, want it asked again", tries, acts)
		} else if ask.device == 1 {
			break
		}
		s.refused("1", "", outcomeLater)
	}
	if waited := s.now.Sub(time.Unix(1_000_000, 0)); tries < 3 || waited < laterWithin/2 || waited > 2*laterWithin {
		t.Errorf("the next device was asked after %d tries, %s", tries, waited)
	}
}

func TestNoInviteOnOneDeviceIsAskedForOnTheNext(t *testing.T) {
	s := newPool(t, ModeSession, []int{0, 0}, []int{0, 0})
	s.begin("1")
	s.want("wanted 1, wanted 1 c1, ask 1 @0")
	s.granted("1", "", "o1")
	s.want("asked 1 mix")
	s.after(10 * time.Second)
	s.want("probe 0, failed 1 no_invite, read 1")
	s.read("1", "c1 - Answered out", "a1 7 Answered")
	s.want("ask 1 again @1") // at once
	s.granted("1", "", "o2")
	s.c.match(s.now, Ref{"1", "o2"}, Ref{})
	s.c.answered(s.now, "1", "")
	s.want("asked 1 mix, joined 1 mix")
}

func TestUsedUpBudgetOfOneSupervisorLeavesTheCallToAnother(t *testing.T) {
	s := newPool(t, ModeSession, []int{0, 1}, []int{0, 0})
	s.begin("1")
	s.want("wanted 1, wanted 1 c1, ask 1 @0")
	s.c.asked(s.now, "1", "", "", outcomeBusy, s.now.Add(20*time.Second), &busyError{group: groupLight, until: s.now.Add(20 * time.Second)})
	s.want("ask 1 @1")
	s.c.asked(s.now, "1", "", "", outcomeBusy, s.now.Add(10*time.Second), &busyError{group: groupLight, until: s.now.Add(10 * time.Second)})
	s.want("failed 1 no_capacity, short")
	if d := s.next.Sub(s.now); d != 10*time.Second {
		t.Errorf("next tick: got in %s, want in 10s", d)
	}
	s.after(10 * time.Second)
	s.want("ask 1 @1") // the feed has told of no change: a reading would cost what was waited for
}

func TestPriorityDecidesWhoIsAskedForFirst(t *testing.T) {
	s := newPool(t, ModeSession, []int{0}, []int{1})
	s.c.agents.add(extensionDoc{ID: "9", Number: "109"})
	s.c.agents.groups["9"] = []string{"8121017", "Gold"}
	s.c.setPolicy(s.now, Policy{Internal: true, Priority: []string{"gold", "108"}})
	s.begin("1")
	s.want("wanted 1, wanted 1 c1, ask 1 @0")
	s.up("1", "")
	for _, id := range []string{"2", "3"} { // 2 is older
		s.after(time.Second)
		ext := map[string]string{"2": "7", "3": "9"}[id]
		s.event(id, 2, "c"+id+" - Answered out")
		s.event(id, 3, "a"+id+" "+ext+" Answered")
	}
	s.want("wanted 2, wanted 2 c2, wanted 3, wanted 3 c3, failed 3 no_capacity, short, failed 2 no_capacity")
	s.c.ended(s.now, "1", "", hangupBy(call.CodeReleased))
	s.after(freeSettle)
	s.want("ask 3 @0")
}

func TestDeviceThatIsNotRegisteredGetsNoCalls(t *testing.T) {
	s := newPool(t, ModeSession, []int{0, 0}, []int{0, 0})
	s.regs[0] = false
	s.begin("1")
	s.want("wanted 1, wanted 1 c1, ask 1 @1")
	s.up("1", "")
	// A call whose device is lost waits for it as long as a dialog is up, then goes to another.
	s.regs = []bool{true, false}
	s.c.ended(s.now, "1", "", call.Cause{Code: call.CodeFlowLost})
	s.after(rejoinFirst)
	s.want("read 1")
	s.read("1", "c1 - Answered out", "a1 7 Answered")
	s.want("ask 1 again @0")
}
