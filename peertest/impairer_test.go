package peertest

import (
	"container/heap"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

// road is what lies between a sender and earshot: what becomes of its RTP. RTCP passes untouched.
type road struct {
	seed                         uint64
	loss                         float64 // share of the packets
	burst                        float64 // chance that a run of losses begins at a packet; each further one is lost with 0.75
	reorder                      float64 // share that is held back behind the one or two that follow
	duplicate                    float64 // share that comes twice
	delay, jitter                time.Duration
	spared                       int           // packets at the beginning that nothing happens to
	reorderedBy, duplicatedAfter time.Duration // default 35 ms, 25 ms
}

// fate is what becomes of one packet.
type fate struct {
	lost, twice bool
	after, gap  time.Duration // the delay, and how long after it the copy comes
}

// fates decides for one packet after the other: the same seed, the same fates.
func (r road) fates() func() fate {
	if r.reorderedBy == 0 {
		r.reorderedBy = 35 * time.Millisecond
	}
	if r.duplicatedAfter == 0 {
		r.duplicatedAfter = 25 * time.Millisecond
	}
	dice := rand.New(rand.NewPCG(r.seed, 0x726f6164))
	inBurst, n := false, 0
	return func() fate {
		lost, burst, held, twice, jitter := dice.Float64(), dice.Float64(), dice.Float64(), dice.Float64(), dice.Float64()
		if n++; n <= r.spared {
			return fate{after: r.delay}
		}
		if inBurst {
			inBurst = burst < 0.75
		} else {
			inBurst = burst < r.burst
		}
		f := fate{lost: lost < r.loss || inBurst, after: r.delay + time.Duration(jitter*float64(r.jitter))}
		if held < r.reorder {
			f.after += r.reorderedBy
		}
		f.twice, f.gap = twice < r.duplicate, r.duplicatedAfter
		return f
	}
}

// arrival is a datagram that came to earshot's side, and when.
type arrival struct {
	at     time.Duration // since some moment of its list
	octets []byte
}

// impairer relays what senders send to roughIP to the same port of earshot's address, from the sender's own address: neither
// side knows of it. earshot names roughIP in its answers (media.advertise_ip) and sends back to the sender directly.
type impairer struct {
	road   road
	to     netip.Addr
	raw    rawSocket
	socks  []*net.UDPConn
	inbox  chan delivery
	stop   context.CancelFunc
	tasks  sync.WaitGroup
	begun  time.Time
	closed sync.Once

	mu        sync.Mutex
	delivered []arrival // RTP, in the order it went out; copies too
	newest    delivery  // of RTP
	sent      int       // RTP that came in
	lost      int       // of these, thrown away
	err       error
}

// delivery is a datagram on its way.
type delivery struct {
	due      time.Time
	order    int
	from, to netip.AddrPort
	octets   []byte
	rtp      bool
}

// startImpairer relays ports of that number and the ones after it.
func startImpairer(t *testing.T, r road, port, ports int, v6 bool) *impairer {
	t.Helper()
	here, there := roughIP, earshotIP
	if v6 {
		here, there = six(roughIP), six(earshotIP)
	}
	m := &impairer{road: r, to: netip.MustParseAddr(there), inbox: make(chan delivery, 1024), begun: time.Now()}
	var err error
	if m.raw, err = openRaw(v6); err != nil {
		t.Fatalf("raw socket: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	t.Cleanup(func() { m.close() })
	for i := range ports {
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(here), Port: port + i})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadBuffer(1 << 20)
		m.socks = append(m.socks, c)
	}
	for i, c := range m.socks {
		m.tasks.Go(func() { m.read(ctx, c, uint16(port+i)) })
	}
	m.tasks.Go(func() { m.write(ctx) })
	return m
}

// close ends the relay and gives what it delivered.
func (m *impairer) close() []arrival {
	m.closed.Do(func() {
		m.stop()
		for _, c := range m.socks {
			_ = c.Close()
		}
		m.tasks.Wait()
		m.raw.close()
	})
	return m.delivered
}

func (m *impairer) read(ctx context.Context, c *net.UDPConn, port uint16) {
	for b := make([]byte, 2048); ; {
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return // closed
		}
		d := delivery{
			due: time.Now(), from: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), to: netip.AddrPortFrom(m.to, port),
			octets: slices.Clone(b[:n]), rtp: isRTP(b[:n]),
		}
		select {
		case m.inbox <- d:
		case <-ctx.Done():
			return
		}
	}
}

// isRTP tells RTP from RTCP by the second octet (RFC 5761 section 4).
func isRTP(b []byte) bool { return len(b) >= 12 && b[0]>>6 == 2 && (b[1] < 192 || b[1] > 223) }

// write decides each packet's fate in the order they came, and sends what is due.
func (m *impairer) write(ctx context.Context) {
	next := m.road.fates()
	var waiting deliveries
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for order := 0; ; {
		for len(waiting) > 0 && !waiting[0].due.After(time.Now()) {
			m.deliver(heap.Pop(&waiting).(delivery))
		}
		wait := time.Hour
		if len(waiting) > 0 {
			wait = time.Until(waiting[0].due)
		}
		alarm.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-alarm.C:
		case d := <-m.inbox:
			f := fate{}
			if d.rtp {
				f = next()
				m.count(f)
			}
			if f.lost {
				continue
			}
			d.due, d.order = d.due.Add(f.after), order
			heap.Push(&waiting, d)
			if f.twice {
				d.due, d.order = d.due.Add(f.gap), order+1
				heap.Push(&waiting, d)
			}
			order += 2
		}
	}
}

func (m *impairer) count(f fate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent++
	if f.lost {
		m.lost++
	}
}

func (m *impairer) deliver(d delivery) {
	err := m.raw.send(d.from, d.to, d.octets)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.err = errors.Join(m.err, err)
		return
	}
	if d.rtp {
		m.delivered = append(m.delivered, arrival{time.Since(m.begun), d.octets})
		m.newest = d
	}
}

// live is the RTP that went out last, and how much has.
func (m *impairer) live() (delivery, int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.newest, len(m.delivered)
}

// deliveries is a heap by time.
type deliveries []delivery

func (q deliveries) Len() int { return len(q) }
func (q deliveries) Less(i, j int) bool {
	return q[i].due.Before(q[j].due) || q[i].due.Equal(q[j].due) && q[i].order < q[j].order
}
func (q deliveries) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *deliveries) Push(x any)   { *q = append(*q, x.(delivery)) }
func (q *deliveries) Pop() any {
	old := *q
	d := old[len(old)-1]
	*q = old[:len(old)-1]
	return d
}

func TestTheSameSeedGivesTheSameFates(t *testing.T) {
	r := road{seed: 7, loss: 0.05, burst: 0.02, reorder: 0.03, duplicate: 0.03, delay: time.Millisecond, jitter: 80 * time.Millisecond}
	a, b := r.fates(), r.fates()
	var lost, twice, held int
	for i := range 10_000 {
		x, y := a(), b()
		if x != y {
			t.Fatalf("packet %d: %+v and %+v", i, x, y)
		}
		if x.lost {
			lost++
		}
		if x.twice {
			twice++
		}
		if x.after > r.delay+r.jitter {
			held++
		}
	}
	// A run of losses is 4 packets long on average: 5 % and some 8 % beside it.
	if lost < 1000 || lost > 1500 || twice < 200 || twice > 400 || held == 0 {
		t.Errorf("of 10,000: %d lost, %d twice, %d later than jitter alone makes them", lost, twice, held)
	}
}
