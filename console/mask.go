package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/earshot/earshot/internal/who"
)

// ByAgent stands in the place of a call's id where the agent names the call.
const ByAgent = "-"

// MaskRequest says what is to be held back of a call. Times are Go durations, such as "5s".
type MaskRequest struct {
	Agent string `json:"agent,omitempty"` // extension number; only where the path has ByAgent for the call
	Back  string `json:"back,omitempty"`  // from so long ago on; empty: from now on
	For   string `json:"for,omitempty"`   // it ends after so long; empty: with unmask, or after record.mask.max
	Why   string `json:"why,omitempty"`   // for the evidence log, and the manifest
}

// Masker is a Backend that holds back the audio of calls. ErrBadMask: what was asked for can't be; ErrNoCall: there is no such call.
type Masker interface {
	// Mask answers when it holds, fit for encoding/json.
	Mask(ctx context.Context, call, agent string, back, long time.Duration) (any, error)
	Unmask(ctx context.Context, call, agent string) (any, error)
}

// ErrBadMask is what a Masker returns, wrapped, for a mask that can't be.
var ErrBadMask = errors.New("bad mask")

// masking serves masks, where the backend has them.
func (c *Control) masking(mux *http.ServeMux) {
	m, ok := c.cfg.Backend.(Masker)
	if !ok {
		return
	}
	mux.HandleFunc("POST /calls/{call}/mask", func(w http.ResponseWriter, r *http.Request) {
		c.mask(w, r, func(ctx context.Context, call string, req MaskRequest) (any, error) {
			back, err := length("back", req.Back)
			if err != nil {
				return nil, err
			}
			long, err := length("for", req.For)
			if err != nil {
				return nil, err
			}
			return m.Mask(ctx, call, req.Agent, back, long)
		})
	})
	mux.HandleFunc("POST /calls/{call}/unmask", func(w http.ResponseWriter, r *http.Request) {
		c.mask(w, r, func(ctx context.Context, call string, req MaskRequest) (any, error) {
			if req.Back != "" || req.For != "" {
				return nil, fmt.Errorf("%w: unmask takes no back and no for", ErrBadMask)
			}
			return m.Unmask(ctx, call, req.Agent)
		})
	})
}

func (c *Control) mask(w http.ResponseWriter, r *http.Request, do func(context.Context, string, MaskRequest) (any, error)) {
	var req MaskRequest
	id := r.PathValue("call")
	if r.ContentLength != 0 {
		if err := readRequest(r, &req); err != nil {
			http.Error(w, `mask: want {"back":"5s","for":"90s","why":"..."}, all of them optional: `+err.Error(), http.StatusBadRequest)
			return
		}
	}
	if (id == ByAgent) != (req.Agent != "") || len(req.Why) > maxActText {
		http.Error(w, "mask: want a call's id in the path, or - there and an agent, and a why of at most 1024 octets", http.StatusBadRequest)
		return
	}
	if id == ByAgent {
		id = ""
	}
	done, err := do(who.Because(r.Context(), req.Why), id, req)
	c.reply(w, done, err)
}

// length reads a duration; empty is 0.
func length(key, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%w: %s: got %q, want a duration such as 5s", ErrBadMask, key, text)
	}
	return d, nil
}

// Mask has the daemon hold back the audio of a call, by its id, or with ByAgent of the agent that the request names; it gives the answer as it
// is. ErrNoCall: there is none.
func (c *Client) Mask(ctx context.Context, call string, req MaskRequest) (json.RawMessage, error) {
	return c.maskOf(ctx, call, "mask", req)
}

// Unmask ends that.
func (c *Client) Unmask(ctx context.Context, call string, req MaskRequest) (json.RawMessage, error) {
	return c.maskOf(ctx, call, "unmask", req)
}

func (c *Client) maskOf(ctx context.Context, call, what string, req MaskRequest) (json.RawMessage, error) {
	body, err := c.post(ctx, "/calls/"+url.PathEscape(call)+"/"+what, req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return whole(what, body)
}
