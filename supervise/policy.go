package supervise

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The directions of a call, as the agent sees it.
const (
	DirectionInbound  = "inbound"
	DirectionOutbound = "outbound"
)

// Policy says which calls of the monitored agents are heard. The zero Policy wants all of them except internal ones. A call
// that it leaves alone is excused, with the rule that did it.
type Policy struct {
	// Directions are those wanted, DirectionInbound or DirectionOutbound; empty means both.
	Directions []string
	// Queues are call queues, by extension number or id: only calls that came through one of them are wanted. Empty means
	// all calls.
	Queues []string
	// Numbers are prefixes of the far side's number in E.164 form, such as +44: only these are wanted; empty means any.
	// NotNumbers are prefixes that are never wanted. A call without a number fits no prefix.
	Numbers    []string
	NotNumbers []string
	// Share is the part of the calls that is wanted, in percent, 1 to 100; 0 means 100. Which calls these are follows from
	// the session id, so all nodes and restarts agree.
	Share int
	// Schedule are the times at which a call must begin; empty means always. Zone is their time zone, nil means UTC.
	Schedule []Window
	Zone     *time.Location
	// Internal wants calls between extensions of the account too.
	Internal bool
	// Priority says which calls are asked for first where the pool is too small for all: agents and queues by extension
	// number or id, groups by id or name, and directions, the most wanted first. Calls that it does not name come last; of equals
	// the newest is first: of it the most is left to be heard. Calls that are heard stay.
	Priority []string
	// Hook is asked last, for calls that all other rules want.
	Hook Hook
}

// Window is a time of the week.
type Window struct {
	// Days are those on which the window opens; empty means all.
	Days []time.Weekday
	// From and To count from midnight, 0 to 24 h. A window whose To is not after From ends on the next day.
	From, To time.Duration
}

// Hook is a program or a web service that decides about a call. It is given the call as a JSON object (see HookCall), a
// program on its standard input, a service as the body of a POST. It answers yes, no or masked, as this word or as
// {"join":true,"masked":true}; a program exits 0, a service answers 200. Masked is joined with its audio held back.
type Hook struct {
	// Command is the program with its arguments; URL the service. At most one of them; none: no hook.
	Command []string
	URL     string
	// Env is the program's environment besides PATH.
	Env []string
	// Timeout is how long it may take, default 1 s, at most 10 s.
	Timeout time.Duration
	// Default is the decision when the hook fails or takes too long: true joins.
	Default bool
}

// HookCall is what a hook is told.
type HookCall struct {
	Call      string `json:"call"` // the first session of the call
	Session   string `json:"session"`
	Agent     string `json:"agent"` // extension number
	AgentID   string `json:"agent_id"`
	Direction string `json:"direction"`
	Number    string `json:"number"` // the far side's; may be empty
	Name      string `json:"name"`
	Queue     string `json:"queue"` // number of the call queue; empty: none
	Internal  bool   `json:"internal"`
}

const (
	defaultHookTimeout = time.Second
	maxHookTimeout     = 10 * time.Second
	day                = 24 * time.Hour
)

func (h Hook) set() bool { return len(h.Command) > 0 || h.URL != "" }

// check applies the defaults and reports all mistakes at once.
func (p *Policy) check() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("supervise: policy: %s: %s", key, fmt.Sprintf(format, args...)))
	}
	for _, d := range p.Directions {
		if d != DirectionInbound && d != DirectionOutbound {
			bad("directions", "got %q, want %s or %s", d, DirectionInbound, DirectionOutbound)
		}
	}
	for key, list := range map[string][]string{"numbers": p.Numbers, "not_numbers": p.NotNumbers} {
		for _, n := range list {
			if !strings.HasPrefix(n, "+") || strings.Trim(n[1:], "0123456789") != "" {
				bad(key, "got %q, want a prefix such as +44", n)
			}
		}
	}
	if p.Share < 0 || p.Share > 100 {
		bad("share", "got %d, want 1 to 100 percent", p.Share)
	}
	for _, w := range p.Schedule {
		if w.From < 0 || w.From >= day || w.To < 0 || w.To > day {
			bad("schedule", "got %s to %s, want times from 0h to 24h", w.From, w.To)
		}
	}
	if p.Zone == nil {
		p.Zone = time.UTC
	}
	h := &p.Hook
	if len(h.Command) > 0 && h.URL != "" {
		bad("hook", "got a command and a URL, want one of them")
	}
	if u, err := url.Parse(h.URL); h.URL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		bad("hook.url", "got %q, want a URL such as https://host/path", redactURL(h.URL))
	}
	if h.Timeout == 0 {
		h.Timeout = defaultHookTimeout
	}
	if h.Timeout < 0 || h.Timeout > maxHookTimeout {
		bad("hook.timeout", "got %s, want up to %s", h.Timeout, maxHookTimeout)
	}
	return errors.Join(errs...)
}

// verdict is what policy says of a call.
type verdict uint8

const (
	verdictOpen    verdict = iota // the parties must be known first
	verdictAsking                 // the hook is asked
	verdictWanted                 // to be heard
	verdictExcused                // left alone
)

// The rules that excuse a call.
const (
	ruleInternal  = "internal"
	ruleDirection = "directions"
	ruleNumbers   = "numbers"
	ruleQueues    = "queues"
	ruleSchedule  = "schedule"
	ruleShare     = "share"
	ruleHook      = "hook"
)

// fact is a yes, a no, or not known.
type fact uint8

const (
	unknown fact = iota
	no
	yes
)

// callFacts is what the rules look at. What is not known yet makes the verdict open; once all is known that ever will be
// (final), it counts as absent.
type callFacts struct {
	call      string // the first session
	began     time.Time
	direction string // empty: not known
	number    string // empty: not known
	internal  fact
	queues    []string // numbers and ids
	queued    fact     // whether queues tells all
	final     bool
}

// judge applies all rules but the hook. It is pure.
func (p *Policy) judge(f callFacts) (verdict, string) {
	open := false
	for _, r := range []struct {
		rule string
		ok   fact
	}{
		{ruleSchedule, p.scheduled(f.began)}, {ruleShare, p.shared(f.call)}, {ruleInternal, p.external(f)},
		{ruleDirection, p.directed(f)}, {ruleNumbers, p.numbered(f)}, {ruleQueues, p.fromQueue(f)},
	} {
		switch {
		case r.ok == no:
			return verdictExcused, r.rule
		case r.ok == unknown && f.final:
			if r.rule != ruleInternal { // nothing says that it is one
				return verdictExcused, r.rule
			}
		case r.ok == unknown && r.rule == ruleInternal:
			return verdictOpen, "" // direction and number of a consultation are not those of the call that it may become
		case r.ok == unknown:
			open = true
		}
	}
	if open {
		return verdictOpen, ""
	}
	return verdictWanted, ""
}

func factOf(b bool) fact {
	if b {
		return yes
	}
	return no
}

// scheduled says whether one of the windows holds the time.
func (p *Policy) scheduled(at time.Time) fact {
	if len(p.Schedule) == 0 {
		return yes
	}
	zone := p.Zone
	if zone == nil {
		zone = time.UTC
	}
	at = at.In(zone)
	// Clock time, not time since midnight: they differ on the days when summer time begins and ends.
	clock := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second
	return factOf(slices.ContainsFunc(p.Schedule, func(w Window) bool {
		opens := func(d time.Weekday) bool { return len(w.Days) == 0 || slices.Contains(w.Days, d) }
		if w.To > w.From {
			return opens(at.Weekday()) && clock >= w.From && clock < w.To
		}
		yesterday := (at.Weekday() + 6) % 7
		return opens(at.Weekday()) && clock >= w.From || opens(yesterday) && clock < w.To
	}))
}

// shared says whether the call belongs to the wanted part.
func (p *Policy) shared(call string) fact {
	if p.Share == 0 || p.Share == 100 {
		return yes
	}
	sum := sha256.Sum256([]byte(call))
	return factOf(binary.BigEndian.Uint64(sum[:8])%100 < uint64(p.Share)) //nolint:gosec // 1 to 100
}

func (p *Policy) external(f callFacts) fact {
	switch {
	case p.Internal || f.internal == no:
		return yes
	case f.internal == yes:
		return no
	}
	return unknown
}

func (p *Policy) directed(f callFacts) fact {
	switch {
	case len(p.Directions) == 0:
		return yes
	case f.direction == "":
		return unknown
	}
	return factOf(slices.Contains(p.Directions, f.direction))
}

func (p *Policy) numbered(f callFacts) fact {
	if len(p.Numbers)+len(p.NotNumbers) == 0 {
		return yes
	}
	if f.number == "" {
		if f.final {
			return factOf(len(p.Numbers) == 0)
		}
		return unknown
	}
	n := e164(f.number)
	begins := func(prefix string) bool { return strings.HasPrefix(n, prefix) }
	if slices.ContainsFunc(p.NotNumbers, begins) {
		return no
	}
	return factOf(len(p.Numbers) == 0 || slices.ContainsFunc(p.Numbers, begins))
}

// e164 cuts what people write into numbers: spaces, brackets, dots, dashes. RingCentral gives numbers with or without +.
func e164(n string) string {
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, n)
	if len(digits) < 7 {
		return n // an extension or a service number
	}
	return "+" + digits
}

func (p *Policy) fromQueue(f callFacts) fact {
	switch {
	case len(p.Queues) == 0, slices.ContainsFunc(f.queues, func(q string) bool { return q != "" && slices.Contains(p.Queues, q) }):
		return yes
	case f.queued == unknown && !f.final:
		return unknown
	}
	return no
}
