package stream

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

const (
	zeroAt = 3 * time.Second // where the timeline begins on media's clock
	sweep  = 20 * time.Millisecond
	ptime  = 160 // samples of a packet
)

// collect is an output that keeps all.
type collect struct {
	t        *testing.T
	channels int
	from     int64
	pcm      []int16
	begun    int
}

func (c *collect) begin(pos int64) { c.from = pos; c.begun++ }
func (c *collect) room(n int) (first, second []int16) { // in two parts, as a ring that ends between them
	at := len(c.pcm)
	for range n * c.channels {
		c.pcm = append(c.pcm, -1)
	}
	cut := at + n/3*c.channels
	return c.pcm[at:cut], c.pcm[cut:]
}
func (c *collect) done() {}

// withdraw: whoever reads here has read all.
func (c *collect) withdraw(from, to int64) stretch { return stretch{from, to} }
func (c *collect) silence(n int64) {
	if n < 0 || n > 1<<22 {
		c.t.Fatalf("silence(%d)", n)
	}
	c.pcm = append(c.pcm, make([]int16, n*int64(c.channels))...)
}

// octet is the sample at pos of a track: known, and never 0.
func sampleAt(track media.TrackID, pos int64) int16 {
	return int16((pos*7+int64(track)*1000)%4000) + 1
}

// run makes a frame of n samples.
func run(track media.TrackID, kind media.Kind, pos int64, n int64, at time.Duration) media.Frame {
	f := media.Frame{Track: track, Kind: kind, Pos: pos, Samples: n, Captured: at}
	if kind == media.KindReceived || kind == media.KindLate || kind == media.KindLost {
		f.PCM = make([]int16, n)
		for i := range f.PCM {
			f.PCM[i] = sampleAt(track, pos+int64(i))
		}
	}
	return f
}

func state(id media.TrackID, role call.Role, offset int64, placed bool) media.TrackState {
	return media.TrackState{ID: id, Party: call.Party{Role: role}, Offset: offset, Placed: placed}
}

func at(samples int64) time.Duration { return zeroAt + time.Duration(samples)*sampleTime }

func newTestLane(t *testing.T, cfg laneConfig) (*lane, *collect) {
	c := &collect{t: t, channels: cfg.channels}
	return newLane(cfg, c), c
}

func checkPCM(t *testing.T, got []int16, want func(i int) int16, n int) {
	t.Helper()
	if len(got) != n {
		t.Errorf("got %d samples, want %d", len(got), n)
	}
	for i, v := range got {
		if i < n && v != want(i) {
			t.Fatalf("sample %d: got %d, want %d", i, v, want(i))
		}
	}
}

func TestTrackStreamStartsWithItsFirstFrameAndHasNoHoles(t *testing.T) {
	l, out := newTestLane(t, laneConfig{channels: 1, track: 2})
	tracks := []media.TrackState{state(1, call.RoleCustomer, 0, true), state(2, call.RoleAgent, 0, false)}
	frames := []media.Frame{
		run(1, media.KindReceived, 0, ptime, at(0)),
		run(2, media.KindReceived, 0, ptime, at(160)),
		run(2, media.KindLost, 160, 80, at(320)),
		run(2, media.KindReceived, 240, 80, at(320)),
		run(2, media.KindLate, 160, 80, at(400)),
		run(2, media.KindGap, 320, 100_000, at(480)),
		run(2, media.KindMasked, 100_320, 10, at(480)),
		run(2, media.KindReceived, 100_330, 70, at(480)),
	}
	for i := range frames {
		l.write(&media.Batch{Zero: zeroAt, Now: at(int64(i) * 160), Frames: frames[i : i+1], Tracks: tracks})
		if i == 1 && len(out.pcm) != ptime {
			t.Errorf("after the first frame: %d samples out, want them at once", len(out.pcm))
		}
	}
	l.finish()
	checkPCM(t, out.pcm, func(i int) int16 {
		p := int64(i)
		if (p >= 160 && p < 240) || (p >= 320 && p < 100_330) {
			return 0
		}
		return sampleAt(2, p)
	}, 100_400)
	if out.begun != 1 || out.from != 0 || l.late != 80 {
		t.Errorf("begun %d times at %d, %d late; want once at 0, 80 late", out.begun, out.from, l.late)
	}
}

// side is a party whose packets come every 20 ms with its own delay; offset is its true place.
type side struct {
	role           call.Role
	offset, pos    int64
	delay          int64 // of the packet to come, in samples
	silent         int64 // samples that it pauses for
	gap            int64
	heard          map[int64]int16
	guessed, ended bool
	held           []media.Frame // lost: they come with what follows them
	voice          media.Concealer
}

// fill notes what is heard in place of a lost frame.
func (s *side) fill(f media.Frame) {
	pcm := make([]int16, f.Samples)
	s.voice.Conceal(pcm)
	for i, v := range pcm {
		s.heard[s.offset+f.Pos+int64(i)] = v
	}
}

// hear notes a frame that came, and what it makes of the end of the lost run before it.
func (s *side) hear(f media.Frame) {
	tail := make([]int16, media.ConcealTail)
	from := s.offset + f.Pos - int64(len(tail))
	for i := range tail {
		tail[i] = s.heard[from+int64(i)]
	}
	if s.voice.Conceals() {
		s.voice.Meet(tail, f.PCM)
		for i, v := range tail {
			s.heard[from+int64(i)] = v
		}
	}
	s.voice.Hear(f.PCM)
	for i, v := range f.PCM {
		s.heard[s.offset+f.Pos+int64(i)] = v
	}
}

// due gives the frames whose packets arrive before now.
func (s *side) due(id media.TrackID, now int64, rnd *rand.Rand) (frames []media.Frame) {
	for !s.ended {
		arrival := s.offset + s.pos + s.gap + s.delay
		if arrival > now {
			return frames
		}
		if s.gap > 0 {
			frames, s.held = append(frames, s.held...), nil
			frames = append(frames, run(id, media.KindGap, s.pos, s.gap, at(arrival)))
			s.voice.Forget()
			s.pos += s.gap
			s.gap = 0
		}
		kind := media.KindReceived
		if rnd.IntN(20) == 0 {
			kind = media.KindLost
		}
		f := run(id, kind, s.pos, ptime, at(arrival))
		if kind == media.KindLost {
			s.held = append(s.held, f)
			s.fill(f)
		} else {
			frames, s.held = append(append(frames, s.held...), f), nil
			s.hear(f)
		}
		s.pos += ptime
		s.delay = rnd.Int64N(400)                            // 50 ms
		if rnd.IntN(60) == 0 && kind == media.KindReceived { // what is lost before a pause comes after it, and too late
			s.gap = rnd.Int64N(30_000)
		}
	}
	return frames
}

func TestMixAndStereoAreTheCallsTimeline(t *testing.T) {
	for seed := range uint64(40) {
		for channels := 1; channels <= 2; channels++ {
			packets := []int64{1, 5}[seed%2] // in a batch
			rnd := rand.New(rand.NewPCG(seed, 7))
			sides := []*side{
				{role: call.RoleAgent, offset: rnd.Int64N(3000), heard: map[int64]int16{}},
				{role: call.RoleCustomer, offset: rnd.Int64N(20000), heard: map[int64]int16{}},
			}
			l, out := newTestLane(t, laneConfig{
				channels: channels, expected: 2, wait: waitFor(defaultWait, time.Duration(packets)*minMessage),
			})
			neighbour, _ := newTestLane(t, laneConfig{channels: 1, expected: 3}) // works where l does
			end := int64(0)
			for now := int64(0); now < 10*media.SampleRate; now += packets * ptime {
				b := media.Batch{Zero: zeroAt, Now: at(now)}
				for i, s := range sides {
					b.Tracks = append(b.Tracks, state(media.TrackID(i+1), s.role, s.offset, true))
					b.Frames = append(b.Frames, s.due(media.TrackID(i+1), now, rnd)...)
					end = max(end, s.offset+s.pos-int64(len(s.held))*ptime)
				}
				l.write(&b)
				neighbour.write(&b)
				if lag := now - int64(len(out.pcm)/channels); lag > int64(aloneWait/sampleTime)+packets*ptime+400 {
					t.Fatalf("seed %d: the stream lags %d samples", seed, lag)
				}
			}
			l.finish()
			for _, s := range sides {
				for i := range int64(len(s.held)) * ptime { // never followed by anything
					delete(s.heard, s.offset+s.pos-1-i)
				}
			}
			name := fmt.Sprintf("seed %d, %d channels", seed, channels)
			if l.late != 0 {
				t.Errorf("%s: %d samples late, want none", name, l.late)
			}
			if int64(len(out.pcm)/channels) < end {
				t.Errorf("%s: %d samples, want at least %d", name, len(out.pcm)/channels, end)
			}
			for i, got := range out.pcm {
				p := int64(i / channels)
				want := sides[0].heard[p] + sides[1].heard[p]
				if channels == 2 {
					want = sides[1-i%2].heard[p] // customer left
				}
				if got != want {
					t.Fatalf("%s: sample %d: got %d, want %d", name, i, got, want)
				}
			}
		}
	}
}

func TestAnySequenceOfBatchesIsOneGapFreeRun(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 11))
		cfg := laneConfig{channels: 1 + rnd.IntN(2), expected: rnd.IntN(3), fromNow: rnd.IntN(2) == 0}
		if rnd.IntN(3) == 0 {
			cfg = laneConfig{channels: 1, track: media.TrackID(1 + rnd.IntN(3))}
		}
		l, out := newTestLane(t, cfg)
		now := at(rnd.Int64N(8000))
		for range 100 {
			now += time.Duration(rnd.Int64N(int64(300 * time.Millisecond)))
			b := media.Batch{Zero: zeroAt, Now: now}
			for id := range rnd.IntN(4) {
				s := state(media.TrackID(id+1), call.Role(rnd.IntN(5)), rnd.Int64N(9000), rnd.IntN(2) == 0)
				s.Ended = rnd.IntN(5) == 0
				b.Tracks = append(b.Tracks, s)
			}
			for range rnd.IntN(6) {
				kind := media.Kind(1 + rnd.IntN(5))
				b.Frames = append(b.Frames, run(media.TrackID(rnd.IntN(6)), kind, rnd.Int64N(100_000), rnd.Int64N(700), now))
			}
			l.write(&b)
			for i := range l.sources {
				if n := len(l.sources[i].buf); n > maxSkewSamples || int64(n) > max(0, l.sources[i].end-l.base) {
					t.Fatalf("seed %d: source %d holds %d samples from %d, its end is %d", seed, i, n, l.base, l.sources[i].end)
				}
			}
		}
		l.finish()
		if got := out.from + int64(len(out.pcm)/cfg.channels); got != l.base {
			t.Errorf("seed %d: output ends at %d, lane is at %d", seed, got, l.base)
		}
		if out.begun > 1 {
			t.Errorf("seed %d: begun %d times", seed, out.begun)
		}
	}
}

func TestProvisionalOffsetGivesWayToThePlacedOne(t *testing.T) {
	for name, c := range map[string]struct{ guess, placed, late int64 }{
		"first packet was slow":    {guess: 400, placed: 240, late: 160},
		"placed later than it was": {guess: 400, placed: 480, late: 0},
		"same":                     {guess: 400, placed: 400, late: 0},
	} {
		t.Run(name, func(t *testing.T) {
			l, out := newTestLane(t, laneConfig{channels: 1})
			for i := range int64(50) {
				s := state(1, call.RoleMix, 0, false)
				if i >= 25 {
					s = state(1, call.RoleMix, c.placed, true)
				}
				f := run(1, media.KindReceived, i*ptime, ptime, at(c.guess+i*ptime))
				l.write(&media.Batch{Zero: zeroAt, Now: f.Captured, Frames: []media.Frame{f}, Tracks: []media.TrackState{s}})
			}
			l.finish()
			moved := 25 * int64(ptime)
			checkPCM(t, out.pcm, func(i int) int16 {
				p := int64(i)
				switch {
				case p < c.guess, p >= c.guess+moved && p < c.placed+moved:
					return 0
				case p < c.guess+moved:
					return sampleAt(1, p-c.guess)
				}
				return sampleAt(1, p-c.placed)
			}, int(c.placed+2*moved))
			if l.late != c.late {
				t.Errorf("%d late, want %d", l.late, c.late)
			}
		})
	}
}

// play writes a batch per sweep from..to (in sweeps), with a frame of each track that says returns true for.
func play(l *lane, tracks []media.TrackState, from, to int64, says func(media.TrackID) bool) {
	for i := from; i < to; i++ {
		b := media.Batch{Zero: zeroAt, Now: at((i + 1) * ptime), Tracks: tracks}
		for _, s := range tracks {
			if says(s.ID) {
				b.Frames = append(b.Frames, run(s.ID, media.KindReceived, i*ptime, ptime, b.Now))
			}
		}
		l.write(&b)
	}
}

func TestASideThatFallsSilentHoldsTheOtherForABoundedTime(t *testing.T) {
	l, out := newTestLane(t, laneConfig{channels: 2, expected: 2})
	tracks := []media.TrackState{state(1, call.RoleCustomer, 0, true), state(2, call.RoleAgent, 0, true)}
	everybody := func(media.TrackID) bool { return true }
	agent := func(id media.TrackID) bool { return id == 2 }
	nobody := func(media.TrackID) bool { return false }
	length := func() int64 { return int64(len(out.pcm) / 2) }

	play(l, tracks, 0, 50, everybody)
	if got := length(); got != 50*ptime {
		t.Errorf("both talk: %d samples out, want %d", got, 50*ptime)
	}
	play(l, tracks, 50, 100, agent)
	wait := int64(defaultWait / sampleTime)
	if got := length(); got != 100*ptime-wait {
		t.Errorf("one talks: %d samples out, want %d", got, 100*ptime-wait)
	}
	play(l, tracks, 100, 140, nobody)
	if got := length(); got != 100*ptime { // the agent was waited for, and the customer no longer
		t.Errorf("nobody for 0.8 s: %d samples out, want %d", got, 100*ptime)
	}
	play(l, tracks, 140, 200, nobody)
	if got := length(); got != 200*ptime-int64(aloneWait/sampleTime) {
		t.Errorf("nobody for 2 s: %d samples out, want %d", got, 200*ptime-int64(aloneWait/sampleTime))
	}
	play(l, tracks, 200, 250, everybody)
	tracks[0].Ended = true
	play(l, tracks, 250, 300, agent)
	l.finish()
	if l.late != 0 {
		t.Errorf("%d late, want none", l.late)
	}
	checkPCM(t, out.pcm, func(i int) int16 {
		k := int64(i / 2)
		s, side := k/ptime, media.TrackID(1+i%2)
		if s < 50 || (s >= 200 && s < 250) || (side == 2 && (s < 100 || s >= 250)) {
			return sampleAt(side, k)
		}
		return 0
	}, 2*300*ptime)
}

func TestALongMessageLeavesNoSideBehindThatASweepWouldWaitFor(t *testing.T) {
	for packets := int64(1); packets <= 10; packets++ {
		l, out := newTestLane(t, laneConfig{channels: 2, expected: 2, wait: waitFor(defaultWait, time.Duration(packets)*minMessage)})
		tracks := []media.TrackState{state(1, call.RoleCustomer, 0, true), state(2, call.RoleAgent, 0, true)}
		now, sent := int64(0), [2]int64{}
		for round := range 40 {
			now += packets*ptime + 8 // timers are late
			b := media.Batch{Zero: zeroAt, Now: at(now), Tracks: tracks}
			stalled := now
			if round%4 == 3 { // the customer's packets of a batch come with the next
				stalled = now - packets*ptime
			}
			for i, until := range []int64{stalled, now} {
				for ; sent[i]+ptime <= until; sent[i] += ptime {
					b.Frames = append(b.Frames, run(tracks[i].ID, media.KindReceived, sent[i], ptime, b.Now))
				}
			}
			l.write(&b)
		}
		l.finish()
		if l.late != 0 {
			t.Errorf("%d packets in a message: %d samples late, want none", packets, l.late)
		}
		checkPCM(t, out.pcm, func(i int) int16 {
			if int64(i/2) >= sent[i%2] {
				return 0
			}
			return sampleAt(media.TrackID(1+i%2), int64(i/2))
		}, 2*int(max(sent[0], sent[1])))
	}
}

func TestASenderWhoseClockStoodStillIsHeardAgain(t *testing.T) {
	l, out := newTestLane(t, laneConfig{channels: 1})
	tracks := []media.TrackState{state(1, call.RoleCustomer, 0, true), state(2, call.RoleAgent, 0, true)}
	pos := int64(0)
	for i := range int64(600) {
		b := media.Batch{Zero: zeroAt, Now: at((i + 1) * ptime), Tracks: tracks}
		b.Frames = append(b.Frames, run(2, media.KindGap, i*ptime, ptime, b.Now))
		if i < 50 || i >= 250 { // 4 s of nothing, and the timestamps go on as if they had not been
			b.Frames = append(b.Frames, run(1, media.KindReceived, pos, ptime, b.Now))
			pos += ptime
		}
		l.write(&b)
	}
	l.finish()
	if tail := out.pcm[len(out.pcm)-1000:]; tail[0] == 0 || tail[999] == 0 {
		t.Error("silent at the end, want the side that came back")
	}
	if got := l.late; got < 2*media.SampleRate || got > 5*media.SampleRate/2 {
		t.Errorf("%d late, want those of 2 s", got)
	}
	if len(l.moves) != 1 || l.moves[0].sides != left {
		t.Fatalf("moved: %+v, want the customer", l.moves)
	}
	m := l.moves[0]
	for i := int64(0); i < pos-m.from; i++ {
		if got, want := out.pcm[m.from+m.by+i], sampleAt(1, m.from+i); got != want {
			t.Fatalf("moved by %d: sample %d of the side is %d, want %d", m.by, m.from+i, got, want)
		}
	}
}

func TestListenersHearFromNowOn(t *testing.T) {
	l, out := newTestLane(t, laneConfig{channels: 1, fromNow: true})
	tracks := []media.TrackState{state(1, call.RoleMix, 100, true)}
	first := int64(5000)
	for i := range int64(50) {
		f := run(1, media.KindReceived, (first+i)*ptime, ptime, at(100+(first+i)*ptime))
		l.write(&media.Batch{Zero: zeroAt, Now: f.Captured, Frames: []media.Frame{f}, Tracks: tracks})
	}
	l.finish()
	lead := int(100 + first*ptime - out.from)
	if lead < 0 || lead > int(defaultWait/sampleTime) {
		t.Fatalf("begins %d samples before its first frame", lead)
	}
	checkPCM(t, out.pcm, func(i int) int16 {
		if i < lead {
			return 0
		}
		return sampleAt(1, first*ptime+int64(i-lead))
	}, lead+50*ptime)
}

func TestAMaskReachesWhatTheLaneStillHolds(t *testing.T) {
	l, out := newTestLane(t, laneConfig{channels: 1, expected: 2})
	tracks := []media.TrackState{state(1, call.RoleCustomer, 0, true), state(2, call.RoleAgent, 0, true)}
	b := media.Batch{Zero: zeroAt, Now: at(ptime), Tracks: tracks, Frames: []media.Frame{
		run(1, media.KindReceived, 0, ptime, at(ptime)), // waits for the agent
		run(1, media.KindMasked, 40, ptime-40, at(ptime)),
	}}
	l.write(&b)
	l.finish()
	checkPCM(t, out.pcm, func(i int) int16 {
		if i < 40 {
			return sampleAt(1, int64(i))
		}
		return 0
	}, ptime)
}

func TestSidesFollowRolesThenOrder(t *testing.T) {
	for _, c := range []struct {
		roles [2]call.Role
		want  [2]uint8
	}{
		{[2]call.Role{call.RoleCustomer, call.RoleAgent}, [2]uint8{left, right}},
		{[2]call.Role{call.RoleAgent, call.RoleCustomer}, [2]uint8{right, left}},
		{[2]call.Role{call.RoleUnknown, call.RoleUnknown}, [2]uint8{left, right}},
		{[2]call.Role{call.RoleUnknown, call.RoleCustomer}, [2]uint8{right, left}},
		{[2]call.Role{call.RoleAgent, call.RoleUnknown}, [2]uint8{right, left}},
		{[2]call.Role{call.RoleMix, call.RoleOther}, [2]uint8{both, left}},
	} {
		all := []media.TrackState{state(1, c.roles[0], 0, false), state(2, c.roles[1], 0, false)}
		for i := range all {
			if got := sides(&all[i], all); got != c.want[i] {
				t.Errorf("%v, track %d: got %b, want %b", c.roles, i+1, got, c.want[i])
			}
		}
	}
}
