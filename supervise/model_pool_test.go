package supervise

import (
	"slices"
	"time"

	"github.com/earshot/earshot/call"
)

// modelPool is what RingCentral knows of the supervisors' devices.
type modelPool struct {
	logins     []int             // by device
	limits     []int             // dialogs that RingCentral gives a device; 0: any number
	told       []bool            // the limit stands in the configuration
	registered []bool            // by device
	may        []map[string]bool // by login: agents that it may listen to
	known      []bool            // by login: earshot has read so
}

// makePool makes up supervisors and devices.
func (m *model) makePool() {
	p := &m.pool
	for l := range 1 + m.rnd.IntN(3) {
		may := map[string]bool{"7": true, "9": true}
		if l > 0 && m.chance(40) {
			delete(may, m.ext()) // the first may listen to all
		}
		p.may, p.known = append(p.may, may), append(p.known, m.chance(50))
		for range 1 + m.rnd.IntN(2) {
			p.logins, p.registered = append(p.logins, l), append(p.registered, true)
			p.limits, p.told = append(p.limits, []int{0, 3, 5, 5}[m.rnd.IntN(4)]), append(p.told, m.chance(50))
		}
	}
}

// equip tells earshot of its pool.
func (m *model) equip() {
	p := &m.pool
	limits := make([]int, len(p.logins))
	for i, told := range p.told {
		if told {
			limits[i] = p.limits[i]
		}
	}
	m.c.equip(p.logins, limits)
	for l, known := range p.known {
		if known {
			m.c.cover(l, p.may[l])
		}
	}
}

// soon is after, for what this life of earshot alone would see.
func (m *model) soon(d time.Duration, do func()) {
	life := m.life
	m.after(d, func() {
		if m.life == life {
			do()
		}
	})
}

// placed: a request is for a registered device that has room as far as earshot was told, and all of a call go to one.
func (m *model) placed(a actAsk) {
	if !m.pool.registered[a.device] {
		m.fail("%s: asked for device %d, which is not registered", a.session, a.device)
	}
	for _, j := range m.c.sessions[a.session].joins {
		key := a.session + " " + j.party.ID
		if on, ok := m.places[key]; ok && (m.dialogs[key] || m.flying[key]) && on != a.device {
			m.fail("%s: on device %d, and asked for device %d", key, on, a.device)
		}
	}
	m.places[a.session+" "+a.party] = a.device
	n := 0
	for key := range m.places {
		if m.places[key] == a.device && (m.dialogs[key] || m.flying[key]) {
			n++
		}
	}
	if limit := m.pool.limits[a.device]; m.pool.told[a.device] && limit > 0 && n >= limit {
		m.fail("%s: asked for device %d, which has %d of %d dialogs", a.session, a.device, n, limit)
	}
}

// may says whether the device's owner may listen to the agent.
func (m *model) may(a actAsk) bool { return m.pool.may[m.pool.logins[a.device]][a.agent.ID] }

// onAnother says whether the session is listened to on another device: RingCentral allows one.
func (m *model) onAnother(s *modelSession, device int) bool {
	for _, p := range s.parties {
		if p.sup && p.ext == "8" && p.on() && p.dialog && p.device != device {
			return true
		}
	}
	return false
}

// full says whether the device has no room: the request is granted, and nothing comes.
func (m *model) full(device int) bool {
	return m.pool.limits[device] > 0 && m.up(device) >= m.pool.limits[device]
}

// roomFor says whether a device whose limit earshot was told has room for both parties of an agent's call.
func (m *model) roomFor(agent string) bool {
	for i, limit := range m.pool.limits {
		if m.pool.told[i] && limit > 0 && m.pool.registered[i] && m.pool.may[m.pool.logins[i]][agent] && m.up(i)+2 <= limit {
			return true
		}
	}
	return false
}

// up counts a device's dialogs, those under way too.
func (m *model) up(device int) (n int) {
	for _, s := range m.sessions {
		for _, p := range s.parties {
			if p.sup && p.dialog && p.on() && p.device == device {
				n++
			}
		}
	}
	return n
}

// flow lets a device lose its registration for a while, and maybe its dialogs.
func (m *model) flow() {
	i := m.rnd.IntN(len(m.pool.registered))
	if !m.pool.registered[i] {
		return
	}
	m.note("device %d lost", i)
	m.pool.registered[i] = false
	if m.chance(50) {
		for _, s := range m.sessions {
			for _, p := range s.parties {
				if p.sup && p.dialog && p.device == i && p.on() {
					m.set(s, p, "Disconnected", "") // watch ends the dialog
				}
			}
		}
	}
	m.blindAll()
	m.after(time.Second+m.ms(20_000), func() {
		m.note("device %d registered", i)
		m.pool.registered[i] = true
	})
}

// blindAll: for what happens now the long limit counts.
func (m *model) blindAll() {
	for _, s := range m.sessions {
		if !s.over {
			s.blind = true
		}
	}
}

// restart kills earshot, and starts it anew. RingCentral notices only when its dialogs are not answered any more.
func (m *model) restart() {
	m.note("earshot dies")
	m.life++
	for key := range m.dialogs {
		delete(m.dialogs, key)
	}
	clear(m.flying)
	clear(m.twice)
	for _, s := range m.sessions {
		s.name(m.now) // the parts that end are told as ended by a crash
		for _, p := range s.parties {
			if p.sup && p.ext == "8" && p.on() {
				m.after(m.ms(8000), func() {
					p.dialog = false
					m.set(s, p, "Disconnected", "")
				})
			}
		}
		m.listen(s)
	}
	m.blindAll()
	m.start()
	m.lookOnce()
}

// invite lets the device answer.
func (m *model) invite(s *modelSession, own *modelParty, monitored Ref, try int) {
	if !own.on() || !m.pool.registered[own.device] {
		own.dialog = false
		if own.on() {
			m.after(m.ms(9000), func() { m.set(s, own, "Disconnected", "") })
		}
		return
	}
	found, j, _ := m.c.match(m.now, Ref{s.id, own.id}, monitored)
	if j == nil {
		if try < 5 {
			m.after(400*time.Millisecond, func() { m.invite(s, own, monitored, try+1) })
			return
		}
		m.note("INVITE %s of %s nobody asked for", own.id, s.id)
		own.dialog = false
		m.set(s, own, "Disconnected", "")
		return
	}
	key := found.id + " " + j.party.ID
	if m.dialogs[key] {
		own.dialog = false
		m.set(s, own, "Disconnected", "") // a second one is not answered
		m.c.match(m.now, Ref{s.id, own.id}, monitored)
		return
	}
	party := j.party.ID
	m.soon(m.ms(80), func() {
		if !own.on() {
			own.dialog = false
			m.c.ended(m.now, s.id, party, call.Cause{Code: call.CodeCancelled})
			return
		}
		m.note("dialog %s up on device %d", key, own.device)
		if m.dialogs[key] { // another one's INVITE, of a life before, came at the same time
			m.twice[key]++
		}
		m.dialogs[key], s.heard = true, true
		m.c.answered(m.now, s.id, party)
		m.listen(s)
		m.watch(s, own, key, party)
	})
}

// watch ends a dialog when its agent or its party has left, or for no reason at all.
func (m *model) watch(s *modelSession, own *modelParty, key, party string) {
	on := false
	for _, p := range s.talkers() {
		on = on || p.ext == own.agent
	}
	if p := s.party(own.monitors); p != nil {
		on = on && p.on()
	}
	if on && own.on() && !m.fault(1) {
		m.soon(500*time.Millisecond+m.ms(500), func() { m.watch(s, own, key, party) })
		return
	}
	m.note("dialog %s down", key)
	if m.twice[key] > 0 {
		m.twice[key]--
	} else {
		delete(m.dialogs, key)
	}
	own.dialog = false
	s.name(m.now) // the recording's part says why its dialog ended
	m.set(s, own, "Disconnected", "")
	m.c.ended(m.now, s.id, party, call.Cause{Code: call.CodeHangup})
}

// listenable says whether RingCentral lets somebody listen: an agent talks with somebody, and the call is wanted.
func (s *modelSession) listenable() bool {
	a := s.agent()
	return a != nil && a.status == "Answered" && len(s.talkers()) > 1 && s.wanted()
}

// all says whether all who talk are heard.
func (m *model) all(s *modelSession) bool {
	a := s.agent()
	if m.dialogs[s.id+" "] {
		return true
	}
	for _, p := range s.talkers() {
		if p != a && m.dialogs[s.id+" "+p.id] {
			return m.dialogs[s.id+" "+a.id]
		}
	}
	return false
}

// listen keeps the account of a session: every moment in which RingCentral allowed listening is heard, or is a gap for which
// a cause was told since it began, or is short: the time that joining takes.
func (m *model) listen(s *modelSession) {
	if s.listenable() && !m.all(s) {
		if s.unheard.IsZero() {
			s.unheard = m.now
		}
		return
	}
	if s.unheard.IsZero() {
		return
	}
	limit := 3*time.Second + modelLate
	if s.blind {
		limit = 70 * time.Second
	}
	if m.now.Sub(s.unheard) > limit {
		s.gaps = append(s.gaps, modelGap{s.unheard, m.now})
	}
	s.unheard = time.Time{}
}

// hindered says whether the record of the dialog that comes will name what keeps it from coming: something since the agent talks
// unheard, or since the join's dialog ended, or what a reading waits for.
func (m *model) hindered(s *modelSession, x *session) bool {
	if x.obstacle.text == "" {
		return false
	}
	return !x.obstacle.at.Before(s.unheard) || x.dirty && m.now.Before(x.readAt) ||
		slices.ContainsFunc(x.joins, func(j *join) bool { return j.dialogs == 0 && !j.wantedAt.IsZero() && !x.obstacle.at.Before(j.wantedAt) })
}

// modelGap is a time in which an agent talked and was not heard.
type modelGap struct{ from, to time.Time }

// name notes that a cause is told.
func (s *modelSession) name(now time.Time) { s.named = append(s.named, now) }

// namedAfter is how long after a gap its cause may be told: an INVITE or an answer was still awaited.
const namedAfter = 30 * time.Second

// accounted: every gap has a cause.
func (m *model) accounted(s *modelSession) {
	for _, g := range s.gaps {
		if !slices.ContainsFunc(s.named, func(at time.Time) bool { return !at.Before(g.from) && at.Before(g.to.Add(namedAfter)) }) {
			m.fail("%s: an agent talked for %s from %s on, was not heard, and no cause was told", s.id, g.to.Sub(g.from), g.from.Sub(time.Unix(1_000_000, 0)))
		}
	}
}
