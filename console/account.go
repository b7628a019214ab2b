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

// AccountBackend answers what the daemon's logins see at RingCentral, from any goroutine.
type AccountBackend interface {
	// Account answers a question such as calls, with its parameters; the answer is fit for encoding/json.
	Account(ctx context.Context, question string, params url.Values) (any, error)
}

// accountTimeout bounds a question: each request to RingCentral may take 10 s, and some questions need several.
const accountTimeout = 2 * time.Minute

// account serves GET /account/{question}.
func (c *Control) account(w http.ResponseWriter, r *http.Request) {
	backend, ok := c.cfg.Backend.(AccountBackend)
	if !ok {
		http.Error(w, "account: this daemon has no RingCentral login", http.StatusNotImplemented)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), accountTimeout)
	defer cancel()
	answer, err := backend.Account(ctx, r.PathValue("question"), r.URL.Query())
	var b []byte
	if err == nil {
		b, err = json.Marshal(answer)
	}
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

// Account asks the daemon what its logins see: a question such as calls, and its parameters.
func (c *Client) Account(ctx context.Context, question string, params url.Values) (json.RawMessage, error) {
	body, err := c.get(ctx, "/account/"+url.PathEscape(question), params)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", question, err)
	}
	return whole(question, body)
}
