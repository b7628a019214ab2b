package peertest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/zaf/g711"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// formatSamples is how long the recordings of this test are: an odd number, so that files need a pad octet.
const formatSamples = 8001

// said is the octet that a track has at pos: all of them come, and no two places sound alike for long.
func said(id, pos int) byte { return byte(pos + pos/256*37 + id*91) }

// shelved records a call with those laws, one track each, and says what each channel must sound like.
func shelved(t *testing.T, dir, format string, laws ...media.Law) (folder string, want [][]int16) {
	t.Helper()
	s, err := recorder.New(recorder.Config{Dir: dir, Format: format, Sync: 100 * time.Millisecond, VCon: true, Software: "earshot test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	info := call.Info{ID: fmt.Sprintf("%s-%v", format, laws), Started: time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)}
	b := &media.Batch{}
	roles := []call.Role{call.RoleCustomer, call.RoleAgent}
	for i, law := range laws {
		party := call.Party{ID: fmt.Sprintf("p-%d", i), Role: roles[i]}
		info.Expected = append(info.Expected, party)
		octets := make([]byte, formatSamples)
		channel := make([]int16, formatSamples)
		for pos := range octets {
			octets[pos] = said(i, pos)
			channel[pos] = linear(law, octets[pos])
		}
		want = append(want, channel)
		b.Frames = append(b.Frames, media.Frame{Track: media.TrackID(i + 1), Kind: media.KindReceived, Law: law, Samples: formatSamples, Octets: octets})
		b.Tracks = append(b.Tracks, media.TrackState{ID: media.TrackID(i + 1), Leg: "leg", Line: i, Law: law, Placed: true, OffsetMethod: media.OffsetArrival, Length: formatSamples, Party: party})
	}
	r, err := s.Open(info, recorder.Anchor{Wall: info.Started})
	if err != nil {
		t.Fatal(err)
	}
	r.Write(b)
	r.End(call.Cause{Code: call.CodeHangup})
	<-r.Sealed()
	stop()
	if err := <-ran; err != nil || r.Result().Err != nil {
		t.Fatal(err, r.Result().Err)
	}
	return r.Result().Dir, want
}

func linear(law media.Law, octet byte) int16 {
	if law == media.LawPCMA {
		return g711.DecodeAlawFrame(octet)
	}
	return g711.DecodeUlawFrame(octet)
}

// The readers: each gives a file's samples, interleaved, as its own idea of the format has them.
var readers = map[string]func(file string) *exec.Cmd{
	"sox": func(file string) *exec.Cmd {
		return exec.Command("sox", "-V1", "-D", file, "-t", "raw", "-e", "signed", "-b", "16", "-L", "-")
	},
	"ffmpeg": func(file string) *exec.Cmd {
		return exec.Command("ffmpeg", "-nostdin", "-v", "error", "-i", file, "-f", "s16le", "-c:a", "pcm_s16le", "-")
	},
	"python3": func(file string) *exec.Cmd {
		return exec.Command("python3", "-c", `import sys, wave
w = wave.open(sys.argv[1])
assert w.getframerate() == 8000 and w.getsampwidth() == 2, (w.getframerate(), w.getsampwidth())
sys.stdout.buffer.write(w.readframes(w.getnframes() + 1))`, file)
	},
}

// read has a reader read a file.
func read(t *testing.T, reader, file string, channels int) [][]int16 {
	t.Helper()
	cmd := readers[reader](file)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	raw, err := cmd.Output()
	if err != nil || errs.Len() > 0 {
		t.Errorf("%s: %s: %v %s", reader, filepath.Base(file), err, &errs)
		return nil
	}
	out := make([][]int16, channels)
	for i := 0; i+1 < len(raw); i += 2 {
		ch := i / 2 % channels
		out[ch] = append(out[ch], int16(binary.LittleEndian.Uint16(raw[i:])))
	}
	return out
}

func sameSound(t *testing.T, what string, got, want [][]int16) {
	t.Helper()
	if len(got) != len(want) {
		return // read has told
	}
	for ch := range want {
		if len(got[ch]) != len(want[ch]) {
			t.Errorf("%s: channel %d has %d samples, want %d", what, ch, len(got[ch]), len(want[ch]))
			continue
		}
		for i := range want[ch] {
			if got[ch][i] != want[ch][i] {
				t.Errorf("%s: channel %d: sample %d is %d, want %d", what, ch, i, got[ch][i], want[ch][i])
				break
			}
		}
	}
}

// exported runs the binary.
func exported(t *testing.T, folder, name string, flags ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	args := append([]string{"recordings", "export", "--out", file}, flags...)
	if out, err := exec.Command(filepath.Join(os.Getenv(envInside), "earshot"), append(args, folder)...).CombinedOutput(); err != nil {
		t.Fatalf("export %q: %v: %s", flags, err, out)
	}
	return file
}

// Every file that we write is opened by programs of others, and sounds as it was sent, sample by sample.
func TestEveryFileOpensElsewhere(t *testing.T) {
	need(t, "sox", "ffmpeg", "python3")
	for _, c := range []struct {
		format string
		laws   []media.Law
		own    []int // tracks with a file of their own
	}{
		{"wav", []media.Law{media.LawPCMU}, nil},
		{"wav", []media.Law{media.LawPCMU, media.LawPCMA}, nil},
		{"mulaw", []media.Law{media.LawPCMU}, nil},
		{"mulaw", []media.Law{media.LawPCMU, media.LawPCMU}, nil},
		{"mulaw", []media.Law{media.LawPCMA}, nil},
		{"mulaw", []media.Law{media.LawPCMA, media.LawPCMA}, nil},
		{"mulaw", []media.Law{media.LawPCMU, media.LawPCMA}, []int{1}},
	} {
		t.Run(fmt.Sprintf("%s %v", c.format, c.laws), func(t *testing.T) {
			folder, want := shelved(t, t.TempDir(), c.format, c.laws...)
			inAudio := want
			for _, i := range c.own { // audio.wav has it transcoded: through the other law
				own := filepath.Join(folder, fmt.Sprintf("audio-%d.wav", i+1))
				for _, reader := range []string{"sox", "ffmpeg"} {
					sameSound(t, reader+" "+filepath.Base(own), read(t, reader, own, 1), want[i:i+1])
				}
				through := make([]int16, formatSamples)
				for pos := range through {
					through[pos] = g711.DecodeUlawFrame(g711.Alaw2UlawFrame(said(i, pos)))
				}
				inAudio = [][]int16{want[0], through}
			}
			stored := filepath.Join(folder, "audio.wav")
			names := []string{"sox", "ffmpeg"}
			if c.format == "wav" {
				names = append(names, "python3")
			} else if out, err := readers["python3"](stored).CombinedOutput(); err == nil || !strings.Contains(string(out), "unknown format") {
				t.Errorf("python3 opens G.711: docs/recordings.md says that it does not: %v %s", err, out)
			}
			for _, reader := range names {
				sameSound(t, reader+" audio.wav", read(t, reader, stored, len(inAudio)), inAudio)
			}
			for _, tags := range []string{"none", "call", "people"} {
				file := exported(t, folder, "call.wav", "--tags", tags)
				for reader := range readers {
					sameSound(t, reader+" export --tags "+tags, read(t, reader, file, len(inAudio)), inAudio)
				}
			}
			for ch, role := range []string{"customer", "agent"}[:len(inAudio)] {
				file := exported(t, folder, "one.wav", "--track", role, "--from", "0.25", "--to", "0.5")
				for reader := range readers {
					sameSound(t, reader+" export --track "+role, read(t, reader, file, 1), [][]int16{inAudio[ch][2000:4000]})
				}
			}
			file := exported(t, folder, "call.flac")
			for _, reader := range []string{"sox", "ffmpeg"} {
				sameSound(t, reader+" FLAC", read(t, reader, file, len(inAudio)), inAudio)
			}
			opus := exported(t, folder, "call.opus")
			out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "stream=codec_name,channels", "-of", "csv=p=0", opus).CombinedOutput()
			if got, wish := strings.TrimSpace(string(out)), fmt.Sprintf("opus,%d", len(inAudio)); err != nil || got != wish {
				t.Errorf("ffprobe: got %q, %v, want %q", got, err, wish)
			}
		})
	}
}

// ffprobe and sox read the tags.
func TestTagsAreReadElsewhere(t *testing.T) {
	need(t, "ffmpeg", "ffprobe", "sox")
	folder, _ := shelved(t, t.TempDir(), "wav", media.LawPCMU, media.LawPCMU)
	for name, want := range map[string][]string{
		"call.wav":  {"TAG:title=call wav-[PCMU PCMU], part 1", "TAG:comment=left: customer, right: agent", "TAG:encoded_by=earshot test", "TAG:time_reference=295200000", "TAG:date=2026-11-23"},
		"call.flac": {"TAG:title=call wav-[PCMU PCMU], part 1", "left: customer, right: agent"},
	} {
		out, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "format_tags", "-of", "default=nw=1", exported(t, folder, name)).CombinedOutput()
		for _, w := range want {
			if err != nil || !strings.Contains(strings.ToLower(string(out)), strings.ToLower(w)) {
				t.Errorf("%s: ffprobe says %s (%v), want %q", name, out, err, w)
			}
		}
	}
}
