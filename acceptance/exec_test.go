package acceptance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// keep is a program that writes its environment and its standard input into a folder.
const keep = `n="$0/$CALL_ID.$CALL_TRACK"; env >"$n.env"; cat >"$n.pcm"; : >"$n.end"`

func TestProgramsGetEveryTrackAndCall(t *testing.T) {
	t.Parallel()
	n := 3
	sim := ringCentral(t, n)
	byTrack, byCall := folder(t), folder(t)
	yaml := string(sim.YAML("tls")) + fmt.Sprintf(`stream:
  - {type: exec, command: [sh, -c, %q, %q], env: [WANTED=yes]}
  - {type: exec, per: call, command: [sh, -c, %q, %q]}
`, keep, byTrack, keep, byCall)
	d := write(t, yaml).runReady(t, quick)
	forms := []ringsim.Form{ringsim.FormTwoDialogs, ringsim.FormTwoLines, ringsim.FormMixed}
	calls := begin(t, sim, n, func(i int) ringsim.CallSpec {
		return ringsim.CallSpec{Law: law(i), Form: forms[i], ThirdParty: forms[i] == ringsim.FormMixed}
	})
	said(t, calls, 2*time.Second)
	hangUp(t, calls)
	d.sealed(t, n, 3*time.Second)
	oracle.Eventually(t, 5*time.Second, "programs ended", func() bool {
		return len(glob(t, byTrack, "*.end")) == 5 && len(glob(t, byCall, "*.end")) == n
	})
	d.terminate(t)
	compareAll(t, d, calls)
	rec := oracle.ByCall(t, d.dir)
	for _, c := range calls {
		r := rec[c.SessionID()]
		for _, s := range c.Streams() {
			i := slices.IndexFunc(r.Tracks, func(k oracle.Track) bool { return k.Epochs[0].SSRC == s.Sent()[0].SSRC })
			checkTrackProgram(t, byTrack, r, r.Tracks[i], s)
		}
		checkCallProgram(t, byCall, r, c.Streams())
	}
}

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	f, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// checkTrackProgram: the samples are the track's from its Pos 0, with nothing added or lost.
func checkTrackProgram(t *testing.T, dir string, r oracle.Recording, k oracle.Track, s ringsim.Stream) {
	t.Helper()
	name := filepath.Join(dir, fmt.Sprintf("%s.%d", r.Call.ID, k.ID))
	env := environ(t, name+".env")
	wantEnv(t, name, env, map[string]string{
		"CALL_ID": r.Call.ID, "CALL_TRACK": fmt.Sprint(k.ID), "CALL_PARTY": k.PartyID, "CALL_ROLE": k.Role, "CALL_RATE": "8000", "CALL_CHANNELS": "1", "CALL_PART": "1", "CALL_FROM_SAMPLES": "0",
		"WANTED": "yes",
	})
	var facts struct {
		Call  struct{ ID, Agent string }
		Track struct {
			ID    uint32
			Codec string
			SRTP  bool
		}
	}
	if err := json.Unmarshal([]byte(env["CALL_FACTS"]), &facts); err != nil {
		t.Fatalf("CALL_FACTS: %v: %s", err, env["CALL_FACTS"])
	}
	if facts.Call.ID != r.Call.ID || facts.Call.Agent == "" || facts.Track.ID != k.ID || facts.Track.Codec != s.Law().String() || !facts.Track.SRTP {
		t.Errorf("CALL_FACTS: %s, want those of track %d, %s with SRTP", env["CALL_FACTS"], k.ID, s.Law())
	}
	pcm := oracle.S16LE([]byte(readFile(t, name+".pcm")))
	sent := s.Sent()
	where := "program of " + filepath.Base(name)
	short := oracle.CompareAt(t, where, pcm, sent[0].Pos, s, time.Now(), time.Now())
	if want := int(sent[len(sent)-1].Pos-sent[0].Pos) + sent[len(sent)-1].Octets; short > 0 || len(pcm) != want {
		t.Errorf("%s: %d samples, want %d; lacks %v", where, len(pcm), want, short)
	}
}

// checkCallProgram: a call's program gets what the recording holds, and in its first second nothing else either.
func checkCallProgram(t *testing.T, dir string, r oracle.Recording, streams []ringsim.Stream) {
	t.Helper()
	name := filepath.Join(dir, r.Call.ID+".")
	role := "mix"
	if len(r.Channels) == 2 {
		role = "customer,agent"
	}
	wantEnv(t, name, environ(t, name+".env"), map[string]string{
		"CALL_ID": r.Call.ID, "CALL_TRACK": "", "CALL_PARTY": "", "CALL_ROLE": role, "CALL_RATE": "8000", "CALL_CHANNELS": fmt.Sprint(len(r.Channels)), "CALL_PART": "1", "CALL_FROM_SAMPLES": "0",
	})
	got := oracle.S16LE([]byte(readFile(t, name+".pcm")))
	var want []int16
	for i := range r.PCM[0] {
		for c := range r.PCM {
			want = append(want, r.PCM[c][i])
		}
	}
	// In the first second a track may lie where its first packet's arrival put it; then it is in its place.
	settled := 8000 * len(r.Channels)
	if len(got) != len(want) || len(got) < settled || !slices.Equal(got[settled:], want[settled:]) {
		t.Errorf("program of call %s: %d samples, the recording has %d; want the same from %d on", r.Call.ID, len(got), len(want), settled)
	}
	for c := range r.PCM {
		var channel []int16
		for i := c; i < len(got); i += len(r.PCM) {
			channel = append(channel, got[i])
		}
		i := slices.IndexFunc(streams, func(s ringsim.Stream) bool { return len(r.PCM) == 1 || string(s.Role) == r.Channels[c] })
		heardLive(t, fmt.Sprintf("program of call %s, %s", r.Call.ID, r.Channels[c]), channel, streams[i], 2)
	}
}

func environ(t *testing.T, path string) map[string]string {
	t.Helper()
	env := map[string]string{}
	for line := range strings.Lines(readFile(t, path)) {
		k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		env[k] = v
	}
	return env
}

// wantEnv wants these variables, and no other but those that every program gets.
func wantEnv(t *testing.T, where string, env, want map[string]string) {
	t.Helper()
	for k, v := range want {
		if env[k] != v {
			t.Errorf("%s: %s=%q, want %q", where, k, env[k], v)
		}
	}
	known := []string{"PATH", "HOME", "LANG", "CALL_FACTS", "PWD", "OLDPWD", "SHLVL", "_"} // the last four are the shell's own
	for k, v := range env {
		if _, ok := want[k]; !ok && !slices.Contains(known, k) {
			t.Errorf("%s: %s=%q: not asked for", where, k, v)
		}
	}
}

func TestAProgramThatHangsOrDiesCostsTheRecordingNothing(t *testing.T) {
	t.Parallel()
	n := 3
	sim := ringCentral(t, n)
	counted := filepath.Join(folder(t), "starts")
	yaml := string(sim.YAML("tls")) + fmt.Sprintf(`stream:
  - {name: hangs, command: [sleep, "1000"], buffer: 200ms}
  - {name: dies, command: [sh, -c, 'echo x >>"$0"; head -c 4000 >/dev/null; exit 3', %q], max_restarts: 1}
  - {name: deaf, per: call, command: [sh, -c, 'exec <&-; trap "" TERM; sleep 1000']}
  - {name: talks, command: [sh, -c, 'head -c 3000000 /dev/zero; echo oops >&2; cat >/dev/null']}
`, counted)
	d := write(t, yaml).runReady(t, quick)
	calls := begin(t, sim, n, func(i int) ringsim.CallSpec { return ringsim.CallSpec{Law: law(i)} })
	said(t, calls, 3*time.Second)
	hangUp(t, calls)
	d.sealed(t, n, 3*time.Second)
	took := d.terminate(t)
	compareAll(t, d, calls)
	b, err := os.ReadFile(counted)
	if err != nil {
		t.Fatal(err)
	}
	if starts := strings.Count(string(b), "x"); starts < 2*n || starts > 4*n {
		t.Errorf("a program that dies was started %d times for %d tracks, want once more each at most", starts, 2*n)
	}
	if warned := d.log.lines("level=WARN"); len(warned) == 0 || len(warned) > 12 {
		t.Errorf("%d warnings, want 1 to 12:\n%s", len(warned), strings.Join(warned, "\n"))
	}
	t.Logf("SIGTERM took %v", took.Round(time.Millisecond))
}
