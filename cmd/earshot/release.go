package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
)

type releaseCmd struct {
	Call  string `arg:"" optional:"" help:"call id, as earshot status shows it"`
	Agent string `help:"the calls of this agent (extension number)"`
	Why   string `placeholder:"TEXT" help:"the reason, for the evidence log"`
	JSON  bool   `help:"as JSON"`
}

// Run has the running daemon give the supervisor's place of a call to a human.
func (r releaseCmd) Run(ctx context.Context, c *cli, p *process) error {
	if (r.Call == "") == (r.Agent == "") {
		return &usageError{err: errors.New("release: want a call or --agent"), hint: "earshot status"}
	}
	cl, err := dial(ctx, c, p)
	if err != nil {
		return err
	}
	defer cl.Close() //nolint:errcheck // idle connections only
	raw, err := cl.Release(ctx, console.ReleaseRequest{Call: r.Call, Agent: r.Agent, Why: r.Why})
	if errors.Is(err, console.ErrNoCall) {
		return &hinted{err, "`earshot status` lists the calls"}
	}
	if err != nil {
		return err
	}
	if r.JSON {
		_, err := fmt.Fprintln(p.out, string(raw))
		return err
	}
	var released []endpoint.Released
	if err := json.Unmarshal(raw, &released); err != nil {
		return fmt.Errorf("release: answer of the daemon: %w", err)
	}
	for _, d := range released {
		what := "was not heard; it is not asked for"
		if d.Heard {
			what = "its dialogs have ended, its recording is being sealed"
		}
		if _, err := fmt.Fprintf(p.out, "released %s, agent %s: %s\n", d.Call, orDash(d.Agent), what); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(p.out, "asked for again when a human has listened and left, or by `earshot supervise`")
	return err
}
