package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// What may be done with recordings.
const (
	CareHold   = "hold"
	CareUnhold = "unhold"
	CareErase  = "erase"
	CarePrune  = "prune"
	CareFetch  = "fetch" // bring audio back from the vault
)

// CareRequest says what is to be done with recordings.
type CareRequest struct {
	Act    string `json:"act"`
	Folder string `json:"folder,omitempty"` // but for prune
	Matter string `json:"matter,omitempty"` // of a hold
	Why    string `json:"why,omitempty"`
	// Of a prune: by the configuration as it is now instead of by the manifests; the clock is right, as who asks says; how many at most.
	Reclass      bool `json:"reclass,omitempty"`
	ClockIsRight bool `json:"clock_is_right,omitempty"`
	Most         int  `json:"most,omitempty"`
}

func (r CareRequest) check() error {
	switch {
	case !slices.Contains([]string{CareHold, CareUnhold, CareErase, CarePrune, CareFetch}, r.Act):
		return fmt.Errorf("recordings: got %q, want hold, unhold, erase, prune or fetch", r.Act)
	case (r.Act == CarePrune) != (r.Folder == ""):
		return fmt.Errorf("recordings: %s: want a folder for all but prune", r.Act)
	case r.Act != CarePrune && r.Why == "":
		return fmt.Errorf("recordings: %s: why is missing", r.Act)
	case len(r.Why) > maxActText || len(r.Folder) > maxActText || len(r.Matter) > maxActText:
		return fmt.Errorf("recordings: %s: a text has more than %d octets", r.Act, maxActText)
	}
	return nil
}

// Carer is a Backend that holds, frees, erases, prunes and fetches recordings. The context names who asks; the answer is fit for encoding/json.
type Carer interface {
	Care(ctx context.Context, req CareRequest) (any, error)
}

// care serves what is done with recordings.
func (c *Control) care(mux *http.ServeMux) {
	b, ok := c.cfg.Backend.(Carer)
	if !ok {
		return
	}
	mux.HandleFunc("POST /recordings", func(w http.ResponseWriter, r *http.Request) {
		var req CareRequest
		err := readRequest(r, &req)
		if err == nil {
			err = req.check()
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		ctx := r.Context()
		if req.Act != CareFetch { // who asks may go away: what was begun is finished, but for a download
			ctx = context.WithoutCancel(ctx)
		}
		done, err := b.Care(ctx, req)
		c.reply(w, done, err)
	})
}

// Care has the daemon do something with recordings, and gives its answer as it is.
func (c *Client) Care(ctx context.Context, req CareRequest) (json.RawMessage, error) {
	body, err := c.post(ctx, "/recordings", req)
	if err != nil {
		return nil, err
	}
	return whole("recordings", body)
}
