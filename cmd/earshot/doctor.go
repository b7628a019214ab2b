package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/supervise"
)

type doctorCmd struct {
	Peak      int     `placeholder:"CALLS" help:"calls at once at the busiest time; default every agent on the line"`
	PerSecond float64 `placeholder:"CALLS" help:"calls that begin in a second then; default as many as last three minutes each"`
	JSON      bool    `help:"as JSON"`
}

// checks is the answer to doctor: of --json, and with the findings of the logins alone of the daemon over its socket.
type checks struct {
	OK       bool                `json:"ok"`     // no finding is FAIL
	Agents   int                 `json:"agents"` // that are to be heard
	Findings []supervise.Finding `json:"findings"`
}

// Run looks at all that must hold for calls to be heard. It fails if something does not.
func (d doctorCmd) Run(ctx context.Context, c *cli, p *process) error {
	if d.Peak < 0 || d.PerSecond < 0 {
		return &usageError{err: fmt.Errorf("doctor: --peak %d, --per-second %g: want nothing negative", d.Peak, d.PerSecond)}
	}
	found, err := d.examine(ctx, c, p)
	if err != nil {
		return err
	}
	failed := 0
	for _, f := range found.Findings {
		if f.Mark == supervise.MarkFail {
			failed++
		}
	}
	found.OK = failed == 0
	if d.JSON {
		e := json.NewEncoder(p.out)
		e.SetIndent("", "  ")
		err = e.Encode(found)
	} else {
		err = printFindings(p.out, found.Findings)
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("doctor: %d of %d findings are FAIL", failed, len(found.Findings))
	}
	return err
}

// examine makes all findings: of the configuration, the daemon where one runs, the logins, and this machine.
func (d doctorCmd) examine(ctx context.Context, c *cli, p *process) (checks, error) {
	l, bad := config.Load(c.input(p))
	warnings := l.Warnings
	if bad != nil {
		var err error
		if l, err = config.Peek(c.input(p)); err != nil {
			return checks{Findings: configFindings(warnings, bad, supervise.MarkFail)}, nil
		}
	}
	cl, err := console.Dial(ctx, l.Config.SocketPath())
	if _, none := errors.AsType[*console.NotRunningError](err); err != nil && !none {
		return checks{}, err
	}
	var findings []supervise.Finding
	add := func(more ...supervise.Finding) { findings = append(findings, more...) }
	running := err == nil
	switch {
	case bad != nil && !running:
		return checks{Findings: configFindings(warnings, bad, supervise.MarkFail)}, nil // the rest would be about something else than what is meant
	case bad != nil: // the daemon has what this command's environment lacks
		add(configFindings(warnings, bad, supervise.MarkWarn)...)
	default:
		add(configFindings(warnings, nil, "")...)
	}
	var answer checks
	var live *endpoint.Status
	if running {
		defer cl.Close() //nolint:errcheck // idle connections only
		st, err := statusOf(ctx, cl)
		if err == nil {
			answer, err = d.daemon(ctx, cl, l.Config)
		}
		if err != nil {
			return checks{}, err
		}
		live = &st
		add(supervise.Finding{Mark: supervise.MarkOK, What: "daemon", Found: fmt.Sprintf("runs, %d calls live", len(st.Calls))})
		add(st.Findings()...)
		answer.Findings = append(answer.Findings, sipOfDaemon(ctx, l.Config, st)...)
	} else {
		add(supervise.Finding{Mark: supervise.MarkOK, What: "daemon", Found: "none runs with this configuration"})
		if answer, err = d.alone(ctx, l.Config); err != nil {
			return checks{}, err
		}
	}
	add(answer.Findings...)
	peak := d.Peak
	if peak == 0 {
		peak = answer.Agents
	}
	add(endpoint.Preflight(endpointConfig(l.Config, "", nil), running, peak, l.Config.Supervise.Share)...)
	add(vaultFindings(ctx, l.Config, live)...)
	return checks{Agents: answer.Agents, Findings: findings}, ctx.Err()
}

// alone has the logins checked by logins of our own.
func (d doctorCmd) alone(ctx context.Context, c config.Config) (checks, error) {
	if !c.HasRingCentral() {
		return checks{Findings: examineSIP(ctx, c)}, nil
	}
	accounts, err := openAccounts(c)
	if err != nil {
		return checks{}, err
	}
	defer closeAccounts(accounts)
	o := supervise.CheckOptions{Load: supervise.Load{PeakCalls: d.Peak, CallsPerSecond: d.PerSecond}, AuthorizationID: authorizationID(c)}
	findings, agents := supervise.Check(ctx, accounts, o)
	return checks{Findings: append(findings, sipOfAccounts(ctx, c, accounts)...), Agents: agents}, nil
}

// daemon has the daemon check its logins.
func (d doctorCmd) daemon(ctx context.Context, cl *console.Client, c config.Config) (answer checks, err error) {
	raw, err := cl.Account(ctx, askCheck, url.Values{
		"sip": {authorizationID(c)}, "peak": {strconv.Itoa(d.Peak)}, "per_second": {strconv.FormatFloat(d.PerSecond, 'f', -1, 64)},
	})
	if err == nil {
		err = json.Unmarshal(raw, &answer)
	}
	return answer, err
}

// authorizationID is that of the SIP account in the configuration, empty if none stands there.
func authorizationID(c config.Config) string {
	switch {
	case !c.HasSIP():
		return ""
	case c.SIP.AuthorizationID == "":
		return c.SIP.Username
	}
	return c.SIP.AuthorizationID
}

func statusOf(ctx context.Context, cl *console.Client) (endpoint.Status, error) {
	var st endpoint.Status
	raw, err := cl.Status(ctx)
	if err == nil {
		err = json.Unmarshal(raw, &st)
	}
	return st, err
}

// configFindings tells of the configuration: what is wrong with it, marked as given, or that it could be read.
func configFindings(warnings []string, bad error, mark string) []supervise.Finding {
	const what = "configuration"
	var out []supervise.Finding
	for _, w := range warnings {
		out = append(out, supervise.Finding{Mark: supervise.MarkWarn, What: what, Found: w})
	}
	if bad == nil {
		return append(out, supervise.Finding{Mark: supervise.MarkOK, What: what, Found: "read, without a mistake"})
	}
	for line := range strings.Lines(bad.Error()) {
		out = append(out, supervise.Finding{Mark: mark, What: what, Found: strings.TrimSpace(line), Do: "docs/configuration.md"})
	}
	return out
}

// printFindings writes a line for each: mark, what was looked at, what was found, and what to do.
func printFindings(out io.Writer, findings []supervise.Finding) error {
	for _, f := range findings {
		what := f.What
		if f.Owner != "" {
			what += " (" + f.Owner + ")"
		}
		line := fmt.Sprintf("%-4s  %s: %s", f.Mark, what, f.Found)
		if f.Do != "" {
			line += " -> " + f.Do
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}
