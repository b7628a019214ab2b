package supervise

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"
)

// AccountCall is one extension's part in a call, as RingCentral's presence shows it. A call between two extensions shows
// twice, once for each.
type AccountCall struct {
	Session   string `json:"session"`
	Party     string `json:"party"` // the agent's
	Agent     Person `json:"agent"`
	Customer  Person `json:"customer"`  // the other side
	Internal  bool   `json:"internal"`  // the other side is an extension of the account
	Direction string `json:"direction"` // inbound or outbound, as the agent sees it
	// State is ringing, connected, held or parked; else RingCentral's own word.
	State string `json:"state"`
	// SupervisedBy is the extension of the supervisor who listens; empty if none is shown.
	SupervisedBy string    `json:"supervised_by"`
	Started      time.Time `json:"started,omitzero"`
}

// callStates are our words for presence's.
var callStates = map[string]string{ //nolint:gochecknoglobals // constant
	"ringing": "ringing", "callconnected": "connected", "onhold": "held", "parkedcall": "parked",
}

// Calls are the calls that RingCentral shows in the account, oldest first.
func (a *Account) Calls(ctx context.Context) ([]AccountCall, time.Time, error) {
	return ask(ctx, a, "calls", func(ctx context.Context) ([]AccountCall, error) {
		r := a.request(opPresence)
		r.query = url.Values{"detailedTelephonyState": {"true"}, "sipData": {"true"}}
		records, err := readList[presenceRecord](ctx, a, r)
		if err != nil {
			return nil, err
		}
		return accountCalls(records), nil
	})
}

// shownCall is one entry of presence with whose it is.
type shownCall struct {
	who extensionRef
	activeCall
}

// accountCalls sorts what presence shows into calls and those who listen to them.
func accountCalls(records []presenceRecord) []AccountCall {
	var shown []shownCall
	numbers := map[string]extensionRef{}
	for _, r := range records {
		if r.Extension.Number != "" {
			numbers[string(r.Extension.Number)] = r.Extension
		}
		for _, c := range r.ActiveCalls {
			if c.SessionID != "" && len(shown) < maxCalls && !strings.EqualFold(string(c.Telephony), "NoCall") {
				shown = append(shown, shownCall{r.Extension, c})
			}
		}
	}
	bySession := map[string][]shownCall{}
	for _, c := range shown {
		bySession[string(c.SessionID)] = append(bySession[string(c.SessionID)], c)
	}
	calls := []AccountCall{}
	for _, c := range shown {
		inside := bySession[string(c.SessionID)]
		if _, listens := c.listensTo(inside); listens {
			continue
		}
		call := c.call(numbers)
		for _, s := range inside {
			if agent, listens := s.listensTo(inside); listens && agent == c.who.ID {
				call.SupervisedBy = string(s.who.Number)
			}
		}
		calls = append(calls, call)
	}
	slices.SortFunc(calls, func(x, y AccountCall) int {
		if d := x.Started.Compare(y.Started); d != 0 {
			return d
		}
		return strings.Compare(x.Session+x.Party, y.Session+y.Party)
	})
	return calls
}

func (c activeCall) outbound() bool { return strings.EqualFold(string(c.Direction), "Outbound") }

// far is the other side's number and name.
func (c activeCall) far() (number, name text) {
	if c.outbound() {
		return c.To, c.ToName
	}
	return c.From, c.FromName
}

// listensTo tells a supervisor's entry from one of a person who talks: it looks like a call of his to the agent, in the
// agent's session, while the agent's own entry names somebody else as the other side. It gives the agent's id.
func (c shownCall) listensTo(inside []shownCall) (agent text, listens bool) {
	if !c.outbound() || c.who.Number == "" {
		return "", false
	}
	for _, other := range inside {
		if other.who.ID == c.who.ID || other.who.Number == "" || other.who.Number != c.To {
			continue
		}
		if number, _ := other.far(); number != c.who.Number && number != c.From {
			return other.who.ID, true
		}
	}
	return "", false
}

// call makes an entry a call.
func (c shownCall) call(numbers map[string]extensionRef) AccountCall {
	number, name := c.far()
	near := c.ToName
	direction := DirectionInbound
	if c.outbound() {
		near, direction = c.FromName, DirectionOutbound
	}
	out := AccountCall{
		Session: string(c.SessionID), Party: string(c.PartyID), Direction: direction, State: string(c.Telephony), Started: parseTime(string(c.Start)),
		Agent:    Person{ID: string(c.who.ID), Extension: string(c.who.Number), Name: clean(string(near))},
		Customer: Person{Name: clean(string(name)), Number: clean(string(number))},
	}
	if word := callStates[strings.ToLower(out.State)]; word != "" {
		out.State = word
	}
	if e, ok := numbers[string(number)]; ok {
		out.Internal, out.Customer.ID, out.Customer.Extension, out.Customer.Number = true, string(e.ID), string(e.Number), ""
	}
	return out
}
