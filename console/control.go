package console

import (
	"context"
	"errors"
	"io"
	"log/slog"
)

// ErrNoCall is what a Backend's Listen returns when there is no such call.
var ErrNoCall = errors.New("no such call")

// ErrRunning is what NewControl returns, wrapped, when another earshot serves the socket.
var ErrRunning = errors.New("another earshot runs")

// ListenRequest says what a listener wants to hear; zero values are the defaults.
type ListenRequest struct {
	Call   string // call id; with Agent empty too: the only call, or the next
	Agent  string // extension number of the monitored agent
	Track  string // mix, agent, customer
	Format string // s16le, mulaw, wav
	Rate   int    // 8000, 16000
}

// Backend answers the control socket's requests, from any goroutine.
type Backend interface {
	// Status gives what `earshot status` shows, fit for encoding/json.
	Status() any
	// Listen writes audio to w until the call ends or ctx does. Before the first byte it may return ErrNoCall or another
	// error that the user is shown.
	Listen(ctx context.Context, req ListenRequest, w io.Writer) error
}

// ControlConfig is the control socket's configuration.
type ControlConfig struct {
	// Socket is the path of the unix socket; its directory is made if need be, with mode 0700.
	Socket  string
	Backend Backend
	// Log; nil discards.
	Log *slog.Logger
}

// Control serves the control socket.
type Control struct{}

// NewControl takes the socket: what a dead process left is removed, of a living one is told with ErrRunning.
func NewControl(cfg ControlConfig) (*Control, error) { return &Control{}, nil }

// Run serves until ctx ends, then removes the socket.
func (c *Control) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Close removes the socket of a Control that never ran.
func (c *Control) Close() error { return nil }
