package media

import (
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// crowd is one shard with many calls, on ports that a test fills, swept by hand.
type crowd struct {
	t     *testing.T
	e     *Engine
	s     *shard
	ports map[netip.AddrPort]*fakePort
	now   time.Duration
	calls int
}

const crowdIP = "192.0.2.9"

func newCrowd(t *testing.T, cfg Config) *crowd {
	t.Helper()
	cfg.Shards, cfg.Sweep, cfg.SlowSweep, cfg.Keepalive = 1, 20*ms, orDefault(cfg.SlowSweep, -1), -1
	cfg.ListenIP, cfg.PortMin, cfg.PortMax = netip.MustParseAddr(crowdIP), 20000, 29999
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{t: t, e: e, s: e.shards[0], ports: map[netip.AddrPort]*fakePort{}}
	e.ports.listen = func(at netip.AddrPort, buffer int) (receiver, error) {
		p := &fakePort{start: e.start, self: at, room: buffer}
		c.ports[at] = p
		return p, nil
	}
	return c
}

// member is one track of a crowd.
type member struct {
	*Track
	line *Timeline
	ear  *ear
	port *fakePort
	seq  uint16
	ts   uint32
	ssrc uint32
	from netip.AddrPort
	send *sealer
}

// ear is a sink that proves each octet against its epoch, and each epoch's SSRC against those that the track may have.
type ear struct {
	t     testing.TB
	mine  func(ssrc uint32) bool
	right int64
	state TrackState
}

func (r *ear) Write(b *Batch) {
	r.state = b.Tracks[0]
	for _, e := range r.state.Epochs {
		if !r.mine(e.SSRC) {
			r.t.Fatalf("a track has audio of SSRC %#x, which is not its own", e.SSRC)
		}
	}
	for i := range b.Frames {
		f := &b.Frames[i]
		if f.Octets == nil {
			continue
		}
		e := b.Tracks[f.Track-1].Epochs[f.Epoch]
		ts := e.Timestamp + uint32(f.Pos-e.Pos)
		for j, o := range f.Octets {
			if o != octetAt(e.SSRC, ts+uint32(j)) {
				r.t.Fatalf("SSRC %#x at %d: got octet %#x, want %#x", e.SSRC, ts+uint32(j), o, octetAt(e.SSRC, ts+uint32(j)))
			}
		}
		r.right += f.Samples
	}
}

func (*ear) End(call.Cause) {}

// open opens a track that is offered from an address, on a call of its own, and agrees at once.
func (c *crowd) open(from netip.AddrPort, secure bool) *member {
	c.t.Helper()
	c.calls++
	line, err := c.e.NewTimeline(call.Info{ID: strconv.Itoa(c.calls)})
	if err != nil {
		c.t.Fatal(err)
	}
	line.live.zero = 0
	ssrc := uint32(c.calls) << 8
	m := &member{line: line, from: from, ssrc: ssrc, seq: uint16(c.calls * 77), ts: uint32(c.calls) * 1e6}
	m.ear = &ear{t: c.t, mine: func(s uint32) bool { return s>>8 == ssrc>>8 }}
	line.Attach(m.ear)
	return c.openOn(m, secure)
}

// openOn opens a member's track on its call.
func (c *crowd) openOn(m *member, secure bool) *member {
	c.t.Helper()
	var err error
	if m.Track, err = m.line.Open(Plan{Leg: strconv.Itoa(c.calls), Remote: m.from, Secure: secure}); err != nil {
		c.t.Fatal(err)
	}
	c.agree(m, m.from, secure)
	rtp, _ := m.Local()
	m.port = c.ports[rtp]
	return m
}

// agree commits an offer from an address.
func (c *crowd) agree(m *member, from netip.AddrPort, secure bool) {
	c.t.Helper()
	p := plainParams()
	p.Remote, p.RemoteRTCP = from, netip.AddrPortFrom(from.Addr(), from.Port()+1)
	if secure {
		k := testKey(SuiteAESCM128SHA1x80, byte(m.ssrc>>8))
		k.Master[0], k.Master[1] = byte(m.ssrc>>16), byte(m.ssrc>>24)
		p.RecvKey, p.SendKey = k, testKey(SuiteAESCM128SHA1x80, 200)
		if m.send == nil {
			var err error
			if m.send, err = sealerFor(k, nil); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	commit, _, err := m.Prepare(p)
	if err != nil {
		c.t.Fatal(err)
	}
	commit()
}

// talk puts a member's next packet on the wire.
func (c *crowd) talk(m *member) {
	b := spec{ssrc: m.ssrc, seq: m.seq, ts: m.ts, n: 160}.marshal()
	m.seq, m.ts = m.seq+1, m.ts+160
	if m.send != nil {
		s, err := m.send.seal(b)
		if err != nil {
			c.t.Fatal(err)
		}
		b = slices.Clone(s)
	}
	m.port.queue = append(m.port.queue, letter{at: c.now, octets: b, from: m.from})
}

// sweep is 20 ms.
func (c *crowd) sweep() {
	c.now += 20 * ms
	for _, p := range c.ports {
		p.now = c.now
	}
	c.s.sweep(c.e.start.Add(c.now))
}

func (c *crowd) says(m *member, packets int) {
	for range packets {
		c.talk(m)
		c.sweep()
	}
}

func at(ip string, port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(ip), uint16(port))
}

// heard is how many packets of a member came out.
func (m *member) heard() int64 { return m.ear.right / 160 }
