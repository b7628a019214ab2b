package acceptance

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// notified waits for an assignment that begins so; false: none came within the limit.
func notified(t *testing.T, c *net.UnixConn, what string, limit time.Duration) bool {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	for {
		n, err := c.Read(b)
		if err != nil {
			return false
		}
		for line := range strings.SplitSeq(string(b[:n]), "\n") {
			if strings.HasPrefix(line, what) {
				return true
			}
		}
	}
}

func TestSystemdHearsReadyAfterTheRegistration(t *testing.T) {
	t.Parallel()
	at := reserved(t)
	d := write(t, plain(at, "udp", alice.Password))
	path := filepath.Join(d.home, "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a test's
	d.process = startWith(t, d.home, []string{"NOTIFY_SOCKET=" + path, fmt.Sprint("WATCHDOG_USEC=", 300_000)}, "-c", d.config, "run")
	if notified(t, c, "READY=1", time.Second) {
		t.Error("READY=1 without a registrar")
	}
	registrar(t, at)
	if !notified(t, c, "READY=1", 20*time.Second) {
		t.Fatal("no READY=1")
	}
	if !notified(t, c, "WATCHDOG=1", 5*time.Second) || !notified(t, c, "WATCHDOG=1", 5*time.Second) {
		t.Error("no WATCHDOG=1")
	}
	if err := d.cmd.Process.Signal(syscall.SIGSTOP); err != nil { // nothing is swept
		t.Fatal(err)
	}
	for notified(t, c, "WATCHDOG=1", 300*time.Millisecond) { // what was under way
	}
	if err := d.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if !notified(t, c, "WATCHDOG=1", 5*time.Second) {
		t.Error("no WATCHDOG=1 after the stop")
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if !notified(t, c, "STOPPING=1", 5*time.Second) {
		t.Error("no STOPPING=1")
	}
	if code := d.wait(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
