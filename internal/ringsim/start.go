package ringsim

import (
	"context"
	"errors"
)

// TB is what Start needs of a testing.TB, so that a binary with the simulator links no package testing.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Start runs a whole RingCentral for the time of a test. At the end the test fails if a rule was broken, unless
// Config.AllowViolations.
func Start(t TB, cfg Config) *Sim {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatalf("ringsim.New: %v", err)
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("ringsim.Run: %v", err)
		}
		if v := s.Violations(); len(v) > 0 && !cfg.AllowViolations {
			t.Fatalf("ringsim: %d rules broken, want none: %q", len(v), v)
		}
	})
	return s
}
