package recorder

import (
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/needs"
	"github.com/earshot/earshot/media"
)

const past4GiB = 1<<32 + 1<<20

// TestAFilePast4GiBIsRF64AndOtherProgramsOpenIt writes the first and the last second of a call of 37 hours; between is a pause, which takes
// no room. Then it is cut off as by a crash, and repaired.
func TestAFilePast4GiBIsRF64AndOtherProgramsOpenIt(t *testing.T) {
	dir := t.TempDir()
	s, err := New(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the folder goes with it
	parties := []call.Party{{Role: call.RoleCustomer}, {Role: call.RoleAgent}}
	r, err := s.Open(call.Info{ID: "long", Expected: parties}, Anchor{Wall: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	k := newKit()
	states := []media.TrackState{
		{ID: 1, Placed: true, OffsetMethod: media.OffsetArrival, Party: parties[0], Law: media.LawPCMU},
		{ID: 2, Placed: true, OffsetMethod: media.OffsetArrival, Party: parties[1], Law: media.LawPCMU},
	}
	end := int64(past4GiB / 4)
	say := func(pos int64) {
		b := &media.Batch{Tracks: states}
		for id := range media.TrackID(2) {
			octets := make([]byte, 8000)
			for i := range octets {
				octets[i] = byte(int64(id)*16 + int64(i)%7)
			}
			b.Frames = append(b.Frames, media.Frame{Track: id + 1, Kind: media.KindReceived, Law: media.LawPCMU, Pos: pos, Samples: 8000, Octets: octets})
		}
		r.Write(b)
		s.process(r, k, true, time.Time{})
	}
	say(0)
	gap := &media.Batch{Tracks: states, Frames: []media.Frame{{Track: 1, Kind: media.KindGap, Pos: 8000, Samples: end - 16000}, {Track: 2, Kind: media.KindGap, Pos: 8000, Samples: end - 16000}}}
	r.Write(gap)
	say(end - 8000)
	s.process(r, k, true, time.Time{}) // the header comes up
	name := filepath.Join(r.dir(), AudioName)
	checkRF64(t, name, end)
	if n := r.w.tracks[0].loss.total[kindDisk]; n != 0 {
		t.Fatalf("%d samples not written", n)
	}

	// As a crash leaves it: one second more than the header says, half a pair of it.
	if err := os.Truncate(name, 80+4*(end+8000)+2); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, n, err := repairWAV(f, newLayout(FormatWAV, 2)); err != nil || n != end+8000 {
		t.Errorf("repair: %d samples, %v, want %d", n, err, end+8000)
	}
	checkRF64(t, name, end+8000)
	if err := os.Truncate(name, 80+4*8000); err != nil { // and one that shrank is RIFF again
		t.Fatal(err)
	}
	if _, n, err := repairWAV(f, newLayout(FormatWAV, 2)); err != nil || n != 8000 {
		t.Errorf("repair: %d samples, %v, want 8000", n, err)
	}
	if b := newLayout(FormatWAV, 2).header(8000, true); string(read(t, f, 0, len(b))) != string(b) {
		t.Error("the header of the short file is not the usual one")
	}
	r.End(call.Cause{Code: call.CodeHangup})
	if err := r.w.img.letGo(); err != nil {
		t.Error(err)
	}
}

func read(t *testing.T, f *os.File, at int64, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	return b
}

// checkRF64 reads the header as EBU Tech 3306 has it, the first and the last sample, and lets ffprobe and sox read it.
func checkRF64(t *testing.T, name string, samples int64) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, le := read(t, f, 0, 80), binary.LittleEndian
	data := samples * 4
	if string(b[:4]) != "RF64" || le.Uint32(b[4:]) != math.MaxUint32 || string(b[8:16]) != "WAVEds64" || le.Uint32(b[16:]) != 28 ||
		int64(le.Uint64(b[20:])) != 72+data || int64(le.Uint64(b[28:])) != data || int64(le.Uint64(b[36:])) != samples || le.Uint32(b[76:]) != math.MaxUint32 {
		t.Errorf("header: % x", b)
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if l, err := parseWAV(f, st.Size()); err != nil || l.dataBytes != data || !l.large {
		t.Errorf("parsed: %+v, %v", l, err)
	}
	if d := string(read(t, f, 80, 4)); d == "\x00\x00\x00\x00" {
		t.Error("the first sample is silence")
	}
	out := output(t, "ffprobe", "-v", "error", "-show_entries", "stream=codec_name,channels,duration_ts", "-of", "default=nw=1", name)
	if !strings.Contains(out, "duration_ts="+strconv.FormatInt(samples, 10)) || !strings.Contains(out, "channels=2") {
		t.Errorf("ffprobe: %s, want %d samples", out, samples)
	}
	out = output(t, "sox", "-t", "sndfile", name, "-n", "trim", strconv.FormatInt(samples-100, 10)+"s", "stat")
	if !strings.Contains(out, "Samples read:") || strings.Contains(out, "FAIL") {
		t.Errorf("sox: %s", out)
	}
}

// output runs a program that others wrote. One that is missing fails the test in CI.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	needs.Programs(t, name)
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return string(out)
}
