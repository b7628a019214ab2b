package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/earshot/earshot/supervise"
)

type callsCmd struct {
	JSON bool `help:"as JSON"`
}

type devicesCmd struct {
	JSON bool `help:"as JSON"`
}

type groupsCmd struct {
	JSON bool `help:"as JSON"`
}

// Run shows the calls that RingCentral shows.
func (k callsCmd) Run(ctx context.Context, c *cli, p *process) error {
	return showAccount(ctx, c, p, supervise.AskCalls, k.JSON, tableOfCalls,
		"no calls: RingCentral shows none in the account, or none that this user may see (permission ReadPresenceStatus)")
}

// Run shows the devices of the supervisors.
func (k devicesCmd) Run(ctx context.Context, c *cli, p *process) error {
	return showAccount(ctx, c, p, supervise.AskDevices, k.JSON, tableOfDevices,
		"no devices: the JWT's user has none: in the admin portal, assign an Existing Phone (OtherPhone) to this user")
}

// Run shows the call monitoring groups.
func (k groupsCmd) Run(ctx context.Context, c *cli, p *process) error {
	return showAccount(ctx, c, p, supervise.AskGroups, k.JSON, tableOfGroups,
		"no groups: the account has no call monitoring group: make one in the admin portal, the supervisor as Monitoring, the agents as Monitored")
}

// showAccount asks and prints: the result to standard output, what failed to standard error. The table function gives the
// number of its rows.
func showAccount(ctx context.Context, c *cli, p *process, question string, asJSON bool, table func(io.Writer, reports) int, none string) error {
	r, err := askAccount(ctx, c, p, question)
	if err != nil {
		return err
	}
	if asJSON {
		e := json.NewEncoder(p.out)
		e.SetIndent("", "  ")
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	rows, failed := 0, failures(r)
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if rows = table(w, r); rows > 0 && !asJSON {
		if err := w.Flush(); err != nil {
			return err
		}
		if _, err := io.WriteString(p.out, b.String()); err != nil {
			return err
		}
	}
	if failed != nil {
		return failed
	}
	if rows == 0 {
		fmt.Fprintln(p.err, "earshot:", none)
	}
	if old := oldest(r); old > time.Minute && !asJSON {
		fmt.Fprintf(p.err, "earshot: as of %s ago: the request budget is the joins'\n", old.Round(time.Second))
	}
	return nil
}

// failures makes one error of what the logins could not answer.
func failures(r reports) error {
	var texts []string
	hint := ""
	for _, l := range r.Logins {
		if l.Error == "" {
			continue
		}
		text := l.Error
		if l.Owner.Extension != "" && len(r.Logins) > 1 {
			text = "login of " + l.Owner.Extension + ": " + text
		}
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
		if hint == "" {
			hint = l.Hint
		}
	}
	if texts == nil {
		return nil
	}
	return &hinted{fmt.Errorf("%s", strings.Join(texts, "\n")), hint}
}

func oldest(r reports) time.Duration {
	var old time.Duration
	for _, l := range r.Logins {
		if !l.Taken.IsZero() {
			old = max(old, time.Since(l.Taken))
		}
	}
	return old
}

// merged gives each thing once, with all logins that show it, in the order of the first.
func merged[T any](r reports, of func(supervise.Report) []T, key func(T) string) (things []T, owners map[string]string) {
	owners = map[string]string{}
	for _, l := range r.Logins {
		for _, t := range of(l) {
			k := key(t)
			if owner, known := owners[k]; known {
				owners[k] = owner + "," + orDash(l.Owner.Extension)
				continue
			}
			owners[k] = orDash(l.Owner.Extension)
			things = append(things, t)
		}
	}
	return things, owners
}

func tableOfCalls(w io.Writer, r reports) int {
	key := func(c supervise.AccountCall) string { return c.Session + " " + c.Party }
	calls, owners := merged(r, func(l supervise.Report) []supervise.AccountCall { return l.Calls }, key)
	fmt.Fprintf(w, "AGENT\tSTATE\tDIRECTION\tWITH\tFOR\tSUPERVISED BY\tSESSION%s\n", column(r, "SHOWN TO"))
	for _, c := range calls {
		with := person(c.Customer)
		if c.Internal {
			with += " (internal)"
		}
		age := "-"
		if !c.Started.IsZero() {
			age = max(0, time.Since(c.Started)).Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s%s\n", person(c.Agent), c.State, c.Direction, with, age, orDash(c.SupervisedBy), c.Session,
			column(r, owners[key(c)]))
	}
	return len(calls)
}

func tableOfDevices(w io.Writer, r reports) int {
	key := func(d supervise.Device) string { return d.ID }
	devices, _ := merged(r, func(l supervise.Report) []supervise.Device { return l.Devices }, key)
	fmt.Fprintln(w, "DEVICE\tTYPE\tSTATUS\tOWNER\tNAME")
	for _, d := range devices {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", d.ID, d.Type, d.Status, orDash(d.Extension), orDash(d.Name))
	}
	return len(devices)
}

func tableOfGroups(w io.Writer, r reports) int {
	key := func(g supervise.MonitoringGroup) string { return g.ID }
	groups, owners := merged(r, func(l supervise.Report) []supervise.MonitoringGroup { return l.Groups }, key)
	fmt.Fprintf(w, "GROUP\tNAME\tMONITORING\tMONITORED%s\n", column(r, "SHOWN TO"))
	for _, g := range groups {
		var listen, heard []string
		for _, m := range g.Members {
			if m.Monitoring {
				listen = append(listen, m.Extension)
			}
			if m.Monitored {
				heard = append(heard, m.Extension)
			}
		}
		monitored := orDash(strings.Join(heard, " "))
		if g.Unread != "" {
			monitored = "not read: " + g.Unread
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s%s\n", g.ID, orDash(g.Name), orDash(strings.Join(listen, " ")), monitored, column(r, owners[key(g)]))
	}
	return len(groups)
}

// column is a further column, where there are several logins.
func column(r reports, text string) string {
	if len(r.Logins) < 2 {
		return ""
	}
	return "\t" + text
}

// person names somebody in one cell.
func person(p supervise.Person) string {
	who := p.Extension
	if who == "" {
		who = p.Number
	}
	if p.Name != "" {
		who = strings.TrimSpace(who + " " + p.Name)
	}
	return orDash(who)
}
