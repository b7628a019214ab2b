package acceptance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reading is what a process has used until a moment.
type reading struct {
	at         time.Time
	cpu, ours  time.Duration // of the daemon, and of this process, which is the simulator
	rss        int64         // octets
	heap       int64         // octets in use
	goroutines int64
	files      int64
	tracks     int64
	live       int // calls that the simulator has
}

// meter reads a daemon each period.
type meter struct {
	d        daemon
	live     func() int
	readings []reading
}

// clockTicks are those of /proc/PID/stat: 100 a second on every Linux that Go runs on.
const clockTicks = 100

// run reads until ctx ends.
func (m *meter) run(ctx context.Context, t *testing.T, every time.Duration) {
	t.Helper()
	for {
		m.readings = append(m.readings, m.read(t))
		if !pass(ctx, every) {
			return
		}
	}
}

func (m *meter) read(t *testing.T) reading {
	t.Helper()
	r := reading{at: time.Now(), live: m.live()}
	pid := strconv.Itoa(m.d.cmd.Process.Pid)
	if b, err := os.ReadFile(filepath.Join("/proc", pid, "stat")); err == nil {
		// Behind the name, which may hold anything, utime and stime are the 12th and 13th field.
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		for _, v := range f[11:13] {
			n, _ := strconv.ParseInt(v, 10, 64) //nolint:errcheck // the kernel's
			r.cpu += time.Duration(n) * time.Second / clockTicks
		}
	}
	var own syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &own) == nil {
		r.ours = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	}
	_, page := m.d.get("/metrics")
	r.rss, r.heap = metric(page, "process_resident_memory_bytes"), metric(page, "go_memstats_heap_inuse_bytes")
	r.goroutines, r.files, r.tracks = metric(page, "go_goroutines"), metric(page, "process_open_fds"), metric(page, "earshot_media_tracks")
	return r
}

// settled waits until the daemon holds no more than before the shift, but for idle connections to RingCentral: eight of each
// supervisor, with two goroutines each.
func (m *meter) settled(t *testing.T, before reading, supervisors int) {
	t.Helper()
	idle := int64(8*supervisors + 2)
	deadline := time.Now().Add(45 * time.Second) // a SIP transaction is kept for 32 s: RFC 3261 section 17.1.1.2
	for {
		r := m.read(t)
		m.readings = append(m.readings, r)
		if r.tracks == 0 && r.goroutines <= before.goroutines+2*idle && r.files <= before.files+idle {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%d tracks, %d goroutines, %d files are left, want 0, and about the %d and %d before", r.tracks, r.goroutines, r.files, before.goroutines, before.files)
			return
		}
		pass(t.Context(), time.Second)
	}
}

// metric is one value of a metrics page; -1 where it is not.
func metric(page, name string) int64 {
	for line := range strings.Lines(page) {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if err == nil {
				return int64(f)
			}
		}
	}
	return -1
}

// String sums the readings up, those of the middle half for processor time: there the shift is at its height.
func (m *meter) String() string {
	if len(m.readings) < 4 {
		return "too few readings"
	}
	most := func(of func(reading) int64) int64 {
		return of(slices.MaxFunc(m.readings, func(a, b reading) int { return int(of(a) - of(b)) }))
	}
	first, last := m.readings[0], m.readings[len(m.readings)-1]
	a, b := m.readings[len(m.readings)/4], m.readings[len(m.readings)*3/4]
	share := func(d time.Duration) float64 { return 100 * d.Seconds() / b.at.Sub(a.at).Seconds() }
	var live int
	for _, r := range m.readings[len(m.readings)/4 : len(m.readings)*3/4] {
		live += r.live
	}
	return fmt.Sprintf("with %.0f calls live: daemon %.1f %% of a core, simulator %.1f %%; resident memory %d MiB at first, %d at most, %d at last; "+
		"heap in use %d, %d, %d MiB; goroutines %d, %d, %d; open files %d, %d, %d",
		float64(live)/float64(len(m.readings)*3/4-len(m.readings)/4), share(b.cpu-a.cpu), share(b.ours-a.ours),
		first.rss>>20, most(func(r reading) int64 { return r.rss })>>20, last.rss>>20,
		first.heap>>20, most(func(r reading) int64 { return r.heap })>>20, last.heap>>20,
		first.goroutines, most(func(r reading) int64 { return r.goroutines }), last.goroutines,
		first.files, most(func(r reading) int64 { return r.files }), last.files)
}
