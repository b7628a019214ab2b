package bench

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// senderArg makes the test binary the sender, consumersArg the consumers.
const (
	senderArg    = "bench-sender"
	consumersArg = "bench-consumers"
)

func TestMain(m *testing.M) {
	if child := map[string]func(io.Reader, io.Writer) error{senderArg: Send, consumersArg: Consume}[os.Args[len(os.Args)-1]]; child != nil {
		if err := child(os.Stdin, os.Stdout); err != nil {
			_, _ = io.WriteString(os.Stderr, err.Error()+"\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func small(t *testing.T) Config {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("Linux only")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Steps: []int{4}, For: time.Second, Warm: 100 * time.Millisecond, Floor: 200 * time.Millisecond, Dir: t.TempDir(),
		Program: program, Args: []string{senderArg}, ConsumerArgs: []string{consumersArg}, Progress: t.Output(),
	}
}

func TestEveryStepIsWholeAndBesideItsFloor(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"RTP to files":                func(c *Config) { c.Steps = []int{2, 4} },
		"SRTP, mu-law, live listener": func(c *Config) { c.SRTP, c.Live, c.Format = true, true, recorder.FormatMulaw },
		"RTP to files, live, 100 ms":  func(c *Config) { c.Live, c.Message = true, 100*time.Millisecond },
		"RTP to encrypted files":      func(c *Config) { c.Encrypt, c.Format = true, recorder.FormatMulaw },
		"SRTP to nothing":             func(c *Config) { c.SRTP, c.Sink = true, SinkNone },
		"RTP to nothing":              func(c *Config) { c.Sink = SinkNone },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := small(t)
			change(&cfg)
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range r.Steps {
				if s.LostSamples != 0 || s.WrongSamples != 0 || s.SentSamples < int64(s.Tracks)*30*packetSamples {
					t.Errorf("%d calls: %d samples lost, %d wrong of %d", s.Calls, s.LostSamples, s.WrongSamples, s.SentSamples)
				}
				if s.Packets == 0 || s.CPUMicros <= 0 || s.FloorMicros <= 0 || s.Ratio <= 0 || s.CallsPerCore <= 0 || s.WorstSweep <= 0 {
					t.Errorf("%d calls: something was not measured: %+v", s.Calls, s)
				}
			}
			if len(r.Steps) != len(cfg.Steps) || !r.Whole() {
				t.Errorf("%d steps of %d, whole %v", len(r.Steps), len(cfg.Steps), r.Whole())
			}
			if left, _ := filepath.Glob(filepath.Join(cfg.Dir, "*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
			shows(t, r)
		})
	}
}

// shows checks the forms of a result.
func shows(t *testing.T, r *Result) {
	t.Helper()
	var text, js bytes.Buffer
	if err := errors.Join(r.WriteText(&text), r.WriteJSON(&js)); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(text.String(), "\n"); !r.Delay && lines != 3+len(r.Steps) {
		t.Errorf("text: got %d lines:\n%s", lines, text.String())
	}
	var back Result
	if err := json.Unmarshal(js.Bytes(), &back); err != nil || len(back.Steps) != len(r.Steps) || back.Steps[0].Packets != r.Steps[0].Packets {
		t.Errorf("JSON: %v, got %+v", err, back)
	}
	for d := xml.NewDecoder(bytes.NewReader(r.Plot())); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("plot: %v", err)
		}
	}
}

// TestSwapAndShiftAreTold: the comparison that says "0 lost" sees what is in the wrong place.
func TestSwapAndShiftAreTold(t *testing.T) {
	audio := newPattern()
	frame := func(track int, pos int64) media.Frame {
		o := audio.at(track, pos, packetSamples)
		return media.Frame{Track: 1, Kind: media.KindReceived, Law: media.LawPCMU, Pos: 1600, Samples: packetSamples, Octets: o}
	}
	for name, c := range map[string]struct {
		frame media.Frame
		wrong int64
	}{
		"in place":        {frame(6, 1600), 0},
		"swapped":         {frame(7, 1600), packetSamples},
		"one sample off":  {frame(6, 1601), packetSamples},
		"one packet late": {frame(6, 1440), packetSamples},
	} {
		k := checker{audio: audio, first: 6}
		k.Write(&media.Batch{Frames: []media.Frame{c.frame}})
		if k.wrong != c.wrong || k.right+k.wrong != packetSamples {
			t.Errorf("%s: %d right, %d wrong, want %d wrong", name, k.right, k.wrong, c.wrong)
		}
	}
}

func TestNoTwoTracksSoundAlike(t *testing.T) {
	audio := newPattern()
	seen := map[string]int{}
	for track := range maxSenderTracks {
		o := string(audio.at(track, 0, packetSamples))
		if other, have := seen[o]; have {
			t.Fatalf("tracks %d and %d begin with the same audio", other, track)
		}
		seen[o] = track
	}
	if end := audio.at(3, 5*patternOctets, slack); !bytes.Equal(end, audio.at(3, 0, slack)) {
		t.Error("the pattern does not go round")
	}
}

func TestBadSettingsSayWhatToDo(t *testing.T) {
	for want, c := range map[string]Config{
		"bench: calls: got 0, want 1 to 8000":                                    {Program: "x", Steps: []int{0}},
		"bench: for: got 1ms, want at least 1s":                                  {Program: "x", For: time.Millisecond},
		"bench: message: got 1ms, want 20ms to 200ms":                            {Program: "x", Message: time.Millisecond},
		`bench: sink: got "tape", want file or none`:                             {Program: "x", Sink: "tape"},
		"bench: program: empty, want one that sends":                             {},
		"bench: loss: got 0.6, want 0 to 0.5":                                    {Program: "x", Loss: 0.6},
		"bench: loss: got NaN, want 0 to 0.5":                                    {Program: "x", Loss: math.NaN()},
		"bench: hostile: got 1ms, want at least 1s":                              {Program: "x", Delay: true, Hostile: time.Millisecond},
		"bench: hostile: got it without delay: want somebody whom it might hurt": {Program: "x", Hostile: time.Minute},
	} {
		_, err := Run(t.Context(), c)
		var bad *ConfigError
		if err == nil || err.Error() != want || !errors.As(err, &bad) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestSenderThatEndsIsTold(t *testing.T) {
	cfg := small(t)
	cfg.Args = []string{"-test.run=^$"} // a program that sends nothing
	if _, err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "sender: ") {
		t.Errorf("got %v, want the sender's end", err)
	}
}
