package recorder_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder"
)

// childLife is how long a child lives that nobody kills.
const childLife = 30 * time.Second

// childStore has a store at work in a child process, on the directory that its parent names; ctx ends with its life.
func childStore(cfg recorder.Config) (*recorder.Store, context.Context) {
	cfg.Dir = os.Getenv(childEnv)
	s, err := recorder.New(cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, cancel := context.WithTimeout(context.Background(), childLife)
	go func() {
		defer cancel()
		_ = s.Run(ctx) // it is killed
	}()
	return s, ctx
}

// durable knows how much of what a child gave a store is on the disk for certain, however busy the machine is: of two group syncs that ended since it was given, one began after.
type durable struct {
	marks []durableMark
	last  durableMark   // the newest at which the count had changed
	gap   time.Duration // the longest from one group sync to the next
}

// durableMark is how many group syncs had ended when all up to a time had been given.
type durableMark struct {
	syncs int64
	came  time.Duration
}

// note is told that all up to now has been given, and tells up to when that is on the disk.
func (d *durable) note(s *recorder.Store, now time.Duration) (upTo time.Duration) {
	syncs := s.Counters().Syncs
	for _, m := range d.marks {
		if m.syncs+2 <= syncs {
			upTo = m.came
		}
	}
	mark := durableMark{syncs, now}
	d.marks = append(d.marks, mark)
	d.gap = max(d.gap, now-d.last.came)
	if syncs != d.last.syncs {
		d.last = mark
	}
	return upTo
}

// lines is enough when a child has said so many.
func lines(n int) func(said []string) bool {
	return func(said []string) bool { return len(said) == n }
}

// onDisk is enough when a child first says, in nanoseconds, that so much is.
func onDisk(d time.Duration) func(said []string) bool {
	before := time.Duration(0)
	return func(said []string) bool {
		now := lastSaid(said)
		first := before < d && now >= d
		before = now
		return first
	}
}

// lastSaid is the newest time that a child said; what was cut off is none.
func lastSaid(said []string) time.Duration {
	if len(said) == 0 {
		return 0
	}
	ns, err := strconv.ParseInt(said[len(said)-1], 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(ns)
}

// killedChild runs a child with a variable of its own, kills it some time after what it said was enough, and gives all that it said.
func killedChild(t *testing.T, dir, env string, enough func(said []string) bool, after time.Duration) []string {
	t.Helper()
	said, err := runKilled(t.Context(), dir, env, enough, after)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// runKilled is killedChild for any goroutine.
func runKilled(ctx context.Context, dir, env string, enough func(said []string) bool, after time.Duration) (said []string, err error) {
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+dir, env)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	var dead atomic.Bool
	for s := bufio.NewScanner(out); s.Scan(); {
		if said = append(said, s.Text()); enough(said) {
			time.AfterFunc(after, func() { dead.Store(true); _ = cmd.Process.Kill() })
		}
	}
	_ = cmd.Wait() // it was killed
	if !dead.Load() {
		return nil, fmt.Errorf("%s: the child ended by itself after %d lines", env, len(said))
	}
	return said, nil
}
