package peertest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The examples' own tests: what needs no engine, which is fetched by `make demo-transcribe` only.
func TestExamplesInNode(t *testing.T) {
	need(t, "node")
	t.Parallel()
	tests, err := filepath.Glob("../examples/*/*.test.mjs")
	if err != nil || len(tests) < 3 {
		t.Fatalf("%d tests of examples, %v", len(tests), err)
	}
	p := start(t, ".", []string{"PATH=" + os.Getenv("PATH")}, "node", append([]string{"--test"}, tests...)...)
	if code := p.wait(t, 5*time.Minute); code != 0 {
		t.Errorf("exit code %d\n%s", code, tail(p.log.String(), 6000))
	}
}

// sentence is a line of transcript.jsonl.
type sentence struct {
	Role, Text string
	Start, End float64
	Final      bool
}

// TestWhatIsSaidReachesTheAssistPage: a call's audio goes to the transcriber, with an engine that always understands the same, and its words
// over the console's feed to the page of examples/assist, while the call goes on.
func TestWhatIsSaidReachesTheAssistPage(t *testing.T) {
	need(t, "node")
	t.Parallel()
	_, sim := startSim(t, "--every", "1h", "--for", "10m")
	examples, err := filepath.Abs("../examples")
	if err != nil {
		t.Fatal(err)
	}
	const token = "a-token-of-the-assist-page-that-is-long"
	dir := t.TempDir()
	e := earshot{dir: filepath.Join(dir, "recordings"), console: fmt.Sprintf("127.0.0.1:%d", nextPort()+99)}
	engine := "data:text/javascript," + url.PathEscape("export const open = () => () => 'I want to cancel.';")
	config := fmt.Sprintf("%s\nrecord: {dir: %q}\nconsole: {listen: %q, auth: {token: %s}}\nstream: [{command: [node, %q], env: [%q], rate: 16000, answers: json}]\n",
		sim.out.String(), e.dir, e.console, token, filepath.Join(examples, "transcribe", "transcribe.mjs"), "ENGINE="+engine)
	file := filepath.Join(dir, "earshot.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	server := start(t, examples, append(env, "TOKEN="+token), "node", "assist/serve.mjs", "http://"+e.console, "0")
	eventually(t, time.Minute, "the page is served", func() bool { return strings.Contains(server.out.String(), "\n") })
	page := start(t, examples, env, "node", "assist/page.mjs", strings.TrimSpace(server.out.String()))
	e.process = start(t, dir, env, earshotBinary(), "run", "-c", file)

	shown := func() (p struct{ Calls, Suggestions []string }) {
		lines := strings.Split(strings.TrimSpace(page.out.String()), "\n")
		_ = json.Unmarshal([]byte(lines[len(lines)-1]), &p) // the last may be half a line
		return p
	}
	both := regexp.MustCompile(`(?s)\d:\d\d\.\d agent I want to cancel\..*\d:\d\d\.\d customer I want to cancel\.|\d:\d\d\.\d customer I want to cancel\..*\d:\d\d\.\d agent I want to cancel\.`)
	eventually(t, 3*time.Minute, "both parties' words are on the page, and a suggestion", func() bool {
		p := shown()
		return both.MatchString(strings.Join(p.Calls, "\n")) && len(p.Suggestions) > 0
	})
	if len(e.folders(t, "")) > 0 {
		t.Errorf("the call was over before its words were shown")
	}
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	e.wait(t, time.Minute)
	kept, err := filepath.Glob(filepath.Join(e.dir, "*/*/*/*/transcript.jsonl"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("transcripts %v, %v; want one", kept, err)
	}
	b, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	roles := map[string]int{}
	for line := range strings.Lines(string(b)) {
		var s sentence
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if s.Text != "I want to cancel." || s.Start < 0 || s.End <= s.Start || s.End > 60 {
			t.Errorf("%s: want the sentence with its time in the call", line)
		}
		roles[s.Role]++
	}
	if roles["agent"] == 0 || roles["customer"] == 0 {
		t.Errorf("sentences of %v, want both parties", roles)
	}
}
