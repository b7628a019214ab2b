package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// mayMiss is the most that a kill -9 may cost.
const mayMiss = 2 * time.Second

func TestKillCostsTwoSecondsAtMostAndAllIsFinishedAfterwards(t *testing.T) {
	t.Parallel()
	n, length := 10, 5*time.Second
	if testing.Short() {
		n, length = 4, 3*time.Second
	}
	t.Run("SRTP over TLS", func(t *testing.T) {
		t.Parallel()
		killed(t, "tls", n, length)
	})
	t.Run("RTP over TCP", func(t *testing.T) {
		t.Parallel()
		killed(t, "tcp", 4, 3*time.Second)
	})
}

func killed(t *testing.T, transport string, n int, length time.Duration) {
	sim := ringCentral(t, n)
	d := write(t, string(sim.YAML(transport))).runReady(t, quick)
	calls := begin(t, sim, n, func(i int) ringsim.CallSpec { return ringsim.CallSpec{Law: law(i)} })
	said(t, calls, length)
	at := time.Now()
	d.kill()

	_, left := oracle.Folders(t, d.dir)
	if len(left) != n {
		t.Fatalf("%d unfinished folders, want %d: %v", len(left), n, left)
	}
	var worst time.Duration
	before := map[string][]ringsim.Stream{} // what the killed process heard
	for _, c := range calls {
		before[c.SessionID()] = c.Streams()
		for _, f := range left {
			if strings.Contains(f, c.SessionID()) {
				worst = max(worst, checkCutOff(t, c, filepath.Join(f, "audio.wav"), at))
			}
		}
	}
	for _, f := range left {
		opensElsewhere(t, filepath.Join(f, "audio.wav"))
	}
	t.Logf("kill -9 in the middle of %d calls: at most %v missing", n, worst.Round(time.Millisecond))

	// With other ports: plain RTP has nothing but its address, so what RingCentral still sends to a port of the killed process
	// can begin a recording on that port (docs/network.md). In the default range the ports seldom meet.
	d = d.runReady(t, quick, "--set=media.ports="+ports(t))
	for _, f := range left {
		oracle.Eventually(t, 10*time.Second, f+" finished", func() bool { return !exists(f) && exists(strings.TrimSuffix(f, ".partial")) })
	}
	again := map[string][]ringsim.Stream{}
	for _, c := range calls {
		oracle.Eventually(t, 15*time.Second, "call "+c.SessionID()+" heard again", func() bool {
			again[c.SessionID()] = c.Streams()[len(before[c.SessionID()]):]
			return len(again[c.SessionID()]) == 2
		})
	}
	for _, streams := range again {
		for _, s := range streams {
			heard(t, s, 1500*time.Millisecond)
		}
	}
	hangUp(t, calls)
	d.sealed(t, 2*n, 3*time.Second)
	d.terminate(t)

	parts := map[string][]oracle.Recording{}
	for _, r := range oracle.All(t, d.dir) {
		parts[r.Call.ID] = append(parts[r.Call.ID], r)
	}
	for _, c := range calls {
		checkParts(t, c.SessionID(), parts[c.SessionID()], before[c.SessionID()], again[c.SessionID()], at)
	}
}

// checkCutOff reads a file that a kill left: what had been sent 2 s before must be there, whatever is there must be right.
func checkCutOff(t *testing.T, c *ringsim.Call, path string, at time.Time) (worst time.Duration) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pcm, _, err := oracle.ParseWAV(b)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if len(pcm) != 2 {
		t.Fatalf("%s: %d channels, want two", path, len(pcm))
	}
	for _, s := range c.Streams() {
		channel := pcm[0]
		if s.Role == ringsim.RoleAgent {
			channel = pcm[1]
		}
		where := "cut off: call " + c.SessionID() + " " + string(s.Role)
		if from, ok := oracle.FindStream(t, where, channel, s); ok {
			short := oracle.CompareAt(t, where, channel, from, s, at.Add(-mayMiss), at)
			if short > mayMiss {
				t.Errorf("%s: misses its last %v, want %v at most", where, short, mayMiss)
			}
			worst = max(worst, short)
		}
	}
	return worst
}

// checkParts looks at what a call has in the end: the part that was cut off and repaired, and the one that came after.
func checkParts(t *testing.T, id string, parts []oracle.Recording, before, again []ringsim.Stream, at time.Time) {
	t.Helper()
	if len(parts) != 2 {
		t.Errorf("call %s: %d parts, want 2", id, len(parts))
		return
	}
	if parts[0].Part > parts[1].Part { // begun within the same second
		parts[0], parts[1] = parts[1], parts[0]
	}
	one, two := parts[0], parts[1]
	if one.Part != 1 || one.State != "partial" || one.Cause != "crash" {
		t.Errorf("call %s: part %d, state %s, cause %s, want 1, partial, crash", id, one.Part, one.State, one.Cause)
	}
	if two.Part != 2 || two.State != "recorded" {
		t.Errorf("call %s: part %d, state %s, cause %s, want 2, recorded", id, two.Part, two.State, two.Cause)
	}
	oracle.Compare(t, "call "+id+" part 1", before, one, oracle.Limits{Until: at.Add(-mayMiss), ApartSamples: apartSamples})
	oracle.Compare(t, "call "+id+" part 2", again, two, oracle.Limits{ApartSamples: apartSamples})
}

// opensElsewhere opens a file in sox and ffmpeg, without a word of complaint.
func opensElsewhere(t *testing.T, path string) {
	t.Helper()
	for _, args := range [][]string{
		{"sox", path, "-n", "stat", "-v"},
		{"ffmpeg", "-v", "error", "-nostdin", "-i", path, "-f", "null", "-"},
	} {
		program, err := exec.LookPath(args[0])
		switch {
		case err != nil && ci():
			t.Fatalf("CI=true, and %s is missing", args[0])
		case err != nil:
			t.Logf("%s is not installed: not opened with it", args[0])
			continue
		}
		out, err := exec.CommandContext(t.Context(), program, args[1:]...).CombinedOutput()
		text := strings.TrimSpace(string(out))
		if args[0] == "sox" && strings.Trim(text, "0123456789.") == "" {
			text = "" // the volume, which was asked for
		}
		if err != nil || text != "" {
			t.Errorf("%s %s: %v: %s", args[0], path, err, text)
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
