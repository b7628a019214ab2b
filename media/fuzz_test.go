package media

import (
	"testing"
	"time"
)

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
				turnValve(r.line, next(), at-time.Duration(next())*10*ms)
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
