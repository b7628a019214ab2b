package media

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// cargo is what a packet of a story carries.
type cargo uint8

const (
	cargoAudio   cargo = iota
	cargoNoise         // comfort noise: RFC 3389
	cargoEvent         // telephone-event: RFC 4733
	cargoForeign       // media of a payload type that was not agreed
	cargoBroken        // the payload type of audio, and nothing that can be audio
)

// turn is how a chapter of a story begins.
type turn uint8

const (
	turnFirst  turn = iota
	turnSSRC        // another source: new SSRC, mostly a new numbering and clock
	turnForth       // the clock jumps ahead, numbers go on
	turnBack        // the clock jumps back, numbers go on
	turnAnew        // number and clock begin anew under the same SSRC
	turnNumber      // numbers begin anew, the clock goes on
	turnMove        // after a pause from another port of the same address, without a word
	turnOffer       // a re-offer names another address and payload types
	turnHold        // a re-offer holds, another resumes
	turnRekey       // a re-offer brings new keys
)

var turnNames = [...]string{"first", "ssrc", "forth", "back", "anew", "number", "move", "offer", "hold", "rekey"}

func (w turn) String() string { return turnNames[w] }

// sent is a packet as its sender knows it, and what the network did to it.
type sent struct {
	spec
	cargo    cargo
	at       time.Duration // when it was sent
	from     netip.AddrPort
	octets   []byte          // as they went out
	arrivals []time.Duration // of its copies, in order; none: lost
}

// came is when the first copy arrived.
func (p *sent) came() time.Duration {
	if len(p.arrivals) == 0 {
		return forever
	}
	return slices.Min(p.arrivals)
}

// chapter is a run of packets between two turns.
type chapter struct {
	why    turn
	lo, hi int // of its packets
	// numbers and clock tell in which numbering and under which SSRC and timestamp base it is: both count from 0.
	numbers, clock int
}

// note is what is posted to the track at a time.
type note struct {
	at time.Duration
	do func(*rig)
}

// story is a sender's life and what a network did to it. All of it is made from one seed.
type story struct {
	cfg      Config
	secure   bool
	packets  []sent
	chapters []chapter
	notes    []note
	events   int // telephone-events that were sent with timestamps of their own
}

// teller is a sender at work.
type teller struct {
	*story
	r    *rand.Rand
	p    spec // of the next packet: ssrc, seq, ts
	at   time.Duration
	from netip.AddrPort
	key  byte
	seal *sealer
	// habits
	lengths []int
	n       int
	laws    []uint8
	eventPT uint8
	pauses  bool       // it has pauses, noise, events and lengths that change
	oddTS   bool       // its events carry timestamps of no meaning
	odd     bool       // each packet has a length of its own
	dress   *rand.Rand // what else may stand in its headers; nil: nothing
	ppm     int64
}

var usualLengths = []int{80, 160, 160, 160, 240, 320, 400, 480}

// tell makes a story.
func tell(r *rand.Rand, cfg Config) *story {
	t := &teller{story: &story{cfg: cfg}, r: r, from: wire, at: 100*ms + time.Duration(r.IntN(1e6)), key: 1}
	t.secure = r.IntN(5) == 0
	t.p = spec{ssrc: 1 + r.Uint32N(1<<20), seq: uint16(r.Uint32()), ts: r.Uint32()}
	if r.IntN(2) == 0 {
		t.p.seq, t.p.ts = -uint16(r.IntN(60)), -uint32(r.IntN(20000)) // both wrap soon
	}
	t.pauses, t.oddTS, t.ppm = r.IntN(3) > 0, r.IntN(4) == 0, int64(r.IntN(401)-200)
	t.lengths, t.laws, t.eventPT = usualLengths, [][]uint8{{0}, {8}, {0, 8}}[r.IntN(3)], 101
	if t.odd = r.IntN(4) == 0; t.odd {
		t.pauses, t.lengths = true, []int{33, 80, 170, 171, 160, 1, 7, 480, 800}
	}
	t.n = t.lengths[r.IntN(len(t.lengths))]
	if t.p.ssrc%4 == 0 {
		t.dress = rand.New(rand.NewPCG(uint64(t.p.ssrc), 3))
	}
	t.rekey()
	p := t.params(t.key, wire, t.eventPT)
	t.note(0, func(g *rig) { g.commit(p) })
	t.chapter(turnFirst)
	for range r.IntN(4) {
		t.turn()
	}
	return t.story
}

// params is what an exchange of the story agrees.
func (s *story) params(key byte, remote netip.AddrPort, event uint8) Params {
	p := plainParams()
	p.Remote, p.Payloads[2].Number = remote, event
	if s.secure {
		p.RecvKey, p.SendKey = testKey(SuiteAESCM128SHA1x80, key), testKey(SuiteAESCM128SHA1x80, 200)
	}
	return p
}

func (s *story) note(at time.Duration, do func(*rig)) { s.notes = append(s.notes, note{at, do}) }

func (t *teller) rekey() {
	if !t.secure {
		return
	}
	before := t.seal
	var err error
	if t.seal, err = sealerFor(testKey(SuiteAESCM128SHA1x80, t.key), nil); err != nil {
		panic(err)
	}
	if before != nil { // RFC 3711 section 3.3.1: a re-key resets no roll-over counter
		if roc, ok := before.ctx.ROC(t.p.ssrc); ok {
			if t.p.seq == 0 {
				roc++
			}
			t.seal.ctx.SetROC(t.p.ssrc, roc)
		}
	}
}

// turn ends a chapter and begins the next.
func (t *teller) turn() {
	r, quiet := t.r, 0
	if r.IntN(2) == 0 {
		quiet = 40 * r.IntN(100)
	}
	turns := []turn{turnSSRC, turnForth, turnBack, turnMove, turnOffer, turnHold, turnAnew, turnNumber}
	if t.secure { // SRTP can't count anew under one SSRC
		turns = append(turns[:6], turnRekey)
	}
	why := turns[r.IntN(len(turns))]
	switch why {
	case turnSSRC:
		t.p.ssrc += 1 + r.Uint32N(1<<20)
		if r.IntN(4) > 0 {
			t.p.seq, t.p.ts = uint16(r.Uint32()), r.Uint32()
		}
	case turnForth:
		t.p.ts += uint32(13*SampleRate + r.IntN(1<<(10+r.IntN(20))))
	case turnBack:
		t.p.ts -= uint32(quiet + 4800 + r.IntN(1<<(10+r.IntN(20))))
	case turnAnew:
		t.p.seq += uint16(5000 + r.IntN(55000))
		t.p.ts += 1<<20 + r.Uint32N(1<<32-1<<21)
	case turnNumber:
		t.p.seq += uint16(5000 + r.IntN(55000))
	case turnMove:
		quiet = 9600 + r.IntN(4000)
		t.from = netip.AddrPortFrom(t.from.Addr(), t.from.Port()+2)
	case turnOffer, turnRekey, turnHold:
		quiet = 1600 + r.IntN(3200)
		t.offer(why, time.Duration(quiet)*sampleTime)
	case turnFirst:
	}
	t.quiet(quiet)
	t.chapter(why)
}

// offer is a re-offer, or two, in a pause.
func (t *teller) offer(why turn, pause time.Duration) {
	middle := t.at + pause/2
	if why == turnHold {
		held := t.params(t.key, netip.AddrPortFrom(netip.IPv4Unspecified(), t.from.Port()), t.eventPT)
		if t.r.IntN(2) == 0 {
			held.Remote, held.Inactive = t.from, true
		}
		t.note(t.at+pause/4, func(g *rig) { g.commit(held) })
	}
	if why == turnOffer {
		t.eventPT = []uint8{101, 96, 110}[t.r.IntN(3)]
		t.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + t.r.IntN(8))}), t.from.Port()+2)
	}
	if why == turnRekey {
		t.key++
		t.rekey()
	}
	p := t.params(t.key, t.from, t.eventPT)
	t.note(middle, func(g *rig) { g.commit(p) })
}

// chapter sends some packets.
func (t *teller) chapter(why turn) {
	c := chapter{why: why, lo: len(t.packets)}
	if why != turnFirst {
		last := t.chapters[len(t.chapters)-1]
		c.numbers, c.clock = last.numbers, last.clock
		switch why {
		case turnSSRC, turnForth, turnBack, turnAnew:
			c.numbers++
			c.clock++
		case turnNumber:
			c.numbers++
		default:
		}
	}
	for i, n := 0, 20+t.r.IntN(50); i < n; i++ {
		if t.pauses && i > 8 {
			t.whim()
		}
		if t.odd {
			t.n = t.lengths[t.r.IntN(len(t.lengths))]
		}
		law := t.laws[t.r.IntN(len(t.laws))]
		t.send(cargoAudio, law, t.n, nil)
		t.quiet(t.n)
	}
	c.hi = len(t.packets)
	t.chapters = append(t.chapters, c)
}

// whim is what a sender may do instead of its next packet.
func (t *teller) whim() {
	switch r := t.r; r.IntN(60) {
	case 0, 1:
		t.n = t.lengths[r.IntN(len(t.lengths))]
	case 2:
		t.quiet(40 * (1 + r.IntN(60)))
	case 3: // silence suppression: a word of noise now and then
		for range 1 + r.IntN(3) {
			t.send(cargoNoise, 13, 0, []byte{byte(r.IntN(70))})
			t.quiet(40 * (1 + r.IntN(30)))
		}
	case 4:
		t.event()
	case 5:
		t.send(cargoForeign, 97, t.n, nil)
		t.quiet(t.n)
	case 6:
		t.send(cargoBroken, 0, 0, [][]byte{nil, {1, 2, 3, 4}}[r.IntN(2)])
		t.quiet(t.n)
	}
}

// event is a telephone-event instead of audio: all packets carry the timestamp of its beginning, the end is sent three times.
func (t *teller) event() {
	t.events++
	now, stamp, updates := t.p.ts, t.p.ts, 2+t.r.IntN(6)
	if t.oddTS {
		stamp = t.r.Uint32()
	}
	code := byte(t.r.IntN(17))
	for i := range updates + 3 {
		samples, flags := t.n*min(i+1, updates), byte(10)
		if i >= updates {
			flags |= 0x80
		}
		now, t.p.ts = t.p.ts, stamp
		t.send(cargoEvent, t.eventPT, 0, []byte{code, flags, byte(samples >> 8), byte(samples)})
		t.p.ts = now
		t.quiet(t.n)
	}
}

// quiet lets time go by.
func (t *teller) quiet(samples int) {
	t.p.ts += uint32(samples)
	d := time.Duration(samples) * sampleTime
	t.at += d + d*time.Duration(t.ppm)/1e6
}

func (t *teller) send(c cargo, pt uint8, n int, payload []byte) {
	p := t.p
	p.pt, p.n, p.payload = pt, n, payload
	s := sent{spec: p, cargo: c, at: t.at, from: t.from, octets: dressed(p.marshal(), t.dress)}
	if t.secure {
		b, err := t.seal.seal(s.octets)
		if err != nil {
			panic(err)
		}
		s.octets = slices.Clone(b)
	}
	t.packets = append(t.packets, s)
	t.p.seq++
}

// dressed is a packet with what else a header may have (RFC 3550 section 5.1): the marker, contributing sources, an extension, padding.
func dressed(b []byte, r *rand.Rand) []byte {
	if r == nil {
		return b
	}
	var more []byte
	b[1] |= 0x80 * byte(r.IntN(2))
	for range r.IntN(3) * r.IntN(2) {
		b[0]++
		more = append(more, 0, 0, 0, byte(r.Uint32()))
	}
	if n := byte(r.IntN(4)); n > 0 {
		b[0] |= 0x10
		more = append(more, 0xBE, 0xDE, 0, n)
		more = append(more, make([]byte, 4*n)...)
	}
	b = slices.Insert(b, headerOctets, more...)
	if n := byte(r.IntN(9)); n > 0 {
		b[0] |= 0x20
		b = append(append(b, make([]byte, n-1)...), n)
	}
	return b
}

// String is the story for a human: a line per packet, in the order in which they were sent, but for calm stretches.
func (s *story) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "live wait %v, archive %v, sweep %v, srtp %v\n", s.cfg.LiveWait, s.cfg.ArchiveWindow, s.cfg.Sweep, s.secure)
	for _, c := range s.chapters {
		fmt.Fprintf(&b, "chapter %v: numbering %d, clock %d\n", c.why, c.numbers, c.clock)
		for i := c.lo; i < c.hi; i++ {
			if p := &s.packets[i]; s.eventful(c, i-1) || s.eventful(c, i) || s.eventful(c, i+1) {
				fmt.Fprintf(&b, "%4d %v ssrc %d seq %d ts %d pt %d +%d at %.3f came", i, p.from, p.ssrc, p.seq, p.ts, p.pt, p.n, p.at.Seconds())
				for _, a := range p.arrivals {
					fmt.Fprintf(&b, " %.6f", a.Seconds())
				}
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

// eventful tells whether there is anything to tell of a packet of a chapter.
func (s *story) eventful(c chapter, i int) bool {
	if i <= c.lo || i >= c.hi-1 {
		return i >= c.lo && i < c.hi
	}
	p, next := &s.packets[i], &s.packets[i+1]
	return p.cargo != cargoAudio || len(p.arrivals) != 1 || p.arrivals[0] != p.at+5*ms || next.ts != p.ts+uint32(p.n)
}
