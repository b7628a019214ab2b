package recorder

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/call"
)

// Retention says how long recordings are kept. What it says when a recording is sealed stands in that recording's manifest, signed; a Retention of later changes nothing
// of it (but see PruneConfig.Reclass).
type Retention struct {
	// Default is for what no class fits; zero: for ever.
	Default Period
	// Classes are tried in their order; the first that fits counts.
	Classes []Class
}

// Class keeps the calls that fit all of its lists; an empty list fits every call.
type Class struct {
	Name string
	Keep Period // zero: for ever
	// Agents are extension numbers, Queues numbers or ids, Numbers beginnings of the far side's number such as +44, Directions inbound or outbound.
	Agents, Queues, Numbers, Directions []string
}

// DefaultClass is the class of recordings that no other fits.
const DefaultClass = "default"

// Kept is what a manifest says of how long its recording is to be kept. Until is absent where that is for ever.
type Kept struct {
	Class string     `json:"class"`
	Keep  string     `json:"keep,omitempty"` // as it was configured, such as 5y
	Until *time.Time `json:"until,omitempty"`
}

func (r Retention) check() error {
	var errs []error
	names := map[string]bool{DefaultClass: true}
	for i, c := range r.Classes {
		if c.Name == "" || names[c.Name] {
			errs = append(errs, fmt.Errorf("recorder: retention: class %d: name: got %q, want one of its own", i+1, c.Name))
		}
		names[c.Name] = true
		for _, d := range c.Directions {
			if d != call.Inbound && d != call.Outbound {
				errs = append(errs, fmt.Errorf("recorder: retention: class %s: directions: got %q, want %s or %s", c.Name, d, call.Inbound, call.Outbound))
			}
		}
	}
	return errors.Join(errs...)
}

// Of tells how long a recording that is sealed, or about to be, is to be kept; nil: nothing is said, so for ever.
func (r Retention) Of(m *Manifest) *Kept {
	if r.Default == (Period{}) && len(r.Classes) == 0 {
		return nil
	}
	name, keep := DefaultClass, r.Default
	if i := slices.IndexFunc(r.Classes, func(c Class) bool { return c.fits(m) }); i >= 0 {
		name, keep = r.Classes[i].Name, r.Classes[i].Keep
	}
	k := &Kept{Class: name, Keep: keep.String()}
	from := m.Started
	if m.Ended != nil && m.Ended.After(from) {
		from = *m.Ended
	}
	if until := keep.From(from.UTC()); !until.IsZero() {
		k.Until = &until
	}
	return k
}

func (c Class) fits(m *Manifest) bool {
	any := func(list []string, has func(string) bool) bool {
		return len(list) == 0 || slices.ContainsFunc(list, has)
	}
	parties := partiesOf(m)
	return any(c.Agents, func(a string) bool {
		return a == m.Call.Agent || slices.ContainsFunc(parties, func(p ListedParty) bool { return p.Role == call.RoleAgent.String() && p.Extension == a })
	}) && any(c.Queues, func(q string) bool { return slices.Contains(m.Call.Queues, q) }) &&
		any(c.Directions, func(d string) bool { return d == m.Call.Direction }) &&
		any(c.Numbers, func(n string) bool {
			return slices.ContainsFunc(parties, func(p ListedParty) bool {
				return p.Role != call.RoleAgent.String() && digits(n) != "" && international(p.Number) && strings.HasPrefix(digits(p.Number), digits(n))
			})
		})
}

// mostExtension is the longest number without a plus that is an extension, or a short code such as 4401: no country's.
const mostExtension = 6

func international(number string) bool {
	return strings.HasPrefix(strings.TrimSpace(number), "+") || len(digits(number)) > mostExtension
}

// digits leaves out how a number is laid out.
func digits(number string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
}

// ListedParty is who was in a call, as far as its recording says.
type ListedParty struct {
	ID        string `json:"id,omitempty"`
	Role      string `json:"role"`
	Name      string `json:"name,omitempty"`
	Number    string `json:"number,omitempty"`
	Extension string `json:"extension,omitempty"`
}

// maxListedParties bounds what is listed of a call.
const maxListedParties = 32

// partiesOf lists each party once: those that were expected, and those that were heard.
func partiesOf(m *Manifest) []ListedParty {
	out := []ListedParty{}
	add := func(p ListedParty) {
		if p == (ListedParty{Role: p.Role}) || len(out) >= maxListedParties || slices.Contains(out, p) {
			return
		}
		out = append(out, p)
	}
	for _, p := range m.Call.Expected {
		add(ListedParty{p.ID, p.Role.String(), p.Name, p.Number, p.Extension})
	}
	for i := range m.Tracks {
		t := &m.Tracks[i]
		add(ListedParty{t.PartyID, t.Role.String(), t.Name, t.Number, t.Extension})
	}
	return out
}
