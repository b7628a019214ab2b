package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxStatus bounds a status answer and an error text, in bytes.
const (
	maxStatus    = 64 << 20
	maxErrorText = 4 << 10
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
	return "start it with `earshot run`, or name its configuration with -c if it has another control.socket"
}

// pingWithin is how long a daemon may take to show that it lives.
const pingWithin = 5 * time.Second

// HungError is what Dial returns when a daemon serves the socket and does not answer.
type HungError struct{ Socket string }

// Error says that it hangs.
func (e *HungError) Error() string {
	return fmt.Sprintf("the daemon does not answer within %s (socket %s)", pingWithin, e.Socket)
}

// Hint says what to do.
func (e *HungError) Hint() string {
	return "it is stopped, or the machine is overloaded; `kill -QUIT` ends it and has it print where it stands"
}

// Client talks to the daemon over its control socket. It may be used by many goroutines.
type Client struct {
	http *http.Client
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Dial checks that a daemon serves the socket, and that it answers; the error is a *NotRunningError or a *HungError.
func Dial(ctx context.Context, socket string) (*Client, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	conn, err := dial(ctx, "", "")
	switch {
	case err == nil:
		if err := conn.Close(); err != nil {
			return nil, fmt.Errorf("control: %w", err)
		}
	case ctx.Err() != nil, errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("control: %w", err)
	default:
		return nil, &NotRunningError{Socket: socket, Err: err}
	}
	c := &Client{dial: dial, http: &http.Client{Transport: &http.Transport{
		DialContext: dial, DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
	}}}
	return c, c.ping(ctx, socket)
}

// ping sees that somebody answers, whatever it is.
func (c *Client) ping(ctx context.Context, socket string) error {
	limited, cancel := context.WithTimeout(ctx, pingWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(limited, http.MethodGet, "http://earshot/ping", nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(r)
	switch {
	case err == nil:
		return resp.Body.Close()
	case limited.Err() != nil && ctx.Err() == nil:
		return &HungError{Socket: socket}
	}
	return fmt.Errorf("control: %w", err)
}

// Status gives the daemon's status as it is.
func (c *Client) Status(ctx context.Context) (json.RawMessage, error) {
	body, err := c.get(ctx, "/status", nil)
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	return whole("status", body)
}

// whole reads an answer of one piece, and closes it.
func whole(what string, body io.ReadCloser) (json.RawMessage, error) {
	b, err := io.ReadAll(io.LimitReader(body, maxStatus))
	if err := errors.Join(err, body.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return bytes.TrimSpace(b), nil
}

// Listen writes a call's audio to w until the call ends (nil), ctx does, or w fails. ErrNoCall: there is no such call.
func (c *Client) Listen(ctx context.Context, req ListenRequest, w io.Writer) error {
	q := url.Values{}
	for k, v := range map[string]string{"call": req.Call, "agent": req.Agent, "track": req.Track, "format": req.Format, "why": req.Why} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if req.Since > 0 {
		q.Set("since", req.Since.String())
	}
	if req.Rate != 0 {
		q.Set("rate", strconv.Itoa(req.Rate))
	}
	if req.Header {
		q.Set("header", "true")
	}
	body, err := c.get(ctx, "/listen", q)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	_, err = io.Copy(w, body)
	if err := errors.Join(err, body.Close()); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// Close closes idle connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// get asks; see do.
func (c *Client) get(ctx context.Context, path string, q url.Values) (io.ReadCloser, error) {
	return c.ask(ctx, http.MethodGet, path, q)
}

func (c *Client) ask(ctx context.Context, method, path string, q url.Values) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://earshot"+path+"?"+q.Encode(), nil)
	if err != nil {
		return nil, err
	}
	return c.do(r)
}

// do gives the body of a good answer; the text of another is the error.
func (c *Client) do(r *http.Request) (io.ReadCloser, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorText))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	return nil, &remoteError{text: strings.TrimSpace(string(text)), is: meaning[resp.StatusCode]}
}

// meaning is what a status of the daemon stands for.
var meaning = map[int]error{http.StatusNotFound: ErrNoCall, http.StatusUnprocessableEntity: ErrBadConfig} //nolint:gochecknoglobals // constant

// remoteError is what the daemon answered.
type remoteError struct {
	text string
	hint string
	is   error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.is }

// Hint gives the daemon's, if it had one.
func (e *remoteError) Hint() string { return e.hint }
