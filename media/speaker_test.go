package media

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/earshot/earshot/call"
)

// Speaker is a far side with a clock of its own behind a network, whose truth is known: where each sample lies in time.
type Speaker struct {
	Start, End time.Duration // of its speech, on our clock
	PPM        float64       // how much faster its sample clock is than ours
	Delay      time.Duration // of its quickest packets
	Jitter     func(*rand.Rand) time.Duration
	Loss       float64
	Packet     int64 // samples of one; default 160
	// Pause and Every: of each so much time, so much at its end is silence that is not sent.
	Pause, Every time.Duration
	// Sources are what it sends under, one after the other; the first is from Start on.
	Sources []Source
	// Report is when its first sender report goes out after Start; the others follow each 5 s. 0: none.
	Report time.Duration
	Host   string  // its CNAME
	Party  call.Party
	NTPPPM float64 // how much faster its host's clock is than ours
	// Sound gives its sample at a time of ours; nil: octets as octetAt.
	Sound func(seconds float64) byte // in mu-law
}

// Source is a stretch under one SSRC and timestamp base.
type Source struct {
	From time.Duration // since Start
	SSRC uint32
	Seq  uint16
	TS   uint32 // of what it would have said at Start
}

const pcmuPacket = 160

// speech is a speaker at work.
type speech struct {
	Speaker
	port        *fakePort
	rnd         *rand.Rand
	n           int64 // its next sample
	seq         uint16
	source      int
	report      time.Duration // its next one, 0: none
	Track       *Track
	Sent, Given int64 // packets, and those that the network did not lose
}

// when is the time of a sample of the speaker's.
func (s *Speaker) when(n int64) time.Duration {
	return s.Start + time.Duration(math.Round(float64(n)/(1+s.PPM*1e-6)*float64(sampleTime)))
}

// True is where a sample lies on the timeline that begins at our time 0: its source tells which one is meant, its timestamp where.
// The network's least delay is a part of it.
func (s *Speaker) True(ssrc, ts uint32, beyond int64) float64 {
	i := slices.IndexFunc(s.Sources, func(o Source) bool { return o.SSRC == ssrc })
	n := int64(ts-s.Sources[i].TS) + beyond
	return float64(s.Start+s.Delay)/float64(sampleTime) + float64(n)/(1+s.PPM*1e-6)
}

// speak puts on the wire what comes up to a time.
func (s *speech) speak(now time.Duration) {
	for s.when(s.n) < min(now, s.End) {
		s.packet()
	}
	for s.report != 0 && s.report < min(now, s.End) {
		s.tell()
	}
}

func (s *speech) packet() {
	at, size := s.when(s.n), s.Packet
	n := s.n
	s.n += size
	if next := s.source + 1; next < len(s.Sources) && at-s.Start >= s.Sources[next].From {
		s.source, s.seq = next, s.Sources[next].Seq
	}
	if s.Every > 0 && (at-s.Start)%s.Every >= s.Every-s.Pause {
		return
	}
	src := s.Sources[s.source]
	p := spec{ssrc: src.SSRC, seq: s.seq, ts: src.TS + uint32(n), n: int(size)}
	s.seq++
	s.Sent++
	lost := s.Loss > 0 && s.rnd.Float64() < s.Loss
	wait := s.wait()
	if lost {
		return
	}
	s.Given++
	if s.Sound != nil {
		p.n = 0
		for i := range size {
			p.payload = append(p.payload, s.Sound(float64(n+i)/(SampleRate*(1+s.PPM*1e-6))+s.Start.Seconds()))
		}
	}
	s.post(at+wait, p.marshal())
}

// wait is the network's delay for one packet.
func (s *speech) wait() time.Duration {
	d := s.Delay
	if s.Jitter != nil {
		d += s.Jitter(s.rnd)
	}
	return d
}

// post puts a datagram on the wire, in the order of arrival.
func (s *speech) post(at time.Duration, octets []byte) {
	q := s.port.queue
	i := len(q)
	for i > 0 && q[i-1].at > at {
		i--
	}
	s.port.queue = slices.Insert(q, i, letter{at: at, octets: octets, from: wire})
}

// tell sends a sender report, and whose clock it is.
func (s *speech) tell() {
	at := s.report
	s.report += 5 * time.Second
	src := s.Sources[s.source]
	ntp := 3900000000 + 0.123 + at.Seconds()*(1+s.NTPPPM*1e-6)
	whole := math.Floor(ntp)
	sr := &rtcp.SenderReport{
		SSRC: src.SSRC, NTPTime: uint64(whole)<<32 | uint64((ntp-whole)*(1<<32)),
		RTPTime: src.TS + uint32(int64(math.Floor((at-s.Start).Seconds()*SampleRate*(1+s.PPM*1e-6)))),
	}
	name := &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{
		{Source: src.SSRC, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: s.Host}}},
	}}
	b, err := rtcp.Marshal([]rtcp.Packet{sr, name})
	if err != nil {
		panic(err)
	}
	if wait := s.wait(); s.Loss == 0 || s.rnd.Float64() >= s.Loss {
		s.post(at+wait, b)
	}
}

// Hall is a timeline with speakers, swept by hand in simulated time; its sample 0 is at time 0.
type Hall struct {
	*rig
	Speeches []*speech
	seed     uint64
	waiting  []*speech
}

// NewHall makes one whose timeline writes to a sink, nil for none.
func NewHall(t testing.TB, cfg Config, seed uint64, sink Sink) *Hall {
	t.Helper()
	cfg.Shards, cfg.Sweep, cfg.NoReports, cfg.Keepalive = 1, orDefault(cfg.Sweep, 20*ms), true, -1
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := &Hall{rig: &rig{t: t, e: e, s: e.shards[0]}, seed: seed}
	if h.line, err = e.NewTimeline(call.Info{ID: "hall"}); err != nil {
		t.Fatal(err)
	}
	h.line.live.zero = 0
	if sink != nil {
		h.line.Attach(sink)
	}
	return h
}

// Add seats a speaker; the track opens a moment before he begins.
func (h *Hall) Add(p Speaker) *Hall {
	if p.Packet == 0 {
		p.Packet = pcmuPacket
	}
	s := &speech{Speaker: p, rnd: rand.New(rand.NewPCG(h.seed, uint64(len(h.Speeches)))), seq: p.Sources[0].Seq}
	if p.Report != 0 {
		s.report = p.Start + p.Report
	}
	h.Speeches, h.waiting = append(h.Speeches, s), append(h.waiting, s)
	slices.SortStableFunc(h.waiting, func(a, b *speech) int { return int(a.Start - b.Start) })
	return h
}

// enter opens the track of a speaker.
func (h *Hall) enter(s *speech) {
	h.t.Helper()
	s.Track, s.port = h.open()
	s.Track.live.state.Leg, s.Track.live.state.Party = "leg "+s.Party.ID, s.Party
	s.port.self = netip.MustParseAddrPort("192.0.2.9:5000")
	p := muxParams()
	commit, _, err := s.Track.Prepare(p)
	if err != nil {
		h.t.Fatal(err)
	}
	commit()
}

// Until sweeps up to a time.
func (h *Hall) Until(end time.Duration) *Hall {
	h.t.Helper()
	for h.now < end {
		h.now += h.e.cfg.Sweep
		for len(h.waiting) > 0 && h.waiting[0].Start <= h.now+time.Second {
			h.enter(h.waiting[0])
			h.waiting = h.waiting[1:]
		}
		for _, s := range h.Speeches {
			if s.port != nil {
				s.speak(h.now)
				s.port.now = h.now
			}
		}
		h.s.sweep(h.e.start.Add(h.now))
	}
	return h
}

// Close ends the timeline.
func (h *Hall) Close() *Hall {
	h.t.Helper()
	h.line.Close(call.Cause{Code: call.CodeHangup})
	return h.Until(h.now + h.e.cfg.Sweep)
}

// State is a speaker's track.
func (h *Hall) State(i int) TrackState { return h.Speeches[i].Track.State() }

// Error is how far the estimates are from the truth at a position of an epoch, in samples.
func (h *Hall) Error(i, epoch int, beyond int64) float64 {
	e := h.State(i).Epochs[epoch]
	at := float64(e.Pos+e.OffsetEstimate) + float64(beyond)/(1+e.DriftPPM*1e-6)
	return at - h.Speeches[i].True(e.SSRC, e.Timestamp, beyond)
}

// Fixed is the same of the offset that the recording has.
func (h *Hall) Fixed(i, epoch int, beyond int64) float64 {
	s := h.State(i)
	e := s.Epochs[epoch]
	return float64(e.Pos+beyond+s.Offset) - h.Speeches[i].True(e.SSRC, e.Timestamp, beyond)
}

// The networks.

// Exponential is jitter of that mean, at most twenty times as much.
func Exponential(mean time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration { return min(20*mean, time.Duration(r.ExpFloat64()*float64(mean))) }
}

// Uniform is jitter up to a bound.
func Uniform(most time.Duration) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration { return time.Duration(r.Float64() * float64(most)) }
}
