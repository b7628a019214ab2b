package console_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/internal/who"
)

// consenter is a Backend whose calls need consent.
type consenter struct {
	backend
	consent func(ctx context.Context, call string, req console.ConsentRequest) (any, error)
}

func (c consenter) Consent(ctx context.Context, call string, req console.ConsentRequest) (any, error) {
	return c.consent(ctx, call, req)
}

func TestConsentGoesThroughTheSocket(t *testing.T) {
	asked := ""
	path := filepath.Join(t.TempDir(), "earshot.sock")
	c, err := console.NewControl(console.ControlConfig{Socket: path, Backend: consenter{nobody, func(ctx context.Context, call string, req console.ConsentRequest) (any, error) {
		asked = fmt.Sprintf("%s %s %v %s %s %s %s", call, req.Agent, *req.Given, req.Basis, req.Evidence, req.By, who.Why(ctx))
		switch call {
		case "none":
			return nil, console.ErrNoCall
		case "assumed":
			return nil, console.ErrBadConsent
		}
		return map[string]string{"state": "given"}, nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, c.Run)
	cl, yes, no := dial(t, path), true, false
	req := console.ConsentRequest{Given: &yes, Basis: "b", Evidence: "e", By: "c", Why: "w"}
	if got, err := cl.Consent(t.Context(), "s/1", req); err != nil || string(got) != `{"state":"given"}` || asked != "s/1  true b e c w" {
		t.Errorf("got %s, %v; asked %q", got, err, asked)
	}
	if _, err := cl.Consent(t.Context(), console.ByAgent, console.ConsentRequest{Agent: "108", Given: &no}); err != nil || asked != " 108 false    " {
		t.Errorf("by agent: got %v; asked %q", err, asked)
	}
	if _, err := cl.Consent(t.Context(), "none", req); !errors.Is(err, console.ErrNoCall) {
		t.Errorf("no call: got %v", err)
	}
	if _, err := cl.Consent(t.Context(), "assumed", req); err == nil || !strings.Contains(err.Error(), "bad consent") {
		t.Errorf("none required: got %v", err)
	}
	for _, bad := range []console.ConsentRequest{{}, {Given: &yes, Agent: "108"}, {Given: &yes, Basis: strings.Repeat("x", 2000)}} {
		asked = ""
		if _, err := cl.Consent(t.Context(), "s-1", bad); err == nil || asked != "" {
			t.Errorf("%.60v: got %v, and asked %q", bad, err, asked)
		}
	}
}
