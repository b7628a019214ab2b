package recorder

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Query says which recordings are looked for; a zero field asks nothing.
type Query struct {
	From, To time.Time // began at From or later, and before To
	Agent    string    // the monitored agent's extension
	Number   string    // the beginning or the end of a party's number, digits only count
	Party    string    // a part of a party's name, or its id or extension
	Call     string    // the call's id, or one of its sessions
	State    State
	Class    string // of retention
	Held     bool   // on legal hold
	Text     string // a part of what else is said of it: ids, names, numbers, queues, cause
	// Most bounds the answer, default 100; After is the folder that the answer before ended with.
	Most  int
	After string
}

const defaultMost = 100

// Limit gives how many are wanted.
func (q Query) Limit() int {
	if q.Most <= 0 {
		return defaultMost
	}
	return q.Most
}

// Check names what makes no sense.
func (q Query) Check() error {
	switch {
	case q.Number != "" && digits(q.Number) == "":
		return fmt.Errorf("number: got %q, want digits", q.Number)
	case !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To):
		return errors.New("from: got a time that is not before that of to")
	case q.After != "" && !isFolder(trimPartial(q.After)):
		return fmt.Errorf("after: got %q, want the folder that the list before ended with", q.After)
	case q.State != "" && !slices.Contains([]State{StateRecorded, StatePartial, StateNoMedia}, q.State):
		return fmt.Errorf("state: got %q, want %s, %s or %s", q.State, StateRecorded, StatePartial, StateNoMedia)
	}
	return nil
}

// Match tells whether a recording is looked for.
func (q Query) Match(l *Listed) bool {
	party := strings.ToLower(q.Party)
	return (q.From.IsZero() || !l.Started.Before(q.From)) && (q.To.IsZero() || l.Started.Before(q.To)) &&
		(q.Agent == "" || l.Agent == q.Agent) &&
		(q.Call == "" || l.CallID == q.Call || slices.Contains(l.Sessions, q.Call)) &&
		(q.State == "" || l.State == q.State) && (q.Class == "" || l.Class == q.Class) && (!q.Held || l.Held) &&
		(q.After == "" || l.Folder < q.After) &&
		(q.Number == "" || slices.ContainsFunc(l.Parties, func(p ListedParty) bool {
			n, want := digits(p.Number), digits(q.Number)
			return strings.HasPrefix(n, want) || strings.HasSuffix(n, want)
		})) &&
		(q.Party == "" || slices.ContainsFunc(l.Parties, func(p ListedParty) bool {
			return strings.Contains(strings.ToLower(p.Name), party) || p.ID == q.Party || p.Extension == q.Party
		})) &&
		(q.Text == "" || strings.Contains(l.Words(), strings.ToLower(q.Text)))
}

// Words is all that is said of a recording, in small letters.
func (l *Listed) Words() string {
	w := append([]string{l.CallID, string(l.State), l.Cause, l.Agent, l.Direction, l.Class}, l.Sessions...)
	w = append(w, l.Queues...)
	for _, p := range l.Parties {
		w = append(w, p.ID, p.Name, p.Number, p.Extension)
	}
	return strings.ToLower(strings.Join(w, "\n"))
}

// Numbers are the parties' numbers, digits only.
func (l *Listed) Numbers() string {
	var out []string
	for _, p := range l.Parties {
		out = append(out, digits(p.Number))
	}
	return strings.Join(out, "|")
}

// Search gives the recordings that are looked for, the newest first, from the folders themselves: the manifest of each that could be meant is read. With an error it gives
// what lies in the folders that can be looked into.
func (c *Catalog) Search(ctx context.Context, q Query) (list []Listed, err error) {
	if err := q.Check(); err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	days, errs := c.days()
	for _, d := range slices.Backward(days) {
		if !q.mayBegin(d) {
			continue
		}
		names, err := c.recordings(d)
		errs = errors.Join(errs, err)
		for _, name := range slices.Backward(names) {
			if len(list) >= q.Limit() || ctx.Err() != nil {
				return list, errors.Join(errs, context.Cause(ctx))
			}
			if q.After != "" && path.Join(d, name) >= q.After {
				continue
			}
			if l, ok := c.look(path.Join(d, name)); ok && q.Match(&l) {
				list = append(list, l)
			}
		}
	}
	return list, errs
}

// mayBegin tells whether a day's recordings may begin when they are to.
func (q Query) mayBegin(day string) bool {
	return (q.From.IsZero() || day >= dayDir(q.From.Add(-24*time.Hour))) && (q.To.IsZero() || day <= dayDir(q.To.Add(24*time.Hour)))
}

// Days lists the folders of days, oldest first; with an error those that can be looked for.
func (c *Catalog) Days() ([]string, error) { return c.days() }

// Folders lists a day's recordings, oldest first; those that live end in .partial.
func (c *Catalog) Folders(day string) ([]string, error) {
	names, err := c.recordings(day)
	for i, n := range names {
		names[i] = path.Join(day, n)
	}
	return names, err
}

// Look reads a recording's manifest; false: there is none of that name, or it has got another meanwhile.
func (c *Catalog) Look(folder string) (Listed, bool) { return c.look(folder) }
