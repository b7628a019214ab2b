package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/earshot/earshot/internal/who"
)

// ConsentRequest is what somebody says of a call.
type ConsentRequest struct {
	Agent    string `json:"agent,omitempty"`    // extension number; only where the path has ByAgent for the call
	Given    *bool  `json:"given"`              // false: refused, or withdrawn
	Basis    string `json:"basis,omitempty"`    // on what ground; empty: as configured
	Evidence string `json:"evidence,omitempty"` // where that can be looked up
	By       string `json:"by,omitempty"`       // who consented or refused; empty: who asks
	Why      string `json:"why,omitempty"`      // for the evidence log
}

// Consenter is a Backend whose calls may need consent. ErrBadConsent: none is required; ErrNoCall: there is no such call.
type Consenter interface {
	// Consent answers when it holds, fit for encoding/json.
	Consent(ctx context.Context, call string, req ConsentRequest) (any, error)
}

// ErrBadConsent is what a Consenter returns, wrapped, where no consent is required.
var ErrBadConsent = errors.New("bad consent")

func (r *ConsentRequest) check(call string) error {
	switch {
	case r.Given == nil:
		return errors.New(`consent: want {"given":true,"basis":"...","evidence":"...","by":"..."}, all but given optional`)
	case (call == ByAgent) != (r.Agent != ""):
		return errors.New("consent: want a call's id in the path, or - there and an agent")
	}
	for _, text := range []string{r.Basis, r.Evidence, r.By, r.Why} {
		if len(text) > maxActText {
			return fmt.Errorf("consent: a text has more than %d octets", maxActText)
		}
	}
	return nil
}

// consenting serves consent, where the backend has it.
func (c *Control) consenting(mux *http.ServeMux) {
	b, ok := c.cfg.Backend.(Consenter)
	if !ok {
		return
	}
	mux.HandleFunc("POST /calls/{call}/consent", func(w http.ResponseWriter, r *http.Request) {
		var req ConsentRequest
		id := r.PathValue("call")
		err := readRequest(r, &req)
		if err == nil {
			err = req.check(id)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if id == ByAgent {
			id = ""
		}
		done, err := b.Consent(who.Because(r.Context(), req.Why), id, req)
		c.reply(w, done, err)
	})
}

// Consent tells the daemon what somebody says of a call, by its id, or with ByAgent of the agent that the request names; it gives the answer as
// it is. ErrNoCall: there is none.
func (c *Client) Consent(ctx context.Context, call string, req ConsentRequest) (json.RawMessage, error) {
	body, err := c.post(ctx, "/calls/"+url.PathEscape(call)+"/consent", req)
	if err != nil {
		return nil, fmt.Errorf("consent: %w", err)
	}
	return whole("consent", body)
}
