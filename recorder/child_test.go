package recorder_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
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

// killedChild runs a child with a variable of its own, kills it some time after it said so many lines, and gives all that it said.
func killedChild(t *testing.T, dir, env string, lines int, after time.Duration) (said []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+dir, env)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var dead atomic.Bool
	for s := bufio.NewScanner(out); s.Scan(); {
		if said = append(said, s.Text()); len(said) == lines {
			time.AfterFunc(after, func() { dead.Store(true); _ = cmd.Process.Kill() })
		}
	}
	_ = cmd.Wait() // it was killed
	if !dead.Load() {
		t.Fatalf("%s: the child ended by itself after %d lines", env, len(said))
	}
	return said
}
