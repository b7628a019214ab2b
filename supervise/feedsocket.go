package supervise

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/coder/websocket"
)

// socket is one WebSocket connection that carries text messages. Read, and Write with Ping, may be called from two
// goroutines; Close ends a Read that waits.
type socket interface {
	Read(ctx context.Context) ([]byte, error)
	Write(ctx context.Context, message []byte) error
	// Ping returns when the pong has come; a Read must be waiting meanwhile.
	Ping(ctx context.Context) error
	Close() error
}

// maxFrameBytes bounds one message; a session event has about 2 KiB.
const maxFrameBytes = 1 << 20

// handshakeError says that the server did not want the connection.
type handshakeError struct{ status int }

func (e *handshakeError) Error() string {
	return fmt.Sprintf("feed: handshake: got %d, want 101", e.status)
}

// webSocket is the socket of the real world.
type webSocket struct{ conn *websocket.Conn }

// dialWebSocket connects. The address holds a token, so errors don't repeat it.
func (c *client) dialWebSocket(ctx context.Context, address string) (socket, error) {
	own := http.Client{Transport: c.http.Transport, CheckRedirect: c.http.CheckRedirect}
	header := http.Header{"User-Agent": {c.userAgent}}
	//nolint:bodyclose // the library owns the body
	conn, resp, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: &own, HTTPHeader: header})
	switch {
	case err != nil && resp != nil:
		return nil, &handshakeError{resp.StatusCode}
	case err != nil:
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		} else {
			err = errors.New("no WebSocket")
		}
		return nil, fmt.Errorf("feed: connect: %w", err)
	}
	conn.SetReadLimit(maxFrameBytes)
	return &webSocket{conn}, nil
}

// Read gives the next message; pings of the server are answered meanwhile.
func (w *webSocket) Read(ctx context.Context) ([]byte, error) {
	for {
		kind, b, err := w.conn.Read(ctx)
		if err != nil {
			return nil, fmt.Errorf("feed: read: %w", err)
		}
		if kind == websocket.MessageText {
			return b, nil
		}
	}
}

// Write sends one message.
func (w *webSocket) Write(ctx context.Context, b []byte) error {
	if err := w.conn.Write(ctx, websocket.MessageText, b); err != nil {
		return fmt.Errorf("feed: write: %w", err)
	}
	return nil
}

// Ping sends a ping and waits for its pong.
func (w *webSocket) Ping(ctx context.Context) error {
	if err := w.conn.Ping(ctx); err != nil {
		return fmt.Errorf("feed: ping: %w", err)
	}
	return nil
}

// Close ends the connection without waiting for the far side.
func (w *webSocket) Close() error { return w.conn.CloseNow() }
