package recorder_test

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// reader takes a shelf's audio as it comes, in pieces of any size.
type reader struct {
	shelf    *recorder.Shelf
	channels int
	got      []int16
	gone     []bool // by sample of each channel
}

func readerOf(r *recorder.Recording, track media.TrackID, channels int, role call.Role) *reader {
	return &reader{shelf: r.Shelf(track, channels, role), channels: channels}
}

// read takes all that there is up to a position.
func (k *reader) read(rng *rand.Rand, to int64) {
	for at := int64(len(k.gone)); at < to; at = int64(len(k.gone)) {
		pcm := make([]int16, min(to-at, 1+rng.Int64N(3000))*int64(k.channels))
		n, gone := k.shelf.Read(at, pcm)
		if n == 0 && gone == 0 {
			return
		}
		for range n {
			k.gone = append(k.gone, false)
		}
		for range gone {
			k.gone = append(k.gone, true)
		}
		k.got = append(k.got, pcm[:n*k.channels]...)
		k.got = append(k.got, make([]int16, gone*k.channels)...)
	}
}

// check compares a channel with what a talker said, and when: where nothing was heard is the silence of a law. It gives how many samples were gone.
func (k *reader) check(t *testing.T, what string, ch int, offset int64, of *talker) (gone int) {
	t.Helper()
	for i := range k.gone {
		pos := int64(i) - offset
		v := k.got[i*k.channels+ch]
		switch {
		case k.gone[i]:
			gone++
		case pos < 0 || pos >= int64(len(of.kinds)) || !isHeard(of.kinds[pos]):
			if v != 0 && v != 8 { // 0xD5 in A-law
				t.Fatalf("%s: sample %d is %d, and nothing was heard", what, i, v)
			}
		case v != of.linear(voice(of.ID, pos)):
			t.Fatalf("%s: sample %d is %d, want %d", what, i, v, of.linear(voice(of.ID, pos)))
		}
	}
	return gone
}

// TestWhatIsReadWhileARecordingIsWrittenIsWhatItHasInTheEnd, in all forms that there are: what is read in mid-call is never changed afterwards, by nothing.
func TestWhatIsReadWhileARecordingIsWrittenIsWhatItHasInTheEnd(t *testing.T) {
	t.Parallel()
	id := newIdentity(t)
	sealed := []string{id.Recipient().String()}
	for _, c := range []struct {
		name string
		cfg  recorder.Config
		mono bool
		laws [2]media.Law
	}{
		{name: "PCM"},
		{name: "PCM, agent left", cfg: recorder.Config{Left: call.RoleAgent, Right: call.RoleCustomer}},
		{name: "mono", mono: true},
		{name: "mu-law", cfg: recorder.Config{Format: recorder.FormatMulaw}},
		{name: "two laws", cfg: recorder.Config{Format: recorder.FormatMulaw}, laws: [2]media.Law{media.LawPCMA, media.LawPCMU}},
		{name: "encrypted", cfg: recorder.Config{Recipients: sealed}},
		{name: "encrypted mu-law, mono", cfg: recorder.Config{Recipients: sealed, Format: recorder.FormatMulaw}, mono: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's
			s, _ := start(t, c.cfg)
			talkers, info := pair(), stereoInfo("shelf")
			if c.mono {
				talkers, info = []*talker{newTalker(1, call.RoleMix, 0)}, monoInfo("shelf")
			}
			for i, k := range talkers {
				if c.laws[i] != media.LawNone {
					k.Law = c.laws[i]
				}
			}
			r := open(t, s, info)
			channels := len(talkers)
			whole := readerOf(r, 0, channels, call.RoleMix)
			all := []*reader{whole}
			for _, k := range talkers {
				all = append(all, readerOf(r, k.ID, 1, call.RoleUnknown))
			}
			seconds := 22
			if c.cfg.Recipients != nil {
				seconds = 66 // a segment, and some of the next
			}
			for i := range seconds {
				hearFrom(r, i, talkers...)
				if i%7 == 6 {
					waitTaken(r)
					for _, x := range all {
						x.read(rng, 1<<40)
					}
				}
			}
			if n := len(whole.gone); n < (seconds-12-9)*8000 || n > (seconds-1)*8000 {
				t.Errorf("%d samples could be read while the call went on", n)
			}
			_, m := seal(t, r)
			whole.read(rng, m.Samples)
			sides := map[call.Role]int{call.RoleCustomer: 0, call.RoleAgent: 1, call.RoleMix: 0}
			for i, k := range talkers {
				all[i+1].read(rng, int64(len(k.kinds)))
				gone := whole.check(t, "call", sides[k.Party.Role], k.Offset, k) + all[i+1].check(t, "track", 0, 0, k)
				if gone != 0 || len(all[i+1].gone) != len(k.kinds) || int64(len(whole.gone)) != m.Samples {
					t.Errorf("track %d: %d samples gone, %d and %d read, want %d and %d", k.ID, gone, len(all[i+1].gone), len(whole.gone), len(k.kinds), m.Samples)
				}
			}
			if c.mono {
				return
			}
			mix, agent := readerOf(r, 0, 1, call.RoleMix), readerOf(r, 0, 1, call.RoleAgent)
			mix.read(rng, m.Samples)
			agent.read(rng, m.Samples)
			agent.check(t, "agent", 0, talkers[1].Offset, talkers[1])
			for i, v := range mix.got {
				if sum := int(whole.got[2*i]) + int(whole.got[2*i+1]); int(v) != max(-32768, min(32767, sum)) {
					t.Fatalf("mix: sample %d is %d, want the sum %d", i, v, sum)
				}
			}
			for _, x := range append(all, mix, agent) {
				x.shelf.Close()
			}
		})
	}
}

// hearFrom writes the i-th second: what life brings, late packets and a mask that reaches back among it.
func hearFrom(r *recorder.Recording, second int, talkers ...*talker) {
	for part := range 5 {
		var frames []media.Frame
		for _, k := range talkers {
			hole := int64(len(k.kinds)) - 5*1600 // of a second ago
			switch i := second*5 + part; {
			case i%50 == 7:
				frames = append(frames, k.frame(media.KindLost, 320), k.frame(media.KindReceived, 1280))
			case i%50 == 12:
				frames = append(frames, k.frame(media.KindReceived, 1600), k.behind(media.KindLate, hole, 160))
			case i%50 == 21:
				frames = append(frames, k.frame(media.KindGap, 1600))
			case i%50 == 33:
				frames = append(frames, k.frame(media.KindReceived, 1600), k.behind(media.KindMasked, hole, 3000))
			default:
				frames = append(frames, k.speaks(10)...)
			}
		}
		r.Write(batch(time.Duration(second*5+part+1)*200*time.Millisecond, frames, talkers...))
	}
	waitTaken(r)
}

// TestNothingIsReadThatMayStillChange: not what a mask may take back.
func TestNothingIsReadThatMayStillChange(t *testing.T) {
	t.Parallel()
	s, _ := start(t, recorder.Config{})
	r := open(t, s, stereoInfo("fresh"))
	k := pair()
	spoken(r, 0, 10, k...)
	x := readerOf(r, 0, 2, call.RoleMix)
	eventually(t, "some can be read", func() bool {
		x.read(rand.New(rand.NewPCG(1, 1)), 1<<40) //nolint:gosec // a test's
		return len(x.gone) > 0
	})
	if n := len(x.gone); n > 8*8000 {
		t.Errorf("%d samples can be read 10 s on, of which the newest 2 s may change", n)
	}
	seal(t, r)
}

// TestWhenAllAreSilentTheSilenceCanBeRead: a consumer that comes back in a long hold is not kept waiting.
func TestWhenAllAreSilentTheSilenceCanBeRead(t *testing.T) {
	t.Parallel()
	s, _ := start(t, recorder.Config{})
	info := stereoInfo("hold")
	r, err := s.Open(info, recorder.Anchor{Wall: morning})
	if err != nil {
		t.Fatal(err)
	}
	k := pair()
	spoken(r, 0, 5, k...)
	for i := range 10 {
		r.Write(batch(time.Duration(6+i)*time.Second, nil, k...))
		waitTaken(r)
	}
	x := readerOf(r, 0, 2, call.RoleMix)
	eventually(t, "all that was said, and the pause", func() bool {
		x.read(rand.New(rand.NewPCG(1, 1)), 1<<40) //nolint:gosec // a test's
		return len(x.gone) >= 11*8000
	})
	x.check(t, "customer", 0, k[0].Offset, k[0])
	x.check(t, "agent", 1, k[1].Offset, k[1])
	seal(t, r)
}

// TestWhatIsNotThereIsToldAsGone: what came while the disk was full, what was erased, and a track whose channel another has.
func TestWhatIsNotThereIsToldAsGone(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3)) //nolint:gosec // a test's
	t.Run("erased", func(t *testing.T) {
		s, _ := start(t, recorder.Config{})
		r := open(t, s, stereoInfo("erased"))
		k := pair()
		spoken(r, 0, 5, k...)
		res, m := seal(t, r)
		if err := os.RemoveAll(res.Dir); err != nil {
			t.Fatal(err)
		}
		x := readerOf(r, 0, 2, call.RoleMix)
		x.read(rng, m.Samples)
		if gone := x.check(t, "call", 0, 0, k[0]); int64(gone) != m.Samples {
			t.Errorf("%d of %d samples told as gone", gone, m.Samples)
		}
	})
	t.Run("another's channel", func(t *testing.T) {
		s, _ := start(t, recorder.Config{})
		r := open(t, s, stereoInfo("again"))
		first, again := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleCustomer, 20000)
		spoken(r, 0, 2, first)
		spoken(r, 2, 3, first, again)
		_, m := seal(t, r)
		x, y := readerOf(r, 1, 1, call.RoleUnknown), readerOf(r, 2, 1, call.RoleUnknown)
		x.read(rng, int64(len(first.kinds)))
		y.read(rng, int64(len(again.kinds)))
		if gone := x.check(t, "first", 0, 0, first); gone != int(m.Samples)-20000 && gone != len(first.kinds)-20000 {
			t.Errorf("%d samples gone, want those from 20000 on", gone)
		}
		if gone := y.check(t, "again", 0, 0, again); gone != 0 {
			t.Errorf("%d samples of the newer gone", gone)
		}
	})
	t.Run("no room in the buffer", func(t *testing.T) {
		s, _ := start(t, recorder.Config{Buffer: time.Second})
		r := open(t, s, stereoInfo("slow"))
		k := pair()
		k[0].placeAt, k[1].placeAt = 0, 0
		var frames []media.Frame
		for _, x := range k {
			frames = append(frames, x.speaks(200)...) // 4 s in one batch
		}
		r.Write(batch(4*time.Second, frames, k...))
		_, m := seal(t, r)
		x := readerOf(r, 0, 2, call.RoleMix)
		x.read(rng, m.Samples)
		lost := 0
		for i := range x.gone {
			if x.gone[i] {
				lost++
			}
		}
		if m.State != recorder.StatePartial || lost == 0 || lost >= int(m.Samples) {
			t.Errorf("state %s, %d of %d samples told as gone", m.State, lost, m.Samples)
		}
	})
}
