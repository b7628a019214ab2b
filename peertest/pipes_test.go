package peertest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zaf/g711"
)

// pipe is a program of others that takes a call's stereo stream in its own way and writes it down as s16le.
type pipe struct {
	consumer string   // its section in earshot.yaml, but for what all have; DIR, PORT
	command  []string // what takes it; empty: earshot starts it
	every    int      // one in so many of its samples is the call's, the others lie between; 0: all are
	form     func(int16) int16
}

// Samples as they are after their way through G.711, which the call's own law may not be.
func inMulaw(v int16) int16 { return g711.DecodeUlawFrame(g711.EncodeUlawFrame(v)) }
func inAlaw(v int16) int16  { return g711.DecodeAlawFrame(g711.EncodeAlawFrame(v)) }

var pipes = map[string]pipe{
	"ffmpeg-tcp": {
		consumer: `type: tcp, address: "127.0.0.1:PORT", format: mulaw`,
		command:  []string{"ffmpeg", "-v", "error", "-y", "-f", "mulaw", "-ar", "8000", "-ac", "2", "-i", "tcp://127.0.0.1:PORT?listen", "-f", "s16le", "-ac", "2", "DIR/ffmpeg-tcp"},
		form:     inMulaw,
	},
	"ffmpeg-unix": {
		consumer: `type: unix, address: "DIR/asr.sock", format: alaw`,
		command:  []string{"ffmpeg", "-v", "error", "-y", "-f", "alaw", "-ar", "8000", "-ac", "2", "-listen", "1", "-i", "unix:DIR/asr.sock", "-f", "s16le", "-ac", "2", "DIR/ffmpeg-unix"},
		form:     inAlaw,
	},
	"sox-fifo": {
		consumer: `type: fifo, address: "DIR/asr.f32", format: f32le`,
		command:  []string{"sox", "-D", "-t", "raw", "-r", "8000", "-e", "floating-point", "-b", "32", "-c", "2", "DIR/asr.f32", "-t", "raw", "-e", "signed", "-b", "16", "DIR/sox-fifo"},
	},
	"ffmpeg-exec": {
		consumer: `command: [ffmpeg, -v, error, -y, -f, s16le, -ar, "24000", -ac, "2", -i, "pipe:0", -f, s16le, "DIR/ffmpeg-exec"], rate: 24000`, every: 3,
	},
	"sox-exec": {
		consumer: `command: [sox, -D, -t, raw, -r, "16000", -e, signed, -b, "16", -c, "2", "-", -t, raw, "DIR/sox-exec"], rate: 16000`, every: 2,
	},
}

// ffmpeg and sox take a call over each way that needs no protocol, in each format: what they read is the recording, to the sample.
func TestFFmpegAndSoxTakeACallOverEachWay(t *testing.T) {
	need(t, "ffmpeg", "sox")
	t.Parallel()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := errors.Join(l.Close(), syscall.Mkfifo(filepath.Join(dir, "asr.f32"), 0o600)); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("DIR", dir, "PORT", port).Replace
	config := ""
	running := map[string]*process{}
	for name, p := range pipes {
		config += "  - {" + fill(p.consumer) + ", per: call, buffer: 60s, restart: never}\n"
		if len(p.command) > 0 {
			args := make([]string, len(p.command))
			for i, a := range p.command {
				args[i] = fill(a)
			}
			running[name] = start(t, dir, []string{"PATH=" + os.Getenv("PATH")}, args[0], args[1:]...)
		}
	}
	_, sim := startSim(t, "--every", "1h", "--for", "25s") // one call
	file := filepath.Join(dir, "earshot.yaml")
	text := fmt.Sprintf("%s\nrecord: {dir: %q}\nconsole: {listen: off}\nstream:\n%s", sim.out.String(), filepath.Join(dir, "recordings"), config)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	e := earshot{dir: filepath.Join(dir, "recordings")}
	e.process = start(t, dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, earshotBinary(), "run", "-c", file)
	for name, p := range running {
		if code := p.wait(t, 2*time.Minute); code != 0 {
			t.Errorf("%s: exit code %d", name, code)
		}
	}
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	e.wait(t, 30*time.Second)
	folders := e.folders(t, "")
	if len(folders) != 1 {
		t.Fatalf("%d recordings, want one", len(folders))
	}
	audio, missing := readCall(t, folders[0])
	for name, p := range pipes {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sameCall(t, name, p, b, audio, missing)
	}
}

// readCall reads a stereo recording, and which of its samples are not to be compared.
func readCall(t *testing.T, folder string) (audio [][]int16, missing [2][]bool) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, "recording.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if audio, err = readWAV(filepath.Join(folder, "audio.wav")); err != nil || len(audio) != 2 {
		t.Fatalf("%s: %v, %d channels", folder, err, len(audio))
	}
	for c := range missing {
		missing[c] = slices.Repeat([]bool{true}, len(audio[c]))
	}
	for _, k := range m.Tracks {
		if k.Channel < 0 || k.Samples == 0 {
			continue
		}
		there := missing[k.Channel][k.OffsetSamples:]
		clear(there[:k.Samples])
		for _, s := range k.Spans {
			for i := s.Pos; i < s.Pos+s.Samples; i++ {
				there[i] = true
			}
		}
	}
	tooLate(t, folder, &missing)
	return audio, missing
}

// tooLate marks what a consumer was told that it did not get as the recording has it.
func tooLate(t *testing.T, folder string, missing *[2][]bool) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var e struct {
			Type   string     `json:"type"`
			Reason string     `json:"reason"`
			From   int64      `json:"from_samples"`
			N      int64      `json:"samples"`
			Runs   [][2]int64 `json:"runs"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Type != "stream_dropped" || e.Reason != "it came too late" {
			continue
		}
		if len(e.Runs) == 0 {
			e.Runs = [][2]int64{{e.From, e.N}}
		}
		t.Logf("too late: %v", e.Runs)
		for _, r := range e.Runs {
			for c := range missing {
				for i := r[0]; i < min(r[0]+r[1], int64(len(missing[c]))); i++ {
					missing[c][i] = true
				}
			}
		}
	}
}

// sameCall compares what a program took with the recording.
func sameCall(t *testing.T, name string, p pipe, took []byte, audio [][]int16, missing [2][]bool) {
	t.Helper()
	every := max(1, p.every)
	if n := len(took) / 4 / every; n != len(audio[0]) {
		t.Errorf("%s: %d samples, want the call's %d", name, n, len(audio[0]))
		return
	}
	compared := 0
	for i := range audio[0] {
		for c := range audio {
			want := audio[c][i]
			if p.form != nil {
				want = p.form(want)
			}
			if missing[c][i] {
				continue
			}
			compared++
			if got := int16(binary.LittleEndian.Uint16(took[4*i*every+2*c:])); got != want {
				t.Fatalf("%s: channel %d, sample %d: got %d, want %d", name, c, i, got, want)
			}
		}
	}
	if compared < 8000 {
		t.Errorf("%s: %d samples compared", name, compared)
	}
}
