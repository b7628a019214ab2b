package media

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

func ports(members ...*member) int {
	seen := map[netip.AddrPort]bool{}
	for _, m := range members {
		rtp, _ := m.Local()
		seen[rtp] = true
	}
	return len(seen)
}

func TestTracksWithKeysShareAPortFromTheStart(t *testing.T) {
	c := newCrowd(t, Config{})
	a, b := c.open(at("198.51.100.1", 4000), true), c.open(at("198.51.100.1", 4002), true)
	for range 50 {
		c.talk(a)
		c.talk(b)
		c.sweep()
	}
	if ports(a, b) != 1 || a.heard() != 50-3 || b.heard() != 50-3 { // the live wait at the start
		c.sweep()
	}
	for range 4 {
		c.sweep()
	}
	if n := ports(a, b); n != 1 || a.heard() != 50 || b.heard() != 50 {
		t.Errorf("%d ports, heard %d and %d packets, want 1, 50 and 50", n, a.heard(), b.heard())
	}
}

func TestWhoHasAPortOfItsOwn(t *testing.T) {
	offered := at("198.51.100.1", 4000)
	straight := func(c *crowd) { // the address is known to send from the ports that it names
		m := c.open(at("198.51.100.1", 3990), false)
		c.says(m, 5)
		m.line.Close(call.Cause{})
		c.sweep()
	}
	for name, x := range map[string]struct {
		before      func(*crowd)
		a, b        netip.AddrPort
		secureA, sB bool
		want        int
	}{
		"an address that is not known yet":    {nil, netip.AddrPort{}, netip.AddrPort{}, true, true, 2},
		"an unspecified one":                  {nil, at("0.0.0.0", 4000), at("0.0.0.0", 4002), true, true, 2},
		"the same twice":                      {nil, offered, offered, true, true, 2},
		"SRTP beside plain RTP":               {nil, offered, at("198.51.100.2", 4000), true, false, 2},
		"plain from one that nothing said of": {nil, offered, at("198.51.100.1", 4002), false, false, 2},
		"not plain from two addresses":        {nil, offered, at("198.51.100.2", 4002), false, false, 1},
		"not SRTP from one address":           {nil, offered, at("198.51.100.1", 4002), true, true, 1},
		"not IPv4 in IPv6 form":               {nil, at("::ffff:198.51.100.1", 4000), at("198.51.100.1", 4002), true, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCrowd(t, Config{})
			if x.before != nil {
				x.before(c)
			}
			a, b := c.open(x.a, x.secureA), c.open(x.b, x.sB)
			if n := ports(a, b); n != x.want {
				t.Errorf("%d ports, want %d", n, x.want)
			}
		})
	}
	t.Run("not plain from one that is straight, where ports are full", func(t *testing.T) {
		c := newCrowd(t, Config{})
		straight(c)
		var all []*member
		for i := range 3 * sharedPorts {
			all = append(all, c.open(at("198.51.100.1", 4000+2*i), false))
		}
		if n := ports(all...); n != sharedPorts {
			t.Errorf("%d ports for %d tracks, want %d", n, len(all), sharedPorts)
		}
	})
	t.Run("plain from one that wandered", func(t *testing.T) {
		c := newCrowd(t, Config{})
		straight(c)
		m := c.open(offered, false)
		m.from = at("198.51.100.1", 4711)
		c.says(m, 40)
		if m.heard() < 35 {
			t.Errorf("from another port of its address: heard %d packets, want all", m.heard())
		}
		var all []*member
		for i := range 2 * sharedPorts {
			all = append(all, c.open(at("198.51.100.1", 5000+2*i), false))
		}
		if n := ports(all...); n != len(all) {
			t.Errorf("%d ports for %d tracks, want one each", n, len(all))
		}
	})
}

func TestKeyFindsATrackThatMoved(t *testing.T) {
	c := newCrowd(t, Config{})
	a, b := c.open(at("198.51.100.1", 4000), true), c.open(at("198.51.100.1", 4002), true)
	for i := range 60 {
		switch i {
		case 20: // a media server elsewhere, without a word
			a.from = at("203.0.113.7", 9000)
		case 40: // and another with a source of its own
			a.from, a.ssrc = at("203.0.113.8", 9000), a.ssrc+1
		}
		c.talk(a)
		c.talk(b)
		c.sweep()
	}
	for range 10 {
		c.sweep()
	}
	if a.heard() != 60 || b.heard() != 60 || ports(a, b) != 1 {
		t.Errorf("heard %d and %d packets, want 60 each", a.heard(), b.heard())
	}
	if got, ok := a.live.agree.sendTo(a.live.latch.sendTo()); !ok || got != a.from {
		t.Errorf("we send to %v, want %v", got, a.from)
	}
}

func TestPlainTrackThatMovedIsKnownByItsSource(t *testing.T) {
	c := newCrowd(t, Config{})
	c.e.habits.note(at("198.51.100.1", 1), at("198.51.100.1", 1), 0)
	var all []*member
	for i := range 2 * sharedPorts {
		all = append(all, c.open(at("198.51.100.1", 4000+2*i), false))
	}
	for i := range 120 {
		if i == 40 { // 600 ms of nothing, then from elsewhere
			all[0].from = at("198.51.100.1", 9000)
		}
		for _, m := range all {
			if m != all[0] || i < 40 || i >= 70 {
				c.talk(m)
			}
		}
		c.sweep()
	}
	for range 10 {
		c.sweep()
	}
	if all[0].heard() != 90 {
		t.Errorf("heard %d packets of the one that moved, want 90", all[0].heard())
	}
	for i, m := range all[1:] {
		if m.heard() != 120 {
			t.Errorf("heard %d packets of track %d, want 120", m.heard(), i+2)
		}
	}
}

func TestLastPacketsOfAnEndedCallAreNobodys(t *testing.T) {
	for _, secure := range []bool{false, true} {
		c := newCrowd(t, Config{})
		old := c.open(at("198.51.100.1", 4000), secure)
		stays := c.open(at("198.51.100.2", 4000), secure)
		c.says(old, 20)
		old.line.Close(call.Cause{})
		c.sweep()
		next := c.open(at("198.51.100.1", 4002), secure)
		if ports(old, stays, next) != 1 {
			t.Fatal("the three don't share a port")
		}
		before := c.e.Totals().Counts.StrayPackets
		c.says(old, 30) // its BYE is still on its way
		if next.heard() != 0 || len(next.ear.state.Epochs) != 0 {
			t.Errorf("secure %v: the next call has %d packets of the one before", secure, next.heard())
		}
		if got := c.e.Totals().Counts.StrayPackets - before; got != 30 {
			t.Errorf("secure %v: %d strays, want 30", secure, got)
		}
		again := c.open(at("198.51.100.1", 4000), secure)
		if ports(stays, again) != 2 {
			t.Errorf("secure %v: an address that has just been another call's came back to the same port", secure)
		}
	}
}

func TestWhatComesBeforeTheCommitIsKept(t *testing.T) {
	c := newCrowd(t, Config{})
	stays := c.open(at("198.51.100.2", 4000), true)
	line, err := c.e.NewTimeline(call.Info{ID: "early"})
	if err != nil {
		t.Fatal(err)
	}
	m := &member{line: line, from: at("198.51.100.1", 4000), ssrc: 99 << 8}
	m.ear = &ear{t: t, mine: func(s uint32) bool { return s == m.ssrc }}
	line.Attach(m.ear)
	if m.Track, err = line.Open(Plan{Remote: m.from, Secure: true}); err != nil {
		t.Fatal(err)
	}
	rtp, _ := m.Local()
	m.port = c.ports[rtp]
	k := testKey(SuiteAESCM128SHA1x80, 99)
	k.Master[0], k.Master[1] = 0, 0
	if m.send, err = sealerFor(k, nil); err != nil {
		t.Fatal(err)
	}
	c.says(m, 3)
	c.agree(m, m.from, true)
	c.says(m, 3)
	for range 5 {
		c.sweep()
	}
	if m.heard() != 6 || ports(m, stays) != 1 {
		t.Errorf("heard %d packets, want 6", m.heard())
	}
}

func TestStrangersCostABoundedSearch(t *testing.T) {
	c := newCrowd(t, Config{})
	var all []*member
	for i := range 60 {
		all = append(all, c.open(at("198.51.100.1", 4000+2*i), true))
	}
	c.sweep()
	for i := range 20 {
		for _, m := range all {
			c.talk(m)
		}
		for j := range 200 {
			forged := spec{ssrc: uint32(j), seq: uint16(i), n: 170}.marshal()
			all[0].port.queue = append(all[0].port.queue, letter{at: c.now, octets: forged, from: at("203.0.113.9", 1000+j)})
		}
		c.sweep()
		if left := all[0].live.port.budget; left > 0 {
			t.Fatalf("budget: %d left of %d", left, strangerTries)
		}
	}
	for range 5 {
		c.sweep()
	}
	for i, m := range all {
		if m.heard() != 20 {
			t.Errorf("track %d: heard %d packets, want 20", i, m.heard())
		}
	}
	if got := c.e.Totals().Counts.StrayPackets; got != 20*200 {
		t.Errorf("strays: got %d, want %d", got, 20*200)
	}
}

func TestSharedPortClosesAfterItsLastTrack(t *testing.T) {
	c := newCrowd(t, Config{})
	a, b := c.open(at("198.51.100.1", 4000), true), c.open(at("198.51.100.1", 4002), true)
	c.sweep()
	a.End()
	c.sweep()
	if a.port.closed != 0 {
		t.Error("closed while a track is on it")
	}
	b.line.Close(call.Cause{})
	c.sweep()
	if a.port.closed != 1 || len(c.s.ports) != 0 || len(c.s.sharing.shares) != 0 {
		t.Errorf("after the last: closed %d times, %d ports and %d shares left", a.port.closed, len(c.s.ports), len(c.s.sharing.shares))
	}
	rtp, _ := a.Local()
	if next := c.open(at("198.51.100.1", 4000), true); next.port.self == rtp {
		t.Error("a port just closed is used again")
	}
}

func TestSmallBuffersTakeFewerTracks(t *testing.T) {
	c := newCrowd(t, Config{})
	listen := c.e.ports.listen
	c.e.ports.listen = func(at netip.AddrPort, buffer int) (receiver, error) {
		return listen(at, 3*trackBuffer)
	}
	var all []*member
	for i := range 10 * sharedPorts {
		all = append(all, c.open(at("198.51.100.1", 4000+2*i), true))
	}
	if n, want := ports(all...), (10*sharedPorts+2)/3; n != want {
		t.Errorf("%d ports, want %d with three tracks each", n, want)
	}
}

func TestControlPacketsFindTheirTrack(t *testing.T) {
	c := newCrowd(t, Config{})
	a, b := c.open(at("198.51.100.1", 4000), true), c.open(at("198.51.100.1", 4002), true)
	c.says(a, 5)
	c.says(b, 5)
	_, rtcp := a.Local()
	put := func(from netip.AddrPort, ssrc uint32) {
		b := []byte{0x80, 200, 0, 6, byte(ssrc >> 24), byte(ssrc >> 16), byte(ssrc >> 8), byte(ssrc)}
		c.ports[rtcp].queue = append(c.ports[rtcp].queue, letter{at: c.now, octets: append(b, make([]byte, 20)...), from: from})
	}
	put(at("198.51.100.1", 4001), 5)       // where a's comes from by the offer
	put(at("198.51.100.1", 9999), b.ssrc)  // elsewhere, by its source
	put(at("203.0.113.1", 9999), b.ssrc)   // another host's
	put(at("198.51.100.1", 9999), 0xBADBD) // nobody's
	for range 20 {
		c.sweep()
	}
	if x, y := a.ear.state.Counts.RTCPRefusedPackets, b.ear.state.Counts.RTCPRefusedPackets; x != 1 || y != 1 { // for SRTCP is wanted
		t.Errorf("RTCP packets: got %d and %d, want 1 and 1", x, y)
	}
}

// TestNoSampleOfOneTrackInAnother: a thousand tracks on 16 ports; sources move, with and without a word; calls end and begin, some
// from addresses that were another's a moment ago, and what ended goes on sending; packets are forged.
func TestNoSampleOfOneTrackInAnother(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("srtp=%v", secure), func(t *testing.T) {
			const tracks, hosts, sweeps = 1000, 20, 60
			rnd := rand.New(rand.NewPCG(7, 11))
			c := newCrowd(t, Config{})
			host := func(i int) string { return fmt.Sprintf("198.51.100.%d", i%hosts+1) }
			for i := range hosts { // known to be straight
				c.e.habits.note(at(host(i), 1), at(host(i), 1), 0)
			}
			var live, ended []*member
			still := map[*member]int{} // packets that one which never moved sent
			for i := range tracks {
				m := c.open(at(host(i), 4000+2*(i/hosts)), secure)
				live, still[m] = append(live, m), 0
			}
			if n := ports(live...); n != sharedPorts {
				t.Fatalf("%d ports, want %d", n, sharedPorts)
			}
			for i := range sweeps {
				for _, m := range live {
					c.talk(m)
					if _, ok := still[m]; ok {
						still[m]++
					}
				}
				for j, m := range ended {
					if i-j < 15 {
						c.talk(m)
					}
				}
				c.forge(rnd, live, secure)
				c.upset(rnd, i, &live, &ended, still, secure)
				c.sweep()
			}
			for range 10 {
				c.sweep()
			}
			whole := 0
			for m, sent := range still {
				if m.ear.right == int64(sent)*160 {
					whole++
				} else {
					t.Errorf("%s: heard %d packets of %d", m.plan.Leg, m.heard(), sent)
				}
			}
			t.Logf("%d tracks whole, %d strays, %d ports", whole, c.e.Totals().Counts.StrayPackets, len(c.s.ports))
		})
	}
}

// forge puts packets on the wire that are nobody's: from elsewhere, from other ports of the same hosts, and, where keys
// protect, from the very sources.
func (c *crowd) forge(rnd *rand.Rand, live []*member, secure bool) {
	for range 50 {
		m := live[rnd.IntN(len(live))]
		from := at("203.0.113.1", 1024+rnd.IntN(60000))
		if rnd.IntN(2) == 0 {
			from = netip.AddrPortFrom(m.from.Addr(), uint16(40000+rnd.IntN(20000)))
		}
		ssrc := 0xF0000000 + uint32(rnd.IntN(4))
		if secure && rnd.IntN(2) == 0 {
			from, ssrc = m.from, m.ssrc
		}
		b := spec{ssrc: ssrc, seq: m.seq + uint16(rnd.IntN(3)), ts: m.ts, n: 170}.marshal()
		m.port.queue = append(m.port.queue, letter{at: c.now, octets: b, from: from})
	}
}

// upset lets calls end, begin and move.
func (c *crowd) upset(rnd *rand.Rand, i int, live, ended *[]*member, still map[*member]int, secure bool) {
	j := rnd.IntN(len(*live))
	m := (*live)[j]
	(*live)[j] = (*live)[len(*live)-1]
	*live = (*live)[:len(*live)-1]
	*ended = append(*ended, m)
	delete(still, m)
	m.line.Close(call.Cause{Code: call.CodeHangup})
	from := m.from // what the far side offers next is the port that it has just freed
	if i%2 == 0 {
		from = netip.AddrPortFrom(m.from.Addr(), uint16(10000+2*i))
	}
	n := c.open(from, secure)
	*live, still[n] = append(*live, n), 0

	k := (*live)[rnd.IntN(len(*live))]
	delete(still, k)
	k.from = netip.AddrPortFrom(k.from.Addr(), uint16(20000+2*i))
	switch i % 3 {
	case 0: // with a word
		c.agree(k, k.from, secure)
	case 1: // without one, with a source of its own
		k.ssrc++
	}
}

// TestHotPathAllocsOnASharedPort: finding a packet's track, waiting for its turn and the turn itself allocate nothing, with live and
// with paced sinks, and strangers in between.
func TestHotPathAllocsOnASharedPort(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, pace := range []time.Duration{0, time.Second} {
			t.Run(fmt.Sprintf("srtp=%v/pace=%v", secure, pace), func(t *testing.T) {
				const tracks, sweeps = 4, 700
				c := newCrowd(t, Config{})
				var all []*member
				for i := range tracks {
					all = append(all, c.open(at(fmt.Sprintf("198.51.100.%d", i+1), 4000), secure))
				}
				if ports(all...) != 1 {
					t.Fatal("they don't share a port")
				}
				l := &loop{fakePort: fakePort{start: c.e.start}, each: tracks + 1}
				for i := range sweeps {
					for _, m := range all {
						c.now = time.Duration(i) * 20 * ms
						c.talk(m)
						l.list = append(l.list, m.port.queue[len(m.port.queue)-1])
					}
					stray := spec{ssrc: 1, seq: uint16(i), n: 160}.marshal()
					l.list = append(l.list, letter{at: c.now, octets: stray, from: at("203.0.113.1", 9)})
				}
				all[0].port.queue, c.now = nil, 0
				all[0].live.port.pair.rtp = l
				for range 150 {
					c.sweep()
				}
				sinks := make([]idleSink, tracks)
				for i, m := range all {
					m.line.live.seats = []*seat{{sink: &sinks[i], pace: pace, coded: pace > 0}}
					m.line.live.need()
				}
				got := testing.AllocsPerRun(500, c.sweep)
				for i := range sinks {
					if want := int64(490 * 160); sinks[i].samples < want {
						t.Errorf("track %d: %d samples, want %d", i, sinks[i].samples, want)
					}
				}
				// pion's and our own trial of a stranger's key allocate nothing either, once the hash is warm.
				if got != 0 {
					t.Errorf("got %v allocations a sweep", got)
				}
			})
		}
	}
}

// TestHeapOfACall: what media keeps of a two-party call, beyond what the shard has in any case.
func TestHeapOfACall(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	const calls, limit = 200, 64 << 10
	for _, secure := range []bool{false, true} {
		c := newCrowd(t, Config{})
		warm := c.open(at("198.51.100.1", 3000), secure)
		c.says(warm, 20)
		before := heapInUse()
		var all []*member
		for i := range calls {
			a := c.open(at("198.51.100.1", 4000+4*i), secure)
			a.ear.mine = func(uint32) bool { return true }
			b := &member{line: a.line, from: at("198.51.100.1", 4002+4*i), ssrc: a.ssrc + 1}
			all = append(all, a, c.openOn(b, secure))
		}
		for range 40 {
			for _, m := range all {
				c.talk(m)
			}
			c.sweep()
		}
		for _, m := range all {
			m.port.queue, m.send = nil, nil // the far side's
		}
		per := (heapInUse() - before) / calls
		t.Logf("srtp %v: %d bytes a call", secure, per)
		if per > limit {
			t.Errorf("srtp %v: got %d bytes of heap a call, want at most %d", secure, per, limit)
		}
		if n := all[1].State().Counts.ReceivedSamples; n < 30*160 {
			t.Errorf("second track: %d samples", n)
		}
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
