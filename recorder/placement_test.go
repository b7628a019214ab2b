package recorder_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

func TestEverySampleLiesAtItsOffsetPlusPosition(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	r := open(t, s, stereoInfo("s-1"))
	customer, agent := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 1234)
	agent.Law = media.LawPCMA

	b := batch(time.Second, append(customer.speaks(30), agent.speaks(20)...), customer, agent)
	r.Write(b)
	spoil(b)
	frames := []media.Frame{
		customer.frame(media.KindLost, 320), customer.frame(media.KindReceived, 160),
		agent.frame(media.KindReceived, 160), agent.frame(media.KindGap, 801), agent.frame(media.KindReceived, 160),
	}
	r.Write(batch(2*time.Second, frames, customer, agent))
	r.Write(batch(3*time.Second, []media.Frame{
		customer.behind(media.KindLate, 4800+160, 160), agent.behind(media.KindMasked, 100, 50), agent.frame(media.KindReceived, 7),
	}, customer, agent))
	customer.Ended, agent.Ended = true, true
	r.Write(batch(4*time.Second, nil, customer, agent))
	res, m := seal(t, r)

	length := max(customer.end(), agent.end())
	if res.Samples != length || m.Samples != length || res.State != recorder.StateRecorded {
		t.Errorf("result: got %d samples, %s, want %d, recorded (%s)", res.Samples, res.State, length, m.CauseText)
	}
	w := readWave(t, res.Dir)
	sameSamples(t, "left", w.pcm(0), expect(length, customer))
	sameSamples(t, "right", w.pcm(1), expect(length, agent))
	checkSpans(t, m.Tracks[0], customer)
	checkSpans(t, m.Tracks[1], agent)
	want := []recorder.Span{{Kind: lost, Pos: 4800, Samples: 160}, {Kind: late, Pos: 4960, Samples: 160}}
	if !slices.Equal(m.Tracks[0].Spans, want) {
		t.Errorf("spans: got %v, want %v", m.Tracks[0].Spans, want)
	}
	if tr := m.Tracks[1]; tr.OffsetSamples != 1234 || tr.Channel != 1 || tr.Role != call.RoleAgent || tr.Codec != "PCMA" {
		t.Errorf("agent's track: got %+v", tr)
	}
}

// Whatever media may get wrong: what a mask took, nothing gives back, and what was said of a sample stays.
func TestALatePacketDoesNotUncoverAMask(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	r := open(t, s, monoInfo("pci"))
	k := newTalker(1, call.RoleMix, 0)
	k.Epochs = []media.Epoch{{SSRC: 5, Why: "first"}}
	frames := append(k.speaks(30), k.frame(media.KindLost, 160), k.frame(media.KindMasked, 160), k.frame(media.KindReceived, 160))
	frames = append(frames, k.behind(media.KindMasked, 4800+80, 80))
	for _, wrong := range []media.Frame{
		k.at(media.KindLate, 4800+80, 300), k.at(media.KindLate, 0, 100), k.at(media.KindReceived, 4800+160, 160), k.at(media.KindGap, 100, 50),
		k.at(media.KindLate, 100000, 160), k.at(media.KindReceived, -160, 160), k.at(media.KindReceived, 1<<62, 0), k.at(media.Kind(99), 5280, 160),
	} {
		frames = append(frames, wrong)
	}
	b := batch(0, frames, k)
	r.Write(b)
	spoil(b)
	res, m := seal(t, r)
	sameSamples(t, "mono", readWave(t, res.Dir).pcm(0), expect(k.end(), k))
	checkSpans(t, m.Tracks[0], k)
	if e := m.Tracks[0].Epochs; len(e) != 1 || e[0].SSRC != 5 {
		t.Errorf("epochs: got %v, want SSRC 5", e)
	}
}

func TestWhatMediaNeverSaidIsUnknown(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	r := open(t, s, monoInfo("hole"))
	k := newTalker(1, call.RoleMix, 0)
	frames := k.speaks(40)
	r.Write(batch(0, append(frames[:10:10], frames[12:]...), k))
	for i := 1600; i < 1920; i++ {
		k.kinds[i] = "unknown"
	}
	res, m := seal(t, r)
	sameSamples(t, "mono", readWave(t, res.Dir).pcm(0), expect(k.end(), k))
	checkSpans(t, m.Tracks[0], k)
	if m.State != recorder.StatePartial || m.Cause != call.CodeInternal {
		t.Errorf("got %s, %s, want partial, internal", m.State, m.Cause)
	}
}

// checkSpans compares a manifest's loss map with the model, sample by sample.
func checkSpans(t *testing.T, got recorder.Track, k *talker) {
	t.Helper()
	kinds := make([]string, got.Samples)
	for i := range kinds {
		kinds[i] = received
	}
	last := recorder.Span{}
	for _, s := range got.Spans {
		if s.Pos < last.Pos+last.Samples || s.Samples <= 0 {
			t.Errorf("track %d: span %+v after %+v", got.ID, s, last)
		}
		if s.Pos == last.Pos+last.Samples && s.Kind == last.Kind {
			t.Errorf("track %d: spans %+v and %+v are not merged", got.ID, last, s)
		}
		last = s
		for i := range s.Samples {
			kinds[s.Pos+i] = s.Kind
		}
	}
	if len(kinds) != len(k.kinds) {
		t.Errorf("track %d: got %d samples, want %d", got.ID, len(kinds), len(k.kinds))
		return
	}
	for i := range kinds {
		if kinds[i] != k.kinds[i] {
			t.Errorf("track %d: pos %d: got %s, want %s", got.ID, i, kinds[i], k.kinds[i])
			return
		}
	}
}

// A conversation by chance: several tracks a channel, loss, late packets, pauses, masks, in batches of any size.
func TestAnyBatchesGiveTheFileTheyDescribe(t *testing.T) {
	for seed := range uint64(24) {
		format := []string{recorder.FormatWAV, recorder.FormatMulaw}[seed%2]
		t.Run(fmt.Sprintf("%s/seed=%d", format, seed), func(t *testing.T) {
			t.Parallel()
			anyBatches(t, format, rand.New(rand.NewPCG(seed, 7)), seed%3 == 0)
		})
	}
}

func anyBatches(t *testing.T, format string, rng *rand.Rand, mono bool) {
	s, _ := start(t, recorder.Config{Format: format})
	info := stereoInfo("any")
	if mono {
		info = monoInfo("any")
	}
	r := open(t, s, info)
	var talkers []*talker
	var now time.Duration
	for range 40 + rng.IntN(60) {
		now += 20 * time.Millisecond
		if len(talkers) < 6 && rng.IntN(10) == 0 || len(talkers) == 0 {
			talkers = append(talkers, anotherTalker(rng, talkers, mono))
		}
		var lists [][]media.Frame
		for _, k := range talkers {
			if !k.Ended {
				lists = append(lists, anyFrames(rng, k))
				k.Ended = rng.IntN(60) == 0
			}
		}
		b := batch(now, shuffle(rng, lists...), talkers...)
		r.Write(b)
		spoil(b)
		if rng.IntN(40) == 0 { // let the workers come in between
			before := s.Counters().Syncs
			eventually(t, "a sync", func() bool { return s.Counters().Syncs > before })
		}
	}
	for _, k := range talkers {
		k.Ended = true
	}
	r.Write(batch(now+time.Second, nil, talkers...))
	res, m := seal(t, r)
	w := readWave(t, res.Dir)
	channels := [2][]*talker{}
	var length int64
	for i, k := range talkers {
		ch := 0
		if k.Party.Role == call.RoleAgent {
			ch = 1
		}
		channels[ch] = append(channels[ch], k)
		length = max(length, k.end())
		checkSpans(t, m.Tracks[i], k)
	}
	for ch := range w.channels {
		sameSamples(t, fmt.Sprintf("channel %d", ch), w.pcm(ch), expectIn(w.tag, length, channels[ch]))
	}
	if w.size != w.riff+8 || w.size&1 == 1 {
		t.Errorf("RIFF size: got %d of %d", w.riff, w.size)
	}
	if format == recorder.FormatMulaw && w.fact != length {
		t.Errorf("fact: got %d, want %d", w.fact, length)
	}
	for i, k := range talkers {
		if o := m.Tracks[i].OctetsFile; w.tag != 1 && m.Tracks[i].Channel >= 0 && (w.tag == 6) != (k.Law == media.LawPCMA) && slices.ContainsFunc(k.kinds, isHeard) {
			if o == nil {
				t.Errorf("track %d: its octets are nowhere as they came", i+1)
				continue
			}
			checkOctets(t, readWaveFile(t, filepath.Join(res.Dir, o.File)), k)
		} else if o != nil {
			t.Errorf("track %d: got %+v, want none", i+1, o)
		}
	}
}

// checkOctets looks at each octet of a file beside audio.wav.
func checkOctets(t *testing.T, own wave, k *talker) {
	t.Helper()
	quiet := byte(0xFF)
	if k.Law == media.LawPCMA {
		quiet = 0xD5
	}
	for pos, kind := range k.kinds {
		want := quiet
		if isHeard(kind) {
			want = voice(k.ID, int64(pos))
		}
		if pos < len(own.data) && own.data[pos] != want || pos >= len(own.data) && isHeard(kind) {
			t.Errorf("track %d: octet %d of %d: not %02x (%s)", k.ID, pos, len(own.data), want, kind)
			return
		}
	}
}

// expectIn is expect, passed through the table to the file's law where that is another one.
func expectIn(tag int, samples int64, talkers []*talker) []int16 {
	if tag == 1 {
		return expect(samples, talkers...)
	}
	out := make([]int16, samples)
	for i := range out {
		out[i] = throughLaw(tag, nil, 0, false)
	}
	for _, k := range talkers {
		for i, v := range expect(k.end(), k)[k.Offset:] {
			out[k.Offset+int64(i)] = throughLaw(tag, k, v, isHeard(k.kinds[i]))
		}
	}
	return out
}

func anotherTalker(rng *rand.Rand, before []*talker, mono bool) *talker {
	role := []call.Role{call.RoleCustomer, call.RoleAgent}[rng.IntN(2)]
	if mono {
		role = call.RoleMix
	}
	k := newTalker(media.TrackID(len(before)+1), role, rng.Int64N(30000))
	k.Law = []media.Law{media.LawPCMU, media.LawPCMA}[rng.IntN(2)]
	k.placeAt = rng.Int64N(4001)
	return k
}

// anyFrames makes some frames of a track by the rules of media's kinds.
func anyFrames(rng *rand.Rand, k *talker) (out []media.Frame) {
	for range rng.IntN(5) {
		n := 1 + rng.IntN(400)
		switch end := int64(len(k.kinds)); rng.IntN(12) {
		case 0:
			out = append(out, k.frame(media.KindLost, n))
		case 1:
			out = append(out, k.frame(media.KindGap, n*rng.IntN(20)+1))
		case 2:
			out = append(out, k.frame(media.KindMasked, n))
		case 3: // a mask reaches back
			if back := rng.Int64N(16000) + 1; back <= end {
				out = append(out, k.behind(media.KindMasked, end-back, int(min(back, int64(n)))))
			}
		case 4, 5:
			if pos, n := k.someLost(rng); n > 0 {
				out = append(out, k.behind(media.KindLate, pos, n))
			}
		default:
			out = append(out, k.frame(media.KindReceived, n))
		}
	}
	return out
}

// someLost picks a part of what is lost.
func (k *talker) someLost(rng *rand.Rand) (pos int64, n int) {
	from := rng.Int64N(int64(len(k.kinds)) + 1)
	for pos = from; k.kindAt(pos) != lost; pos++ {
		if k.kindAt(pos) == "" {
			return 0, 0
		}
	}
	for n < 200 && k.kindAt(pos+int64(n)) == lost {
		n++
	}
	return pos, n
}
