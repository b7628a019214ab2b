package supervise

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The marks of a finding.
const (
	MarkOK   = "ok"
	MarkWarn = "warn" // works, or may; somebody should look
	MarkFail = "FAIL" // calls are not heard until somebody acts
)

// Finding is one line of a check: what was looked at, what was found, and what to do about it.
type Finding struct {
	Mark  string `json:"mark"`
	What  string `json:"what"`
	Owner string `json:"owner,omitempty"` // extension of the login's user, where there are several logins
	Found string `json:"found"`
	Do    string `json:"do,omitempty"`
}

// CheckOptions are what a [Check] can't see for itself.
type CheckOptions struct {
	Load Load // PeakCalls and CallsPerSecond: what the pool is measured against
	// AuthorizationID is that of the SIP account in the configuration, if one stands there: RingCentral's sip-info is not
	// needed then.
	AuthorizationID string
	// NoFeedToken leaves out the request for a token of the event feed: RingCentral allows five logins and such tokens a minute,
	// and a daemon that starts next needs two.
	NoFeedToken bool
	// DeviceID, if not empty, takes the place of the configured one.
	DeviceID string
}

// checkup is one Check under way.
type checkup struct {
	opts     CheckOptions
	several  bool // logins
	logins   []*checkedLogin
	findings []Finding
	heard    int // agents that are to be heard
}

// checkedLogin is what a Check has seen of one login.
type checkedLogin struct {
	account *Account
	owner   Person
	good    bool              // it is logged in
	groups  []MonitoringGroup // nil: could not be read
	calls   []AccountCall
	shown   bool     // calls could be read
	devices []Device // of the pool, as far as they were found
	control error    // why sessions can't be supervised
}

// Check looks at everything that must hold for calls to be heard, through the logins, and says what to do about what
// does not. It asks to be joined to nothing, and registers nothing. Codes of RingCentral that nobody has documented explain
// nothing: a refusal is explained by what there is to see. agents is how many are to be heard.
func Check(ctx context.Context, accounts []*Account, o CheckOptions) (findings []Finding, agents int) {
	c := &checkup{opts: o, several: len(accounts) > 1}
	for _, a := range accounts {
		l := &checkedLogin{account: a}
		c.logins = append(c.logins, l)
		c.login(ctx, l)
		if !l.good || ctx.Err() != nil {
			continue
		}
		c.scopes(ctx, l)
		c.feed(ctx, l)
		c.presence(ctx, l)
		c.devicesOf(ctx, l)
		c.groupsOf(ctx, l)
		c.limits(l)
		c.clock(l)
	}
	if ctx.Err() == nil && slices.ContainsFunc(c.logins, func(l *checkedLogin) bool { return l.good }) {
		c.agents(ctx)
		c.refusals()
	}
	return c.findings, c.heard
}

// add notes a finding; l is nil where it concerns all logins.
func (c *checkup) add(l *checkedLogin, mark, what, do, format string, args ...any) {
	f := Finding{Mark: mark, What: what, Found: fmt.Sprintf(format, args...), Do: do}
	if l != nil && c.several {
		f.Owner = l.owner.Extension
	}
	if mark == MarkOK {
		f.Do = ""
	}
	c.findings = append(c.findings, f)
}

// refused notes an error, RingCentral's code and text as they came. What the budget forbade is no failure.
func (c *checkup) refused(l *checkedLogin, mark, what, do string, err error) {
	if _, busy := errors.AsType[*busyError](err); busy {
		mark = MarkWarn
		do = ""
	}
	if unanswered(err) {
		do = cureServer // no permission helps
	}
	if h := hintFor(err); h != "" {
		do = h
	}
	c.add(l, mark, what, do, "%s", err)
}

const cureServer = "see ringcentral.server, the name service, and whether a firewall or proxy lets HTTPS out"

// unanswered tells whether an error is that RingCentral did not answer, or is unwell, and not that it says no.
func unanswered(err error) bool {
	if _, busy := errors.AsType[*busyError](err); busy || err == nil {
		return false
	}
	e, said := errors.AsType[*APIError](err)
	return !said || e.Status >= 500
}

// login looks at the server, the login, and whose it is.
func (c *checkup) login(ctx context.Context, l *checkedLogin) {
	server := l.account.cfg.Server
	scopes, err := l.account.Scopes(ctx)
	var owner Person
	var nameless error
	if err == nil { // a daemon's scopes are those of its login, maybe of days ago: this asks
		owner, nameless = l.account.Owner(ctx)
	}
	if down := errors.Join(err, nameless); unanswered(down) {
		c.refused(l, MarkFail, "server", cureServer, down)
		return
	}
	c.add(l, MarkOK, "server", "", "%s answers", server)
	if u, perr := url.Parse(server); perr == nil && strings.Contains(u.Host, "devtest") {
		c.add(l, MarkWarn, "server", "use the production server: RingCentral's sandbox was taken out of its documents, and may not supervise", "%s is the sandbox", u.Host)
	}
	if err != nil {
		c.refused(l, MarkFail, "login", "see client_id, client_secret and JWT", err)
		return
	}
	l.good = true
	if l.owner = owner; nameless != nil {
		c.refused(l, MarkFail, "login", "give the user the permission ReadExtensions", nameless)
		l.owner.ID = l.account.ownerID()
		return
	}
	how := "a login of this command, revoked at its end"
	if l.account.daemon != nil {
		how = "the daemon's own"
	}
	c.add(l, MarkOK, "login", "", "as %s (extension id %s), %s, %d scopes", l.owner.Extension, l.owner.ID, how, len(scopes))
}

// neededScopes are the app's permissions, each in the spellings that were seen.
var neededScopes = [][]string{ //nolint:gochecknoglobals // constant
	{"CallControl"}, {"ReadAccounts", "AccountInfo"}, {"ReadPresence", "Presence"},
	{"WebSocketsSubscription", "WebSocketsSubscriptions", "WebSocket"},
}

// scopes looks at the app's permissions: what the token names, which is no proof, and whether calls may be controlled,
// which RingCentral answers.
func (c *checkup) scopes(ctx context.Context, l *checkedLogin) {
	names, err := l.account.Scopes(ctx)
	if err != nil {
		c.refused(l, MarkFail, "scopes", "", err)
		return
	}
	var missing []string
	for _, spellings := range neededScopes {
		if !slices.ContainsFunc(spellings, func(s string) bool { return slices.Contains(names, s) }) {
			missing = append(missing, spellings[0])
		}
	}
	if err := l.account.MayControl(ctx); err != nil {
		if _, said := errors.AsType[*APIError](err); said {
			l.control = err
		}
		c.refused(l, MarkFail, "scopes", "see that the app has the CallControl scope", err)
		return
	}
	if len(missing) > 0 && len(names) > 0 {
		c.add(l, MarkWarn, "scopes", "tick it in the app's settings in RingCentral's developer console if something below is refused; spellings have changed over time",
			"the token does not name %s", strings.Join(missing, ", "))
		return
	}
	c.add(l, MarkOK, "scopes", "", "%s", orNone(strings.Join(names, " ")))
}

// feed looks at the event feed: the daemon's own, or whether one could be opened.
func (c *checkup) feed(ctx context.Context, l *checkedLogin) {
	const without = "without the feed a call is found by presence, seconds late: "
	if l.account.cfg.NoFeed {
		c.add(l, MarkOK, "event feed", "", "switched off (supervise.feed)")
		return
	}
	if d := l.account.daemon; d != nil {
		st := d.Status().Feed
		mark, found := MarkWarn, string(st.State)
		switch st.State {
		case FeedLive:
			mark, found = MarkOK, fmt.Sprintf("live since %s, %d filters", st.Since.UTC().Format(time.RFC3339), st.Filters)
		case FeedOff:
			mark, found = MarkOK, "off: no agents to hear"
		case FeedPartial:
			found = "RingCentral refused " + strings.Join(st.Disabled, "; ")
		case FeedNone, FeedDown, FeedSilent:
			for _, e := range d.Status().Errors {
				if strings.HasPrefix(e, "feed: ") {
					found += ": " + strings.TrimPrefix(e, "feed: ")
				}
			}
		}
		c.add(l, mark, "event feed", without+"see the app's scopes CallControl and WebSocketsSubscription, and that WebSockets (wss) get out", "%s", found)
		return
	}
	if c.opts.NoFeedToken {
		return
	}
	if err := l.account.FeedToken(ctx); err != nil {
		c.refused(l, MarkWarn, "event feed", without+"see the app's scope WebSocketsSubscription", err)
		return
	}
	c.add(l, MarkOK, "event feed", "", "a token for the WebSocket is to be had")
}

// presence looks whether the account's calls can be seen.
func (c *checkup) presence(ctx context.Context, l *checkedLogin) {
	calls, _, err := l.account.Calls(ctx)
	if err != nil {
		c.refused(l, MarkFail, "presence", "give the user the permission ReadPresenceStatus", err)
		return
	}
	l.calls, l.shown = calls, true
	c.add(l, MarkOK, "presence", "", "%s shown", plural(len(calls), "call"))
}

// limits tells the request rates as the answers' headers named them.
func (c *checkup) limits(l *checkedLogin) {
	var texts []string
	for _, r := range l.account.Limits() {
		switch {
		case r.Blocked > 0:
			c.add(l, MarkWarn, "rate limits", "earshot waits; see whether another program uses the same app and user",
				"%s: RingCentral's penalty lasts %s more", r.Group, r.Blocked.Round(time.Second))
		case r.Unlimited:
			texts = append(texts, r.Group+" none named")
			continue
		case r.Others*2 > r.Limit && r.Group != groupAuth.String():
			c.add(l, MarkWarn, "rate limits", "give the other program an app of its own: it takes the requests that joins need",
				"%s: %d of the %d requests were not sent by this program, but with the same app and user", r.Group, r.Others, r.Limit)
		}
		text := fmt.Sprintf("%s %d in %s", r.Group, r.Limit, r.Window)
		if !r.Told {
			text += " (documented, not told)"
		}
		texts = append(texts, text)
	}
	c.add(l, MarkOK, "rate limits", "", "%s", strings.Join(texts, ", "))
}

// clockTolerance is how far clocks may be apart before it is worth a word: RingCentral's times stand beside ours in the
// records.
const clockTolerance = 2 * time.Second

func (c *checkup) clock(l *checkedLogin) {
	ahead, within, known := l.account.ClockAhead()
	if !known {
		c.add(l, MarkWarn, "clock", "see this machine's clock by hand", "the server's answers have no Date header to compare with")
		return
	}
	off := ahead.Abs() - within
	if off > clockTolerance {
		c.add(l, MarkWarn, "clock", "keep the clock by NTP: recordings carry its time", "the server's is %s away (its clock minus ours: %s)", ahead.Abs(), ahead)
		return
	}
	c.add(l, MarkOK, "clock", "", "within %s of the server's", max(ahead.Abs(), within).Round(100*time.Millisecond))
}

func orNone(s string) string {
	if s == "" {
		return "none named"
	}
	return s
}
