package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/internal/attr"
)

// systemd is told when the daemon works, that it lives, and that it ends: sd_notify(3), for a unit of Type=notify.
type systemd struct {
	socket   *net.UnixAddr // nil: nobody listens
	watchdog time.Duration // a sign of life is due within it; 0: none is
	log      *slog.Logger
	conn     *net.UnixConn
}

// notifier reads what systemd says in the environment of this process.
func notifier(env []string, pid int, log *slog.Logger) *systemd {
	vars := map[string]string{}
	for _, e := range env {
		k, v, _ := strings.Cut(e, "=")
		vars[k] = v
	}
	s := &systemd{log: log}
	// A leading @ stands for NUL, an abstract address: Go reads it so, too.
	if path := vars["NOTIFY_SOCKET"]; strings.HasPrefix(path, "/") || strings.HasPrefix(path, "@") {
		s.socket = &net.UnixAddr{Name: path, Net: "unixgram"}
	}
	usec, err := strconv.ParseInt(vars["WATCHDOG_USEC"], 10, 64)
	if mine := vars["WATCHDOG_PID"]; err == nil && usec > 0 && (mine == "" || mine == strconv.Itoa(pid)) {
		s.watchdog = time.Duration(usec) * time.Microsecond
	}
	return s
}

// health is what systemd is told about.
type health struct {
	registered bool          // every device is
	sweep      time.Duration // since the ports were last swept; negative: never yet
	status     string        // for `systemctl status`
}

func (h health) alive() bool { return h.sweep >= 0 && h.sweep <= console.SweepLimit }

// readyEvery is how often it is looked whether the devices are registered.
const readyEvery = 100 * time.Millisecond

// run tells systemd that the daemon is ready once every device is registered, feeds the watchdog as long as the ports are
// swept, and says that the daemon stops when working ends. It returns when ctx does.
func (s *systemd) run(ctx, working context.Context, look func() health) error {
	if s.socket == nil {
		return nil
	}
	conn, err := net.DialUnix(s.socket.Net, nil, s.socket)
	if err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: %w", err)
	}
	defer conn.Close() //nolint:errcheck // datagrams only
	s.conn = conn
	every := readyEvery
	if s.watchdog > 0 {
		every = min(every, s.watchdog/3)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	stopping := working.Done()
	ready, fed, status := false, time.Time{}, ""
	for {
		h := look()
		var say []string
		if h.registered && !ready {
			ready = true
			say = append(say, "READY=1", "MAINPID="+strconv.Itoa(os.Getpid())) // after a take-over it is another process
		}
		if now := time.Now(); s.watchdog > 0 && h.alive() && now.Sub(fed) >= s.watchdog/3 {
			fed = now
			say = append(say, "WATCHDOG=1")
		}
		if h.status != status {
			status = h.status
			say = append(say, "STATUS="+status)
		}
		s.tell(say...)
		select {
		case <-stopping:
			stopping = nil
			s.tell("STOPPING=1")
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// tell sends assignments. What does not get through is sent no more: systemd's own timeouts say the rest.
func (s *systemd) tell(say ...string) {
	if len(say) == 0 {
		return
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := s.conn.Write([]byte(strings.Join(say, "\n"))); err != nil {
		s.log.Warn("systemd not told", attr.Err(err))
	}
}

// health looks at the daemon for systemd.
func (d *daemon) health() health {
	st := d.ep.Status()
	h := health{sweep: d.ep.Figures().SweepAge, registered: len(st.Devices) > 0}
	bad := ""
	for _, dev := range st.Devices {
		h.registered = h.registered && dev.Registered
	}
	for _, c := range st.Checks {
		if !c.OK && bad == "" {
			bad = c.Name + ": " + c.Text
		}
		if !c.OK && strings.HasPrefix(c.Name, "sip") {
			h.registered = false // a device whose account is not known yet
		}
	}
	h.status = fmt.Sprintf("%d calls, %d devices", len(st.Calls), len(st.Devices))
	if bad != "" {
		h.status += "; " + bad
	}
	h.status = strings.ReplaceAll(h.status, "\n", " ")
	return h
}
