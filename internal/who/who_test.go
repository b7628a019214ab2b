package who_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/earshot/earshot/internal/who"
)

func TestNobodyNamedIsOurselves(t *testing.T) {
	if got := who.From(t.Context()); got != who.Self {
		t.Errorf("got %q, want %q", got, who.Self)
	}
	if got := who.From(who.With(t.Context(), "uid 7, pid 9")); got != "uid 7, pid 9" {
		t.Errorf("got %q", got)
	}
	if got := who.From(context.WithoutCancel(who.With(t.Context(), "uid 7, pid 9"))); got != "uid 7, pid 9" {
		t.Errorf("got %q from a context that outlives the request", got)
	}
}

func TestReasonIsTheLastOneTold(t *testing.T) {
	ctx := who.Because(t.Context(), "complaint 7")
	if got := who.Why(who.Because(ctx, "")); got != "complaint 7" {
		t.Errorf("got %q", got)
	}
	if got := who.Why(t.Context()); got != "" {
		t.Errorf("got %q where nobody told one", got)
	}
}

func TestProcessIsNamedByTheKernelsNumbers(t *testing.T) {
	got := who.Process(uint32(os.Getuid()), 77)
	if !strings.HasPrefix(got, "uid ") || !strings.HasSuffix(got, ", pid 77") {
		t.Errorf("got %q", got)
	}
	if got := who.Process(4_123_456_789, 1); got != "uid 4123456789, pid 1" {
		t.Errorf("a user without a name: got %q", got)
	}
}
