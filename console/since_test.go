package console_test

import (
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/console"
)

func TestSinceIsADurationOrTheStart(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "30s": 30 * time.Second, "1m30s": 90 * time.Second, "start": console.SinceStart} {
		if got, err := console.ParseSince(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"30", "-1s", "begin", "99999h"} {
		if _, err := console.ParseSince(text); err == nil || !strings.Contains(err.Error(), "want a duration such as 30s, or start") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}
