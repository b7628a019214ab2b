package peertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// What TestMain hands to the child that runs the tests.
const (
	envInside = "PEERTEST_INSIDE" // the folder of this run
	envReason = "PEERTEST_REASON" // why there is no namespace
)

// interfaceName of the namespace: baresip refuses to work on lo.
const interfaceName = "vx"

// TestMain builds earshot, then runs the tests in a network namespace of their own.
func TestMain(m *testing.M) {
	if os.Getenv(envInside) != "" {
		os.Exit(inside(m))
	}
	os.Exit(outside())
}

// ci says whether a missing peer is a failure.
func ci() bool { return os.Getenv("CI") == "true" }

func outside() int {
	dir, err := os.MkdirTemp("", "peertest")
	if err != nil {
		return tell(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", filepath.Join(dir, "earshot"), "../cmd/earshot")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		return tell(fmt.Errorf("build earshot: %w\n%s", err, out))
	}
	// The child ends with the thread that started it: keep that thread.
	runtime.LockOSThread()
	err = child(dir, true)
	if _, started := errors.AsType[*exec.ExitError](err); err != nil && !started {
		err = child(dir, false) // no namespace: the tests say so
	}
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.ExitCode()
	}
	if err != nil {
		return tell(err)
	}
	return 0
}

// child runs this test binary again. Without root, an unprivileged user namespace gives the rights inside.
func child(dir string, namespace bool) error {
	// The tests mostly wait for audio to pass: more of them at once than there are cores.
	cmd := exec.Command(os.Args[0], append(os.Args[1:], "-test.parallel=8")...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), envInside+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	switch {
	case !namespace:
		cmd.Env = append(cmd.Env, envReason+"=this machine gives no network namespace; run as root")
	case os.Getuid() == 0:
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET
	default:
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Wait()
}

func inside(m *testing.M) int {
	if os.Getenv(envReason) == "" {
		if err := network(); err != nil {
			if err = os.Setenv(envReason, err.Error()); err != nil {
				return tell(err)
			}
		}
	}
	code := m.Run()
	stopShared()
	return code
}

// network makes 10.77.0.1 to 10.77.0.7, and some of IPv6, on one interface. All packets between them stay inside.
func network() error {
	ip, err := program("ip")
	if err != nil {
		return err
	}
	steps := [][]string{
		{"link", "set", "lo", "up"},
		{"link", "add", interfaceName, "type", "veth", "peer", "name", "vy"},
		{"addr", "add", registrarIP + "/24", "dev", interfaceName},
		{"addr", "add", earshotIP + "/24", "dev", interfaceName},
		{"addr", "add", baresipIP + "/24", "dev", interfaceName},
		{"addr", "add", sippIP + "/24", "dev", interfaceName},
		{"addr", "add", roughIP + "/24", "dev", interfaceName},
		{"addr", "add", chaosIP + "/24", "dev", interfaceName},
		{"addr", "add", relayIP + "/24", "dev", interfaceName},
		{"link", "set", interfaceName, "up"},
		{"link", "set", "vy", "up"},
	}
	for _, a := range []string{sippIP, earshotIP, roughIP} {
		steps = append(steps, []string{"addr", "add", six(a) + "/64", "dev", interfaceName, "nodad"})
	}
	for _, s := range steps {
		if out, err := exec.Command(ip, s...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %v: %w: %s", s, err, out)
		}
	}
	return nil
}

// program finds a peer, also where only root's PATH has it.
func program(name string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if p := filepath.Join(dir, name); isFile(p) {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s is not installed; run scripts/peers.sh install", name)
}

func isFile(path string) bool {
	s, err := os.Stat(path)
	return err == nil && s.Mode().IsRegular()
}

// need skips the test, or fails it in CI, if a peer or the namespace is missing.
func need(t *testing.T, programs ...string) {
	t.Helper()
	reason := os.Getenv(envReason)
	for _, p := range programs {
		if _, err := program(p); err != nil && reason == "" {
			reason = err.Error()
		}
	}
	switch {
	case reason == "":
	case ci():
		t.Fatalf("CI=true, and a peer is missing: %s", reason)
	default:
		t.Skip(reason)
	}
}

func tell(err error) int {
	_, _ = fmt.Fprintln(os.Stderr, "peertest:", err)
	return 1
}
