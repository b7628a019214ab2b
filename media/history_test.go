package media

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// history is a sender's stream and what a network did to it, with what must become of each sample.
type history struct {
	in     []letter
	pauses bool
	base   uint32
	want   []bool // by Pos: delivered in time
	sent   []bool // by Pos: it was sent at all (else: sender silent)
}

// imagine makes a random history of one source: lengths, pauses, other payload types; loss, jitter, overtaking, copies,
// late and too late.
func imagine(r *rand.Rand) *history {
	h := &history{pauses: r.IntN(2) == 0, base: r.Uint32()}
	if r.IntN(2) == 0 {
		h.base = -uint32(r.IntN(50000)) // wraps soon
	}
	seq, ts, at := uint16(r.Uint32()), h.base, 100*ms
	loss := r.Float64() * 0.3
	lengths := []int{80, 160, 160, 160, 240, 480}
	n := lengths[r.IntN(len(lengths))]
	for i := range 200 + r.IntN(300) { // where nothing but loss is missing, lengths stay: a lost one's can't be known
		if h.pauses && r.IntN(40) == 0 {
			n = lengths[r.IntN(len(lengths))]
		}
		if h.pauses && i > 0 && r.IntN(30) == 0 {
			quiet := 80 * (1 + r.IntN(200))
			ts, at = ts+uint32(quiet), at+time.Duration(quiet)*sampleTime
			h.want, h.sent = append(h.want, make([]bool, quiet)...), append(h.sent, make([]bool, quiet)...)
		}
		p := spec{ssrc: 1, seq: seq, ts: ts, n: n, pt: uint8(r.IntN(2) * 8)}
		if h.pauses && i > 0 && r.IntN(20) == 0 { // comfort noise instead
			p.n, p.pt, p.payload = 0, 13, []byte{40}
		}
		came := h.deliver(r, p, at, i == 0, loss)
		for range n {
			h.want, h.sent = append(h.want, came && p.n > 0), append(h.sent, p.n > 0)
		}
		seq, ts, at = seq+1, ts+uint32(n), at+time.Duration(n)*sampleTime
	}
	return h
}

// deliver sends a packet through the network; true: it came in time.
func (h *history) deliver(r *rand.Rand, p spec, at time.Duration, first bool, loss float64) bool {
	if first {
		h.in = append(h.in, letter{at: at, octets: p.marshal()})
		return true
	}
	if r.Float64() < loss {
		return false
	}
	delay, came := time.Duration(r.IntN(30))*ms, true
	switch r.IntN(30) {
	case 0:
		delay = time.Duration(r.IntN(1500)) * ms
	case 1:
		delay, came = 8*time.Second+time.Duration(r.IntN(900))*ms, false
	}
	h.in = append(h.in, letter{at: at + delay, octets: p.marshal()})
	if r.IntN(20) == 0 { // twice; the copy of one that is too late as well
		h.in = append(h.in, letter{at: at + delay + time.Duration(r.IntN(300))*ms, octets: p.marshal()})
	}
	return came
}

// TestEverySampleIsInPlaceWhateverTheNetworkDoes: what came in time is there, what didn't is lost or, where the sender was
// silent, a gap; frames tile, octets are those of their timestamps (the tape proves both).
func TestEverySampleIsInPlaceWhateverTheNetworkDoes(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := imagine(rand.New(rand.NewPCG(seed, 1)))
			r := newRig(t, Config{}).commit(plainParams()).send(h.in...)
			r.until(r.port.queue[len(r.port.queue)-1].at + 100*ms).close()
			s := r.state()
			if len(s.Epochs) != 1 || s.Epochs[0].Timestamp != h.base {
				t.Fatalf("epochs %+v, want one from %d", s.Epochs, h.base)
			}
			last := len(h.want) // of what came in time: after it nothing was too late
			for last > 0 && !h.want[last-1] {
				last--
			}
			if s.Length < int64(last) {
				t.Fatalf("length: got %d, want %d", s.Length, last)
			}
			for pos, k := range r.tape.tracks[1].kinds[:last] {
				got := k == KindReceived || k == KindLate
				if got != h.want[pos] {
					t.Fatalf("Pos %d: got %v, delivered %v", pos, k, h.want[pos])
				}
				if !h.pauses && !got && k != KindLost {
					t.Fatalf("Pos %d: got %v, want lost", pos, k)
				}
			}
		})
	}
}

// FuzzDatagrams: whatever comes, from wherever and whenever, nothing breaks and the tape's rules hold. An op is: 1 octet of
// what to do, 1 of time, then its operands.
func FuzzDatagrams(f *testing.F) {
	f.Add([]byte{0, 20, 0, 20, 1, 20, 2, 20, 5, 3, 20, 4, 20, 9})
	f.Add([]byte{7, 1, 0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xff})
	f.Fuzz(func(t *testing.T, ops []byte) {
		r := newRig(t, Config{})
		r.track.live.state.ID = 1
		r.commit(plainParams())
		r.tape.blind = true // octets here are anything
		at, seq, ts, ssrc := 100*ms, uint16(65000), uint32(1<<32-3000), uint32(1)
		next := func() (b byte) {
			if len(ops) > 0 {
				b, ops = ops[0], ops[1:]
			}
			return b
		}
		for i := 0; len(ops) > 0 && i < 400; i++ {
			op := next()
			at += time.Duration(next()) * ms
			l := letter{at: at}
			switch op % 9 {
			case 0:
				l.octets = spec{ssrc: ssrc, seq: seq, ts: ts, n: 160}.marshal()
				seq, ts = seq+1, ts+160
			case 1: // lost
				seq, ts = seq+1, ts+160
			case 2: // overtaken, or late
				d := uint16(next())
				l.octets = spec{ssrc: ssrc, seq: seq - d, ts: ts - 160*uint32(d), n: 160}.marshal()
			case 3:
				ssrc = uint32(next() % 3)
			case 4:
				ts += uint32(next()) << (next() % 25)
			case 5:
				seq += uint16(next()) << (next() % 9)
			case 6:
				l.octets = spec{ssrc: ssrc, seq: seq, ts: ts, pt: []byte{0, 8, 13, 101, 97}[next()%5], n: int(next()), payload: []byte{next(), next()}}.marshal()
				seq++
			case 7:
				n := int(next())
				n = min(len(ops), n)
				l.octets, ops = ops[:n], ops[n:]
			case 8:
				r.line.Valve(ValveState(next()%2), at-time.Duration(next())*10*ms)
			}
			if l.octets != nil {
				r.send(l)
			}
			if i%8 == 0 {
				r.until(at)
			}
		}
		r.until(at + 100*ms).close()
		if s := r.state(); s.Length > samplesIn(at)+samplesIn(at)/512+aheadSamples+400*258 {
			t.Errorf("length: got %d in %v", s.Length, at)
		}
	})
}

// FuzzHeader: a header that is taken lies within its octets, whatever they are.
func FuzzHeader(f *testing.F) {
	f.Add(spec{ssrc: 1, seq: 2, ts: 3, n: 4}.marshal())
	f.Add([]byte{0xB2, 0x80, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 8, 0xBE, 0xDE, 0, 1, 1, 2, 3, 4, 5, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, ok := parseHeader(b)
		if !ok {
			return
		}
		p, ok := payloadOf(&h, b)
		if ok && (h.payload < headerOctets || h.payload+len(p) > len(b)) {
			t.Errorf("payload %d+%d of %d octets", h.payload, len(p), len(b))
		}
	})
}
