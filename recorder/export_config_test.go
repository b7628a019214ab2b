package recorder

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/needs"
)

// wavOf gives an export's channels and the chunks behind its samples.
func wavOf(t *testing.T, b []byte) (channels [][]int16, after []byte) {
	t.Helper()
	le := binary.LittleEndian
	if len(b) < 44 || string(b[:4]) != "RIFF" || int(le.Uint32(b[4:])) != len(b)-8 || string(b[36:40]) != "data" {
		t.Fatalf("header %q of %d octets", b[:min(44, len(b))], len(b))
	}
	n, ch := int(le.Uint32(b[40:])), int(le.Uint16(b[22:]))
	channels = make([][]int16, ch)
	for i := 0; i < n; i += 2 {
		c := i / 2 % ch
		channels[c] = append(channels[c], int16(le.Uint16(b[44+i:])))
	}
	return channels, b[44+n:]
}

func exportOf(t *testing.T, dir string, cfg ExportConfig) [][]int16 {
	t.Helper()
	e, err := OpenExport(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var b bytes.Buffer
	if err := e.Write(&b); err != nil {
		t.Fatal(err)
	}
	channels, _ := wavOf(t, b.Bytes())
	if len(channels) != e.Channels || int64(len(channels[0])) != e.Samples {
		t.Fatalf("%+v: %d channels of %d samples, said %d of %d", cfg, len(channels), len(channels[0]), e.Channels, e.Samples)
	}
	return channels
}

// twoParties is a recording of a customer, and an agent who is transferred: track 3 goes on where track 2 ends, and over its end.
func twoParties(t *testing.T) (dir string, left, right []int16) {
	t.Helper()
	left, right = noise(20001, 1), noise(20001, 2)
	left[5], right[5], left[6], right[6] = 30000, 30000, -30000, -30000
	at := func(id uint32, role call.Role, channel int, offset, samples int64) Track {
		return Track{ID: id, Role: role, Channel: channel, OffsetSamples: offset, OffsetEstimate: offset, Samples: samples, OffsetMethod: "arrival", Ended: true, Number: "+16505550100", Name: "Anna"}
	}
	m := &Manifest{
		Software: "earshot 1.0.0", Call: ManifestCall{ID: "s-1"}, Part: 1, Channels: []string{"customer", "agent"}, Started: time.Date(2026, 11, 23, 10, 15, 0, 500e6, time.UTC),
		Tracks: []Track{at(1, call.RoleCustomer, 0, 0, 20001), at(2, call.RoleAgent, 1, 100, 9000), at(3, call.RoleOther, 1, 8000, 12001)},
	}
	return folder(t, m, FormatWAV, left, right), left, right
}

func TestWhatIsExportedIsWhatWasAskedFor(t *testing.T) {
	dir, left, right := twoParties(t)
	stretch := func(s []int16, from, to int) []int16 { // silence but for that
		out := make([]int16, len(s))
		copy(out[from:to], s[from:to])
		return out
	}
	sum := make([]int16, len(left))
	for i := range sum {
		sum[i] = int16(max(math.MinInt16, min(math.MaxInt16, int(left[i])+int(right[i]))))
	}
	for name, c := range map[string]struct {
		cfg  ExportConfig
		want [][]int16
	}{
		"all":                {ExportConfig{}, [][]int16{left, right}},
		"stereo":             {ExportConfig{Channels: 2}, [][]int16{left, right}},
		"mono":               {ExportConfig{Channels: 1}, [][]int16{sum}},
		"mix":                {ExportConfig{Track: "mix"}, [][]int16{sum}},
		"mix on both":        {ExportConfig{Track: "mix", Channels: 2}, [][]int16{sum, sum}},
		"customer":           {ExportConfig{Track: "customer"}, [][]int16{left}},
		"agent":              {ExportConfig{Track: "agent"}, [][]int16{stretch(right, 100, 8000)}},
		"agent on both":      {ExportConfig{Track: "agent", Channels: 2}, [][]int16{stretch(right, 100, 8000), stretch(right, 100, 8000)}},
		"track 3":            {ExportConfig{Track: "3"}, [][]int16{stretch(right, 8000, 20001)}},
		"aligned track 2":    {ExportConfig{Track: "2", Align: true}, [][]int16{stretch(right, 100, 8000)}},
		"a second of it":     {ExportConfig{From: time.Second, To: 2 * time.Second}, [][]int16{left[8000:16000], right[8000:16000]}},
		"up to a sample":     {ExportConfig{To: 125 * time.Microsecond}, [][]int16{left[:1], right[:1]}},
		"from there on":      {ExportConfig{From: 2 * time.Second, Track: "3"}, [][]int16{right[16000:]}},
		"further than it is": {ExportConfig{From: 2 * time.Second, To: time.Hour}, [][]int16{left[16000:], right[16000:]}},
	} {
		if got := exportOf(t, dir, c.cfg); !slices.EqualFunc(got, c.want, slices.Equal) {
			t.Errorf("%s: got %d channels of %d samples, want %d of %d, or other ones", name, len(got), len(got[0]), len(c.want), len(c.want[0]))
		}
	}
	mono := folder(t, &Manifest{Channels: []string{"mix"}, Tracks: []Track{on(0, 5, 100, 50, 99)}}, FormatMulaw, left)
	one := exportOf(t, mono, ExportConfig{})
	if got := exportOf(t, mono, ExportConfig{Channels: 2}); !slices.Equal(got[0], one[0]) || !slices.Equal(got[1], one[0]) {
		t.Error("stereo of mono: want the same on both sides")
	}
}

func TestWhatCantBeChosenIsOneClearError(t *testing.T) {
	dir, _, _ := twoParties(t)
	for want, cfg := range map[string]ExportConfig{
		`track: got "boss", want mix, or one that is in the audio: 1 (customer), 2 (agent), 3 (other)`: {Track: "boss"},
		`track: got "4"`:           {Track: "4"},
		"channels: got 3":          {Channels: 3},
		"got 3s and 2.500125s":     {From: 3 * time.Second},
		"got 2s and 1s":            {From: 2 * time.Second, To: time.Second},
		"not one sample":           {From: time.Second, To: time.Second + 10*time.Microsecond},
		`tags: got "all", want no`: {Tags: "all"},
	} {
		e, err := OpenExport(dir, cfg)
		if err == nil {
			e.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", cfg, err, want)
		}
	}
}

func TestTagsStandBehindTheSamplesAndNameNobodyUnasked(t *testing.T) {
	dir, left, _ := twoParties(t)
	for tags, people := range map[string]bool{TagsCall: false, TagsPeople: true} {
		e, err := OpenExport(dir, ExportConfig{Tags: tags, From: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := errors.Join(e.Write(&b), e.Close()); err != nil {
			t.Fatal(err)
		}
		channels, after := wavOf(t, b.Bytes())
		if !slices.Equal(channels[0], left[8000:]) {
			t.Errorf("%s: the samples are others", tags)
		}
		le := binary.LittleEndian
		if string(after[:4]) != "bext" {
			t.Fatalf("%s: %q follows the samples", tags, after[:4])
		}
		n := le.Uint32(after[4:])
		x := after[8 : 8+n]
		field := func(from, to int) string { return strings.TrimRight(string(x[from:to]), "\x00") }
		if got := field(256, 288); got != "earshot 1.0.0" {
			t.Errorf("originator: got %q", got)
		}
		if got := field(320, 338); got != "2026-11-2310:15:01" {
			t.Errorf("date and time: got %q", got)
		}
		if got, want := le.Uint64(x[338:]), uint64((10*3600+15*60+1)*8000+4000); got != want {
			t.Errorf("time reference: got %d, want %d samples since midnight", got, want)
		}
		if got := field(0, 256); !strings.HasPrefix(got, "call s-1, part 1: left: customer, right: agent") {
			t.Errorf("description: got %q", got)
		}
		if got := string(x[602:]); got != "A=PCM,F=8000,W=16,M=stereo,T=earshot 1.0.0; from G.711\r\n" {
			t.Errorf("coding history: got %q", got)
		}
		if list := after[8+n+n&1:]; string(list[:4]) != "LIST" || string(list[8:12]) != "INFO" || int(le.Uint32(list[4:])) != len(list)-8 || !bytes.Contains(list, []byte("ICMT")) {
			t.Errorf("got %q", list)
		}
		if bytes.Contains(after, []byte("+16505550100")) != people || bytes.Contains(after, []byte("Anna")) != people {
			t.Errorf("%s: numbers and names: want %v", tags, people)
		}
	}
}

func encode(t *testing.T, dir string, cfg ExportConfig, format, name string) error {
	t.Helper()
	e, err := OpenExport(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return e.Encode(t.Context(), format, name)
}

func TestFLACDecodesToTheSameSamples(t *testing.T) {
	needs.Programs(t, "ffmpeg")
	dir, left, right := twoParties(t)
	file := filepath.Join(t.TempDir(), "-out:1.flac") // a name that could be an option, or an address
	if err := encode(t, dir, ExportConfig{Tags: TagsCall}, EncodeFLAC, file); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("ffmpeg", "-nostdin", "-loglevel", "error", "-i", "file:"+file, "-f", "s16le", "pipe:1")
	raw, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for i := range left {
		if len(raw) != 4*len(left) || int16(binary.LittleEndian.Uint16(raw[4*i:])) != left[i] || int16(binary.LittleEndian.Uint16(raw[4*i+2:])) != right[i] {
			t.Fatalf("%d octets; pair %d is another", len(raw), i)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil || string(b[:4]) != "fLaC" || !bytes.Contains(b, []byte("call s-1, part 1")) {
		t.Errorf("got %q, %v; want FLAC with a title", b[:4], err)
	}
}

func TestOpusHasTheLengthAndTheTone(t *testing.T) {
	needs.Programs(t, "ffmpeg")
	tone := make([]int16, 16000)
	for i := range tone {
		tone[i] = int16(12000 * math.Sin(2*math.Pi*float64(i)*440/rate))
	}
	dir := folder(t, &Manifest{Channels: []string{"mix"}, Tracks: []Track{on(0, 0, 16000, 0, 0)}}, FormatWAV, tone)
	file := filepath.Join(t.TempDir(), "out.opus")
	if err := encode(t, dir, ExportConfig{}, EncodeOpus, file); err != nil {
		t.Fatal(err)
	}
	raw, err := exec.Command("ffmpeg", "-nostdin", "-loglevel", "error", "-i", file, "-ar", "8000", "-f", "s16le", "pipe:1").Output()
	if err != nil || len(raw) < 2*15800 || len(raw) > 2*16200 {
		t.Fatalf("got %d octets, %v, want about 32000", len(raw), err)
	}
	var re, im, all float64
	for i := 4000; i < 12000; i++ {
		v := float64(int16(binary.LittleEndian.Uint16(raw[2*i:])))
		re, im, all = re+v*math.Cos(2*math.Pi*440*float64(i)/rate), im+v*math.Sin(2*math.Pi*440*float64(i)/rate), all+v*v
	}
	if share := (re*re + im*im) * 2 / 8000 / all; share < 0.95 {
		t.Errorf("%.2f of it is the tone, want nearly all", share)
	}
}

// fake puts a program named ffmpeg alone into PATH.
func fake(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if script != "" {
		if err := os.WriteFile(filepath.Join(dir, "ffmpeg"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

func TestAnFFmpegThatFailsIsToldWithItsWords(t *testing.T) {
	dir, _, _ := twoParties(t)
	for script, want := range map[string]string{
		"":                                   "not in PATH",
		"echo 'Unknown encoder' >&2; exit 1": "ffmpeg: exit status 1: Unknown encoder",
		"exec /bin/cat > /dev/null":          "it wrote nothing",
		"while :; do echo -n 0123456789abcdef >&2; i=x$i; case $i in xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx*) exit 3;; esac; done": "exit status 3",
	} {
		fake(t, script)
		err := encode(t, dir, ExportConfig{}, EncodeFLAC, filepath.Join(t.TempDir(), "x.flac"))
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > maxErrorBytes+200 {
			t.Errorf("%q: got %.200v, want %q", script, err, want)
		}
	}
}

func TestAnFFmpegThatHangsIsEnded(t *testing.T) {
	dir, _, _ := twoParties(t)
	fake(t, "exec /bin/sleep 1000")
	e, err := OpenExport(dir, ExportConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	ctx, cancel := contextThatEnds(t)
	defer cancel()
	if err := e.Encode(ctx, EncodeFLAC, filepath.Join(t.TempDir(), "x.flac")); err == nil || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("got %v, want that its time was over", err)
	}
}

func contextThatEnds(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 100*time.Millisecond)
}
