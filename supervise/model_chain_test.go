package supervise

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// heardNow says whether all that was planned of a session is heard.
func (m *model) heardNow(s *modelSession) bool {
	x := m.c.sessions[s.id]
	return x != nil && x.joined() && slices.ContainsFunc(s.talkers(), func(p *modelParty) bool { return monitoredExt(p.ext) })
}

// TestModelHandedOnIsOneCall: without faults a call that is handed on, by an attended transfer or through the park, is one
// call, whatever the order of events and answers and whoever's feed it is; and no session is read more than once for it.
func TestModelHandedOnIsOneCall(t *testing.T) {
	t.Parallel()
	followed := 0
	for seed := range uint64(400) {
		m := newModel(t, 1_000_000+seed)
		m.calm, m.lingers = true, true
		s := &modelSession{id: m.id("s"), number: "+14085550164"}
		m.sessions = append(m.sessions, s)
		c := &modelParty{id: m.id("c"), out: true, number: s.number}
		a := &modelParty{id: m.id("a"), ext: "7", number: s.number}
		m.set(s, c, "Answered", "")
		m.set(s, a, "Answered", "")
		m.run(5 * time.Second)
		if !m.heardNow(s) {
			m.fail("%s is not heard", s.id)
		}
		before := m.reads[s.id]
		park := m.chance(50)
		if park {
			m.park(s, a)
		} else {
			m.attendedTransfer(s, a)
		}
		m.run(40 * time.Second)
		n := m.sessions[len(m.sessions)-1]
		if n == s || n.over || !s.over || !m.heardNow(n) {
			continue // it did not come to that
		}
		followed++
		if got := strings.Join(m.c.chain(n.id), " "); got != s.id+" "+n.id {
			m.fail("park %t, account's feed %t: chain %q, want one call of %s and %s", park, m.account, got, s.id, n.id)
		}
		most := 1
		if park {
			most = 2 // one for the end of its dialogs, one when somebody takes it
		}
		if got := m.reads[s.id] - before; got > most {
			m.fail("park %t, account's feed %t: %s was read %d times, want %d at most", park, m.account, s.id, got, most)
		}
	}
	if followed < 200 {
		t.Errorf("got %d calls that were handed on: the test says little", followed)
	}
}
