package media

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// idleSink takes batches and does nothing, as cheap as a sink can be.
type idleSink struct{ samples int64 }

func (s *idleSink) Write(b *Batch) {
	for i := range b.Frames {
		s.samples += b.Frames[i].Samples
	}
}

func (*idleSink) End(call.Cause) {}

// loop is a port that plays a prepared list of datagrams, a sweep's worth each time.
type loop struct {
	fakePort
	list []letter
	next int
	each int
}

func (l *loop) readBatch(b *batch) int {
	n := min(l.each, len(l.list)-l.next, batchSize)
	for i := range n {
		p := &l.list[l.next+i]
		d := &b.got[i]
		d.octets = b.data[i][:copy(b.data[i][:], p.octets)]
		d.source, d.stamp = p.from, l.start.Add(p.at).UnixNano()
	}
	l.next += n
	return n
}

// hotRig plays a list through a whole shard.
func hotRig(t testing.TB, p Params, list []letter) (*rig, *loop) {
	r := newRig(t, Config{Keepalive: -1})
	r.tape.blind = true
	l := &loop{fakePort: fakePort{start: r.e.start}, list: list, each: 1}
	for i := range list {
		if !list[i].from.IsValid() {
			list[i].from = wire
		}
	}
	r.track.live.port.pair.rtp = l
	r.commit(p)
	return r, l
}

// life is what the hot path meets: by name, whether SRTP, and how the network treats packet i.
var life = []struct {
	name string
	srtp bool
	fate func(i int) (gone bool, delay time.Duration)
}{
	{"in order", false, func(int) (bool, time.Duration) { return false, 0 }},
	{"reordered", false, func(i int) (bool, time.Duration) { return false, time.Duration(i%5) * 15 * ms }},
	{"lost", false, func(i int) (bool, time.Duration) { return i%5 == 3, 0 }},
	{"late", false, func(i int) (bool, time.Duration) { return false, time.Duration(i%5/4) * 300 * ms }},
	{"SRTP", true, func(int) (bool, time.Duration) { return false, 0 }},
}

func lifeOf(t testing.TB, n int, srtp bool, fate func(int) (bool, time.Duration)) (Params, []letter) {
	p, in := plainParams(), stream(testSSRC, 65000, 1<<32-9000, 20*ms, n)
	if srtp {
		k := testKey(SuiteAESCM128SHA1x80, 1)
		p = srtpParams(k, testKey(SuiteAESCM128SHA1x80, 2))
		in = sealed(t, k, 0, in)
	}
	return p, arrange(in, fate)
}

// arrange lets the network have its way with packets, and puts them in the order of arrival.
func arrange(in []letter, fate func(int) (bool, time.Duration)) []letter {
	var port rig
	port.port = &fakePort{}
	for i, l := range in {
		gone, delay := fate(i)
		if l.at += delay; !gone || i == 0 {
			port.send(l)
		}
	}
	return port.port.queue
}

func TestHotPathAllocs(t *testing.T) {
	for _, c := range life {
		t.Run(c.name, func(t *testing.T) {
			p, list := lifeOf(t, 1500, c.srtp, c.fate)
			r, l := hotRig(t, p, list)
			for range 500 { // the start, the first slots, the placing
				r.until(r.now + r.e.cfg.Sweep)
			}
			r.tape.t = nil
			r.line.live.seats = nil // the tape allocates
			sink := &idleSink{}
			r.line.live.seats = append(r.line.live.seats, &seat{sink: sink})
			got := testing.AllocsPerRun(500, func() { r.until(r.now + r.e.cfg.Sweep) })
			if got != 0 || sink.samples < 300*160 || l.next < 900 {
				t.Errorf("got %v allocations a sweep, %d samples, %d packets read", got, sink.samples, l.next)
			}
		})
	}
}

func BenchmarkTrack(b *testing.B) {
	for _, c := range life {
		if c.srtp {
			continue
		}
		for _, srtp := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/srtp=%v", c.name, srtp), func(b *testing.B) {
				const n = 20000
				p, list := lifeOf(b, n, srtp, c.fate)
				b.ReportAllocs()
				packets := 0
				for b.Loop() {
					b.StopTimer()
					r, l := hotRig(b, p, list)
					l.each = 8
					sink := &idleSink{}
					r.until(20 * ms)
					r.line.live.seats = []*seat{{sink: sink}}
					b.StartTimer()
					for l.next < len(l.list) {
						r.now = max(r.now+r.e.cfg.Sweep, l.list[l.next].at)
						r.s.sweep(r.e.start.Add(r.now))
					}
					packets += len(list)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
			})
		}
	}
}

// BenchmarkPlacer is the pure part: no source, no sweep; 1 % loss, 2 % overtaken.
func BenchmarkPlacer(b *testing.B) {
	r := newRig(b, Config{})
	r.until(20 * ms)
	r.line.live.seats = nil
	p := r.track.live.placer
	rnd := rand.New(rand.NewPCG(1, 2))
	octets := make([]byte, 160)
	b.ReportAllocs()
	i, held := 0, -1
	for b.Loop() {
		i++
		at := time.Duration(i) * 20 * ms
		take := func(i int) {
			p.take(&packet{ssrc: 1, seq: uint16(i), ts: uint32(i * 160), law: LawPCMU, octets: octets, arrival: at})
		}
		switch k := rnd.IntN(100); {
		case k == 0 && i > 1:
		case k < 3 && held < 0:
			held = i
		default:
			take(i)
			if held > 0 {
				take(held)
				held = -1
			}
		}
		if i%8 == 0 {
			p.tick(at)
			r.s.out.reset()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/packet")
}
