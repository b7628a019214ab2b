package peertest

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/template"
	"time"
)

// The addresses of the namespace.
const (
	registrarIP = "10.77.0.1"
	earshotIP   = "10.77.0.2"
	baresipIP   = "10.77.0.3"
	sippIP      = "10.77.0.4"
	roughIP     = "10.77.0.5" // the rough road between a sender and earshot
	chaosIP     = "10.77.0.6" // a registrar that is tormented
	relayIP     = "10.77.0.7" // what stands between it and earshot
)

// six is the IPv6 address beside an IPv4 one.
func six(ip string) string { return "fd77::" + ip[strings.LastIndexByte(ip, '.')+1:] }

// linesPort is where testdata/sipp/lines.xml says that its audio comes from.
const linesPort = 22100

// nextPort gives each test ports that no other has: [base, base+100).
func nextPort() int {
	if p := 20000 + 100*int(portBlocks.Add(1)); p != linesPort {
		return p
	}
	return nextPort()
}

var portBlocks atomic.Int32

// eventually waits for cond, looking every 20 ms.
func eventually(t *testing.T, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	if !within(limit, cond) {
		t.Fatalf("after %v: %s did not come true", limit, what)
	}
}

func within(limit time.Duration, cond func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); ; <-tick.C {
		if cond() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// process is a running peer.
type process struct {
	cmd  *exec.Cmd
	out  *syncBuffer // standard output
	log  *syncBuffer // standard output and error
	done chan struct{}
	err  error // of Wait; valid once done is closed
}

// spawn starts a program that dies with the test process.
func spawn(dir string, env []string, name string, args ...string) (*process, error) {
	path, err := program(name)
	if err != nil {
		path = name
	}
	p := &process{cmd: exec.Command(path, args...), out: &syncBuffer{}, log: &syncBuffer{}, done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, env
	p.cmd.Stdout, p.cmd.Stderr = io.MultiWriter(p.out, p.log), p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// start is spawn for a test; the peer is killed at its end, and its log shown if the test failed.
func start(t *testing.T, dir string, env []string, name string, args ...string) *process {
	t.Helper()
	p, err := spawn(dir, env, name, args...)
	if err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(name), tail(p.log.String(), 6000))
		}
	})
	return p
}

// kill ends the peer and all it started.
func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// wait gives the exit code, or fails the test if the peer goes on beyond limit.
func (p *process) wait(t *testing.T, limit time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		t.Fatalf("%s is still running after %v", filepath.Base(p.cmd.Path), limit)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "..." + s[len(s)-n:]
}

// syncBuffer is a buffer that the peer writes while the test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// fill writes a template of testdata to a file.
func fill(name, to string, values any) error {
	tmpl, err := template.ParseFiles(filepath.Join("testdata", name))
	if err != nil {
		return err
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, values); err != nil {
		return err
	}
	return os.WriteFile(to, []byte(b.String()), 0o600)
}
