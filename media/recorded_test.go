package media_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"path/filepath"
	"slices"
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

// says gives it around the middle of each minute, where it is looked at, and what costs less to make elsewhere.
func says(party int) func(float64) byte {
	return func(t float64) byte {
		if s := t - 60*math.Floor(t/60); s < 28 || s > 32 {
			return byte(0x30 + int(s))
		}
		return g711.EncodeUlawFrame(int16(soundAt(party, t)))
	}
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
	e, err := recorder.OpenExport(dir, recorder.ExportConfig{Align: true})
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

// step finds how far from where it was spoken each channel lies at each minute, and how well it is that.
func step(t *testing.T, pcm [2][]int16, minutes int, but ...int) (off, apart, worst float64) {
	t.Helper()
	worst = math.Inf(1)
	for minute := range minutes {
		if slices.Contains(but, minute) {
			continue
		}
		var shift [2]float64
		for ch := range 2 {
			s, db := late(pcm[ch], ch, (minute*60+30)*8000, 160)
			shift[ch] = s
			off, worst = max(off, math.Abs(s)), min(worst, db)
		}
		apart = max(apart, math.Abs(shift[0]-shift[1]))
	}
	t.Logf("at worst %.2f samples off, %.2f apart, %.1f dB", off, apart, worst)
	return off, apart, worst
}

// TestAnAlignedExportIsInStepAtAnyMinute: of an hour through the real recorder, with clocks 200 ppm from each other and 3 ms of
// jitter, each sample lies where it was spoken. In audio.wav, which nobody moves, the parties come to be 0.7 s apart.
func TestAnAlignedExportIsInStepAtAnyMinute(t *testing.T) {
	for _, format := range []string{recorder.FormatWAV, recorder.FormatMulaw} {
		t.Run(format, func(t *testing.T) {
			const delay = 20 * time.Millisecond
			length := time.Hour
			if format == recorder.FormatMulaw || media.Raced {
				length = 5 * time.Minute
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
			off, apart, worst := step(t, aligned(t, dir), int(length.Minutes()))
			if off > 16 || apart > 16 || worst < 34 {
				t.Error("want at most 16, 16, and 34 dB (mu-law has 38)")
			}
		})
	}
}

// TestAnAlignedExportFollowsTheCall: an agent whose source changes twice, its clock with it, and who goes and comes back in another dialog; a
// customer who joins late. By arrival within 2 ms; by sender reports of one clock within a sample.
func TestAnAlignedExportFollowsTheCall(t *testing.T) {
	for name, c := range map[string]struct {
		report time.Duration
		apart  float64
	}{"by arrival": {0, 16}, "by sender reports": {300 * time.Millisecond, 1}} {
		t.Run(name, func(t *testing.T) {
			const minutes = 10
			agent := media.Speaker{
				Start: 300 * time.Millisecond, End: 6 * time.Minute, PPM: 80, NTPPPM: 30, Delay: 20 * time.Millisecond,
				Jitter: media.Exponential(4 * time.Millisecond), Host: "host", Report: c.report,
				Sources: []media.Source{
					{SSRC: 1, Seq: 65000, TS: 1 << 31}, {SSRC: 2, Seq: 9, TS: 77, From: 2 * time.Minute},
					{SSRC: 3, Seq: 60000, TS: 1 << 30, From: 200 * time.Second},
				},
				Party: call.Party{ID: "p2", Role: call.RoleAgent}, Sound: says(1),
			}
			back := agent
			back.Start, back.End, back.PPM = 7*time.Minute+123*time.Millisecond, minutes*time.Minute, -60
			back.Sources = []media.Source{{SSRC: 4, Seq: 3, TS: 12}}
			customer := agent
			customer.Start, customer.End, customer.PPM = 10*time.Second+7*time.Millisecond, minutes*time.Minute, -100
			customer.Sources = []media.Source{{SSRC: 5, Seq: 4, TS: 3}}
			customer.Party, customer.Sound = call.Party{ID: "p1", Role: call.RoleCustomer}, says(0)
			dir, m := recorded(t, recorder.Config{}, minutes*time.Minute+time.Second, customer, agent, back)
			if len(m.Tracks) != 3 || len(m.Tracks[0].Epochs) != 3 || m.Tracks[1].Channel != 0 || m.Tracks[2].Channel != 1 {
				t.Fatalf("manifest: %+v", m.Tracks)
			}
			off, apart, worst := step(t, aligned(t, dir), minutes, 6) // when nobody is there
			if off > 16 || apart > c.apart || worst < 34 {
				t.Errorf("want at most 16, %g, and 34 dB", c.apart)
			}
		})
	}
}
