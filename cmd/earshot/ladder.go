package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
)

type ladderCmd struct {
	Call         string `arg:"" optional:"" help:"call id, session or SIP Call-ID; none: the list of those that are known"`
	Registration bool   `help:"what the devices and their registrars said last"`
	JSON         bool   `help:"as JSON"`
}

// Run shows what was said in SIP.
func (l ladderCmd) Run(ctx context.Context, c *cli, p *process) error {
	if l.Registration && l.Call != "" {
		return &usageError{err: errors.New("ladder: want a call or --registration"), hint: "earshot ladder"}
	}
	cl, err := dial(ctx, c, p)
	if err != nil {
		return err
	}
	defer cl.Close() //nolint:errcheck // idle connections only
	ask := func() (json.RawMessage, error) { return cl.Ladders(ctx, l.Call) }
	if l.Registration {
		ask = func() (json.RawMessage, error) { return cl.Registrations(ctx) }
	}
	raw, err := ask()
	if errors.Is(err, console.ErrNoCall) {
		return &hinted{err, "`earshot ladder` lists the calls whose SIP is known: those that live and the newest that are over; a recording that went wrong has it in sip.txt"}
	}
	if err != nil {
		return err
	}
	if l.JSON {
		var b bytes.Buffer
		if err := json.Indent(&b, raw, "", "  "); err != nil {
			return fmt.Errorf("ladder: answer of the daemon: %w", err)
		}
		_, err = fmt.Fprintln(p.out, b.String())
		return err
	}
	var found []endpoint.CallLadder
	if err := json.Unmarshal(raw, &found); err != nil {
		return fmt.Errorf("ladder: answer of the daemon: %w", err)
	}
	if l.Call == "" && !l.Registration {
		return listLadders(p.out, found)
	}
	for i, f := range found {
		if i > 0 {
			fmt.Fprintln(p.out)
		}
		if _, err := fmt.Fprint(p.out, f.String()); err != nil {
			return err
		}
	}
	return nil
}

func listLadders(out io.Writer, found []endpoint.CallLadder) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BEGAN\tSTATE\tMESSAGES\tCALL\tSIP CALL-ID\tLAST")
	for _, f := range found {
		state := "over"
		if f.Live {
			state = "live"
		}
		last := f.Steps[len(f.Steps)-1]
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", f.Steps[0].At.UTC().Format("2006-01-02T15:04:05Z"), state, len(f.Steps)+f.Omitted,
			orDash(f.Call), f.CallID, last.Start())
	}
	return w.Flush()
}

// Ladders answers the control socket.
func (b backend) Ladders(call string) (any, error) {
	found := b.ep.Ladders(call)
	if call != "" && len(found) == 0 {
		return nil, fmt.Errorf("%w %q, or nothing of its SIP is known", console.ErrNoCall, call)
	}
	return found, nil
}

// Registrations answers the control socket.
func (b backend) Registrations() any { return b.ep.Registrations() }
