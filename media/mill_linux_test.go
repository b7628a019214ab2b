package media

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/earshot/earshot/call"
)

// mill is a port whose tracks send for ever, one packet of 20 ms after the other. Each packet comes out of memory of its own, as the
// kernel's do: what is read lies in no near cache.
type mill struct {
	fakePort
	tracks []*millTrack
	skbs   [][millOctets]byte
	next   int
	seen   time.Duration // all before this were read
	track  int
}

const (
	millOctets  = 1024 // what the kernel keeps for a packet of 172
	millBuffers = 640  // of a port: 10 packets of 64 tracks
)

type millTrack struct {
	from netip.AddrPort
	ssrc uint32
	seq  uint16
}

func (m *mill) readBatch(b *batch) (n int) {
	for n < batchSize && m.seen+20*ms <= m.now && len(m.tracks) > 0 {
		k := m.tracks[m.track]
		p := m.skbs[m.next][:headerOctets+160]
		p[0], p[1] = 0x80, 0
		binary.BigEndian.PutUint16(p[2:], k.seq)
		binary.BigEndian.PutUint32(p[4:], uint32(k.seq)*160)
		binary.BigEndian.PutUint32(p[8:], k.ssrc)
		d := &b.got[n]
		d.octets = b.data[n][:copy(b.data[n][:], p)]
		d.source, d.stamp = k.from, m.start.Add(m.seen+time.Duration(m.track)*100*time.Microsecond).UnixNano()
		n++
		k.seq++
		if m.next++; m.next == len(m.skbs) {
			m.next = 0
		}
		if m.track++; m.track == len(m.tracks) {
			m.track, m.seen = 0, m.seen+20*ms
		}
	}
	return n
}

// octetSink reads what it gets, as a recording does.
type octetSink struct {
	samples int64
	ring    [8192]byte
}

func (s *octetSink) Write(b *Batch) {
	for i := range b.Frames {
		f := &b.Frames[i]
		copy(s.ring[s.samples%(8192-2048):], f.Octets)
		s.samples += f.Samples
	}
}

func (*octetSink) End(call.Cause) {}

// others is as large as what takes a shard's place in the caches while it sleeps.
var others [8 << 20]uint64

// millRig is a shard whose ports are mills.
type millRig struct {
	b     *testing.B
	e     *Engine
	s     *shard
	mills map[netip.AddrPort]*mill
	now   time.Duration
	opens int
}

func newMillRig(b *testing.B) *millRig {
	e, err := New(Config{Shards: 1, ListenIP: netip.MustParseAddr(crowdIP), PortMin: 20000, PortMax: 29999, Keepalive: -1})
	if err != nil {
		b.Fatal(err)
	}
	r := &millRig{b: b, e: e, s: e.shards[0], mills: map[netip.AddrPort]*mill{}}
	e.ports.listen = func(at netip.AddrPort, room int) (receiver, error) {
		r.mills[at] = &mill{fakePort: fakePort{start: e.start, self: at, room: room}, skbs: make([][millOctets]byte, millBuffers)}
		return r.mills[at], nil
	}
	return r
}

// sweep is the next one, as far away as the shard says.
func (r *millRig) sweep() {
	r.now += r.s.every
	for _, m := range r.mills {
		m.now = r.now
	}
	r.s.sweep(r.e.start.Add(r.now))
}

func (r *millRig) line() *Timeline {
	l, err := r.e.NewTimeline(call.Info{ID: "call"})
	if err != nil {
		r.b.Fatal(err)
	}
	return l
}

// open opens a track that sends from now on.
func (r *millRig) open(l *Timeline) {
	from := at("198.51.100.1", 30000+2*r.opens)
	r.opens++
	k, err := l.Open(Plan{Leg: "leg", Remote: from, Mux: true})
	if err != nil {
		r.b.Fatal(err)
	}
	commit, _, err := k.Prepare(Params{Remote: from, Mux: true, Receive: true, Payloads: []Payload{{0, CodecPCMU}}})
	if err != nil {
		r.b.Fatal(err)
	}
	commit()
	local, _ := k.Local()
	m := r.mills[local]
	m.tracks = append(m.tracks, &millTrack{from: from, ssrc: uint32(r.opens)<<8 + 77})
	m.seen, m.track = r.now, 0
}

// BenchmarkShard is media's part of a packet's price: 250 two-party calls on a shard, 32 tracks on a port, and memory that is far away.
func BenchmarkShard(b *testing.B) {
	for _, pace := range []time.Duration{0, 60 * ms, 100 * ms, time.Hour} {
		b.Run(fmt.Sprintf("pace=%v", pace), func(b *testing.B) {
			const calls = 250
			r := newMillRig(b)
			r.open(r.line()) // after it the address is known to send from where it says
			for range 20 {
				r.sweep()
			}
			begin := r.now
			for range calls {
				l := r.line()
				r.open(l)
				r.open(l)
				l.live.seats = []*seat{{sink: &octetSink{}, pace: pace, coded: true}}
				l.live.need()
			}
			for r.now < begin+3*time.Second {
				r.sweep()
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			spent := time.Duration(0)
			for b.Loop() {
				for i := 0; i < len(others); i += lineOctets / 8 {
					others[i] += uint64(i)
				}
				begun := threadTime()
				r.sweep()
				spent += threadTime() - begun
			}
			n := int64(b.N) * int64(r.s.every/(20*ms)) * int64(r.opens)
			b.ReportMetric(float64(spent.Nanoseconds())/float64(n), "cpu-ns/packet")
			if got, want := r.e.Totals().Counts.Packets, int64((r.now-begin)/(20*ms)-30)*int64(r.opens); got < want {
				b.Fatalf("got %d packets, want %d", got, want)
			}
		})
	}
}

// threadTime is the CPU time of this thread.
func threadTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}
