package media_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zaf/g711"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// soundAt is what a party says at a time: tones that no shift within 40 ms makes alike.
func soundAt(party int, t float64) (v float64) {
	for i, hz := range [...]float64{211, 397, 613, 1019, 1511} {
		v += 2500 * math.Sin(2*math.Pi*(hz+float64(37*party))*t+float64(i))
	}
	return v
}

func says(party int) func(float64) byte {
	return func(t float64) byte { return g711.EncodeUlawFrame(int16(soundAt(party, t))) }
}

// recorded plays a hall into a real recording, in simulated time, and gives its folder.
func recorded(t *testing.T, cfg recorder.Config, length time.Duration, speakers ...media.Speaker) (dir string, m *recorder.Manifest) {
	t.Helper()
	cfg.Dir, cfg.Sync = filepath.Join(t.TempDir(), "recordings"), 5*time.Second
	synctest.Test(t, func(t *testing.T) {
		store, err := recorder.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- store.Run(ctx) }()
		info := call.Info{ID: "hall", Started: time.Now(), Expected: []call.Party{speakers[0].Party, speakers[1].Party}}
		rec, err := store.Open(info, recorder.Anchor{Wall: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		h := media.NewHall(t, media.Config{Sweep: 100 * time.Millisecond}, 11, rec)
		for _, s := range speakers {
			h.Add(s)
		}
		for at := time.Duration(0); at < length; at += 2 * time.Second {
			h.Until(at)
			synctest.Wait() // the disk has taken it
		}
		h.Until(length).Close()
		<-rec.Sealed()
		dir = rec.Result().Dir
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	m, err := recorder.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir, m
}

// aligned gives the channels of the aligned export.
func aligned(t *testing.T, dir string) [2][]int16 {
	t.Helper()
	e, err := recorder.OpenExport(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var b bytes.Buffer
	if err := e.Write(&b); err != nil {
		t.Fatal(err)
	}
	var out [2][]int16
	for wav := b.Bytes()[44:]; len(wav) >= 4; wav = wav[4:] {
		out[0] = append(out[0], int16(binary.LittleEndian.Uint16(wav)))
		out[1] = append(out[1], int16(binary.LittleEndian.Uint16(wav[2:])))
	}
	return out
}

// late is how much later than spoken, in samples, a window of a channel is, and how well it is what was spoken then, in dB.
func late(pcm []int16, party int, at int, delay float64) (shift, db float64) {
	const n = 1000
	misfit := func(shift float64) (wrong float64) {
		for i := at; i < at+n; i++ {
			d := float64(pcm[i]) - soundAt(party, (float64(i)-delay-shift)/8000)
			wrong += d * d
		}
		return wrong
	}
	best := math.Inf(1)
	for s := -40.0; s <= 40; s++ {
		if w := misfit(s); w < best {
			best, shift = w, s
		}
	}
	for step := 0.5; step > 0.01; step /= 2 {
		for _, s := range [...]float64{shift - step, shift + step} {
			if w := misfit(s); w < best {
				best, shift = w, s
			}
		}
	}
	power := 0.0
	for i := at; i < at+n; i++ {
		power += soundAt(party, (float64(i)-delay-shift)/8000) * soundAt(party, (float64(i)-delay-shift)/8000)
	}
	return shift, 10 * math.Log10(power/best)
}

// TestAnAlignedExportIsInStepAtAnyMinute: of an hour through the real recorder, with clocks 200 ppm from each other and 3 ms of
// jitter, each sample lies where it was spoken. In audio.wav, which nobody moves, the parties come to be 0.7 s apart.
func TestAnAlignedExportIsInStepAtAnyMinute(t *testing.T) {
	for _, format := range []string{recorder.FormatWAV, recorder.FormatMulaw} {
		t.Run(format, func(t *testing.T) {
			const delay = 20 * time.Millisecond
			length := time.Hour
			if format == recorder.FormatMulaw || testing.Short() {
				length = 10 * time.Minute
			}
			one := media.Speaker{
				Start: 300 * time.Millisecond, End: length, PPM: 100, Delay: delay, Jitter: media.Exponential(3 * time.Millisecond),
				Sources: []media.Source{{SSRC: 1, Seq: 65000, TS: 1 << 31}},
				Party:   call.Party{ID: "p1", Role: call.RoleCustomer}, Sound: says(0),
			}
			two := one
			two.Start, two.PPM, two.Party, two.Sound = 1234*time.Millisecond, -100, call.Party{ID: "p2", Role: call.RoleAgent}, says(1)
			two.Sources = []media.Source{{SSRC: 2, Seq: 7, TS: 99}}
			dir, m := recorded(t, recorder.Config{Format: format}, length+time.Second, one, two)
			if len(m.Tracks) != 2 || m.Tracks[0].DriftPPM < 99 || m.Tracks[1].DriftPPM > -99 {
				t.Fatalf("manifest: %+v", m.Tracks)
			}
			pcm := aligned(t, dir)
			off, apart, worst := 0.0, 0.0, math.Inf(1)
			for at := 30 * 8000; at < int(length.Seconds())*8000-8000; at += 60 * 8000 {
				var shift [2]float64
				for ch := range 2 {
					s, db := late(pcm[ch], ch, at, 160)
					shift[ch] = s
					off, worst = max(off, math.Abs(s)), min(worst, db)
				}
				apart = max(apart, math.Abs(shift[0]-shift[1]))
			}
			t.Logf("%s: at worst %.2f samples off, %.2f apart, %.1f dB", format, off, apart, worst)
			if off > 16 || apart > 16 || worst < 34 {
				t.Error("want at most 16, 16, and 34 dB (mu-law has 38)")
			}
		})
	}
}
