package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/console"
)

// manager plays systemd.
type manager struct {
	*net.UnixConn
	t *testing.T
}

// manage listens as systemd does, and gives the environment that it would.
func manage(t *testing.T, watchdog time.Duration) (manager, []string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sd") // a unix socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return manager{c, t}, []string{
		"NOTIFY_SOCKET=" + path, "WATCHDOG_PID=" + strconv.Itoa(os.Getpid()), "WATCHDOG_USEC=" + strconv.FormatInt(watchdog.Microseconds(), 10),
	}
}

// hear gives the next assignment that begins so, "" if none comes within the limit.
func (m manager) hear(what string, limit time.Duration) string {
	m.t.Helper()
	if err := m.SetReadDeadline(time.Now().Add(limit)); err != nil {
		m.t.Fatal(err)
	}
	b := make([]byte, 4096)
	for {
		n, err := m.Read(b)
		if err != nil {
			return ""
		}
		for line := range strings.SplitSeq(string(b[:n]), "\n") {
			if strings.HasPrefix(line, what) {
				return line
			}
		}
	}
}

func TestSystemdHearsOfReadinessLifeAndEnd(t *testing.T) {
	m, env := manage(t, 60*time.Millisecond)
	s := notifier(env, os.Getpid(), slog.New(slog.DiscardHandler))
	ctx, end := context.WithCancel(t.Context())
	defer end()
	working, stop := context.WithCancel(ctx)
	var registered, stalled atomic.Bool
	done := make(chan error, 1)
	go func() {
		done <- s.run(ctx, working, func() health {
			h := health{registered: registered.Load(), status: "1 call"}
			if stalled.Load() {
				h.sweep = console.SweepLimit + 1
			}
			return h
		})
	}()
	if got := m.hear("READY=1", 200*time.Millisecond); got != "" {
		t.Error("ready before a device is registered")
	}
	registered.Store(true)
	if m.hear("READY=1", 5*time.Second) == "" {
		t.Fatal("no READY=1")
	}
	for range 3 {
		if m.hear("WATCHDOG=1", 5*time.Second) == "" {
			t.Fatal("no WATCHDOG=1")
		}
	}
	stalled.Store(true)
	m.hear("WATCHDOG=1", 50*time.Millisecond) // one may have been under way
	if m.hear("WATCHDOG=1", 300*time.Millisecond) != "" {
		t.Error("WATCHDOG=1 while no port is swept")
	}
	stalled.Store(false)
	if m.hear("WATCHDOG=1", 5*time.Second) == "" {
		t.Error("no WATCHDOG=1 after the stall")
	}
	stop()
	if m.hear("STOPPING=1", 5*time.Second) == "" {
		t.Error("no STOPPING=1")
	}
	if m.hear("WATCHDOG=1", 5*time.Second) == "" {
		t.Error("no WATCHDOG=1 while recordings are sealed")
	}
	end()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWithoutSystemdNobodyIsTold(t *testing.T) {
	s := notifier([]string{"PATH=/bin"}, 1, slog.New(slog.DiscardHandler))
	if err := s.run(t.Context(), t.Context(), func() health { t.Error("looked"); return health{} }); err != nil || s.watchdog != 0 {
		t.Errorf("%v, watchdog %v", err, s.watchdog)
	}
	other := notifier([]string{"NOTIFY_SOCKET=@x", "WATCHDOG_PID=7", "WATCHDOG_USEC=1000000"}, 8, slog.New(slog.DiscardHandler))
	if other.watchdog != 0 || other.socket.Name != "@x" {
		t.Errorf("another process's watchdog is ours: %+v", other)
	}
	gone := notifier([]string{"NOTIFY_SOCKET=/nonexistent/notify"}, 1, slog.New(slog.DiscardHandler))
	if err := gone.run(t.Context(), t.Context(), func() health { return health{} }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a socket that is not there: %v", err)
	}
}
