package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// ErrBadConfig is what an Operator's Reload returns, wrapped, for a configuration that can't be used, and Client.Reload then.
// The text has a line for each mistake.
var ErrBadConfig = errors.New("bad configuration")

// Operator does what changes the daemon itself. Its methods are called from any goroutine.
type Operator interface {
	// Reload reads the configuration again and applies what can be applied while calls live.
	Reload(ctx context.Context) (Reloaded, error)
	// Drain takes no new calls from now on; the daemon ends with the last one.
	Drain() Draining
	// HandOver leaves the daemon's work to the process at the other end of the link. It returns when that came to nothing, or
	// ctx ends.
	HandOver(ctx context.Context, l *Link)
}

// Reloaded says which keys of the configuration have another value than the one at work.
type Reloaded struct {
	Applied []string `json:"applied"` // and work now
	Restart []string `json:"restart"` // and need a restart
}

// Draining is a daemon that ends with its last call.
type Draining struct {
	PID   int  `json:"pid"`
	Calls int  `json:"calls"`           // left
	Ended bool `json:"ended,omitempty"` // all of them, and everything is sealed
}

// operate adds what the Operator answers.
func (c *Control) operate(mux *http.ServeMux) {
	mux.HandleFunc("POST /reload", c.reload)
	mux.HandleFunc("POST /drain", c.drain)
	mux.HandleFunc("POST "+takeoverPath, c.takeover)
}

func (c *Control) reload(w http.ResponseWriter, r *http.Request) {
	done, err := c.cfg.Operator.Reload(r.Context())
	c.reply(w, done, err)
}

// drain answers at once; with wait=1 it says a second time when the daemon is about to end.
func (c *Control) drain(w http.ResponseWriter, r *http.Request) {
	left := c.cfg.Operator.Drain()
	if !c.line(w, left) || r.URL.Query().Get("wait") == "" {
		return
	}
	<-r.Context().Done()
	c.line(w, Draining{PID: left.PID, Ended: true})
}

// Reload has the daemon read its configuration again. ErrBadConfig: the one at work stays, the text says why.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	var out Reloaded
	body, err := c.ask(ctx, http.MethodPost, "/reload", nil)
	if errors.Is(err, ErrBadConfig) {
		return out, err
	}
	if err != nil {
		return out, fmt.Errorf("reload: %w", err)
	}
	err = json.NewDecoder(io.LimitReader(body, maxStatus)).Decode(&out)
	if err := errors.Join(err, body.Close()); err != nil {
		return out, fmt.Errorf("reload: answer of the daemon: %w", err)
	}
	return out, nil
}

// errNoEnd is what a Drain ends with whose daemon did not say that all is sealed.
var errNoEnd = errors.New("the daemon has gone without a word: see its log")

// Drain has the daemon take no new calls. begun hears at once how many are left; with wait, Drain returns when they have
// ended and all is sealed.
func (c *Client) Drain(ctx context.Context, wait bool, begun func(Draining)) error {
	q := url.Values{}
	if wait {
		q.Set("wait", "1")
	}
	body, err := c.ask(ctx, http.MethodPost, "/drain", q)
	if err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	defer body.Close() //nolint:errcheck // read only
	d := json.NewDecoder(body)
	var left Draining
	if err := d.Decode(&left); err != nil {
		return fmt.Errorf("drain: answer of the daemon: %w", err)
	}
	begun(left)
	if !wait {
		return nil
	}
	if err := d.Decode(&left); err != nil || !left.Ended {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("drain: %w", errNoEnd)
	}
	return nil
}

// clip cuts an error text to a length.
func clip(r io.Reader) string {
	b, err := io.ReadAll(io.LimitReader(r, maxErrorText))
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(b))
}
