package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/catalog"
)

type listCmd struct {
	Day    string `placeholder:"YYYY-MM-DD" help:"of one day only (UTC)"`
	From   string `placeholder:"TIME" help:"begun then or later: a day or a time, such as 2026-11-23 or 2026-11-23T10:00, in timezone"`
	To     string `placeholder:"TIME" help:"begun before that; a day is meant to its end"`
	Agent  string `placeholder:"EXT" help:"of this agent (extension number)"`
	Number string `placeholder:"DIGITS" help:"with a number that begins or ends with that"`
	Party  string `placeholder:"TEXT" help:"with somebody whose name has that in it, or whose party id or extension it is"`
	Call   string `placeholder:"ID" help:"of this call, or telephony session"`
	State  string `placeholder:"STATE" help:"recorded, partial or no_media"`
	Class  string `placeholder:"NAME" help:"of this class of record.retention"`
	Hold   bool   `help:"on legal hold"`
	Text   string `placeholder:"TEXT" help:"with that in an id, name, number, queue or cause"`
	Most   int    `default:"100" help:"so many at most"`
	After  string `placeholder:"FOLDER" help:"what comes after that one: the next page"`
	JSON   bool   `help:"as JSON"`
}

// query turns the flags into a question.
func (k listCmd) query(zone *time.Location) (q recorder.Query, err error) {
	bad := func(format string, a ...any) (recorder.Query, error) {
		return q, &usageError{err: fmt.Errorf("recordings list: "+format, a...)}
	}
	if k.Most < 1 {
		return bad("--most: got %d, want 1 or more", k.Most)
	}
	q = recorder.Query{
		Agent: k.Agent, Number: k.Number, Party: k.Party, Call: k.Call, State: recorder.State(k.State), Class: k.Class, Held: k.Hold, Text: k.Text,
		Most: k.Most, After: k.After,
	}
	if k.Day != "" {
		day, err := time.Parse(time.DateOnly, k.Day)
		if err != nil || k.From != "" || k.To != "" {
			return bad("--day: got %q, want a day such as 2026-11-23, without --from and --to", k.Day)
		}
		q.From, q.To = day, day.AddDate(0, 0, 1)
	}
	for _, f := range [...]struct {
		name, text string
		into       *time.Time
		wholeDays  int
	}{{"--from", k.From, &q.From, 0}, {"--to", k.To, &q.To, 1}} {
		if f.text == "" {
			continue
		}
		t, isDay, ok := parseWhen(f.text, zone)
		if !ok {
			return bad("%s: got %q, want a day or a time such as 2026-11-23 or 2026-11-23T10:00", f.name, f.text)
		}
		if isDay {
			t = t.AddDate(0, 0, f.wholeDays)
		}
		*f.into = t
	}
	if err := q.Check(); err != nil {
		return bad("%w", err)
	}
	return q, nil
}

// parseWhen reads a day or a time of a time zone.
func parseWhen(text string, zone *time.Location) (t time.Time, day, ok bool) {
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t, layout == time.DateOnly, true
		}
	}
	return t, false, false
}

// Run lists.
func (k listCmd) Run(ctx context.Context, c *cli, p *process) error {
	zone := time.UTC
	if l, _ := config.Peek(c.input(p)); l != nil {
		if z, err := time.LoadLocation(l.Config.Timezone); err == nil {
			zone = z
		}
	}
	q, err := k.query(zone)
	if err != nil {
		return err
	}
	cat, err := c.catalog(p)
	if err != nil {
		return err
	}
	defer cat.Close() //nolint:errcheck // nothing was written
	list, missed := search(ctx, cat, q)
	if k.JSON {
		return errors.Join(printJSON(p, append([]recorder.Listed{}, list...)), missed)
	}
	if len(list) == 0 && missed != nil {
		return missed
	}
	if len(list) == 0 {
		fmt.Fprintln(p.err, "earshot: no recordings of that kind in", cat.Dir(""))
		return nil
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STARTED\tLENGTH\tSTATE\tPART\tCHANNELS\tKEPT\tCALL\tFOLDER")
	for _, l := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", l.Started.UTC().Format("2006-01-02 15:04:05"), seconds(l.Seconds), stateOf(l), l.Part,
			orDash(strings.Join(l.Channels, "+")), keptOf(l), plain(l.CallID), plain(l.Folder))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(list) == k.Most {
		fmt.Fprintln(p.err, "earshot: there may be more: --after", list[len(list)-1].Folder)
	}
	return missed
}

// search asks the catalog's file, and the folders where that is of no use.
func search(ctx context.Context, cat *recorder.Catalog, q recorder.Query) ([]recorder.Listed, error) {
	r, err := catalog.Open(ctx, cat.Dir(""))
	if err != nil {
		return cat.Search(ctx, q)
	}
	list, err := r.Search(ctx, q)
	if e := r.Close(); err == nil {
		err = e
	}
	return list, err
}

func stateOf(l recorder.Listed) string {
	state := stateWord(l)
	if l.Vault != "" {
		state += ", in the vault"
	}
	return state
}

func stateWord(l recorder.Listed) string {
	switch {
	case l.Error != "":
		return "UNREADABLE"
	case l.Live:
		return "live"
	case l.Cause != "" && l.State != recorder.StateRecorded:
		return string(l.State) + " (" + l.Cause + ")"
	}
	return string(l.State)
}

// keptOf says until when a recording is kept.
func keptOf(l recorder.Listed) string {
	switch {
	case l.Held:
		return "HELD"
	case l.Until.IsZero():
		return "-"
	}
	return l.Until.UTC().Format(time.DateOnly)
}
