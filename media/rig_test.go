package media

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

const (
	ms       = time.Millisecond
	testSSRC = 0xCAFE
)

// wire is where the far side of a test sends from, and says so.
var wire = netip.MustParseAddrPort("192.0.2.1:4000")

// letter is a datagram on its way.
type letter struct {
	at     time.Duration
	octets []byte
	from   netip.AddrPort
}

// octetAt is the octet of a source at a timestamp: a known function, so that every sample can be proved in place.
func octetAt(ssrc, ts uint32) byte {
	x := (ts*2654435761 ^ ssrc*40503) >> 7
	return byte(x ^ x>>9)
}

// spec is an RTP packet to be made.
type spec struct {
	ssrc    uint32
	seq     uint16
	ts      uint32
	n       int
	pt      uint8
	payload []byte // instead of n octets by octetAt
}

func (p spec) marshal() []byte {
	b := make([]byte, headerOctets, headerOctets+p.n)
	b[0], b[1], b[2], b[3] = 0x80, p.pt, byte(p.seq>>8), byte(p.seq)
	for i := range 4 {
		b[4+i], b[8+i] = byte(p.ts>>(24-8*i)), byte(p.ssrc>>(24-8*i))
	}
	for i := range p.n {
		b = append(b, octetAt(p.ssrc, p.ts+uint32(i)))
	}
	return append(b, p.payload...)
}

// fakePort is a receiver that a test fills.
type fakePort struct {
	start  time.Time
	queue  []letter
	now    time.Duration
	sent   [][]byte
	sentTo []netip.AddrPort
	sentAt []time.Duration
	closed int
	self   netip.AddrPort
	room   int
	fell   int64
}

func (f *fakePort) readBatch(b *batch) (n int) {
	for n < batchSize && len(f.queue) > 0 && f.queue[0].at <= f.now {
		l := &f.queue[0]
		d := &b.got[n]
		d.octets = b.data[n][:copy(b.data[n][:], l.octets)]
		d.source, d.stamp = l.from, f.start.Add(l.at).UnixNano()
		f.queue = f.queue[1:]
		n++
	}
	return n
}

func (f *fakePort) writeTo(b []byte, to netip.AddrPort) error {
	f.sent = append(f.sent, slices.Clone(b))
	f.sentTo = append(f.sentTo, to)
	f.sentAt = append(f.sentAt, f.now)
	return nil
}
func (f *fakePort) local() netip.AddrPort {
	if f.self.IsValid() {
		return f.self
	}
	return netip.MustParseAddrPort("192.0.2.9:5000")
}

func (f *fakePort) kernelDrops() int64 { return f.fell }
func (f *fakePort) buffer() int        { return f.room }
func (f *fakePort) Close() error       { f.closed++; return nil }

// rig is one track on a shard that is swept by hand.
type rig struct {
	t     testing.TB
	e     *Engine
	s     *shard
	line  *Timeline
	track *Track
	port  *fakePort
	tape  *tape
	now   time.Duration
}

func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	cfg.Shards, cfg.Sweep = 1, orDefault(cfg.Sweep, 20*ms)
	cfg.SlowSweep = orDefault(cfg.SlowSweep, -1)
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, e: e, s: e.shards[0], tape: newTape(t)}
	if r.line, err = e.NewTimeline(call.Info{ID: "rig"}); err != nil {
		t.Fatal(err)
	}
	r.line.live.zero = 0 // sample 0 at time 0
	r.line.Attach(r.tape)
	r.track, r.port = r.open()
	return r
}

func (r *rig) open() (*Track, *fakePort) {
	port := &fakePort{start: r.e.start}
	k := &Track{timeline: r.line, live: newLiveTrack(r.line.live, Plan{Leg: "leg"}, ownPort(portPair{rtp: port}))}
	r.line.tracks++
	k.id = TrackID(r.line.tracks)
	k.live.state.ID = k.id
	r.s.mail.put(post{kind: postOpen, line: r.line.live, track: k.live})
	return k, port
}

// plainParams agrees on both laws, events and comfort noise, from wire.
func plainParams() Params {
	return Params{Remote: wire, Receive: true, Payloads: []Payload{{0, CodecPCMU}, {8, CodecPCMA}, {101, CodecEvent}, {13, CodecNoise}}}
}

func (r *rig) commit(p Params) *rig {
	r.t.Helper()
	commit, _, err := r.track.Prepare(p)
	if err != nil {
		r.t.Fatal(err)
	}
	commit()
	return r
}

// send puts datagrams on the wire; a missing source is wire.
func (r *rig) send(letters ...letter) *rig {
	for _, l := range letters {
		if !l.from.IsValid() {
			l.from = wire
		}
		r.port.queue = append(r.port.queue, l)
	}
	sortLetters(r.port.queue)
	return r
}

// sortLetters puts letters in the order of arrival.
func sortLetters(l []letter) {
	slices.SortStableFunc(l, func(a, b letter) int { return cmp.Compare(a.at, b.at) })
}

// until sweeps each 20 ms up to a time.
func (r *rig) until(end time.Duration) *rig {
	for r.now < end {
		r.now += r.e.cfg.Sweep
		r.port.now = r.now
		r.s.sweep(r.e.start.Add(r.now))
	}
	return r
}

// close ends the timeline and checks everything that always holds.
func (r *rig) close() *rig {
	r.t.Helper()
	done := r.line.Close(call.Cause{Code: call.CodeHangup})
	r.until(r.now + r.e.cfg.Sweep)
	select {
	case <-done:
	default:
		r.t.Error("Close: the channel is open after the next sweep")
	}
	r.tape.check()
	return r
}

func (r *rig) state() TrackState { return r.track.State() }

// expect compares the track's runs: r received, L late, l lost, g gap, m masked, each with its samples.
func (r *rig) expect(want string) {
	r.t.Helper()
	if got := r.tape.runs(1); got != want {
		r.t.Errorf("runs: got %s, want %s", got, want)
	}
}

// tape is a Sink that proves Kind's rules: it knows each sample's kind and octet.
type tape struct {
	t       testing.TB
	tracks  map[TrackID]*reel
	states  []TrackState
	events  []call.Event
	final   time.Duration
	batches int
	ended   []call.Cause
	blind   bool // octets are not octetAt's
}

type reel struct {
	kinds  []Kind
	octets []byte
	epochs []uint16
	at     []time.Duration
}

func newTape(t testing.TB) *tape { return &tape{t: t, tracks: map[TrackID]*reel{}} }

func (p *tape) Write(b *Batch) {
	p.batches++
	if len(p.ended) > 0 {
		p.t.Error("Write after End")
	}
	if b.Final < p.final || b.Final > b.Now {
		p.t.Errorf("Final: got %v after %v at %v", b.Final, p.final, b.Now)
	}
	for i := range b.Frames {
		p.frame(&b.Frames[i])
	}
	for _, e := range b.Events {
		if e.Time.IsZero() || e.Call == "" {
			p.t.Errorf("event without time or call: %+v", e)
		}
	}
	p.events = append(p.events, b.Events...)
	p.final = b.Final
	p.states = slices.Clone(b.Tracks)
	for i, s := range p.states {
		if s.ID != TrackID(i+1) {
			p.t.Errorf("Tracks[%d]: got id %d", i, s.ID)
		}
	}
}

func (p *tape) End(c call.Cause) { p.ended = append(p.ended, c) }

func (p *tape) frame(f *Frame) {
	p.t.Helper()
	r := p.tracks[f.Track]
	if r == nil {
		r = &reel{}
		p.tracks[f.Track] = r
	}
	p.shape(f)
	front := int64(len(r.kinds))
	if f.Pos < front && f.Kind != KindLate && f.Kind != KindMasked || f.Pos > front || f.Kind == KindLate && f.Pos+f.Samples > front {
		p.t.Fatalf("%v frame at Pos %d+%d, want tiles at %d", f.Kind, f.Pos, f.Samples, front)
	}
	for i := range f.Samples {
		pos := f.Pos + i
		if pos == int64(len(r.kinds)) {
			r.kinds, r.octets = append(r.kinds, 0), append(r.octets, 0)
			r.epochs, r.at = append(r.epochs, 0), append(r.at, f.Captured)
		} else if k := r.kinds[pos]; f.Kind == KindLate && k != KindLost && k != KindGap {
			p.t.Fatalf("late frame at Pos %d over %v", pos, k)
		} else if r.at[pos] < p.final {
			p.t.Fatalf("%v frame at Pos %d changes what was captured at %v, after Final %v", f.Kind, pos, r.at[pos], p.final)
		}
		r.kinds[pos], r.epochs[pos] = f.Kind, f.Epoch
		if f.Octets != nil {
			r.octets[pos] = f.Octets[i]
		}
	}
}

// shape checks one frame for itself.
func (p *tape) shape(f *Frame) {
	p.t.Helper()
	heard := f.Kind == KindReceived || f.Kind == KindLate
	if f.Samples <= 0 || heard != (f.Octets != nil) || heard && int64(len(f.Octets)) != f.Samples || heard != (f.Law != LawNone) {
		p.t.Fatalf("frame %v: samples %d, octets %d, law %v", f.Kind, f.Samples, len(f.Octets), f.Law)
	}
	if withPCM := heard || f.Kind == KindLost; withPCM != (f.PCM != nil) || withPCM && int64(len(f.PCM)) != f.Samples {
		p.t.Fatalf("frame %v: samples %d, PCM %d", f.Kind, f.Samples, len(f.PCM))
	}
	for i, s := range f.PCM {
		want := int16(0)
		if heard {
			want = fromPCMU[f.Octets[i]]
			if f.Law == LawPCMA {
				want = fromPCMA[f.Octets[i]]
			}
		}
		if s != want {
			p.t.Fatalf("frame %v at %d: PCM[%d] is %d, want %d", f.Kind, f.Pos, i, s, want)
		}
	}
}

// check proves the counts, and that each octet that came lies where its timestamp says.
func (p *tape) check() {
	p.t.Helper()
	for _, s := range p.states {
		r := p.tracks[s.ID]
		if r == nil {
			r = &reel{}
		}
		n := map[Kind]int64{}
		for _, k := range r.kinds {
			n[k]++
		}
		c := s.Counts
		got := [...]int64{s.Length, c.ReceivedSamples, c.LostSamples, c.GapSamples, c.MaskedSamples}
		want := [...]int64{int64(len(r.kinds)), n[KindReceived] + n[KindLate], n[KindLost], n[KindGap], n[KindMasked]}
		if got != want {
			p.t.Errorf("track %d: length and samples by kind: got %v, want %v", s.ID, got, want)
		}
		q := s.Quality // one that came too late stays lost, but for what has no place: of that nothing is missing
		placeless := c.ComfortPackets + c.EventPackets + c.UnknownPTPackets + c.MalformedPackets
		if len(r.kinds) > 0 && (q.LostPackets > c.LostPackets+placeless || q.LostPackets+c.TooLatePackets < c.LostPackets || q.ExpectedPackets < q.LostPackets) {
			p.t.Errorf("track %d: quality: %d of %d packets lost, counted %d, too late %d", s.ID, q.LostPackets, q.ExpectedPackets, c.LostPackets, c.TooLatePackets)
		}
		for pos, k := range r.kinds {
			if k != KindReceived && k != KindLate {
				continue
			}
			e := s.Epochs[min(int(r.epochs[pos]), len(s.Epochs)-1)]
			if want := octetAt(e.SSRC, e.Timestamp+uint32(int64(pos)-e.Pos)); !p.blind && r.octets[pos] != want {
				p.t.Fatalf("track %d Pos %d (%v, epoch %d): got octet %#x, want %#x", s.ID, pos, k, r.epochs[pos], r.octets[pos], want)
			}
		}
	}
}

// runs tells a track as runs of one kind.
func (p *tape) runs(id TrackID) string {
	r := p.tracks[id]
	if r == nil {
		return ""
	}
	letters := map[Kind]string{KindReceived: "r", KindLate: "L", KindLost: "l", KindGap: "g", KindMasked: "m"}
	var b strings.Builder
	for i := 0; i < len(r.kinds); {
		j := i
		for j < len(r.kinds) && r.kinds[j] == r.kinds[i] {
			j++
		}
		fmt.Fprintf(&b, " %s%d", letters[r.kinds[i]], j-i)
		i = j
	}
	return strings.TrimPrefix(b.String(), " ")
}

// typed are the events of one type.
func (p *tape) typed(t call.Type) (es []call.Event) {
	for _, e := range p.events {
		if e.Type == t {
			es = append(es, e)
		}
	}
	return es
}
