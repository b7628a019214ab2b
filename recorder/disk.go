package recorder

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/earshot/earshot/internal/attr"
)

const (
	// measureEvery is how often the room on the disk is looked at.
	measureEvery = 2 * time.Second
	// watchEvery is how often it is looked whether the disk answers.
	watchEvery = 200 * time.Millisecond
	// stallAfter is how long a write or a sync may take before that counts as a fault: as something is written each Config.Sync, a second, it
	// is told within two.
	stallAfter = 800 * time.Millisecond
	// faultOver is how long nothing may have gone wrong before a fault is over.
	faultOver = 10 * time.Second
)

// Mark is room on a file system: in bytes, or in percent of all of it. The zero Mark stands for the default, negative Bytes for none.
type Mark struct {
	Bytes   int64
	Percent float64
}

// The defaults of Config.Warn and Config.Refuse. Ten two-party calls write a gigabyte in less than an hour.
const (
	warnBytes   = 2e9
	refuseBytes = 500e6
)

func (m Mark) check(name string) error {
	if m.Percent < 0 || m.Percent >= 100 || m.Percent > 0 && m.Bytes != 0 {
		return fmt.Errorf("recorder: %s: got %d bytes, %g %%, want one of them, below 100 %%", name, m.Bytes, m.Percent)
	}
	return nil
}

// Of gives the mark in bytes for a file system of that size.
func (m Mark) Of(total int64) int64 {
	if m.Percent > 0 {
		return int64(float64(total) * m.Percent / 100)
	}
	return max(0, m.Bytes)
}

// Level says what the room on the disk allows.
type Level string

// The levels.
const (
	LevelOK     Level = "ok"
	LevelWarn   Level = "warn"   // below Config.Warn
	LevelRefuse Level = "refuse" // below Config.Refuse: no new calls, so that those that are heard can be recorded to their end
)

// DiskState is what is known of the disk.
type DiskState struct {
	Free, Total int64 // bytes; negative: not known
	Level       Level
	// Fault says why recordings can't be written as they should at the moment; empty: they can.
	Fault string
	Since time.Time // of the fault
}

// disk is the store's look at its disk.
type disk struct {
	// mu guards the fields below. It is held for copying only.
	mu    sync.Mutex
	state DiskState
	// newest is when something went wrong last.
	newest time.Time
	// syncing is since when the file system is made durable as a whole; zero: it is not.
	syncing time.Time
}

// Disk gives the state of the disk as it was looked at last; it does not wait for it.
func (s *Store) Disk() DiskState {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	return s.disk.state
}

// measure looks how much room there is, and tells when that means something else than before.
func (s *Store) measure() {
	look := s.cfg.room
	if look == nil {
		look = diskRoom
	}
	free, total, err := look(s.cfg.Dir)
	if err != nil {
		free, total = -1, -1
	}
	d := &s.disk
	d.mu.Lock()
	was := d.state.Level
	d.state.Free, d.state.Total = free, total
	d.state.Level = s.level(was, free, total)
	now := d.state.Level
	d.mu.Unlock()
	if was == now {
		return
	}
	room := []any{slog.Int64("free_bytes", free), slog.Int64("warn_bytes", s.cfg.Warn.Of(total)), slog.Int64("refuse_bytes", s.cfg.Refuse.Of(total))}
	switch {
	case now == LevelRefuse:
		s.log.Error("disk nearly full, no new calls: make room in record.dir, or lower record.disk.refuse", room...)
	case now == LevelWarn && was != LevelRefuse:
		s.log.Warn("disk fills up: make room in record.dir", room...)
	case was == LevelRefuse:
		s.log.Info("disk has room again, new calls are taken", room...)
	case was != "":
		s.log.Info("disk has room again", room...)
	}
}

// level decides what the room allows. A level is left with a tenth more room than it was entered with, so that it does not come and go.
func (s *Store) level(was Level, free, total int64) Level {
	switch {
	case free < 0 && was == "":
		return LevelOK
	case free < 0:
		return was // that it is not known is a fault of another kind
	}
	below := func(m Mark, in bool) bool {
		limit := m.Of(total)
		if in {
			limit += limit / 10
		}
		return free < limit
	}
	switch {
	case below(s.cfg.Refuse, was == LevelRefuse):
		return LevelRefuse
	case below(s.cfg.Warn, was == LevelRefuse || was == LevelWarn):
		return LevelWarn
	}
	return LevelOK
}

// watchRoom measures until stop.
func (s *Store) watchRoom(stop <-chan struct{}) {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.measure()
		case <-stop:
			return
		}
	}
}

// watchDisk looks whether the disk answers, until stop.
func (s *Store) watchDisk(stop <-chan struct{}) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.look(now)
		case <-stop:
			return
		}
	}
}

var errStalled = errors.New("the disk does not answer")

// look finds out whether a write or a sync takes too long, and whether a fault is over.
func (s *Store) look(now time.Time) {
	for _, r := range s.list() {
		if since := r.busySince(); !since.IsZero() && now.Sub(since) > stallAfter {
			s.complain(errStalled, r.Result().CallID)
			break
		}
	}
	d := &s.disk
	d.mu.Lock()
	syncing := d.syncing
	d.mu.Unlock()
	if !syncing.IsZero() && now.Sub(syncing) > stallAfter {
		s.complain(errStalled, "")
	}
	d.mu.Lock()
	over, lasted := d.state.Fault != "" && now.Sub(d.newest) > faultOver, now.Sub(d.state.Since)
	if over {
		d.state.Fault, d.state.Since = "", time.Time{}
	}
	d.mu.Unlock()
	if over {
		s.log.Info("recordings are written again", slog.Duration("after", lasted.Round(time.Second)))
	}
}

// complain counts an error. One that begins a fault is logged at once, and then one a minute, with how many there were and the
// last case.
func (s *Store) complain(err error, id string) {
	now := time.Now()
	d := &s.disk
	d.mu.Lock()
	begins := d.state.Fault == ""
	if begins {
		d.state.Since = now
	}
	d.state.Fault, d.newest = err.Error(), now
	d.mu.Unlock()
	s.count.errors.Add(1)
	if n, ok := s.gripe.pass(now, begins); ok {
		s.log.Error("recording not written", attr.Call(id), attr.Err(err), slog.Int64("count", n))
	}
}
