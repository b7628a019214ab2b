package recorder_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/strict"
	"github.com/earshot/earshot/recorder"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		switch {
		case os.Getenv(sealEnv) != "":
			sealer()
		case os.Getenv(talkEnv) != "":
			babbler()
		}
		if os.Getenv(recipientEnv) != "" {
			sealedChild()
		}
		child()
	}
	goleak.VerifyTestMain(m)
}

var morning = time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)

// stereoInfo is a call in party mode.
func stereoInfo(id string) call.Info {
	return call.Info{
		ID: id, Sessions: []string{id}, SIPCallIDs: []string{"leg"}, Started: morning, Agent: "108", Mode: "party",
		Expected: []call.Party{{ID: "p-customer", Role: call.RoleCustomer}, {ID: "p-agent", Role: call.RoleAgent}},
	}
}

// monoInfo is one of a plain registrar.
func monoInfo(id string) call.Info {
	return call.Info{ID: id, SIPCallIDs: []string{id}, Started: morning, Expected: []call.Party{{Role: call.RoleMix}}}
}

var anchor = recorder.Anchor{Wall: morning, Mono: time.Minute}

// start makes a store and runs it; stop waits for its end.
func start(t *testing.T, cfg recorder.Config, prepare ...func(*recorder.Store)) (s *recorder.Store, stop func()) {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "recordings")
	}
	if cfg.Sync == 0 {
		cfg.Sync = 100 * time.Millisecond
	}
	t.Cleanup(func() { strict.Tree(t, cfg.Dir) })
	s, err := recorder.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range prepare {
		p(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	return s, stop
}

func open(t *testing.T, s *recorder.Store, info call.Info) *recorder.Recording {
	t.Helper()
	r, err := s.Open(info, anchor)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var hangup = call.Cause{Code: call.CodeHangup, Text: "BYE"}

// seal ends a recording, waits until it is sealed, and reads its manifest.
func seal(t *testing.T, r *recorder.Recording) (recorder.Result, *recorder.Manifest) {
	t.Helper()
	r.End(hangup)
	select {
	case <-r.Sealed():
	case <-time.After(60 * time.Second):
		t.Fatal("not sealed after 60 s")
	}
	res := r.Result()
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	m, err := recorder.ReadManifest(res.Dir)
	if err != nil {
		t.Fatal(err)
	}
	return res, m
}

// eventually waits for cond.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	const limit = 60 * time.Second // a machine where everything runs beside something else
	deadline := time.Now().Add(limit)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		<-tick.C
	}
}
