package media

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// ending is a sink that proves what holds for one that comes and goes: Final never goes back, nothing comes after the end.
type ending struct {
	t     testing.TB
	final time.Duration
	ends  int
}

func (e *ending) Write(b *Batch) {
	if e.ends > 0 || b.Final < e.final || b.Final > b.Now {
		e.t.Errorf("Final: got %v after %v at %v, %d ends", b.Final, e.final, b.Now, e.ends)
	}
	e.final = b.Final
}

func (e *ending) End(call.Cause) { e.ends++ }

// voice is a sender of a fuzzed timeline: audio whose octets are known by SSRC and timestamp.
type voice struct {
	ssrc uint32
	seq  uint16
	ts   uint32
	from netip.AddrPort
	seal *sealer
	keys []time.Duration // when it got one
}

// driver turns octets into what happens to a timeline.
type driver struct {
	*rig
	ops    []byte
	tracks []*Track
	ports  []*fakePort
	voices []*voice
	sinks  []*ending
	leave  []func(call.Cause)
}

func (d *driver) next() (b byte) {
	if len(d.ops) > 0 {
		b, d.ops = d.ops[0], d.ops[1:]
	}
	return b
}

// open opens a track; the far side's voice has a port of its own.
func (d *driver) open() {
	k, port := d.rig.open()
	n := uint32(len(d.tracks))
	d.tracks, d.ports = append(d.tracks, k), append(d.ports, port)
	d.voices = append(d.voices, &voice{ssrc: 1 + n<<8, seq: 65500, ts: 1<<32 - 3000, from: netip.AddrPortFrom(wire.Addr(), uint16(4000+2*n))})
	d.agree(int(n), 0)
}

// agree makes an exchange of one of some kinds.
func (d *driver) agree(i int, kind byte) {
	v, p := d.voices[i], plainParams()
	p.Remote = v.from
	v.keys = slices.DeleteFunc(v.keys, func(at time.Duration) bool { return at < d.now-2*rekeyGrace })
	if k := kind % 8; (k == 5 || k == 6) && len(v.keys) == maxOldKeys {
		return // nobody exchanges so many keys while one packet is on its way
	}
	var seal *sealer
	switch kind % 8 {
	case 1: // elsewhere
		v.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1 + kind>>6}), v.from.Port()+2)
		p.Remote = v.from
	case 2:
		p.Remote = netip.AddrPortFrom(netip.IPv4Unspecified(), v.from.Port())
	case 3:
		p.Inactive = true
	case 4: // taken away
		p = Params{Inactive: true}
	case 5, 6:
		k := testKey(SuiteAESCM128SHA1x80, kind)
		v.keys = append(v.keys, d.now)
		p.RecvKey, p.SendKey, p.Mux = k, testKey(SuiteAESCM128SHA1x80, 200), true
		seal, _ = sealerFor(k, nil)
	case 7: // late offer: the key is still to come
		p.Remote, p.SendKey = netip.AddrPort{}, testKey(SuiteAESCM128SHA1x80, 200)
	}
	commit, undo, err := d.tracks[i].Prepare(p)
	if err != nil {
		d.t.Fatal(err)
	}
	if kind == 255 {
		undo()
		return
	}
	v.seal = seal
	commit()
}

// say puts octets on a track's wire at a time; plain RTP goes under the key that was agreed.
func (d *driver) say(i int, at time.Duration, octets []byte) {
	v := d.voices[i]
	if v.seal != nil && !isRTCP(octets) {
		if b, err := v.seal.seal(slices.Clone(octets)); err == nil {
			octets = slices.Clone(b)
		}
	}
	d.ports[i].queue = append(d.ports[i].queue, letter{at: at, octets: octets, from: v.from})
}

// sweep is one sweep, with all ports' clocks.
func (d *driver) sweep() {
	for _, p := range append(d.ports, d.port) {
		p.now = d.now + d.e.cfg.Sweep
		sortLetters(p.queue)
	}
	d.until(d.now + d.e.cfg.Sweep)
}

// step does one thing. An op is: what to do, to which track, how long after the one before, then its operands.
func (d *driver) step(at time.Duration, op byte, i int) {
	v := d.voices[i]
	switch op % 18 {
	case 0, 1:
		d.say(i, at, spec{ssrc: v.ssrc, seq: v.seq, ts: v.ts, n: 160, pt: 8 * (op % 2)}.marshal())
		v.seq, v.ts = v.seq+1, v.ts+160
	case 2: // some are lost
		n := d.next()
		v.seq, v.ts = v.seq+uint16(n), v.ts+160*uint32(n)
	case 3: // overtaken, late, once more
		n := uint32(d.next())
		d.say(i, at, spec{ssrc: v.ssrc, seq: v.seq - uint16(n), ts: v.ts - 160*n, n: 160}.marshal())
	case 4: // a burst
		for n := range time.Duration(d.next() % 70) {
			d.say(i, at+n*10*time.Microsecond, spec{ssrc: v.ssrc, seq: v.seq, ts: v.ts, n: 80}.marshal())
			v.seq, v.ts = v.seq+1, v.ts+80
		}
	case 5:
		v.ssrc = v.ssrc&^0xff | uint32(d.next()%3)
	case 6:
		v.ts += uint32(d.next()) << (d.next() % 25)
	case 7:
		v.seq += uint16(d.next()) << (d.next() % 9)
	case 8:
		n := int(d.next())
		if n == eventOctets {
			n++ // four octets are no audio, and not known
		}
		d.say(i, at, spec{ssrc: v.ssrc, seq: v.seq, ts: v.ts, n: 7 * n}.marshal())
		v.seq, v.ts = v.seq+1, v.ts+7*uint32(n)
	case 9:
		pt := []byte{13, 101, 97, 20}[d.next()%4]
		d.say(i, at, spec{ssrc: v.ssrc, seq: v.seq, ts: v.ts, pt: pt, payload: []byte{d.next(), d.next(), d.next(), d.next()}}.marshal())
		v.seq++
	case 10: // what is no RTP
		b := make([]byte, d.next()%64)
		for j := range b {
			b[j] = d.next()
		}
		if _, ok := parseHeader(b); !ok || isRTCP(b) {
			d.say(i, at, b)
		}
	case 11:
		v.from = netip.AddrPortFrom(v.from.Addr(), 4000+uint16(d.next()%8))
	case 12:
		turnValve(d.line, d.next(), at-time.Duration(d.next())*20*ms)
	case 13:
		d.agree(i, d.next())
	case 14:
		d.tracks[i].Move(uint16(d.next()), call.Party{ID: "p"})
	case 15:
		d.line.Post(call.Event{Type: call.EventDTMF})
		d.line.SetParty(TrackID(d.next()), call.Party{ID: "q"})
	case 16:
		if n := len(d.leave); n > 0 && d.next()%2 == 0 {
			d.leave[n-1](call.Cause{Code: call.CodeHangup})
			d.leave = d.leave[:n-1]
		} else if len(d.sinks) < 8 {
			s := &ending{t: d.t}
			d.sinks, d.leave = append(d.sinks, s), append(d.leave, d.line.Attach(s))
		}
	case 17:
		if len(d.tracks) < 4 && d.next()%2 == 0 {
			d.open()
		} else if len(d.tracks) > 1 {
			d.tracks[i].End()
		}
	}
}

// FuzzTimeline: a whole timeline, with tracks that come and go, exchanges, masks, moves, sinks, and any network. The tape proves after each
// that frames tile, that nothing changes before Final, that each octet lies where its epoch says, and that samples by kind sum to
// the length. No panic is recovered, all that is kept has its bound, and at the end nothing is left of it.
func FuzzTimeline(f *testing.F) {
	f.Add([]byte{0, 0, 4, 0, 0, 4, 2, 0, 4, 1, 0, 0, 4, 3, 0, 60, 2, 17, 0, 4, 0, 0, 1, 4, 12, 0, 4, 1, 5, 0, 1, 4, 14, 1, 4, 2, 16, 0, 4, 0, 0, 4})
	f.Add([]byte{13, 0, 0, 5, 0, 0, 4, 0, 0, 4, 13, 0, 4, 6, 0, 0, 4, 3, 0, 4, 1, 13, 0, 4, 4, 0, 0, 4, 17, 0, 4, 1})
	f.Add([]byte{4, 0, 4, 66, 6, 0, 4, 200, 12, 4, 0, 4, 66, 7, 0, 4, 9, 8, 4, 0, 200, 60, 5, 0, 4, 1, 4, 0, 4, 30, 10, 0, 4, 9, 0x80, 200, 0, 1})
	f.Fuzz(func(t *testing.T, ops []byte) {
		r := newRig(t, Config{})
		d := &driver{rig: r, ops: ops}
		d.track.live.state.ID = 1 // the rig's own stays silent
		d.open()
		at := 20 * ms
		for n := 0; len(d.ops) > 0 && n < 300; n++ {
			op, i := d.next(), int(d.next())%len(d.tracks)
			at += time.Duration(d.next()%64) * 5 * ms
			d.step(at, op, i)
			for d.now+d.e.cfg.Sweep < at {
				d.sweep()
				d.bounded()
			}
		}
		d.sweep()
		d.close()
		d.clean(at)
	})
}

// bounded proves that what a track keeps has a bound.
func (d *driver) bounded() {
	slots := 0
	for _, k := range d.tracks {
		p := k.live.placer
		if p.wait.n >= waitSlots || p.cand.n > candidateSlots || p.past.n > maxHoles || k.live.latch.trial.held > trialSlots || k.live.kept.n > keptPackets {
			d.t.Fatalf("kept: %d wait, %d of a candidate, %d holes, %d on trial, %d sealed", p.wait.n, p.cand.n, p.past.n, k.live.latch.trial.held, k.live.kept.n)
		}
		slots += waitSlots + candidateSlots + trialSlots + 2*keptPackets
	}
	if n := len(d.s.pool.small) + len(d.s.pool.large); n > 2*(slots+slotChunk) {
		d.t.Fatalf("%d slots for %d tracks", n, len(d.tracks))
	}
}

// clean proves that nothing is left of a timeline that has ended.
func (d *driver) clean(end time.Duration) {
	if n := d.e.Totals().Panics; n > 0 {
		d.t.Fatalf("%d panics", n)
	}
	for _, s := range d.sinks {
		if s.ends != 1 {
			d.t.Errorf("a sink has %d ends", s.ends)
		}
	}
	for i, k := range d.tracks {
		if s := k.State(); !s.Ended || d.ports[i].closed != 1 || s.Length > samplesIn(end)+samplesIn(end)/512+aheadSamples+300*70*80 || len(s.Epochs) > maxEpochs {
			d.t.Errorf("track %d: ended %v, port closed %d times, %d samples in %v, %d epochs", i+2, s.Ended, d.ports[i].closed, s.Length, end, len(s.Epochs))
		}
	}
	d.s.nothingKept(d.t)
	if len(d.s.lines) != 0 || len(d.s.ports) != 0 {
		d.t.Errorf("left: %d timelines, %d ports", len(d.s.lines), len(d.s.ports))
	}
}

// nothingKept proves that all slots and chunks that were ever made are back in stock: slots are made in chunks of their own.
func (s *shard) nothingKept(t testing.TB) {
	t.Helper()
	if len(s.pool.small)%slotChunk != 0 || len(s.pool.large)%slotChunk != 0 {
		t.Errorf("slots in stock: %d and %d, no whole chunks of %d", len(s.pool.small), len(s.pool.large), slotChunk)
	}
	if all := len(s.intake.slabs) * slabChunks; len(s.intake.free) != all {
		t.Errorf("%d of the intake's %d chunks are free", len(s.intake.free), all)
	}
}
