package supervise

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// openWithin bounds connecting, the server's greeting and subscribing, each; replyWithin an answer over the feed.
	openWithin  = 10 * time.Second
	replyWithin = 10 * time.Second
	// pingEvery finds a connection that is dead and not closed; RingCentral pings every 30 s as well.
	pingEvery  = 30 * time.Second
	pongWithin = 10 * time.Second
	// closeAfter is how long a replaced connection is read on: events may be under way in it.
	closeAfter = 5 * time.Second
	// renewMargin is the part of a connection's life time that is left when it is replaced.
	renewMargin   = 24 // one 24th: an hour of a day
	firstFeedWait = time.Second
	mostFeedWait  = 64 * time.Second
	noFeedWait    = 10 * time.Minute // the server has no feed
	subscribePath = "/restapi/v1.0/subscription"
)

// feed keeps the subscription of telephony events alive. Its goroutines are Run's.
type feed struct {
	// Set by newFeed, then constant.
	s       *Supervisor
	dial    func(ctx context.Context, address string) (socket, error)
	changed chan struct{} // size 1: the agents may be others

	readers sync.WaitGroup

	// Owned by run.
	lost    *link // the connection that broke, as long as it may be taken up again
	lostAt  time.Time
	retired *link // replaced, and read until its last events are in
	form    form  // of the filters
}

func newFeed(s *Supervisor) *feed {
	return &feed{s: s, dial: s.logins[0].client.dialWebSocket, changed: make(chan struct{}, 1)}
}

// refilter has the feed look whether its filters still fit the agents.
func (s *Supervisor) refilter() {
	select {
	case s.feed.changed <- struct{}{}:
	default:
	}
}

// run keeps a connection until ctx ends.
func (f *feed) run(ctx context.Context) {
	defer f.readers.Wait()
	fails := 0
	for f.agents(ctx) {
		l, err := f.open(ctx, f.takeUp(time.Now()))
		if err == nil {
			fails = 0
			f.up(l)
			l, err = f.keep(ctx, l)
			f.lost, f.lostAt = l, time.Now()
		}
		f.drop()
		if ctx.Err() != nil {
			break
		}
		wait := f.down(err, fails)
		if fails++; fails > 1 && len(f.s.logins) > 1 {
			f.s.nextLead() // it may be this login that is refused
			f.lost = nil
		}
		if !rest(ctx, wait) {
			break
		}
	}
	f.s.feedState(FeedStatus{})
}

// rest sleeps; false means that ctx ended.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}

// agents waits until there is somebody to be told of.
func (f *feed) agents(ctx context.Context) bool {
	for ctx.Err() == nil {
		if filters, _ := f.s.filters(f.form); len(filters) > 0 {
			return true
		}
		select {
		case <-ctx.Done():
		case <-f.changed:
		}
	}
	return false
}

// takeUp gives the broken connection if the server still keeps its place.
func (f *feed) takeUp(now time.Time) *link {
	if f.lost != nil && (f.lost.token() == "" || now.Sub(f.lostAt) >= f.lost.details.recovery-openWithin) {
		f.lost = nil
	}
	return f.lost
}

// drop closes the replaced connection.
func (f *feed) drop() {
	if f.retired != nil {
		f.retired.close()
		f.retired = nil
	}
}

// down notes that there is no feed, and says how long to wait before the next attempt.
func (f *feed) down(err error, fails int) time.Duration {
	st := FeedStatus{State: FeedDown, Since: time.Now()}
	// Jitter keeps many from coming back in the same moment.
	wait := backoff(firstFeedWait, mostFeedWait, fails)
	wait = wait/2 + time.Duration(rand.Int64N(int64(wait/2)))
	if e, ok := errors.AsType[*APIError](err); ok && (e.Status == 404 || e.Status == 501) && e.Op == opFeedToken.String() {
		f.s.log.say(slog.LevelInfo, "no feed", "event feed not offered", slog.String("err", err.Error()))
		st.State = FeedNone
		f.s.failing("feed", nil)
		wait = noFeedWait
	} else {
		f.s.failing("feed", err)
	}
	if _, until := judge(err, time.Now()); !until.IsZero() {
		wait = max(wait, time.Until(until))
	}
	f.s.feedState(st)
	return wait
}

// up notes that events come.
func (f *feed) up(l *link) {
	f.s.failing("feed", nil)
	f.s.cfg.Log.Info("event feed connected", slog.Int("filters", len(l.filters)), slog.Bool("account", l.account), slog.Bool("recovered", l.recovered))
	f.state(l)
	if !l.recovered {
		f.s.lookNow() // what happened before the subscription is not told
	}
}

// state makes the connection the one that counts.
func (f *feed) state(l *link) {
	st := FeedStatus{State: FeedLive, Since: l.since, Account: l.account, Filters: len(l.filters)}
	for _, d := range l.disabled {
		st.Disabled = append(st.Disabled, d.String())
	}
	if len(st.Disabled) > 0 {
		st.State = FeedPartial
		f.s.log.say(slog.LevelWarn, "filters disabled", "event filters disabled", slog.Int("filters", len(st.Disabled)), slog.String("reason", st.Disabled[0]),
			slog.String("hint", "the app needs the CallControl scope, and the supervisor the right to see these extensions' calls; "+
				"until then their calls are found by presence only"))
	}
	f.s.feedState(st)
}

// keep holds a connection until it breaks, replacing it before the server's time limit; it gives the newest one.
func (f *feed) keep(ctx context.Context, l *link) (*link, error) {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	renew := time.NewTimer(time.Until(l.renewAt))
	defer renew.Stop()
	closing := time.NewTimer(time.Hour)
	defer closing.Stop()
	f.refit(ctx, l)
	for {
		select {
		case <-ctx.Done():
			l.close()
			return l, context.Cause(ctx)
		case <-l.done:
			l.close()
			return l, l.err
		case <-f.changed:
			f.refit(ctx, l)
		case <-ping.C:
			if err := l.alive(ctx); err != nil {
				l.close()
				return l, err
			}
		case <-closing.C:
			f.drop()
		case <-renew.C:
			next, err := f.open(ctx, nil)
			if err != nil { // the old one lives for a while yet
				f.s.failing("feed renewal", err)
				renew.Reset(f.renewal(err, l))
				continue
			}
			f.s.failing("feed renewal", nil)
			f.s.cfg.Log.Info("event feed renewed", slog.Int("filters", len(next.filters)))
			f.drop()
			f.retired, l = l, next
			f.state(l)
			closing.Reset(closeAfter)
			renew.Reset(time.Until(l.renewAt))
			f.refit(ctx, l)
		}
	}
}

// renewal is the wait before the next attempt to replace a connection.
func (f *feed) renewal(err error, l *link) time.Duration {
	wait := max(minFeedTime, l.details.absolute/renewMargin/8)
	if _, until := judge(err, time.Now()); !until.IsZero() {
		wait = max(wait, time.Until(until))
	}
	return wait
}

// refit changes the subscription where the agents are others than it was made for.
func (f *feed) refit(ctx context.Context, l *link) {
	filters, _ := f.s.filters(f.form)
	if len(filters) == 0 || slices.Equal(filters, l.filters) {
		return
	}
	err := f.subscribe(ctx, l)
	if e, ok := errors.AsType[*APIError](err); ok && l.id != "" && e.Status == 404 {
		l.id = "" // it has vanished: made anew
		err = f.subscribe(ctx, l)
	}
	f.s.failing("feed filters", err)
	if _, answered := errors.AsType[*APIError](err); answered && l.id != "" {
		return // what RingCentral agreed to before goes on; the next look at presence has the change tried again
	}
	if err != nil {
		l.close() // the next connection subscribes to all of them
		return
	}
	f.state(l)
	f.s.lookNow()
}

// feedDoc is the answer to a token request.
type feedDoc struct {
	URI   text `json:"uri"`
	Token text `json:"ws_access_token"`
}

// address gets a single-use token and the address to connect to.
func (f *feed) address(ctx context.Context, lost *link) (string, error) {
	var raw json.RawMessage
	if err := f.s.lead().do(ctx, request{op: opFeedToken, share: shareLook}, &raw); err != nil {
		return "", err
	}
	var d feedDoc
	if err := json.Unmarshal(raw, &d); err != nil || d.URI == "" || d.Token == "" {
		return "", fmt.Errorf("%s: answer: want uri and ws_access_token", opFeedToken)
	}
	u, err := url.Parse(string(d.URI))
	plain := strings.HasPrefix(f.s.cfg.Server, "http://") // a simulator
	if err != nil || u.Host == "" || (u.Scheme != "wss" && !(plain && u.Scheme == "ws")) {
		return "", fmt.Errorf("%s: answer: got uri %q, want one that begins with wss://", opFeedToken, redactURL(string(d.URI)))
	}
	q := u.Query()
	q.Set("access_token", string(d.Token))
	if lost != nil {
		q.Set("wsc", lost.token())
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// open connects and subscribes, or takes up the lost connection's subscription.
func (f *feed) open(ctx context.Context, lost *link) (*link, error) {
	address, err := f.address(ctx, lost)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	sock, err := f.dial(limited, address)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			err = fmt.Errorf("feed: connect: no answer within %s", openWithin)
		}
		if _, ok := errors.AsType[*handshakeError](err); ok {
			f.lost = nil // was it the recovery token? the next attempt goes without
		}
		return nil, err
	}
	l := newLink(f.s, sock)
	f.readers.Go(l.read)
	if err := l.greeted(limited); err != nil {
		l.close()
		if _, ok := errors.AsType[*APIError](err); ok {
			f.lost = nil
		}
		return nil, err
	}
	if lost != nil && l.details.recovered {
		l.id, l.filters, l.account, l.disabled, l.since = lost.id, lost.filters, lost.account, lost.disabled, lost.since
		l.recovered, l.renewAt = true, lost.renewAt // the time limit may count from the first connection on
		if l.gap(lost) {
			f.s.lookNow()
		}
		return l, nil
	}
	if err := f.subscribe(ctx, l); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func messageID() string { return "earshot-" + crand.Text() }
