package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
)

// process is one run of the binary.
type process struct {
	cmd      *exec.Cmd
	out, log buffer // standard output and error
	ended    chan struct{}
}

// buffer takes a process's output.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.b.Bytes())
}

func (b *buffer) String() string { return string(b.Bytes()) }

// lines are those written so far that contain all of the words.
func (b *buffer) lines(words ...string) (out []string) {
next:
	for line := range strings.Lines(b.String()) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		out = append(out, strings.TrimSuffix(line, "\n"))
	}
	return out
}

// start runs the binary in dir, with nothing of the machine's environment: a RINGCENTRAL_JWT there would make this another
// test. What is left of it at the test's end is killed.
func start(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	return startWith(t, dir, nil, args...)
}

// startWith is start with more in the environment.
func startWith(t *testing.T, dir string, env []string, args ...string) *process {
	t.Helper()
	p := &process{ended: make(chan struct{})}
	p.cmd = exec.CommandContext(t.Context(), earshot, args...)
	p.cmd.Dir = dir
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	p.cmd.WaitDelay = 5 * time.Second // a grandchild may hold the pipe
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		_ = p.cmd.Wait() // its state says all
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		log := p.log.String()
		if strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
			t.Errorf("earshot panicked:\n%s", log)
		}
		if t.Failed() {
			t.Logf("earshot %s:\n%s", strings.Join(args, " "), tail(log, 40))
		}
	})
	return p
}

func tail(s string, lines int) string {
	all := strings.SplitAfter(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// wait gives the exit code.
func (p *process) wait(t *testing.T, limit time.Duration) int {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		t.Fatalf("earshot %v: still there after %v", p.cmd.Args[1:], limit)
	}
	return p.cmd.ProcessState.ExitCode()
}

// terminate asks the process to end, as systemd does, and checks that it does within 10 s with exit code 0.
func (p *process) terminate(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t, 10*time.Second); code != 0 {
		t.Errorf("exit code after SIGTERM: %d, want 0", code)
	}
	return time.Since(begun)
}

// finish runs the binary to its end.
func finish(t *testing.T, dir string, limit time.Duration, args ...string) (code int, out, errs string) {
	t.Helper()
	p := start(t, dir, args...)
	code = p.wait(t, limit)
	return code, p.out.String(), p.log.String()
}

// daemon is `earshot run`.
type daemon struct {
	*process
	home   string // its folder: the configuration lies there
	dir    string // of the recordings
	config string // path of the configuration
}

// portsEach is how many media ports a daemon has.
const portsEach = 250

var daemons atomic.Int64 //nolint:gochecknoglobals // gives each daemon ports of its own

// ports is a range for one daemon, below those that the kernel gives out: on one loopback address, what still comes to
// another daemon's ports looks like the truth.
func ports(t *testing.T) string {
	t.Helper()
	lo := 14000 + portsEach*(daemons.Add(1)-1)
	if lo+portsEach > 32000 {
		t.Fatal("no ports left")
	}
	return fmt.Sprintf("%d-%d", lo, lo+portsEach-1)
}

// write puts a configuration into a new folder; what it lacks for a test on one machine is added.
func write(t *testing.T, yaml string) daemon {
	t.Helper()
	d := daemon{home: folder(t)}
	d.dir, d.config = filepath.Join(d.home, "rec"), filepath.Join(d.home, "earshot.yaml")
	add := func(section, text string) {
		if !regexp.MustCompile(`(?m)^` + section + `:`).MatchString(yaml) {
			yaml += section + ": " + text + "\n"
		}
	}
	add("record", "{dir: \""+d.dir+"\"}")
	add("media", "{listen_ip: 127.0.0.1, ports: "+ports(t)+"}")
	add("console", "{listen: \"127.0.0.1:0\"}")
	if err := os.WriteFile(d.config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// run starts the daemon with the configuration that write made.
func (d daemon) run(t *testing.T, flags ...string) daemon {
	// The ground of recording is stated: else each start warns that it is not.
	t.Helper()
	d.process = start(t, d.home, append([]string{"-c", d.config, "run", "--set=record.consent.mode=assumed", "--set=record.consent.basis=a test"}, flags...)...)
	return d
}

// runReady is run, until the daemon is registered and logged in.
func (d daemon) runReady(t *testing.T, flags ...string) daemon {
	t.Helper()
	d = d.run(t, flags...)
	d.awaitReady(t)
	return d
}

func (d daemon) awaitReady(t *testing.T) {
	t.Helper()
	oracle.Eventually(t, 15*time.Second, "ready", func() bool {
		if !d.alive() {
			t.Fatalf("earshot ended: %s", d.log.String())
		}
		code, _ := d.get("/readyz")
		return code == http.StatusOK && len(d.log.lines("msg=registered")) > 0
	})
}

var consoleAt = regexp.MustCompile(`msg="earshot started".* console=(\S+)`)

// get asks the console; code 0: it does not answer.
func (d daemon) get(path string) (code int, body string) {
	m := consoleAt.FindStringSubmatch(d.log.String())
	if m == nil {
		return 0, ""
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + m[1] + path) //nolint:noctx // has its timeout
	if err != nil {
		return 0, ""
	}
	defer res.Body.Close() //nolint:errcheck // read only
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, ""
	}
	return res.StatusCode, string(b)
}

// command runs another subcommand with the daemon's configuration.
func (d daemon) command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	return finish(t, d.home, 10*time.Second, append([]string{"-c", d.config}, args...)...)
}

// status is a second reader of `earshot status --json`.
type status struct {
	Ready  bool
	Checks []struct {
		Name string
		OK   bool
		Text string
	}
	Calls []struct {
		ID, State, Agent string
		Tracks           []struct {
			Role, Codec string
			SRTP        bool
			Seconds     float64
		}
	}
	SIP, Drops map[string]int64
}

func (d daemon) status(t *testing.T) status {
	t.Helper()
	code, out, errs := d.command(t, "status", "--json")
	if code != 0 {
		t.Fatalf("status --json: exit code %d: %s", code, errs)
	}
	var s status
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatalf("status --json: %v: %s", err, out)
	}
	return s
}

// sealed waits for n sealed recordings, and none that is not.
func (d daemon) sealed(t *testing.T, n int, limit time.Duration) {
	t.Helper()
	var done, open []string
	ok := false
	defer func() {
		if !ok {
			t.Logf("%d sealed, open: %v", len(done), open)
		}
	}()
	oracle.Eventually(t, limit, "recordings sealed", func() bool {
		done, open = oracle.Folders(t, d.dir)
		return len(done) >= n && len(open) == 0
	})
	ok = true
	if len(done) != n {
		t.Errorf("%d recordings, want %d", len(done), n)
	}
}
