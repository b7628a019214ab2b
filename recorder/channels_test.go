package recorder_test

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

func sha256Hex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func TestANewerTrackIsHeardWhereItOverlapsAndTheManifestSaysSo(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	r := open(t, s, stereoInfo("rejoin"))
	old, agent, fresh := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 0), newTalker(3, call.RoleCustomer, 6000)
	fresh.Leg = "second"
	r.Write(batch(0, slices.Concat(old.speaks(50), agent.speaks(60), fresh.speaks(30)), old, agent, fresh))
	old.Ended = true
	r.Write(batch(0, append(fresh.speaks(30), fresh.frame(media.KindGap, 100)), old, agent, fresh))
	res, m := seal(t, r)
	w := readWave(t, res.Dir)
	length := fresh.end()
	sameSamples(t, "left", w.pcm(0), expect(length, old, fresh))
	sameSamples(t, "right", w.pcm(1), expect(length, agent))
	want := []recorder.Overlap{{By: 3, Pos: 6000, Samples: 2000}}
	if !slices.Equal(m.Tracks[0].Overlaps, want) || len(m.Tracks[1].Overlaps)+len(m.Tracks[2].Overlaps) != 0 {
		t.Errorf("overlaps: got %v, %v, %v, want %v", m.Tracks[0].Overlaps, m.Tracks[1].Overlaps, m.Tracks[2].Overlaps, want)
	}
	if m.State != recorder.StateRecorded {
		t.Errorf("state: got %s (%s)", m.State, m.CauseText)
	}
}

func TestAThirdPartyIsNotMixedInAndIsNamed(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	r := open(t, s, stereoInfo("three"))
	customer, agent, other := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 0), newTalker(3, call.RoleOther, 10)
	r.Write(batch(0, slices.Concat(customer.speaks(30), agent.speaks(30), other.speaks(40)), customer, agent, other))
	res, m := seal(t, r)
	w := readWave(t, res.Dir)
	sameSamples(t, "left", w.pcm(0), expect(4800, customer))
	sameSamples(t, "right", w.pcm(1), expect(4800, agent))
	if m.Tracks[2].Channel != -1 || m.State != recorder.StatePartial || m.Cause != call.CodeProtocol {
		t.Errorf("got channel %d, %s, %s, want -1, partial, protocol", m.Tracks[2].Channel, m.State, m.Cause)
	}
}

func TestTwoTracksWithoutRolesLieByLine(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	info := stereoInfo("lines")
	info.Expected = []call.Party{{}, {}}
	r := open(t, s, info)
	one, two := newTalker(1, call.RoleUnknown, 0), newTalker(2, call.RoleUnknown, 0)
	one.Party, two.Party, two.Line = call.Party{}, call.Party{}, 1
	r.Write(batch(0, two.speaks(30), one, two)) // the second line is heard first
	r.Write(batch(0, one.speaks(40), one, two))
	res, m := seal(t, r)
	w := readWave(t, res.Dir)
	sameSamples(t, "left", w.pcm(0), expect(6400, one))
	sameSamples(t, "right", w.pcm(1), expect(6400, two))
	if !slices.Equal(m.Channels, []string{"customer", "agent"}) {
		t.Errorf("channels: got %v", m.Channels)
	}
}

func TestChannelsCanBeChangedOver(t *testing.T) {
	s, _ := start(t, recorder.Config{Left: call.RoleAgent, Right: call.RoleCustomer, Format: recorder.FormatMulaw})
	r := open(t, s, stereoInfo("swap"))
	customer, agent := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 0)
	r.Write(batch(0, append(customer.speaks(30), agent.speaks(30)...), customer, agent))
	res, m := seal(t, r)
	w := readWave(t, res.Dir)
	if w.tag != 7 || w.bits != 8 || w.fact != 4800 {
		t.Errorf("fmt: got tag %d, %d bits, fact %d, want 7, 8, 4800", w.tag, w.bits, w.fact)
	}
	for i := range int64(4800) {
		if l, r := w.data[2*i], w.data[2*i+1]; l != voice(2, i) || r != voice(1, i) {
			t.Fatalf("octets %d: got %02x %02x, want %02x %02x", i, l, r, voice(2, i), voice(1, i))
		}
	}
	if !slices.Equal(m.Channels, []string{"agent", "customer"}) {
		t.Errorf("channels: got %v", m.Channels)
	}
}

func TestPCMAloneWillDo(t *testing.T) {
	for _, format := range []string{recorder.FormatWAV, recorder.FormatMulaw} {
		s, _ := start(t, recorder.Config{Format: format})
		r := open(t, s, monoInfo("pcm"))
		k := newTalker(1, call.RoleMix, 0)
		frames := k.speaks(30)
		for i := range frames {
			frames[i].Octets, frames[i].Law = nil, media.LawNone
		}
		r.Write(batch(0, frames, k))
		res, _ := seal(t, r)
		sameSamples(t, format, readWave(t, res.Dir).pcm(0), expect(4800, k))
	}
}

func TestALongSilenceTakesNoRoom(t *testing.T) {
	const pause = 600 * 8000
	s, _ := start(t, recorder.Config{})
	r := open(t, s, stereoInfo("hold"))
	k := newTalker(1, call.RoleCustomer, 0)
	frames := append(k.speaks(30),
		media.Frame{Track: 1, Kind: media.KindGap, Pos: 4800, Samples: pause}, k.at(media.KindReceived, 4800+pause, 160))
	r.Write(batch(0, frames, k))
	res, m := seal(t, r)
	if want := int64(4800 + pause + 160); res.Samples != want || readWave(t, res.Dir).samples() != want {
		t.Errorf("samples: got %d, want %d", res.Samples, want)
	}
	if used := usedBytes(t, res.Dir); used > 1<<20 {
		t.Errorf("audio.wav takes %d bytes on disk, want a hole", used)
	}
	if want := []recorder.Span{{Kind: gap, Pos: 4800, Samples: pause}}; !slices.Equal(m.Tracks[0].Spans, want) {
		t.Errorf("spans: got %v, want %v", m.Tracks[0].Spans, want)
	}
}
