package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/secret"
)

// The two ways to ask for a call's audio.
const (
	ModeParty   = "party"   // one request, one stream per party
	ModeSession = "session" // one request, one stream with all parties
)

const (
	defaultPoll         = 8 * time.Second
	minPoll             = 100 * time.Millisecond
	defaultCheck        = time.Minute
	defaultInviteWithin = 10 * time.Second
	defaultUserAgent    = "earshot"
	awaitWithin         = 2 * time.Second
)

// Config says whose calls are heard and how RingCentral is reached.
type Config struct {
	// Server is RingCentral's base URL, https or http (simulator), without a path.
	Server string
	// ClientID and ClientSecret name the app, JWT the supervisor; he must own the device.
	ClientID     string
	ClientSecret secret.Text
	JWT          secret.Text
	// DeviceID is the supervisor's device; empty means the user's only OtherPhone.
	DeviceID string
	// Logins are the supervisors and their devices, where there are several: the pool. JWT, DeviceID, MaxDialogs and Registered
	// are the short form of one, and left away then.
	Logins []Login
	// Agents are extension numbers or ids. Groups are call monitoring groups, by id or name, whose monitored members
	// count as agents. With neither, Run logs in and joins nothing.
	Agents []string
	Groups []string
	// Policy says which calls of the agents are heard.
	Policy Policy
	// Mode is ModeParty (default) or ModeSession.
	Mode string
	// MediaSDP is the request's mediaSDP field, sendOnly or sendRecv; empty leaves it away.
	MediaSDP string
	// Poll is the time between two looks at presence, default 8 s, at least 100 ms. The server's rate limit can
	// stretch it.
	Poll time.Duration
	// NoFeed leaves RingCentral's event feed alone: calls are found by presence only.
	NoFeed bool
	// Check is the time between two looks at presence while the event feed brings the calls, default 60 s, at least Poll.
	Check time.Duration
	// MaxDialogs is how many dialogs the device takes at once; a call in party mode takes two. 0 means that it is learned:
	// when INVITEs stop coming, the number is remembered for a while. Beyond it a call fails with the cause no_capacity, and
	// is joined when a dialog ends.
	MaxDialogs int
	// InviteWithin is how long an INVITE may take after the request was granted, default 10 s.
	InviteWithin time.Duration
	// Registered says whether the device is registered; while it is not, nothing is asked. Nil means always. It is
	// called from Run's goroutine and must not block.
	Registered func() bool
	// Barred says why no call that was not heard before is to be asked for at the moment, such as a disk without room for its recording;
	// empty: they are. Each such call fails once with the cause disk_full, and is joined when Barred says nothing any more. Nil means
	// never. It is called from Run's goroutine and must not block.
	Barred func() string
	// Handler learns of changes; may be nil.
	Handler Handler
	// HTTP is the client to use; nil means one of our own. Redirects are never followed.
	HTTP *http.Client
	// UserAgent is the header of that name, default "earshot".
	UserAgent string
	// Log takes the log, nil discards it.
	Log *slog.Logger
}

// check applies the defaults and reports all mistakes at once.
func (c *Config) check() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("supervise: %s: %s", key, fmt.Sprintf(format, args...)))
	}
	u, err := url.Parse(c.Server)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.User != nil, u.RawQuery != "", strings.Trim(u.Path, "/") != "":
		bad("server", "got %q, want a URL such as https://platform.ringcentral.com", redactURL(c.Server))
	default:
		c.Server = u.Scheme + "://" + u.Host
	}
	if c.ClientID == "" {
		bad("client_id", "got none, want the app's client id")
	}
	c.pool(bad)
	if err := c.Policy.check(); err != nil {
		errs = append(errs, err)
	}
	if c.Mode == "" {
		c.Mode = ModeParty
	}
	if c.Mode != ModeParty && c.Mode != ModeSession {
		bad("mode", "got %q, want %s or %s", c.Mode, ModeParty, ModeSession)
	}
	if c.Poll == 0 {
		c.Poll = defaultPoll
	}
	if c.Poll < minPoll {
		bad("poll", "got %s, want %s or more", c.Poll, minPoll)
	}
	if c.Check == 0 {
		c.Check = max(defaultCheck, c.Poll)
	}
	if c.Check < c.Poll {
		bad("check", "got %s, want poll's %s or more", c.Check, c.Poll)
	}
	if c.InviteWithin == 0 {
		c.InviteWithin = defaultInviteWithin
	}
	if c.InviteWithin < 0 {
		bad("invite_within", "got %s, want more than 0s", c.InviteWithin)
	}
	if c.UserAgent == "" {
		c.UserAgent = defaultUserAgent
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return errors.Join(errs...)
}

// redactURL cuts what may be a password or token out of a URL that is shown in an error.
func redactURL(s string) string {
	if i := strings.LastIndex(s, "@"); i >= 0 {
		s = "…" + s[i:]
	}
	if i := strings.IndexByte(s, '?'); i >= 0 {
		s = s[:i] + "?…"
	}
	return s
}

// Handler learns what the loop decides. It is called from one goroutine and must not block; it may call the
// Supervisor.
type Handler interface {
	// Wanted tells of a call that is to be heard; again, with the same session, when its parties are better known.
	Wanted(Call)
	// Failed tells that a join did not succeed; it may be tried again while the call lives. err is an *APIError where
	// RingCentral refused, nil where nothing came.
	Failed(session string, c call.Cause, err error)
	// Gone tells that RingCentral no longer shows the call and no dialog of it is up.
	Gone(session string)
}

// ExcuseHandler is a Handler that learns of calls which policy leaves alone.
type ExcuseHandler interface {
	// Excused tells of a call that is not asked for, with the rule that excused it, one of internal, directions, numbers,
	// queues, schedule, share, hook. A call that changes, by a transfer for instance, may be wanted later.
	Excused(c Call, rule string)
}

// ProbeHandler is a Handler that can look whether a device's flow still lives.
type ProbeHandler interface {
	// Probe tells that RingCentral granted a request, and no INVITE reached that device of the pool: its flow may be dead
	// without anybody having noticed.
	Probe(device int)
}

// MoveHandler is a Handler that learns of calls that go on in another session.
type MoveHandler interface {
	// Moved tells that the call of session from goes on in session to. Where to was not matched yet, its joins have from
	// in their Chain; else both are calls that were heard apart, and Moved tells only that they belong together.
	Moved(from, to string)
}

// Agent is a monitored extension.
type Agent struct {
	Extension string // short number, such as 108
	ID        string
	Name      string // a person's data: debug logs and the record only
}

// Call is one telephony session that is to be heard.
type Call struct {
	Session  string
	Agent    Agent
	Customer call.Party // zero until the session was read
	Mode     string     // how it will be asked for; ModeSession also where ModeParty is not possible
	Since    time.Time  // when it was first seen
	Started  time.Time  // when RingCentral says the agent's part began; zero if it does not
}

// Ref names a party of a session, as the headers of an INVITE do; either half may be empty.
type Ref struct{ Session, Party string }

// Join is one supervise request together with the INVITE that answers it. Session and Party.ID are its key for Answered
// and Ended.
type Join struct {
	Session string
	// Chain are the sessions of the call so far, the first one first and Session last: a call goes on in another session
	// after an attended transfer or a pick-up from park. Chain[0] names the call. Once a join of the session was matched,
	// its chain stays.
	Chain []string
	// Party is whose audio comes: in session mode a mix without an id.
	Party call.Party
	Agent Agent
	// Groups are the agent's, by id and name, of those that are configured.
	Groups []string
	Mode   string
	// Direction is inbound or outbound, Queues are the call queues' numbers and ids; empty where that is not known.
	Direction string
	Queues    []string
	// Expected are all streams of the plan: customer and agent, or one mix.
	Expected []call.Party
	// OwnParty is the supervisor's party of this join; empty until RingCentral named it.
	OwnParty string
	// Masked: the policy's hook wants the audio held back from the first sample on.
	Masked bool
	// Released: a user has given the call up since it was asked for, so its INVITE is to be refused.
	Released bool
	// Wanted is when the call was first seen, or its party last heard. Obstacle is what kept it from being heard since then, the newest;
	// empty: nothing did.
	Wanted   time.Time
	Obstacle string
	// Talks is since when the agent is known to be on the line: since the event that told it, else since the call's start
	// or the look that did not show it yet, whichever was later.
	Talks time.Time
}

// Supervisor is a pool of RingCentral logins that listen to calls on their devices.
type Supervisor struct {
	// Set by New, then constant.
	cfg     Config
	logins  []*poolLogin  // at least one
	devices []*poolDevice // at least one for each login
	askers  []*Account    // the logins, for those who only look
	feed    *feed
	log     *repeats
	wake    chan struct{} // size 1: the core has work for Run
	urge    chan struct{} // size 1: a look at presence may be worth it
	reload  chan struct{} // size 1: the agents are others

	// mu guards the fields below. It is never held during I/O, logging or a callback.
	mu   sync.Mutex
	core *core
	// wantAgents and wantGroups are as configured.
	wantAgents, wantGroups []string
	leader                 int               // the login that looks at the account
	errs                   map[string]string // what fails at present
	answers                chan struct{}     // closed and replaced when a supervise POST has returned

	onEvent    func(sessionEvent) // tests only
	feedStatus FeedStatus
	feedUnread int64
	diagnosed  time.Time // when a refusal was looked into last
	lookWanted time.Time // a look out of turn was asked for; zero: none
	watches    map[*watch]struct{}
}

// New checks the configuration. It opens nothing: the first request logs in.
func New(cfg Config) (*Supervisor, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Supervisor{
		cfg: cfg, log: newRepeats(cfg.Log), wake: make(chan struct{}, 1), urge: make(chan struct{}, 1), reload: make(chan struct{}, 1),
		core: newCore(cfg.Mode, cfg.InviteWithin), errs: map[string]string{}, answers: make(chan struct{}),
		feedStatus: FeedStatus{State: FeedOff}, wantAgents: slices.Clone(cfg.Agents), wantGroups: slices.Clone(cfg.Groups),
	}
	s.enter(cfg)
	s.core.agents, s.core.policy = configured(cfg.Agents), cfg.Policy
	s.feed, s.watches = newFeed(s), map[*watch]struct{}{}
	for i, l := range s.logins {
		l.client.asked = s.noteAsked
		s.askers = append(s.askers, newAccount(cfg, cfg.Logins[i], l.client, s))
	}
	return s, nil
}

// Match names the join that an INVITE answers, by the parties in its headers p-rc-api-ids (own) and
// p-rc-api-monitoring-ids (monitored): the monitored party; else our own party as the REST answer named it; else the
// session's only open request. It works before the POST has returned. The join counts as invited from then on.
func (s *Supervisor) Match(own, monitored Ref) (Join, bool) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	found, j, by := s.core.match(now, own, monitored)
	if j == nil {
		return Join{}, false
	}
	return s.core.joinOf(found, j, j.party, by), true
}

// Await is Match for an INVITE that overtook the answers which would name it: it waits for the session's requests that
// are under way, until ctx ends and at most two seconds (RingCentral cancels an INVITE after about three).
func (s *Supervisor) Await(ctx context.Context, own, monitored Ref) (Join, bool) {
	id := own.Session
	if id == "" {
		id = monitored.Session
	}
	limited, cancel := context.WithTimeout(ctx, awaitWithin)
	defer cancel()
	for {
		s.mu.Lock()
		asking, answers := s.core.asking(id), s.answers
		s.mu.Unlock()
		if j, ok := s.Match(own, monitored); ok || !asking {
			return j, ok
		}
		select {
		case <-limited.Done():
			return s.Match(own, monitored)
		case <-answers:
		}
	}
}

// MatchLine names the party of an m= line by the ids in its i= line. It answers false for a session or party that is not
// known; the caller then goes by the order of the lines, which is that of Join.Expected in party mode.
func (s *Supervisor) MatchLine(session, party string) (Join, bool) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	found, j, p, ok := s.core.line(now, session, party)
	if !ok {
		return Join{}, false
	}
	return s.core.joinOf(found, j, p, call.ByMediaTitle), true
}

// Answered reports that the dialog of a join is up; party is Join.Party.ID, empty for a mix. Each Answered wants one
// Ended.
func (s *Supervisor) Answered(session, party string) {
	s.change(func(now time.Time) { s.core.answered(now, session, party) })
}

// Ended reports that the dialog of a join ended, or that its INVITE came to nothing. If RingCentral still shows the
// call, it is asked for again, unless the cause is that a user or a shutdown wanted the end.
func (s *Supervisor) Ended(session, party string, c call.Cause) {
	s.change(func(now time.Time) { s.core.ended(now, session, party, c) })
}

// InCall says whether RingCentral's newest answer still shows a monitored agent in that call, or the call is on its way to
// one: transferred, parked, gone on in another session. After the end of a dialog the session is read within about half a
// second, so the answer soon is as new.
func (s *Supervisor) InCall(session string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.lives(session, time.Now())
}
