package console

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/earshot/earshot/internal/who"
)

// SuperviseRequest says which call is to be joined by hand.
type SuperviseRequest struct {
	Agent string `json:"agent"`          // extension number or id
	Mode  string `json:"mode,omitempty"` // party or session; empty: as configured
	Wait  bool   `json:"wait,omitempty"` // for the agent's next call, where there is none
	Why   string `json:"why,omitempty"`  // for the evidence log
}

// ReleaseRequest says whose place is to be given up: one of the two.
type ReleaseRequest struct {
	Call  string `json:"call,omitempty"`
	Agent string `json:"agent,omitempty"`
	Why   string `json:"why,omitempty"` // for the evidence log
}

// ByHand is a Backend that does what a user says by hand.
type ByHand interface {
	// Supervise joins an agent's call and shows each step, fit for encoding/json, as it is done. It gives the call's id.
	Supervise(ctx context.Context, req SuperviseRequest, show func(step any)) (string, error)
	// Release gives the supervisor's place of calls up, and says of which, fit for encoding/json. ErrNoCall: there is none.
	Release(ctx context.Context, req ReleaseRequest) (any, error)
}

// Outcome is the last line of a supervise answer: an answer without one was cut off.
type Outcome struct {
	End   bool   `json:"end"` // always true
	Call  string `json:"call,omitempty"`
	Error string `json:"error,omitempty"` // why it is not heard; empty: it is
	Hint  string `json:"hint,omitempty"`
	Dir   string `json:"dir,omitempty"` // of the recording, where the command heard it by itself
}

// Conclude makes the last line.
func Conclude(call string, err error) Outcome {
	out := Outcome{End: true, Call: call}
	if err != nil {
		out.Error = err.Error()
		var h interface{ Hint() string }
		if errors.As(err, &h) {
			out.Hint = h.Hint()
		}
	}
	return out
}

const (
	maxRequestBody = 4 << 10
	maxStepLine    = 256 << 10
)

// byHand serves what a user says by hand, where the backend does it.
func (c *Control) byHand(mux *http.ServeMux) {
	b, ok := c.cfg.Backend.(ByHand)
	if !ok {
		return
	}
	mux.HandleFunc("POST /supervise", func(w http.ResponseWriter, r *http.Request) { supervise(b, w, r) })
	mux.HandleFunc("POST /release", func(w http.ResponseWriter, r *http.Request) { c.release(b, w, r) })
}

// supervise answers with a line of JSON for each step, at once, and an Outcome last.
func supervise(b ByHand, w http.ResponseWriter, r *http.Request) {
	var req SuperviseRequest
	if err := readRequest(r, &req); err != nil || req.Agent == "" {
		http.Error(w, "supervise: want {\"agent\": \"108\"}, and may have mode and wait", http.StatusBadRequest)
		return
	}
	out := &flushed{w: w, control: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "application/x-ndjson")
	line := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			text, _ = json.Marshal(Conclude("", fmt.Errorf("step: %w", err)))
		}
		_, _ = out.Write(append(text, '\n')) // who asked may have gone; the call stays wanted
	}
	call, err := b.Supervise(who.Because(r.Context(), req.Why), req, line)
	line(Conclude(call, err))
}

func (c *Control) release(b ByHand, w http.ResponseWriter, r *http.Request) {
	var req ReleaseRequest
	if err := readRequest(r, &req); err != nil || (req.Call == "") == (req.Agent == "") {
		http.Error(w, "release: want a call or an agent", http.StatusBadRequest)
		return
	}
	released, err := b.Release(who.Because(r.Context(), req.Why), req)
	c.reply(w, released, err)
}

// readRequest reads a small JSON body; a field that is not known is a mistake.
func readRequest(r *http.Request, into any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, maxRequestBody))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// Supervise has the daemon join an agent's call by hand; step gets each line as it comes. An error is why the call is not
// heard, with the daemon's hint.
func (c *Client) Supervise(ctx context.Context, req SuperviseRequest, step func(json.RawMessage) error) (Outcome, error) {
	body, err := c.post(ctx, "/supervise", req)
	if err != nil {
		return Outcome{}, fmt.Errorf("supervise: %w", err)
	}
	defer body.Close() //nolint:errcheck // read only
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxStepLine)
	for lines.Scan() {
		var o Outcome
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return Outcome{}, fmt.Errorf("supervise: answer of the daemon: %w", err)
		}
		if o.End {
			if o.Error != "" {
				return o, &remoteError{text: "supervise: " + o.Error, hint: o.Hint}
			}
			return o, nil
		}
		if err := step(json.RawMessage(bytes.Clone(lines.Bytes()))); err != nil {
			return Outcome{}, err
		}
	}
	if err := lines.Err(); err != nil {
		return Outcome{}, fmt.Errorf("supervise: %w", err)
	}
	return Outcome{}, errors.New("supervise: the daemon ended before it was done")
}

// Release has the daemon give the supervisor's place of calls up; it gives the answer as it is. ErrNoCall: there is none.
func (c *Client) Release(ctx context.Context, req ReleaseRequest) (json.RawMessage, error) {
	body, err := c.post(ctx, "/release", req)
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	return whole("release", body)
}

// post sends a JSON body; see do.
func (c *Client) post(ctx context.Context, path string, body any) (io.ReadCloser, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://earshot"+path, strings.NewReader(string(b)))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	return c.do(r)
}
