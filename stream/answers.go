package stream

import "time"

// heard is what an engine says that it heard. Times are of the audio that this connection was given, from its first sample on; to is 0 where it does not say when.
type heard struct {
	inCall     bool // times are those of the stream in call time instead
	from, to   time.Duration
	channel    int
	text       string
	final      bool
	confidence float64
}

// answers reads an engine's messages; one per connection, called by one goroutine.
type answers func(message []byte) ([]heard, error)
