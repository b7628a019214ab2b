package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/call"
)

const (
	// handPatience is how long a request of a user who waits may wait for the request budget, where nothing else tells what it
	// would. Where something does, it does not wait: wishes must not eat what joins need.
	handPatience = 20 * time.Second
	// handWithin bounds the way from the user's wish to the last dialog: two readings, the requests and their INVITEs.
	handWithin = 45 * time.Second
	// handLook is how often it is looked whether something has happened that is to be shown.
	handLook = 50 * time.Millisecond
	// checkTries are the looks for our parties, checkEvery the time between two: presence lags behind the dialogs.
	checkTries = 4
	checkEvery = 1500 * time.Millisecond
)

// ErrIdle says that the agent has no call that could be joined.
var ErrIdle = errors.New("no call")

// Wish is what a user wants to hear by hand.
type Wish struct {
	// Agent is an extension number or id, monitored or not.
	Agent string
	// Mode is ModeParty or ModeSession; empty means as configured. A call that is heard already stays as it is.
	Mode string
	// Wait waits for the agent's next call where there is none.
	Wait bool
}

// Step is one step of RingCentral's Supervision API document, as it was done.
type Step struct {
	N    int    `json:"step"`
	Name string `json:"name"` // agent, presence, device, request, invite, check
	OK   bool   `json:"ok"`
	Text string `json:"text"`           // what happened, RingCentral's code and words as it gave them
	Hint string `json:"hint,omitempty"` // what to look at

	Extension    string          `json:"extension,omitempty"`
	ExtensionID  string          `json:"extension_id,omitempty"`
	Session      string          `json:"session,omitempty"`
	Parties      []StepParty     `json:"parties,omitempty"`
	Device       string          `json:"device,omitempty"`
	DeviceStatus string          `json:"device_status,omitempty"`
	Method       string          `json:"method,omitempty"`
	Path         string          `json:"path,omitempty"`
	Body         json.RawMessage `json:"body,omitempty"`
	Status       int             `json:"status,omitempty"` // of an answer that refused
	Code         string          `json:"code,omitempty"`
	Party        string          `json:"party,omitempty"` // whom this request or dialog is about; empty: the whole session
	Role         string          `json:"role,omitempty"`
	OwnParty     string          `json:"own_party,omitempty"`
	Dialog       string          `json:"dialog,omitempty"` // SIP Call-ID
}

// StepParty is one who is on the line, as the session shows.
type StepParty struct {
	ID     string `json:"id"`
	Role   string `json:"role"` // agent, customer, colleague, supervisor
	Name   string `json:"name,omitempty"`
	Number string `json:"number,omitempty"`
}

// wishError is why a wish was not fulfilled, with what to look at.
type wishError struct {
	err  error
	hint string
}

func (e *wishError) Error() string { return e.err.Error() }
func (e *wishError) Unwrap() error { return e.err }

// Hint says what to look at.
func (e *wishError) Hint() string { return e.hint }

// guide does one wish.
type guide struct {
	s     *Supervisor
	wish  Wish
	show  func(Step)
	agent Agent
	call  agentCall
	since time.Time
	told  map[string]bool // parties whose dialog was shown
	last  error           // the newest failure
}

// Supervise joins an agent's call by hand, as RingCentral's Supervision API document does, whatever policy says, and shows each
// step when it is done. Run must be running: the requests are the core's, so no party is asked for twice. It gives the session;
// an error, with the step shown, says what failed. The call stays wanted all the same, while it lives.
func (s *Supervisor) Supervise(ctx context.Context, w Wish, show func(Step)) (string, error) {
	g := &guide{s: s, wish: w, show: show, told: map[string]bool{}}
	for _, step := range []func(context.Context) error{g.findAgent, g.findCall, g.findDevice, g.join, g.check} {
		if err := step(ctx); err != nil {
			return g.call.session, err
		}
	}
	return g.call.session, nil
}

// fail shows a step that failed.
func (g *guide) fail(st Step, err error, hint string) error {
	if hint == "" {
		hint = hintOf(err)
	}
	st.OK, st.Text, st.Hint = false, err.Error(), hint
	if e, ok := errors.AsType[*APIError](err); ok {
		st.Status, st.Code = e.Status, e.Code
	}
	g.show(st)
	return &wishError{err, hint}
}

// findAgent is step 1: the agent's extension.
func (g *guide) findAgent(ctx context.Context) error {
	st := Step{N: 1, Name: "agent", Extension: g.wish.Agent}
	g.s.mu.Lock()
	own := g.s.core.own
	for _, a := range g.s.core.agents.known {
		if a.Extension == g.wish.Agent || a.ID == g.wish.Agent && g.agent.ID == "" {
			g.agent = a
		}
	}
	g.s.mu.Unlock()
	if g.agent.ID == "" || g.agent.Extension == "" {
		extensions, err := g.s.lead().list(ctx, opExtensions, nil)
		if err != nil {
			return g.fail(st, err, "")
		}
		set := configured(nil)
		if len(set.resolve([]string{g.wish.Agent}, extensions)) > 0 {
			return g.fail(st, fmt.Errorf("extension %s: not in this account", g.wish.Agent), "--agent takes an extension number, such as 108, or an extension id")
		}
		for _, a := range set.known {
			g.agent = a
		}
	}
	if own.has(g.agent.ID) {
		return g.fail(st, fmt.Errorf("extension %s is the supervisor's own", g.wish.Agent), "nobody can supervise himself: name the agent's extension")
	}
	st.OK, st.Extension, st.ExtensionID = true, g.agent.Extension, g.agent.ID
	st.Text = strings.TrimSpace(fmt.Sprintf("extension %s, id %s %s", g.agent.Extension, g.agent.ID, clean(g.agent.Name)))
	g.show(st)
	return nil
}

// findCall is step 2: the account's presence names the agent's call, the session who is in it.
func (g *guide) findCall(ctx context.Context) error {
	st := Step{N: 2, Name: "presence", Extension: g.agent.Extension, ExtensionID: g.agent.ID, Method: operations[opPresence].verb.String(),
		Path: operations[opPresence].path + "?" + presenceQuery.Encode()}
	for waiting := false; ; waiting = true {
		known := g.known()
		records, err := g.s.lookByHand(ctx, patience(known))
		if busy(err) && known {
			st.Text = usedUp + "as known from events: "
			break
		}
		if err != nil {
			return g.fail(st, err, "")
		}
		if g.pick(records) {
			break
		}
		if !g.wish.Wait {
			return g.fail(st, fmt.Errorf("agent %s: %w", g.agent.Extension, ErrIdle), "presence shows no connected call of this agent; --wait waits for one")
		}
		if !waiting {
			g.show(Step{N: st.N, Name: st.Name, OK: true, Extension: g.agent.Extension, Text: "no call yet; waiting for one"})
		}
		if !rest(ctx, max(g.s.cfg.Poll, g.s.lead().limits.spacing(groupHeavy, shareLook))) {
			return g.fail(st, errStopped, "")
		}
	}
	st.Session, st.Party = g.call.session, g.call.party
	st.OK, st.Text = true, st.Text+"session "+g.call.session
	parties, err := g.s.readSession(ctx, g.call.session)
	switch {
	case busy(err):
		st.Text += ", not read: " + strings.TrimSuffix(usedUp, "; ")
	case err != nil:
		return g.fail(st, err, "")
	}
	if g.call.held {
		st.Text += ", on hold"
	}
	for _, p := range parties {
		if !live(p) {
			continue
		}
		party := StepParty{ID: p.ID, Role: call.RoleCustomer.String(), Name: clean(p.Name), Number: p.Number}
		switch {
		case p.Supervising:
			party.Role = "supervisor"
		case p.ID == g.call.party || p.ExtensionID == g.agent.ID:
			party.Role = call.RoleAgent.String()
		case p.ExtensionID != "":
			party.Role = "colleague"
		}
		st.Parties = append(st.Parties, party)
	}
	g.show(st)
	return nil
}

// known takes the agent's call from what the core knows.
func (g *guide) known() bool {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	for _, x := range g.s.core.sorted() {
		if x.agent.ID == g.agent.ID && x.inCall {
			g.call = agentCall{agent: x.agent, session: x.id, party: x.hint, held: x.held, started: x.started, customer: x.customer, direction: x.direction}
		}
	}
	return g.call.session != ""
}

// pick takes the agent's call of a look: one on the line before one on hold, then the newest.
func (g *guide) pick(records []presenceRecord) bool {
	found := false
	for _, r := range records {
		if string(r.Extension.ID) != g.agent.ID && (r.Extension.ID != "" || string(r.Extension.Number) != g.agent.Extension) {
			continue
		}
		for _, a := range r.ActiveCalls {
			c, ok := a.agentCall()
			if !ok || found && (c.held && !g.call.held || c.held == g.call.held && c.started.Before(g.call.started)) {
				continue
			}
			c.agent = g.agent
			g.call, found = c, true
		}
	}
	return found
}

// findDevice is step 3: the supervisor's device and its status.
func (g *guide) findDevice(ctx context.Context) error {
	st := Step{N: 3, Name: "device", Method: operations[opDevices].verb.String(), Path: operations[opDevices].path}
	d, registered, err := g.s.deviceByHand(ctx, g.agent, g.call.session)
	switch {
	case busy(err) && d.ID != "":
		st.Text = usedUp + "as last seen: "
	case err != nil:
		return g.fail(st, err, "")
	}
	st.Device, st.DeviceStatus = d.ID, d.Status
	if !registered {
		return g.fail(st, fmt.Errorf("device %s is not registered from here; RingCentral shows it as %s", d.ID, d.Status), "see `earshot status`: the line sip says why")
	}
	st.OK, st.Text = true, st.Text+fmt.Sprintf("%s %s (%s) of extension %s: %s, registered from here", d.ID, d.Name, d.Type, d.Extension, d.Status)
	if d.Status != "Online" {
		st.Hint = "RingCentral does not show it as Online: is it this device that registers?"
	}
	g.show(st)
	return nil
}

// presenceQuery is what the document asks presence with.
var presenceQuery = url.Values{"detailedTelephonyState": {"true"}, "sipData": {"true"}} //nolint:gochecknoglobals // constant

// usedUp begins what is told instead of an answer that the request budget did not allow.
const usedUp = "the budget of such requests is used up for now; "

func busy(err error) bool {
	_, ok := errors.AsType[*busyError](err)
	return ok
}

// patience is none where it is known from elsewhere what the request would tell.
func patience(known bool) time.Duration {
	if known {
		return 0
	}
	return handPatience
}

// deviceFor is the device of the pool that an agent's call is on, or would be asked for on, with its login; seen is what was
// last read of it, registered whether it is from here.
func (s *Supervisor) deviceFor(a Agent, id string) (place int, seen Device, registered bool) {
	up := s.registered()
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.core.sessions[id]; x != nil && x.device >= 0 {
		return x.device, s.devices[x.device].device, up[x.device]
	}
	for n, i := range s.core.candidates(&session{agent: a, device: -1}) {
		if d := s.core.devices[i]; n == 0 || up[i] && (!up[place] || d.load < s.core.devices[place].load) {
			place = i
		}
	}
	return place, s.devices[place].device, up[place]
}

// deviceByHand reads the device that a call is, or would be, heard on; with an error of the budget it gives the device as it
// was seen last.
func (s *Supervisor) deviceByHand(ctx context.Context, a Agent, session string) (d Device, registered bool, err error) {
	place, seen, registered := s.deviceFor(a, session)
	login := s.devices[place].login
	if seen.ID != "" && s.logins[login].client.limits.left(groupLight, shareLook, time.Now()) <= 0 {
		return seen, registered, &busyError{group: groupLight, until: time.Now()}
	}
	d, err = s.Device(ctx, place)
	if err != nil {
		d = seen
	}
	return d, registered, err
}

// lookByHand looks at the account's presence, and gives the core what it shows.
func (s *Supervisor) lookByHand(ctx context.Context, patience time.Duration) ([]presenceRecord, error) {
	taken := time.Now()
	var records []presenceRecord
	r := request{op: opPresence, share: shareLook, query: presenceQuery, patience: patience}
	by := s.lead()
	_, err := by.pages(ctx, r, func(raw json.RawMessage) (paging, error) {
		page, err := parseList[presenceRecord](raw)
		records = append(records, page...)
		return parsePaging(raw), err
	})
	if err != nil {
		return nil, err
	}
	s.shown(by, records, taken)
	s.change(func(now time.Time) {
		s.core.look(now, s.core.snapshot(records, taken))
	})
	return records, nil
}

// check is step 6: presence shows the supervisor's parties among the active calls.
func (g *guide) check(ctx context.Context) error {
	st := Step{N: 6, Name: "check", Session: g.call.session, Method: operations[opPresence].verb.String(), Path: operations[opPresence].path + "?" + presenceQuery.Encode()}
	var missing []string
	for try := 0; ; try++ {
		before := g.s.standing(g.call.session, g.since)
		records, err := g.s.lookByHand(ctx, patience(before.confirmed))
		if busy(err) && before.confirmed {
			st.OK, st.OwnParty = true, strings.Join(before.own(), " ")
			st.Text = usedUp + "events have shown " + strings.Join(before.own(), " and ") + " of the supervisor"
			g.show(st)
			return nil
		}
		if err != nil {
			return g.fail(st, err, "")
		}
		shown := map[string]bool{}
		for _, r := range records {
			for _, a := range r.ActiveCalls {
				if string(a.SessionID) == g.call.session {
					shown[string(a.PartyID)] = true
				}
			}
		}
		var seen []string
		missing = missing[:0]
		for _, j := range g.s.standing(g.call.session, g.since).joins {
			switch {
			case shown[j.own]:
				seen = append(seen, j.own)
			case j.heard:
				missing = append(missing, j.own)
			}
		}
		if len(missing) == 0 && len(seen) > 0 {
			slices.Sort(seen)
			st.OK, st.OwnParty, st.Text = true, strings.Join(seen, " "), "activeCalls shows "+strings.Join(seen, " and ")+" of the supervisor"
			g.show(st)
			return nil
		}
		if try == checkTries-1 || !rest(ctx, checkEvery) {
			break
		}
	}
	return g.fail(st, fmt.Errorf("activeCalls does not show the supervisor's party %s", strings.Join(missing, " and ")),
		"the dialog is up all the same: RingCentral's presence lags, or the call has just ended")
}
