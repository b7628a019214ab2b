package recorder

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// folder makes a recording's folder out of a manifest and the samples of each channel.
func folder(t testing.TB, m *Manifest, format string, channels ...[]int16) string {
	t.Helper()
	dir := t.TempDir()
	m.Version, m.State, m.Rate, m.Samples = manifestVersion, StateRecorded, rate, int64(len(channels[0]))
	b, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	l := newLayout(format, len(channels))
	audio := l.header(m.Samples, true)
	for i := range channels[0] {
		for _, c := range channels {
			two := binary.LittleEndian.AppendUint16(nil, uint16(c[i]))
			if format == FormatMulaw {
				one := []byte{0}
				payload{data: two}.toLaw(false, one, 1)
				two = one
			}
			audio = append(audio, two...)
		}
	}
	for name, b := range map[string][]byte{ManifestName: b, AudioName: audio} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// exported gives the channels of what a folder is exported as, by a reader of its own.
func exported(t testing.TB, dir string, align bool) (channels [][]int16) {
	t.Helper()
	e, err := OpenExport(dir, ExportConfig{Align: align})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var b bytes.Buffer
	if err := e.Write(&b); err != nil {
		t.Fatal(err)
	}
	wav, le := b.Bytes(), binary.LittleEndian
	want := int64(len(wav) - 44)
	if string(wav[:4]) != "RIFF" || string(wav[36:40]) != "data" || int64(le.Uint32(wav[40:])) != want || int64(le.Uint32(wav[4:])) != want+36 || want != 2*e.Samples*int64(e.Channels) {
		t.Fatalf("header %q of a file of %d octets, %d samples", wav[:44], len(wav), e.Samples)
	}
	channels = make([][]int16, e.Channels)
	for i := 44; i < len(wav); i += 2 {
		ch := (i - 44) / 2 % e.Channels
		channels[ch] = append(channels[ch], int16(le.Uint16(wav[i:])))
	}
	return channels
}

// noise is any audio, every sample of it different from its neighbours.
func noise(n int, seed uint32) []int16 {
	out := make([]int16, n)
	for i := range out {
		seed = seed*1664525 + 1013904223
		out[i] = int16(seed >> 16)
	}
	return out
}

// wave is a tone, at times that are given in samples.
func tone(hz, at float64) float64 { return 12000 * math.Sin(2*math.Pi*hz*at/rate) }

func on(channel int, offset, samples, estimate int64, ppm float64) Track {
	return Track{
		ID: uint32(channel + 1), Channel: channel, OffsetSamples: offset, OffsetMethod: "arrival", Samples: samples,
		OffsetEstimate: estimate, DriftPPM: ppm, Epochs: []Epoch{{OffsetEstimate: &estimate, DriftPPM: &ppm}},
	}
}

func TestAnExportIsTheAudioAsItIs(t *testing.T) {
	left, right := noise(20001, 1), noise(20001, 2)
	for _, format := range []string{FormatWAV, FormatMulaw} {
		dir := folder(t, &Manifest{Tracks: []Track{on(0, 5, 100, 50, 99)}}, format, left, right)
		got := exported(t, dir, false)
		for ch, want := range [][]int16{left, right} {
			for i, v := range want {
				if format == FormatMulaw {
					one := []byte{0}
					payload{data: binary.LittleEndian.AppendUint16(nil, uint16(v))}.toLaw(false, one, 1)
					v = ulawLinear[one[0]]
				}
				if got[ch][i] != v {
					t.Fatalf("%s: channel %d at %d: got %d, want %d", format, ch, i, got[ch][i], v)
				}
			}
		}
	}
}

func TestWithoutDriftAnAlignedExportIsACopyInPlace(t *testing.T) {
	left, right := noise(40000, 1), noise(40000, 2)
	clear(left[:100]) // where no track is
	clear(right[:70])
	// A drift that comes to less than half a sample is none.
	dir := folder(t, &Manifest{Tracks: []Track{on(0, 100, 39900, 137, 0), on(1, 70, 39930, 64, 0.001)}}, FormatWAV, left, right)
	got := exported(t, dir, true)
	if want := 37 + 40000; len(got[0]) != want {
		t.Fatalf("got %d samples, want %d", len(got[0]), want)
	}
	if !slices.Equal(got[0][137:], left[100:]) || !slices.Equal(got[1][64:40000-6], right[70:]) {
		t.Error("samples are not those of the recording, shifted by 37 and -6")
	}
	for i := range 64 {
		if got[0][i] != 0 || got[1][i] != 0 {
			t.Fatalf("sample %d: got %d and %d before the tracks begin", i, got[0][i], got[1][i])
		}
	}
}

// TestAnAlignedExportIsWhatWasSpokenThen: whatever the drift, each sample is what the speaker said at that time: 80 dB of a tone
// that telephony has.
func TestAnAlignedExportIsWhatWasSpokenThen(t *testing.T) {
	const n, offset, estimate = 200_000, 400, 437
	for _, ppm := range []float64{-100, -20, 3, 50, 100, 1000} {
		for _, hz := range []float64{120, 1000, 3400} {
			t.Run(fmt.Sprintf("%g ppm, %g Hz", ppm, hz), func(t *testing.T) {
				pace := 1 / (1 + ppm/1e6)
				in := make([]int16, offset+n)
				for i := range n {
					in[offset+i] = toSample(tone(hz, estimate+float64(i)*pace))
				}
				out := exported(t, folder(t, &Manifest{Tracks: []Track{on(0, offset, n, estimate, ppm)}}, FormatWAV, in), true)[0]
				var power, wrong float64
				for i := estimate + 40; i < len(out)-40; i++ { // the first and the last are cut off in the middle of a tone
					want := tone(hz, float64(i))
					power += want * want
					wrong += (float64(out[i]) - want) * (float64(out[i]) - want)
				}
				db := 10 * math.Log10(power/wrong)
				t.Logf("%.1f dB", db)
				if db < 80 || len(out) < estimate+int(n*pace) {
					t.Errorf("got %.1f dB over %d samples, want 80", db, len(out))
				}
			})
		}
	}
}

// TestEpochsLieWhereEachIsEstimated: a later one is heard where two meet, and what the estimates leave open is silence.
func TestEpochsLieWhereEachIsEstimated(t *testing.T) {
	in := noise(3000, 3)
	at := func(v int64) *int64 { return &v }
	none := new(float64)
	k := on(0, 0, 3000, 0, 0)
	k.Epochs = append(k.Epochs, Epoch{Pos: 1000, OffsetEstimate: at(-10), DriftPPM: none}, Epoch{Pos: 2000, OffsetEstimate: at(5), DriftPPM: none})
	out := exported(t, folder(t, &Manifest{Tracks: []Track{k}}, FormatWAV, in), true)[0]
	want := append(slices.Clone(in[:990]), in[1000:2000]...)
	want = append(append(want, make([]int16, 15)...), in[2000:]...)
	if !slices.Equal(out, want) {
		t.Error("the epochs are not where they belong")
	}
	// An older version's manifest knows one estimate, and epochs that go on with it.
	k.Epochs = []Epoch{{}, {Pos: 1000}, {Pos: 2000}}
	k.OffsetEstimate = 7
	out = exported(t, folder(t, &Manifest{Tracks: []Track{k}}, FormatWAV, in), true)[0]
	if !slices.Equal(out, append(make([]int16, 7), in...)) {
		t.Error("an older manifest's track is not where it belongs")
	}
}

// TestWhatANewerTrackCoversIsItsOwn: the file has one of them there, and it is laid by the estimate of that one.
func TestWhatANewerTrackCoversIsItsOwn(t *testing.T) {
	in := noise(3000, 4)
	a, b := on(0, 0, 3000, 20, 0), on(0, 1000, 500, 1000, 0)
	b.ID = 2
	out := exported(t, folder(t, &Manifest{Tracks: []Track{a, b}}, FormatWAV, in), true)[0]
	want := append(make([]int16, 20), in[:1000]...)
	want = append(want[:1000], in[1000:1500]...)
	want = append(append(want, make([]int16, 20)...), in[1500:]...)
	if !slices.Equal(out, want) {
		t.Error("the tracks are not where they belong")
	}
}

func TestAnExportBeforeTheBeginningIsCutAndSaid(t *testing.T) {
	in := noise(1000, 5)
	dir := folder(t, &Manifest{Tracks: []Track{on(0, 0, 1000, -30, 0)}}, FormatWAV, in)
	e, err := OpenExport(dir, ExportConfig{Align: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.Cut != 30 || e.Samples != 970 || !slices.Equal(exported(t, dir, true)[0], in[30:]) {
		t.Errorf("got cut %d, %d samples, want 30 and 970", e.Cut, e.Samples)
	}
}

func TestEstimatesThatCantBeAreRefused(t *testing.T) {
	for name, k := range map[string]Track{
		"drift":  on(0, 0, 1000, 0, 1e6),
		"offset": on(0, 0, 1000, 1<<40, 0),
		"both":   on(0, 0, 1000, -1<<62, -2000),
	} {
		if e, err := OpenExport(folder(t, &Manifest{Tracks: []Track{k}}, FormatWAV, noise(1000, 6)), ExportConfig{Align: true}); err == nil {
			t.Errorf("%s: got %d samples, want an error", name, e.Samples)
		}
	}
}

// FuzzExport: whatever a manifest says, an export ends, is as long as it says, and no longer than the recording and what clocks can
// come to be apart.
func FuzzExport(f *testing.F) {
	b, err := os.ReadFile(filepath.Join("testdata", "recording.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"version":1,"state":"partial","tracks":[{"offset_method":"a","samples":9000,"epochs":[{"pos":0,"offset_estimate":-3,"drift_ppm":-1999},{"pos":500}]},{"offset_method":"a","offset_samples":9,"samples":40}]}`))
	audio := newLayout(FormatMulaw, 1).header(2000, true)
	audio = append(audio, make([]byte, 2000)...)
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		for name, b := range map[string][]byte{ManifestName: b, AudioName: audio} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		e, err := OpenExport(dir, ExportConfig{Align: true})
		if err != nil {
			return
		}
		defer e.Close()
		var out bytes.Buffer
		if err := e.Write(&out); err != nil {
			t.Fatal(err)
		}
		if n := int64(out.Len()-44) / 2; n != e.Samples || n > 2000+maxMoved+2000/200 {
			t.Errorf("got %d samples, said %d", n, e.Samples)
		}
	})
}
