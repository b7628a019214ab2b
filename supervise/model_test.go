package supervise

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// The model is a small RingCentral without HTTP: sessions, parties, supervisors; its events, looks, readings and requests
// are late, shuffled, lost or refused as chance has it. It shares no code with the core.

type modelParty struct {
	id, ext, status, reason string
	out, sup                bool
	far, number             string
	peer                    Ref
	monitors, agent         string // sup: whose audio, and the agent it was asked with
	device                  int    // sup: on which it listens
	dialog                  bool   // sup: it is up, or its INVITE is under way
}

func (p *modelParty) on() bool { return p.status == "Answered" || p.status == "Hold" }

func (p *modelParty) state() partyState {
	s := partyState{ID: p.id, ExtensionID: p.ext, Status: p.status, Reason: p.reason, Supervising: p.sup, Outbound: p.out,
		Far: farEnd{ExtensionID: p.far, Number: p.number}, Peer: p.peer}
	if p.ext == "" { // from outside: the number is its own
		s.Number, s.Far = p.number, farEnd{}
	}
	return s
}

type modelSession struct {
	id       string
	seq      int64
	parties  []*modelParty
	external bool // somebody from outside was in it
	number   string
	outbound bool
	over     bool
	rival    *modelParty

	unheard time.Time   // an agent talks and is not heard since then; zero: is heard, or does not talk
	named   []time.Time // when a cause was told, or a recording's part ended, which names one
	gaps    []modelGap
	heard   bool // a dialog was up
	blind   bool // events of its parties were lost, or the feed was down
}

type modelTask struct {
	at time.Time
	n  int
	do func()
}

type modelTasks []modelTask

func (t modelTasks) Len() int { return len(t) }
func (t modelTasks) Less(i, k int) bool {
	return t[i].at.Before(t[k].at) || t[i].at.Equal(t[k].at) && t[i].n < t[k].n
}
func (t modelTasks) Swap(i, k int) { t[i], t[k] = t[k], t[i] }
func (t *modelTasks) Push(x any)   { *t = append(*t, x.(modelTask)) }
func (t *modelTasks) Pop() any {
	old := *t
	x := old[len(old)-1]
	*t = old[:len(old)-1]
	return x
}

// modelLate is how late an event may be.
const modelLate = 3 * time.Second

type model struct {
	t        *testing.T
	seed     uint64
	rnd      *rand.Rand
	c        *core
	now      time.Time
	tasks    modelTasks
	n        int
	sessions []*modelSession
	healthy  bool
	account  bool
	mode     string
	calm     bool // no faults any more
	pool     modelPool
	limits   modelLimits
	life     int             // of earshot: grows with each restart
	flying   map[string]bool // requests under way, by session and party
	dialogs  map[string]bool // up, by session and party
	twice    map[string]int  // further dialogs of the same
	places   map[string]int  // where a party was asked for last
	named    map[string]string
	excused  map[string]bool
	moved    map[string]bool // sessions that a call moved from or to
	wakeAt   time.Time
	ids      int
	asked    int
	reads    map[string]int
	lingers  bool // sessions that are over can be read
	story    []string
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 5)), now: time.Unix(1_000_000, 0), flying: map[string]bool{}, dialogs: map[string]bool{}, twice: map[string]int{}, places: map[string]int{},
		named: map[string]string{}, excused: map[string]bool{}, moved: map[string]bool{}, reads: map[string]int{}, healthy: true}
	m.mode = []string{ModeParty, ModeSession}[m.rnd.IntN(2)]
	m.account = m.chance(50)
	m.makePool()
	m.ration()
	m.start()
	m.look()
	return m
}

// start begins a life of earshot, which knows nothing.
func (m *model) start() {
	m.c = newCore(m.mode, 10*time.Second)
	m.c.own = ownSet{"8"}
	m.c.policy = Policy{Directions: []string{DirectionInbound}, NotNumbers: []string{"+999"}, Priority: []string{"109"}}
	m.c.agents.add(extensionDoc{ID: "7", Number: "107"})
	m.c.agents.add(extensionDoc{ID: "9", Number: "109"})
	m.equip()
	m.meter()
	m.c.fed(m.now, m.healthy, m.account)
}

func (m *model) chance(percent int) bool { return m.rnd.IntN(100) < percent }
func (m *model) fault(percent int) bool  { return !m.calm && m.chance(percent) }
func (m *model) ms(most int) time.Duration {
	return time.Duration(m.rnd.IntN(most+1)) * time.Millisecond
}

func (m *model) note(format string, args ...any) {
	m.story = append(m.story, m.now.Sub(time.Unix(1_000_000, 0)).String()+" "+fmt.Sprintf(format, args...))
}

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	tail := m.story[max(0, len(m.story)-700):]
	m.t.Fatalf("seed %d (EARSHOT_SEED=%d): %s\n%s", m.seed, m.seed, fmt.Sprintf(format, args...), strings.Join(tail, "\n"))
}

func (m *model) after(d time.Duration, do func()) {
	m.n++
	heap.Push(&m.tasks, modelTask{m.now.Add(d), m.n, do})
}

// run lets the time pass.
func (m *model) run(d time.Duration) {
	end := m.now.Add(d)
	for {
		m.step()
		next := end
		if len(m.tasks) > 0 && m.tasks[0].at.Before(next) {
			next = m.tasks[0].at
		}
		if !m.wakeAt.IsZero() && m.wakeAt.Before(next) {
			next = m.wakeAt
		}
		if !next.Before(end) {
			m.now = end
			return
		}
		m.now = next
		for len(m.tasks) > 0 && !m.tasks[0].at.After(m.now) {
			heap.Pop(&m.tasks).(modelTask).do()
		}
	}
}

// step ticks the core and performs what it decides.
func (m *model) step() {
	if m.limits.limit > 0 {
		m.c.afford(m.now, m.budgets())
	}
	m.wakeAt = m.c.tick(m.now, m.pool.registered...)
	if !m.wakeAt.IsZero() && !m.wakeAt.After(m.now) {
		m.fail("the core asks to be ticked again at once")
	}
	for _, s := range m.sessions {
		x := m.c.sessions[s.id]
		if x == nil || s.unheard.IsZero() || len(s.named) > 0 && !s.named[len(s.named)-1].Before(s.unheard) {
			continue
		}
		if x.cause.Code != "" && x.told {
			s.name(m.now) // it was told before, and holds on: status shows it
		}
		if m.hindered(s, x) {
			s.name(m.now)
		}
	}
	for _, a := range m.c.take() {
		switch a := a.(type) {
		case actRead:
			m.read(a.session)
		case actAsk:
			m.ask(a)
		case actFailed:
			m.note("failed %s %s", a.session, a.cause.Code)
			m.named[a.session] = a.cause.String()
			if s := m.session(a.session); s != nil {
				s.name(m.now)
			}
		case actExcused:
			m.note("excused %s %s", a.call.Session, a.rule)
			m.excused[a.call.Session] = true
		case actMoved:
			m.moved[a.from], m.moved[a.to] = true, true
		case actGone:
			m.note("gone %s", a.session)
		}
	}
}

func (m *model) session(id string) *modelSession {
	for _, s := range m.sessions {
		if s.id == id {
			return s
		}
	}
	return nil
}

func (s *modelSession) party(id string) *modelParty {
	for _, p := range s.parties {
		if p.id == id {
			return p
		}
	}
	return nil
}

// talkers are those on the line; supervisors don't count.
func (s *modelSession) talkers() (all []*modelParty) {
	for _, p := range s.parties {
		if p.on() && !p.sup {
			all = append(all, p)
		}
	}
	return all
}

func monitoredExt(ext string) bool { return ext == "7" || ext == "9" }

// agent is a monitored one who talks.
func (s *modelSession) agent() *modelParty {
	for _, p := range s.parties {
		if monitoredExt(p.ext) && !p.sup && p.on() {
			return p
		}
	}
	return nil
}

// wanted is the reference's policy: calls with somebody from outside who called, other than +999.
func (s *modelSession) wanted() bool {
	return s.external && !s.outbound && !strings.HasPrefix(s.number, "+999")
}

// set changes a party, and tells so: late, twice, or not at all.
func (m *model) set(s *modelSession, p *modelParty, status, reason string) {
	if s.party(p.id) == nil {
		s.parties = append(s.parties, p)
	}
	p.status, p.reason = status, reason
	if p.sup {
		p.reason = "Supervising"
	}
	s.seq++
	if p.ext == "" && p.on() && !p.sup {
		s.external = true
	}
	m.note("%s %s(%s) %s %s", s.id, p.id, p.ext, status, reason)
	m.listen(s)
	told := m.account || monitoredExt(p.ext) || p.ext == "8"
	if !told {
		return
	}
	if !m.healthy || m.fault(5) {
		s.blind = true
		return
	}
	ev := sessionEvent{session: s.id, sequence: s.seq, parties: []partyState{p.state()}}
	for range 1 + m.rnd.IntN(8)/7 {
		delay := 20*time.Millisecond + m.ms(60)
		if m.fault(10) {
			delay += m.ms(int(modelLate.Milliseconds()))
		}
		m.soon(delay, func() { m.c.event(m.now, ev) })
	}
}

func (m *model) id(prefix string) string { m.ids++; return prefix + strconv.Itoa(m.ids) }

// look is a look at presence, and the plan of the next one.
func (m *model) look() {
	m.lookOnce()
	every := 8 * time.Second
	if m.healthy {
		every = time.Minute
	}
	m.after(every, m.look)
}

func (m *model) lookOnce() {
	snap := snapshot{taken: m.now, any: map[string]bool{}, inside: map[string][]string{}}
	for _, s := range m.sessions {
		for _, p := range s.parties {
			if p.ext != "" && p.ext != "8" && p.on() {
				snap.inside[s.id] = append(snap.inside[s.id], p.ext)
			}
			switch {
			case p.sup && p.on():
				snap.any[p.id] = true
			case monitoredExt(p.ext) && p.on():
				a := agentCall{agent: Agent{ID: p.ext, Extension: "10" + p.ext}, session: s.id, party: p.id, held: p.status == "Hold", direction: DirectionInbound}
				if p.out {
					a.direction = DirectionOutbound
				}
				a.customer = call.Party{Role: call.RoleCustomer, Number: p.number}
				snap.calls = append(snap.calls, a)
			}
		}
	}
	m.soon(30*time.Millisecond+m.ms(200), func() { m.c.look(m.now, snap) })
}

// read serves a session GET.
func (m *model) read(id string) {
	m.reads[id]++
	s := m.session(id)
	login := m.readBy(id)
	if until, ok := m.sends(login, shareLook); !ok {
		m.soon(time.Millisecond, func() { m.c.read(m.now, id, nil, outcomeBusy, until, &busyError{groupLight, until}) })
		return
	}
	m.soon(m.ms(60), func() {
		var parties []partyState
		o, err := outcomeDone, error(nil)
		h, status := m.arrives(login)
		switch {
		case status == http.StatusTooManyRequests:
			o = outcomeBusy
		case s == nil || s.over && !m.lingers && m.chance(50):
			o = outcomeLater
		case m.fault(5):
			o, err = outcomeUnclear, errors.New("reset")
		case m.fault(3):
			o = outcomeBusy
		default:
			for _, p := range s.parties {
				parties = append(parties, p.state())
			}
		}
		until := m.now.Add(2 * time.Second)
		m.soon(m.ms(60), func() {
			m.answered(login, h, status, o)
			m.c.read(m.now, id, parties, o, until, err)
		})
	})
}

// ask serves a supervise request.
func (m *model) ask(a actAsk) {
	key := a.session + " " + a.party
	m.asked++
	m.note("ask %s for agent %s on device %d", key, a.agent.Extension, a.device)
	s := m.session(a.session)
	m.placed(a)
	switch {
	case m.flying[key]:
		m.fail("%s: two requests under way", key)
	case m.dialogs[key]:
		m.fail("%s: asked while its dialog is up", key)
	case s == nil:
		m.fail("%s: no such session", key)
	case m.c.sessions[a.session].held:
		m.fail("%s: asked while the agent is known to hold the call", key)
	case !s.wanted():
		m.fail("%s: asked although policy refuses: external %t, outbound %t, number %s", key, s.external, s.outbound, s.number)
	}
	login, share := m.pool.logins[a.device], shareAll
	if a.again {
		share = shareRetry
	}
	if until, ok := m.sends(login, share); !ok {
		m.soon(time.Millisecond, func() { m.c.asked(m.now, a.session, a.party, "", outcomeBusy, until, &busyError{groupLight, until}) })
		return
	}
	m.flying[key] = true
	life := m.life
	m.after(m.ms(80), func() { // RingCentral works on it also when earshot has died meanwhile
		h, status := m.arrives(login)
		own, o := "", outcomeBusy
		if status == http.StatusOK {
			own, o = m.supervise(s, a)
		}
		answer := m.ms(300)
		if o == outcomeUnclear {
			answer = 10 * time.Second
		}
		refusal := error(&APIError{Op: "supervise", Status: 403, Code: "TAS-" + strconv.Itoa(m.rnd.IntN(200))})
		m.after(answer, func() {
			if m.life != life {
				return
			}
			m.note("answer to %s: %d %s", key, o, own)
			delete(m.flying, key)
			m.answered(login, h, status, o)
			m.c.asked(m.now, a.session, a.party, own, o, m.now.Add(time.Second), refusal)
		})
	})
}

// supervise decides about a request, and lets the INVITE follow.
func (m *model) supervise(s *modelSession, a actAsk) (string, outcome) {
	agentOn := false
	for _, p := range s.talkers() {
		agentOn = agentOn || p.ext == a.agent.ID
	}
	p := s.party(a.party)
	switch {
	case m.fault(3):
		return "", outcomeBusy
	case m.fault(4):
		return "", outcomeUnclear // and not done
	case !agentOn, a.party != "" && (p == nil || !p.on()), a.party != "" && len(s.talkers()) > 2:
		return "", outcomeLater
	case !m.may(a), s.rival != nil && s.rival.on(), m.onAnother(s, a.device):
		return "", []outcome{outcomeLater, outcomeRefused}[m.rnd.IntN(2)]
	case m.fault(2):
		return "", outcomeRefused
	}
	own := &modelParty{id: m.id("o"), ext: "8", out: true, sup: true, monitors: a.party, agent: a.agent.ID, device: a.device}
	m.set(s, own, "Answered", "")
	if m.fault(6) || m.full(a.device) || !m.pool.registered[a.device] { // no INVITE
		m.after(30*time.Second, func() { m.set(s, own, "Disconnected", "") })
		return own.id, outcomeDone
	}
	monitored := Ref{s.id, a.party}
	if m.chance(20) {
		monitored = Ref{}
	}
	own.dialog = true
	m.after(m.ms(500), func() { m.invite(s, own, monitored, 0) })
	if m.fault(4) {
		return "", outcomeUnclear // done, and the answer lost
	}
	return own.id, outcomeDone
}

// TestModel: at the end every wanted call in which an agent talks is heard, or has a cause; never are two requests for one
// party under way, and none is sent that policy refuses. A failure names its seed; EARSHOT_SEED runs that one alone,
// EARSHOT_CASES as many histories as wanted.
func TestModel(t *testing.T) {
	cases, first := uint64(2000), uint64(0)
	if testing.Short() {
		cases = 300
	}
	if v, err := strconv.ParseUint(os.Getenv("EARSHOT_CASES"), 10, 64); err == nil {
		cases = v
	}
	if v, err := strconv.ParseUint(os.Getenv("EARSHOT_SEED"), 10, 64); err == nil {
		cases, first = 1, v
	}
	const lanes = 4
	for lane := range uint64(lanes) {
		t.Run(fmt.Sprint(lane), func(t *testing.T) {
			t.Parallel()
			asked, heard := 0, 0
			for seed := first + lane; seed < first+cases; seed += lanes {
				m := newModel(t, seed)
				m.history()
				asked += m.asked
				for _, s := range m.sessions {
					if s.heard {
						heard++
					}
				}
			}
			t.Logf("seeds from %d by %d: %d requests, %d sessions heard", first+lane, lanes, asked, heard)
			if cases > 100 && uint64(heard) < cases/lanes {
				t.Errorf("got %d sessions heard: the model says little", heard)
			}
		})
	}
}
