package oracle

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/zaf/g711"

	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// maxApart is how far two parties of a call may lie apart, in samples: 40 ms, two packets. The sender is paced by a busy machine's scheduler here; that media places them within 2 ms
// is proven in simulated time.
const maxApart = 320

// Limits says what of a call counts. The zero value: all that was sent.
type Limits struct {
	// Until leaves out what was sent later: the time at which we hung up ourselves. Zero: nothing.
	Until time.Time
	// ApartSamples is how far two parties may be apart; default 320 (40 ms).
	ApartSamples int64
}

// Decode gives the linear value of a G.711 octet.
func Decode(law trunk.Law, o byte) int16 {
	if law == trunk.PCMA {
		return g711.DecodeAlawFrame(o)
	}
	return g711.DecodeUlawFrame(o)
}

// CompareCall holds a recording against what the simulator sent: each delivered sample in its place, each missing one
// silent and named, nothing else named lost, and the parties in step.
func CompareCall(t TB, c *ringsim.Call, r Recording) {
	t.Helper()
	Compare(t, "call "+c.SessionID(), c.Streams(), r, Limits{})
}

// Compare is CompareCall for some streams of a call.
func Compare(t TB, name string, streams []ringsim.Stream, r Recording, l Limits) {
	t.Helper()
	if l.ApartSamples == 0 {
		l.ApartSamples = maxApart
	}
	if len(streams) == 0 || len(r.Tracks) != len(streams) {
		t.Errorf("%s: %d tracks recorded, %d streams sent", name, len(r.Tracks), len(streams))
		return
	}
	var sync []int64
	for _, s := range streams {
		at, ok := compareStream(t, name, s, r, l.Until)
		if !ok {
			return
		}
		sync = append(sync, at)
	}
	for i, d := range sync[1:] {
		apart := (d - quickest(streams[i+1])) - (sync[0] - quickest(streams[0]))
		if apart < -l.ApartSamples || apart > l.ApartSamples {
			t.Errorf("%s: the parties are %d samples apart, want at most %d", name, apart, l.ApartSamples)
		}
	}
}

// quickest is where index 0 of the source lies in samples of wall time, by the packet of the first 500 ms that was sent
// least late: the simulator's own lateness on a busy machine is no fault of the recording.
func quickest(s ringsim.Stream) int64 {
	sent, least, found := s.Sent(), int64(0), false
	for _, p := range sent {
		if !p.Delivered || p.At.Sub(sent[0].At) > 500*time.Millisecond {
			continue
		}
		if at := p.At.UnixMicro()*8/1000 - p.Pos; !found || at < least {
			least, found = at, true
		}
	}
	return least
}

// delivered gives the packets from the first to the last one that arrived.
func delivered(s ringsim.Stream, until time.Time) []trunk.Packet {
	sent := s.Sent()
	if !until.IsZero() {
		sent = slices.DeleteFunc(sent, func(p trunk.Packet) bool { return p.At.After(until) })
	}
	first := slices.IndexFunc(sent, func(p trunk.Packet) bool { return p.Delivered })
	if first < 0 {
		return nil
	}
	last := first
	for i, p := range sent {
		if p.Delivered {
			last = i
		}
	}
	return sent[first : last+1]
}

// trackOf finds the stream's track by its first SSRC.
func trackOf(s ringsim.Stream, r Recording) (Track, bool) {
	ssrc := s.Sent()[0].SSRC
	at := slices.IndexFunc(r.Tracks, func(k Track) bool { return len(k.Epochs) > 0 && k.Epochs[0].SSRC == ssrc })
	if at < 0 {
		return Track{}, false
	}
	return r.Tracks[at], true
}

// place gives a packet's position on the track.
func (k Track) place(p trunk.Packet) (pos int64, ok bool) {
	for _, e := range k.Epochs {
		if e.SSRC == p.SSRC {
			return e.Pos + int64(int32(p.Timestamp-e.Timestamp)), true
		}
	}
	return 0, false
}

// compareStream gives the index in the file at which index 0 of the source lies.
func compareStream(t TB, name string, s ringsim.Stream, r Recording, until time.Time) (sync int64, ok bool) {
	t.Helper()
	packets := delivered(s, until)
	if len(packets) == 0 {
		t.Errorf("%s: %s sent nothing", name, s.Role)
		return 0, false
	}
	k, found := trackOf(s, r)
	if !found {
		t.Errorf("%s: no track has SSRC %d of %s", name, packets[0].SSRC, s.Role)
		return 0, false
	}
	where := fmt.Sprintf("%s %s track %d", name, s.Role, k.ID)
	if len(r.Channels) == 2 && (k.Role != string(s.Role) || r.Channels[k.Channel] != k.Role) {
		t.Errorf("%s: role %q on channel %d (%v), want %s", where, k.Role, k.Channel, r.Channels, s.Role)
	}
	law := s.Law() // it takes a lock
	if k.Codec != law.String() {
		t.Errorf("%s: codec %s, want %s", where, k.Codec, law)
	}
	missing := map[int64]bool{} // positions of which nothing was delivered
	seen, end := tally{}, int64(0)
	for i, p := range packets {
		pos, known := k.place(p)
		if !known {
			t.Errorf("%s: packet %d has SSRC %d that no epoch has", where, i, p.SSRC)
			return 0, false
		}
		if i == 0 {
			sync = pos + k.Offset - p.Pos
		}
		end = max(end, pos+int64(p.Octets))
		for n := range int64(p.Octets) {
			if !p.Delivered {
				missing[pos+n] = true
				continue
			}
			seen.look(r.PCM[k.Channel], pos+k.Offset+n, Decode(law, s.Source.Octet(law, p.Pos+n)))
		}
	}
	seen.report(t, where)
	compareSilence(t, where, missing, k, r)
	if until.IsZero() {
		end = math.MaxInt64
	}
	compareLost(t, where, missing, k, end)
	compareEpochs(t, where, quickest(s), packets, k)
	return sync, true
}

// tally counts samples that are right and wrong.
type tally struct {
	good, bad int64
	first     int64 // index of the first wrong one
	got, want int16
	outside   bool
}

func (y *tally) look(pcm []int16, idx int64, want int16) {
	inside := idx >= 0 && idx < int64(len(pcm))
	if inside && pcm[idx] == want {
		y.good++
		return
	}
	if y.bad == 0 {
		y.first, y.want, y.outside = idx, want, !inside
		if inside {
			y.got = pcm[idx]
		}
	}
	y.bad++
}

func (y *tally) report(t TB, where string) {
	t.Helper()
	switch {
	case y.bad > 0 && y.outside:
		t.Errorf("%s: %d samples right, %d wrong, the first at index %d, which the file doesn't have", where, y.good, y.bad, y.first)
	case y.bad > 0:
		t.Errorf("%s: %d samples right, %d wrong, the first at index %d: got %d, want %d", where, y.good, y.bad, y.first, y.got, y.want)
	case y.good == 0:
		t.Errorf("%s: not one sample", where)
	}
}

// compareSilence wants nothing invented: what was not delivered is silent.
func compareSilence(t TB, where string, missing map[int64]bool, k Track, r Recording) {
	t.Helper()
	for pos := range missing {
		idx := pos + k.Offset
		if idx >= 0 && idx < int64(len(r.PCM[k.Channel])) && r.PCM[k.Channel][idx] != 0 {
			t.Errorf("%s: pos %d was not delivered, and holds %d", where, pos, r.PCM[k.Channel][idx])
			return
		}
	}
}

// compareLost wants the lost spans before end to be exactly what was not delivered.
func compareLost(t TB, where string, missing map[int64]bool, k Track, end int64) {
	t.Helper()
	named := 0
	for _, s := range k.Spans {
		if s.Kind != "lost" || s.Pos >= end {
			continue
		}
		for i := range s.Samples {
			named++
			if !missing[s.Pos+i] {
				t.Errorf("%s: span %+v names sample %d lost, which was delivered or never sent", where, s, s.Pos+i)
				return
			}
		}
	}
	if named != len(missing) {
		t.Errorf("%s: %d samples named lost, %d were not delivered; spans %+v", where, named, len(missing), k.Spans)
	}
}

// compareEpochs wants each later SSRC to begin where its time of sending says, within one packet; a first packet that the
// simulator sent late, on a busy machine, can only be placed by then.
func compareEpochs(t TB, where string, quickest int64, packets []trunk.Packet, k Track) {
	t.Helper()
	first := packets[0]
	begin, _ := k.place(first)
	seen := map[uint32]bool{first.SSRC: true}
	for _, p := range packets {
		if seen[p.SSRC] || !p.Delivered {
			continue
		}
		seen[p.SSRC] = true
		got, _ := k.place(p)
		late := max(0, p.At.UnixMicro()*8/1000-p.Pos-quickest)
		if want := begin + p.Pos - first.Pos; got < want-160 || got > want+late+160 {
			t.Errorf("%s: epoch of SSRC %d begins at %d, want %d within a packet", where, p.SSRC, got, want)
		}
	}
}
