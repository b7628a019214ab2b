package sip_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/sip"
)

// list is a registrar that keeps every Contact by its address alone, as RFC 3261 has it, and tells all of them.
type list struct {
	mu       sync.Mutex
	contacts map[string]string // parameters by URI
	bare     bool              // it gives no parameters back
	more     string            // another device's Contact
	requests []string          // the Contact of each REGISTER
}

func (l *list) answer(m *msg) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.contacts == nil {
		l.contacts = map[string]string{}
	}
	l.requests = append(l.requests, m.get("Contact"))
	for c := range strings.SplitSeq(m.get("Contact"), ", ") {
		uri, rest, _ := strings.Cut(strings.TrimPrefix(c, "<"), ">")
		if strings.HasSuffix(c, ";expires=0") {
			delete(l.contacts, uri)
			continue
		}
		l.contacts[uri] = rest
	}
	hs := []string{"Require: outbound"}
	for uri, rest := range l.contacts {
		if l.bare {
			rest = ""
		}
		hs = append(hs, "Contact: <"+uri+">"+rest+";expires=600")
	}
	if l.more != "" {
		hs = append(hs, "Contact: "+l.more)
	}
	return m.answer("200 OK", "", hs...)
}

func (l *list) set(more string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.more = more
}

func (l *list) bound() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.contacts)
}

func TestContactsOfEarlierFlowsAreRemoved(t *testing.T) {
	for name, bare := range map[string]bool{"the instance is given back": false, "the address alone": true} {
		t.Run(name, func(t *testing.T) {
			h, l := newHouse(t), &list{bare: bare}
			p := newPeer(t, "tcp", "", nil)
			p.onRegister(l.answer)
			c := config(p, h)
			c.RingCentral = false
			h.run(c)
			h.registered()
			for range 3 {
				old := h.acc.State().Local
				p.cut()
				eventually(t, func() bool { s := h.acc.State(); return s.Registered && s.Local != old && l.bound() == 1 })
			}
			if s := h.acc.State(); s.Others != 0 || h.counter("foreign_bindings") != 0 {
				t.Errorf("our own were taken for %d other devices", s.Others)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			for _, r := range l.requests {
				if strings.Contains(r, "*") || strings.HasSuffix(r, ";expires=0") && strings.Contains(r, "+sip.instance") {
					t.Errorf("removed by %q: an instance would be the present binding's", r)
				}
			}
		})
	}
}

func TestRingCentralsListIsNotSwept(t *testing.T) {
	h, l := newHouse(t), &list{}
	p := newPeer(t, "tcp", "", nil)
	p.onRegister(l.answer)
	h.run(config(p, h))
	h.registered()
	p.cut()
	eventually(t, func() bool { return l.bound() == 2 && h.acc.State().Registered && h.counter("flows") == 2 })
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.requests) != 2 {
		t.Errorf("Contacts sent: %q, want two", l.requests)
	}
}

func TestAnotherDeviceWithOurCredentialIsToldOnceAndOutlived(t *testing.T) {
	const other = `<sip:200@198.51.100.7:5060>;+sip.instance="<urn:uuid:bad>";expires=60`
	for name, ring := range map[string]bool{"ringcentral": true, "others": false} {
		t.Run(name, func(t *testing.T) {
			h, l := newHouse(t), &list{more: other}
			p := newPeer(t, "tcp", "", nil)
			p.onRegister(l.answer)
			c := config(p, h)
			c.RingCentral = ring
			h.run(c)
			eventually(t, func() bool { return h.acc.State().Others == 1 })
			s := h.acc.State()
			if !s.Registered || time.Until(s.NextTry) > time.Minute {
				t.Errorf("state %+v, want the next REGISTER in a minute at most, for the newest gets the calls", s)
			}
			h.acc.Probe()
			eventually(t, func() bool { return h.counter("registers_sent") == 2 })
			if w := h.warned("another device"); len(w) != 1 || !strings.Contains(w[0], "one program a device") {
				t.Errorf("warned %v, want once, with a hint", w)
			}
			l.set("")
			h.acc.Probe()
			eventually(t, func() bool { // the next REGISTER is in 85 % of 10 min
				s := h.acc.State()
				return s.Others == 0 && time.Until(s.NextTry) > 8*time.Minute
			})
			h.mu.Lock()
			defer h.mu.Unlock()
			var told bool
			for _, s := range h.states {
				told = told || s.Others == 1
			}
			if !told {
				t.Error("OnState did not hear of it")
			}
		})
	}
}

func TestNewOuterAddressInMidLifeIsRegisteredAndTheOldRemoved(t *testing.T) {
	h, l := newHouse(t), &list{}
	p := newPeer(t, "udp", "", nil)
	var mu sync.Mutex
	outer := "1234"
	p.onRegister(func(m *msg) string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Replace(l.answer(m), ";rport", ";rport="+outer+";received=192.0.2.7", 1)
	})
	c := config(p, h)
	c.RingCentral = false
	h.run(c)
	bound := func(port string) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.contacts) != 1 {
			return false
		}
		for uri := range l.contacts {
			return strings.HasPrefix(uri, "sip:200@192.0.2.7:"+port+";")
		}
		return false
	}
	eventually(t, func() bool { return bound("1234") })
	d := p.newDialog("nat")
	d.establish(sdpOne)
	h.leg(0, func(l *leg) bool { return l.dialog != nil })
	mu.Lock()
	outer = "4321" // the NAT has forgotten us
	mu.Unlock()
	h.acc.Probe()
	re := p.next("INVITE") // the dialog learns it too
	if !strings.Contains(re.get("Contact"), "192.0.2.7:4321") {
		t.Errorf("re-INVITE with Contact %q", re.get("Contact"))
	}
	re.write(re.answer("200 OK", sdpOne, "Contact: <sip:108@"+p.addr()+">", "Content-Type: application/sdp"))
	p.next("ACK")
	eventually(t, func() bool { return bound("4321") })
}

func TestFlowTimerShortensTheKeepAliveAndPromisesPongs(t *testing.T) {
	p, h := start(t, "tcp", func(c *sip.Config) {
		tm := short
		tm.FirstPing = time.Hour
		*c = c.WithTimers(tm)
		c.Keepalive = time.Hour
	})
	p.mu.Lock()
	p.noPong = true
	p.mu.Unlock()
	p.onRegister(func(m *msg) string {
		return m.answer("200 OK", "", "Contact: "+m.get("Contact")+";expires=600", "Flow-Timer: 1", "Require: outbound")
	})
	p.cut()
	eventually(t, func() bool { return h.counter("flows") == 2 && h.acc.State().Registered })
	// A second later it pings, and no pong comes although one was promised.
	eventually(t, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.pings > 0 })
	eventually(t, func() bool { return h.counter("flows_lost") == 2 })
}
