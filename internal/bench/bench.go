package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"time"
)

// Sinks of Config.
const (
	SinkFile = "file" // stereo recordings
	SinkNone = "none" // compared on the spot, thrown away
)

// Config says what is measured.
type Config struct {
	// Steps are numbers of two-party calls, measured one after the other. Default 500.
	Steps []int
	// For is how long each step is measured, after Warm (default 2 s). Default 10 s, at least 1 s.
	For, Warm time.Duration
	// Floor is how long the floor is measured, before and after each step. Default 2 s; negative: not at all.
	Floor time.Duration
	// SRTP protects all packets with AES_CM_128_HMAC_SHA1_80.
	SRTP bool
	// Live attaches one listener to each call, which reads the mix and throws it away. Message is how much audio it takes at a time,
	// as stream.ListenConfig. Default 100 ms, as programs take it; at most 200 ms.
	Live    bool
	Message time.Duration
	// Delay has a consumer take each track's audio over a unix socket, 20 ms at a time, in a third process, and measures how long that is on its way.
	Delay bool
	// Loss is the share of packets that are lost before they reach us, 0 to MaxLoss. Delays behind a hole are told apart.
	Loss float64
	// Hostile adds a second consumer to each track, which reads as the first does while For is measured, and for this long after it hangs, crawls, resets its
	// connections or floods us. It wants Delay. Default 0: there is none.
	Hostile time.Duration
	// Sink is SinkFile (default) or SinkNone.
	Sink string
	// Format of the recordings, as recorder.Config.
	Format string
	// Encrypt has them encrypted, to an identity that is made for it.
	Encrypt bool
	// Dir holds the recordings; a folder made in it is removed at the end. Default the system's for temporary files.
	Dir string
	// IP is the loopback address that packets go over. Default 127.0.0.1.
	IP netip.Addr
	// Program and Args start the sender: something that calls Send. With ConsumerArgs it calls Consume.
	Program            string
	Args, ConsumerArgs []string
	// Progress takes a line for each thing that begins, and what the sender complains of. Nil discards.
	Progress io.Writer
	// Profile takes a CPU profile of the last step's window. Nil: none is taken.
	Profile io.Writer
	// Log is the engine's and the store's. Nil discards.
	Log *slog.Logger
}

const (
	defaultCalls = 500
	defaultFor   = 10 * time.Second
	defaultWarm  = 2 * time.Second
	defaultFloor = 2 * time.Second
	// maxCalls is what a sender has sockets for.
	maxCalls = maxSenderTracks / tracksPerCall
	// defaultMessage is what stream gives programs at a time where nothing else is configured.
	defaultMessage = 100 * time.Millisecond
	// MaxLoss is the largest share of packets that can be lost.
	MaxLoss = 0.5
	// maxMessage is the most that a listener takes at a time.
	maxMessage = 200 * time.Millisecond

	tracksPerCall = 2
)

// ConfigError is a setting that can't be.
type ConfigError struct{ text string }

func (e *ConfigError) Error() string { return e.text }

func bad(format string, args ...any) error {
	return &ConfigError{fmt.Sprintf("bench: "+format, args...)}
}

func (c *Config) check() error {
	if len(c.Steps) == 0 {
		c.Steps = []int{defaultCalls}
	}
	c.For, c.Warm, c.Floor = orDefault(c.For, defaultFor), orDefault(c.Warm, defaultWarm), orDefault(c.Floor, defaultFloor)
	c.Message = orDefault(c.Message, defaultMessage)
	if c.Sink == "" {
		c.Sink = SinkFile
	}
	if c.Dir == "" {
		c.Dir = os.TempDir()
	}
	if !c.IP.IsValid() {
		c.IP = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	for _, n := range c.Steps {
		if n < 1 || n > maxCalls {
			return bad("calls: got %d, want 1 to %d", n, maxCalls)
		}
	}
	switch {
	case c.For < time.Second:
		return bad("for: got %v, want at least 1s", c.For)
	case c.Message < packetTime || c.Message > maxMessage:
		return bad("message: got %v, want %v to %v", c.Message, packetTime, maxMessage)
	case !(c.Loss >= 0 && c.Loss <= MaxLoss): // NaN is neither
		return bad("loss: got %v, want 0 to %v", c.Loss, MaxLoss)
	case c.Hostile != 0 && !c.Delay:
		return bad("hostile: got it without delay: want somebody whom it might hurt")
	case c.Hostile < 0 || c.Hostile > 0 && c.Hostile < time.Second:
		return bad("hostile: got %v, want at least 1s", c.Hostile)
	case c.Sink != SinkFile && c.Sink != SinkNone:
		return bad("sink: got %q, want %s or %s", c.Sink, SinkFile, SinkNone)
	case !c.IP.IsLoopback():
		return bad("ip: got %v, want a loopback address", c.IP)
	case c.Program == "":
		return bad("program: empty, want one that sends")
	}
	return nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// Run measures all steps.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	r := &Result{
		Version: resultVersion, At: time.Now().UTC(), Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(),
		SRTP: cfg.SRTP, Encrypt: cfg.Encrypt, Live: cfg.Live, Delay: cfg.Delay, LossShare: cfg.Loss, Sink: cfg.Sink,
	}
	if cfg.Live {
		r.Message = cfg.Message.String()
	}
	audio := newPattern()
	for i, calls := range cfg.Steps {
		say(cfg.Progress, "step %d of %d: %d calls", i+1, len(cfg.Steps), calls)
		s, err := measure(ctx, cfg, calls, audio)
		if err != nil {
			return r, fmt.Errorf("%d calls: %w", calls, err)
		}
		r.Steps = append(r.Steps, *s)
	}
	return r, nil
}

func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, "bench: "+format+"\n", args...)
}

// measure is one step: floor, load, floor, comparison.
func measure(ctx context.Context, cfg Config, calls int, audio pattern) (*Step, error) {
	c, err := startChild(ctx, "sender", cfg.Program, cfg.Args, cfg.Progress)
	if err != nil {
		return nil, err
	}
	s, err := measureWith(ctx, cfg, calls, audio, c)
	return s, errors.Join(err, c.close())
}

func measureWith(ctx context.Context, cfg Config, calls int, audio pattern, c *child) (*Step, error) {
	opened, err := c.ask(order{Tracks: calls * tracksPerCall, IP: cfg.IP})
	if err != nil {
		return nil, err
	}
	s := &Step{Calls: calls, Tracks: calls * tracksPerCall, Load: load()}
	floor := func() error {
		if cfg.Floor < 0 {
			return nil
		}
		say(cfg.Progress, "  the floor, %v", cfg.Floor)
		f, err := measureFloor(ctx, c, cfg.IP, cfg.SRTP, cfg.Floor)
		s.floors = append(s.floors, f)
		return err
	}
	if err := floor(); err != nil {
		return nil, err
	}
	if err := loadEngine(ctx, cfg, s, audio, c, opened.Sources); err != nil {
		return nil, err
	}
	if err := floor(); err != nil {
		return nil, err
	}
	s.finish()
	return s, nil
}
