package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/earshot/earshot/internal/attr"
)

// LadderBackend is a Backend that knows what was said in SIP.
type LadderBackend interface {
	// Ladders gives a call's, or a list for "", fit for encoding/json. ErrNoCall: nothing is known of it.
	Ladders(call string) (any, error)
	// Registrations gives the devices'.
	Registrations() any
}

// ladders adds what a LadderBackend answers.
func (c *Control) ladders(mux *http.ServeMux) {
	b, ok := c.cfg.Backend.(LadderBackend)
	if !ok {
		return
	}
	mux.HandleFunc("GET /ladder", func(w http.ResponseWriter, r *http.Request) {
		answer, err := b.Ladders(r.URL.Query().Get("call"))
		c.tell(w, answer, err)
	})
	mux.HandleFunc("GET /registration", func(w http.ResponseWriter, _ *http.Request) { c.tell(w, b.Registrations(), nil) })
}

// tell answers with JSON, or why not.
func (c *Control) tell(w http.ResponseWriter, answer any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	b, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTimeout)); err != nil {
		c.cfg.Log.Debug("deadline not set", attr.Err(err))
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n'))
}

// Ladders asks what was said in a call, or for the list of calls; ErrNoCall: nothing is known of it.
func (c *Client) Ladders(ctx context.Context, call string) (json.RawMessage, error) {
	return c.ladder(ctx, "/ladder", url.Values{"call": {call}})
}

// Registrations asks what the devices and their registrars said last.
func (c *Client) Registrations(ctx context.Context) (json.RawMessage, error) {
	return c.ladder(ctx, "/registration", nil)
}

func (c *Client) ladder(ctx context.Context, path string, q url.Values) (json.RawMessage, error) {
	body, err := c.get(ctx, path, q)
	if err != nil {
		return nil, fmt.Errorf("ladder: %w", err)
	}
	return whole("ladder", body)
}
