package console

import (
	"fmt"
	"time"
)

// SinceStart is longer than any call: who listens since then hears it from its beginning.
const SinceStart = 10000 * time.Hour

// ParseSince reads how much before now a listener begins: a duration, start, or nothing.
func ParseSince(text string) (time.Duration, error) {
	switch text {
	case "":
		return 0, nil
	case "start":
		return SinceStart, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > SinceStart {
		return 0, fmt.Errorf("since: got %q, want a duration such as 30s, or start", text)
	}
	return d, nil
}
