package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
)

type consentCmd struct {
	Call     string `arg:"" optional:"" help:"call id, as earshot status shows it"`
	Agent    string `help:"the call of this agent (extension number)"`
	Refused  bool   `help:"it is refused, or withdrawn: the audio is held back from now on"`
	Basis    string `placeholder:"TEXT" help:"on what ground; default record.consent.basis"`
	Evidence string `placeholder:"TEXT" help:"where that can be looked up, such as a recording of the announcement"`
	By       string `placeholder:"TEXT" help:"who consented or refused; default whoever runs this command"`
	Why      string `placeholder:"TEXT" help:"the reason, for the evidence log"`
	JSON     bool   `help:"as JSON"`
}

// Run tells the running daemon that a call may be recorded, or that it may not.
func (k consentCmd) Run(ctx context.Context, c *cli, p *process) error {
	if (k.Call == "") == (k.Agent == "") {
		return &usageError{err: errors.New("consent: want a call or --agent"), hint: "earshot status"}
	}
	id, given := k.Call, !k.Refused
	if id == "" {
		id = console.ByAgent
	}
	cl, err := dial(ctx, c, p)
	if err != nil {
		return err
	}
	defer cl.Close() //nolint:errcheck // idle connections only
	raw, err := cl.Consent(ctx, id, console.ConsentRequest{Agent: k.Agent, Given: &given, Basis: k.Basis, Evidence: k.Evidence, By: k.By, Why: k.Why})
	if errors.Is(err, console.ErrNoCall) {
		return &hinted{err, "`earshot status` lists the calls"}
	}
	if err != nil {
		return err
	}
	if k.JSON {
		_, err := fmt.Fprintln(p.out, string(raw))
		return err
	}
	var done endpoint.Consented
	if err := json.Unmarshal(raw, &done); err != nil {
		return fmt.Errorf("consent: answer of the daemon: %w", err)
	}
	if done.NotDurable != "" {
		fmt.Fprintln(p.err, "earshot: warning: it holds, but a restart would not know of it:", done.NotDurable)
	}
	what := "goes out"
	if done.State == "refused" {
		what = "is held back"
	}
	_, err = fmt.Fprintf(p.out, "consent %s for %s, agent %s: audio from %s UTC on %s\n", done.State, done.Call, orDash(done.Agent), done.From.UTC().Format(clockText), what)
	return err
}

// Consent tells what somebody says of a call; see console.Consenter.
func (b backend) Consent(ctx context.Context, call string, req console.ConsentRequest) (any, error) {
	done, err := b.ep.Consent(ctx, call, req.Agent, endpoint.ConsentRequest{Given: *req.Given, Basis: req.Basis, Evidence: req.Evidence, By: req.By})
	if errors.Is(err, endpoint.ErrBadConsent) {
		return nil, badConsent{err}
	}
	return done, inConsoleWords(err)
}

// badConsent is endpoint's "bad consent" in the console's words.
type badConsent struct{ error }

func (badConsent) Is(target error) bool { return target == console.ErrBadConsent }
