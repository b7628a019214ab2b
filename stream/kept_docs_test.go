package stream_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/earshot/earshot/internal/needs"
)

// TestTheKeeperOfTheManualPutsAudioAtItsPlace runs the program of docs/streaming.md that keeps what it catches up with, for a stereo call and for a mixed one: with per: call
// a stream may be either.
func TestTheKeeperOfTheManualPutsAudioAtItsPlace(t *testing.T) {
	needs.Programs(t, "dd")
	page, err := os.ReadFile("../docs/streaming.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`\[sh, -c, '(exec dd [^']*)'\]`).FindSubmatch(page)
	if m == nil {
		t.Fatal("docs/streaming.md has no program that keeps")
	}
	dir := t.TempDir()
	program := strings.ReplaceAll(string(m[1]), "/var/asr", dir)
	for channels := 1; channels <= 2; channels++ {
		id := fmt.Sprintf("s-%d", channels)
		for _, c := range []struct {
			from  int
			audio string
		}{{0, strings.Repeat("a", 200*channels)}, {80, strings.Repeat("b", 200*channels)}} {
			cmd := exec.CommandContext(t.Context(), "sh", "-c", program)
			cmd.Env = append(os.Environ(), "CALL_ID="+id, fmt.Sprint("CALL_CHANNELS=", channels), fmt.Sprint("CALL_FROM_SAMPLES=", c.from))
			cmd.Stdin = strings.NewReader(c.audio)
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Fatalf("%v: %s", err, out)
			}
		}
		want := strings.Repeat("a", 160*channels) + strings.Repeat("b", 200*channels)
		if got, err := os.ReadFile(filepath.Join(dir, id+".raw")); err != nil || string(got) != want {
			t.Errorf("%d channels: got %d octets of a, %d in all, %v; want %d of %d", channels, strings.Count(string(got), "a"), len(got), err, 160*channels, len(want))
		}
	}
}
