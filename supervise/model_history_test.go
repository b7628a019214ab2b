package supervise

import (
	"time"
)

// history lets calls come and go for some minutes, then waits until all is quiet, and judges.
func (m *model) history() {
	for end := m.now.Add(4 * time.Minute); m.now.Before(end); {
		m.something()
		m.run(time.Duration(m.rnd.IntN(15000)) * time.Millisecond)
	}
	m.calm = true
	if !m.healthy {
		m.feed(true)
	}
	for _, s := range m.sessions { // transfers that are under way come to an end
		for _, p := range s.parties {
			if !p.sup && (p.status == "Setup" || p.status == "Parked") {
				m.set(s, p, "Disconnected", "")
			}
		}
	}
	m.run(4 * time.Minute)
	for _, s := range m.sessions {
		m.covered(s)
	}
	for _, s := range m.sessions {
		m.hangUp(s)
	}
	m.run(30 * time.Minute)
	if n := len(m.c.sessions); n != 0 {
		for id, s := range m.c.sessions {
			m.fail("half an hour after the last call: %d sessions are left: %s inCall %t dirty %t pass %s", n, id, s.inCall, s.dirty, s.passUntil.Sub(m.now))
		}
	}
	if len(m.dialogs) != 0 || len(m.flying) != 0 {
		m.fail("after the last call: dialogs %v, requests %v", m.dialogs, m.flying)
	}
	for _, s := range m.sessions {
		m.listen(s)
		m.accounted(s)
	}
}

// covered: a wanted call in which an agent talks is heard, or there is a cause.
func (m *model) covered(s *modelSession) {
	a := s.agent()
	if a == nil || a.status != "Answered" || len(s.talkers()) < 2 {
		return
	}
	if !s.wanted() {
		if m.dialogs[s.id+" "] || m.dialogs[s.id+" "+a.id] {
			m.fail("%s is heard although policy refuses", s.id)
		}
		return
	}
	others := false
	for _, p := range s.talkers() {
		others = others || p.id != a.id && m.dialogs[s.id+" "+p.id]
	}
	if m.dialogs[s.id+" "] || m.dialogs[s.id+" "+a.id] && others {
		return
	}
	x := m.c.sessions[s.id]
	switch {
	case x == nil:
		m.fail("%s: an agent talks, and the core does not know the call", s.id)
	case x.cause.Code == "" || m.named[s.id] == "":
		m.fail("%s: not heard, and no cause: state %s, verdict %d, dirty %t reading %t, held %t, joins %+v, parties %+v", s.id, x.state(), x.verdict, x.dirty, x.reading, x.held, joinsOf(x), m.c.views[s.id].states())
	case x.cause.Code != "refused" && x.cause.Code != "no_invite" && x.cause.Code != "occupied" && x.cause.Code != "no_ack" && x.cause.Code != "no_capacity":
		m.fail("%s: cause %s", s.id, x.cause)
	case x.cause.Code == "occupied" && (s.rival == nil || !s.rival.on()):
		m.fail("%s: cause %s, and nobody has the place", s.id, x.cause)
	case x.cause.Code == "no_capacity" && m.limits.limit == 0 && !x.alive() && m.roomFor(a.ext): // half heard, it must stay on its device
		m.fail("%s: cause %s, and there is room", s.id, x.cause)
	}
}

func joinsOf(s *session) (out []join) {
	for _, j := range s.joins {
		out = append(out, *j)
	}
	return out
}

// something happens.
func (m *model) something() {
	var live []*modelSession
	for _, s := range m.sessions {
		if !s.over && s.agent() != nil {
			live = append(live, s)
		}
	}
	if len(live) == 0 || len(live) < 4 && m.chance(40) {
		m.begin()
		return
	}
	s := live[m.rnd.IntN(len(live))]
	a := s.agent()
	switch m.rnd.IntN(14) {
	case 0, 1:
		m.set(s, a, "Hold", "")
		m.after(m.ms(9000), func() {
			if a.status == "Hold" {
				m.set(s, a, "Answered", "")
			}
		})
	case 2:
		m.blindTransfer(s, a)
	case 3:
		m.attendedTransfer(s, a)
	case 4:
		m.third(s, a)
	case 5:
		m.park(s, a)
	case 6:
		m.feed(!m.healthy)
	case 7:
		m.rivalComes(s)
	case 8: // the agent's other device
		if a.status == "Answered" {
			p := &modelParty{id: m.id("a"), ext: a.ext, far: a.far, number: a.number, out: a.out}
			m.set(s, p, "Setup", "")
			m.set(s, p, "Answered", "")
			m.set(s, a, "Disconnected", "CallSwitch")
		}
	case 9, 10:
		m.hangUp(s)
	case 11:
		m.flow()
	case 12:
		if m.chance(40) {
			m.restart()
		}
	default:
		m.begin()
	}
}

func (m *model) feed(up bool) {
	m.healthy = up
	m.note("feed %t", up)
	m.c.fed(m.now, up, m.account)
	if up {
		m.lookOnce()
	}
	m.blindAll()
}

func (m *model) ext() string { return []string{"7", "9"}[m.rnd.IntN(2)] }

// begin starts a call of some kind.
func (m *model) begin() {
	s := &modelSession{id: m.id("s"), number: "+1408"}
	m.sessions = append(m.sessions, s)
	if m.chance(20) {
		s.number = "+999555"
	}
	switch kind := m.rnd.IntN(6); kind {
	case 0: // outbound
		s.outbound = true
		a := &modelParty{id: m.id("a"), ext: m.ext(), out: true, number: s.number}
		c := &modelParty{id: m.id("c"), number: s.number}
		m.set(s, a, "Setup", "")
		m.set(s, c, "Proceeding", "")
		m.after(m.ms(5000), func() {
			m.set(s, c, "Answered", "")
			m.after(28*time.Millisecond, func() { m.set(s, a, "Answered", "") })
		})
	case 1: // internal
		other := "5"
		if m.chance(50) {
			other = "9"
		}
		a := &modelParty{id: m.id("a"), ext: "7", out: true, far: other}
		b := &modelParty{id: m.id("b"), ext: other, far: "7"}
		m.set(s, a, "Setup", "")
		m.after(m.ms(5000), func() {
			m.set(s, b, "Answered", "")
			m.set(s, a, "Answered", "")
		})
	default: // inbound, direct or through a queue
		c := &modelParty{id: m.id("c"), out: true, number: s.number}
		a := &modelParty{id: m.id("a"), ext: m.ext(), number: s.number}
		m.set(s, c, "Setup", "")
		if kind > 3 {
			q := &modelParty{id: m.id("q"), ext: "500"}
			m.set(s, c, "Answered", "")
			m.set(s, q, "Answered", "")
			m.after(m.ms(4000), func() { m.set(s, q, "Disconnected", "") })
		}
		m.after(4*time.Second, func() {
			m.set(s, a, "Proceeding", "")
			m.after(m.ms(5000), func() {
				m.set(s, c, "Answered", "")
				m.set(s, a, "Answered", "")
			})
		})
	}
}

func (m *model) hangUp(s *modelSession) {
	s.over = true
	for _, p := range s.parties {
		if !p.sup && p.status != "Disconnected" && p.status != "Gone" {
			m.set(s, p, "Disconnected", "")
		}
	}
	if s.rival != nil && s.rival.on() {
		m.set(s, s.rival, "Disconnected", "")
	}
}

func (s *modelSession) customer() *modelParty {
	for _, p := range s.parties {
		if p.ext == "" && p.on() {
			return p
		}
	}
	return nil
}

// blindTransfer hands the call on within the session.
func (m *model) blindTransfer(s *modelSession, a *modelParty) {
	if s.customer() == nil || len(s.talkers()) > 2 {
		return
	}
	to := []string{"7", "9", "5"}[m.rnd.IntN(3)]
	m.set(s, a, "Disconnected", "BlindTransfer")
	b := &modelParty{id: m.id("a"), ext: to, number: s.number}
	m.set(s, b, "Setup", "")
	m.after(m.ms(8000), func() {
		if b.status == "Setup" && s.customer() != nil {
			m.set(s, b, "Answered", "")
		}
	})
}

// attendedTransfer moves the customer into the session of a consultation.
func (m *model) attendedTransfer(s *modelSession, a *modelParty) {
	c := s.customer()
	if c == nil || len(s.talkers()) != 2 || s.outbound {
		return
	}
	m.set(s, a, "Hold", "")
	to := "9"
	if a.ext == "9" {
		to = "7"
	}
	n := &modelSession{id: m.id("s"), number: s.number}
	m.sessions = append(m.sessions, n)
	x := &modelParty{id: m.id("a"), ext: a.ext, out: true, far: to}
	b := &modelParty{id: m.id("a"), ext: to, far: a.ext}
	m.set(n, x, "Setup", "")
	m.after(m.ms(3000), func() {
		if n.over {
			return
		}
		m.set(n, b, "Answered", "")
		m.set(n, x, "Answered", "")
		m.after(m.ms(9000), func() {
			if n.over || s.over || !c.on() || !b.on() || a.status != "Hold" || !x.on() {
				return
			}
			d := &modelParty{id: m.id("c"), out: true, number: s.number}
			c.peer = Ref{n.id, d.id}
			m.set(n, x, "Disconnected", "AttendedTransfer")
			m.set(n, d, "Answered", "")
			m.set(s, c, "Gone", "AttendedTransfer")
			m.set(s, a, "Disconnected", "AttendedTransfer")
			s.over = true
		})
	})
}

func (m *model) third(s *modelSession, a *modelParty) {
	if a.status != "Answered" || len(s.talkers()) != 2 {
		return
	}
	p := &modelParty{id: m.id("x"), ext: "5", far: a.ext}
	m.set(s, p, "Answered", "")
	m.after(m.ms(30000), func() {
		if p.on() {
			m.set(s, p, "Disconnected", "")
		}
	})
}

// park lets the customer wait until somebody picks up, in another session.
func (m *model) park(s *modelSession, a *modelParty) {
	c := s.customer()
	if c == nil || len(s.talkers()) != 2 || s.outbound {
		return
	}
	m.set(s, a, "Disconnected", "CallPark")
	m.set(s, c, "Parked", "")
	m.after(m.ms(20000), func() {
		if c.status != "Parked" {
			return
		}
		n := &modelSession{id: m.id("s"), number: s.number}
		m.sessions = append(m.sessions, n)
		d := &modelParty{id: m.id("c"), out: true, number: s.number}
		b := &modelParty{id: m.id("a"), ext: m.ext(), number: s.number}
		c.peer = Ref{n.id, d.id}
		m.set(s, c, "Gone", "Pickup")
		m.set(n, d, "Answered", "")
		m.set(n, b, "Answered", "Pickup")
		s.over = true
	})
}

// rivalComes lets a person listen for a while, if the place is free.
func (m *model) rivalComes(s *modelSession) {
	for key := range m.dialogs {
		if len(key) > len(s.id) && key[:len(s.id)+1] == s.id+" " {
			return
		}
	}
	if s.rival != nil {
		return
	}
	s.rival = &modelParty{id: m.id("r"), ext: "55", out: true, sup: true}
	m.set(s, s.rival, "Answered", "")
	m.after(m.ms(60000), func() {
		if s.rival.on() {
			m.set(s, s.rival, "Disconnected", "")
		}
	})
}
