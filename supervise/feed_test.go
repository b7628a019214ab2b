package supervise

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// fedBy runs a Supervisor with a feed; heard gets every event as it arrives.
func fedBy(t *testing.T, f *fakeRC, feed *fakeFeed, change func(*Config)) (*Supervisor, *watcher, *logLines) {
	f.feed = feed
	return runningWith(t, f, change, func(s *Supervisor) { s.feed.dial = feed.dial })
}

func live1(s *Supervisor) func() bool {
	return func() bool { return s.Status().Feed.State == FeedLive }
}

func TestFeedSubscribesOnceWithAFilterPerAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, feed := newFake(t), newFakeFeed(t)
		s, _, log := fedBy(t, f, feed, nil)
		eventually(t, 5*time.Second, "a live feed", live1(s))
		want := "POST /restapi/v1.0/subscription " + filterPath + "extension/" + ownExt + "/telephony/sessions," + filterPath + "extension/" + agentExt + "/telephony/sessions"
		if len(feed.requests) != 1 || feed.requests[0] != want {
			t.Errorf("requests: got %q, want %q", feed.requests, want)
		}
		if st := s.Status().Feed; st.Filters != 2 || st.Account {
			t.Errorf("status: got %+v", st)
		}
		pass(20 * time.Minute)
		if n := f.requests("/presence"); n > 24 {
			t.Errorf("got %d looks in 20 minutes with a live feed, want one a minute", n)
		}
		if strings.Contains(log.text(), "ws-made-up") {
			t.Error("the log holds a token")
		}
	})
}

func TestManyAgentsShareTheAccountsFilter(t *testing.T) {
	f := newFake(t)
	s := mustNew(t, f.config())
	for i := range maxFilters + 1 {
		s.core.agents.add(extensionDoc{ID: text(fmt.Sprint(7000 + i))})
	}
	if filters, account := s.filters(formByNumber); !account || len(filters) != 1 || filters[0] != "/restapi/v1.0/account/~/telephony/sessions" {
		t.Errorf("got %q, %t, want the account's filter", filters, account)
	}
}

func TestFiltersTakeTheFormThatRingCentralAllows(t *testing.T) {
	perAgent := func(filter string) bool { return strings.Contains(filter, "/extension/") }
	for name, c := range map[string]struct {
		agents  int
		refuse  func(string) bool
		reason  string
		account bool
	}{
		"too many for it":                  {3, perAgent, "SUB-505", true},
		"the account's is not permitted":   {maxFilters + 1, func(f string) bool { return !perAgent(f) }, "SUB-406", false},
		"one agent's is, which is no form": {3, func(f string) bool { return strings.Contains(f, agentExt) }, "SUB-406", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, feed := newFake(t), newFakeFeed(t)
				feed.refuse, feed.reason = c.refuse, c.reason
				s, _, _ := fedBy(t, f, feed, nil)
				eventually(t, 5*time.Second, "a feed, and so the agents known", func() bool { return s.Status().Feed.Filters > 0 })
				s.mu.Lock()
				for i := range c.agents {
					s.core.agents.add(extensionDoc{ID: text(fmt.Sprint(7000 + i))})
				}
				s.mu.Unlock()
				s.refilter()
				pass(10 * time.Second)
				st := s.Status().Feed
				if st.Account != c.account || (st.State == FeedLive) != (len(st.Disabled) == 0) {
					t.Errorf("got %+v", st)
				}
				if c.reason == "SUB-505" && st.State != FeedLive {
					t.Errorf("with the account's filter: got %s, want live", st.State)
				}
				n := len(feed.requests)
				if !slices.ContainsFunc(feed.requests, func(rq string) bool {
					return strings.Contains(rq, "/7001/") || strings.Contains(rq, "account/~/telephony")
				}) {
					t.Errorf("the further agents were not asked for: %.300q", feed.requests)
				}
				pass(agentsEvery - time.Minute) // then they are read anew, and these are none of the account's
				if len(feed.requests) > n {
					t.Errorf("settled: got %d requests more: %.300q", len(feed.requests)-n, feed.requests[n:])
				}
			})
		})
	}
}

func TestARefusedChangeOfFiltersKeepsTheFeedThatThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, feed := newFake(t), newFakeFeed(t)
		s, _, _ := fedBy(t, f, feed, nil)
		eventually(t, 5*time.Second, "a live feed", live1(s))
		feed.mu.Lock()
		feed.denyChange = true
		feed.mu.Unlock()
		s.mu.Lock()
		s.core.agents.add(extensionDoc{ID: "62295329016", Number: "110"})
		s.mu.Unlock()
		s.refilter()
		pass(agentsEvery - time.Minute)
		if open, all, _ := feed.count(); open != 1 || all != 1 || len(feed.requests) < 2 || len(feed.requests) > 15 {
			t.Errorf("got %d connections, %d requests, want one, and a try with each look", all, len(feed.requests))
		}
		if st := s.Status(); st.Feed.State != FeedLive || st.Feed.Filters != 2 || !strings.Contains(fmt.Sprint(st.Errors), "SUB-406") {
			t.Errorf("status: feed %+v, errors %q", st.Feed, st.Errors)
		}
	})
}

func TestChangedAgentsChangeTheSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, feed := newFake(t), newFakeFeed(t)
		s, _, _ := fedBy(t, f, feed, nil)
		eventually(t, 5*time.Second, "a live feed", live1(s))
		looks := f.requests("/presence")
		add := func(id string) {
			s.mu.Lock()
			s.core.agents.add(extensionDoc{ID: text(id), Number: "110"})
			s.mu.Unlock()
			s.refilter()
		}
		add("62295329016")
		pass(time.Second)
		if open, all, subs := feed.count(); open != 1 || all != 1 || subs != 1 || !strings.HasPrefix(feed.requests[1], "PUT /restapi/v1.0/subscription/sub-1 ") ||
			!strings.Contains(feed.requests[1], "/62295329016/") {
			t.Errorf("got %d connections, %d subscriptions, requests %q, want one of each and a PUT", all, subs, feed.requests)
		}
		if f.requests("/presence") == looks {
			t.Error("no look although the new agent may be in a call")
		}
		// The subscription has vanished: it is made anew.
		feed.mu.Lock()
		feed.conns[0].place.id = ""
		feed.mu.Unlock()
		add("62295330016")
		pass(time.Second)
		if _, all, subs := feed.count(); all != 1 || subs != 2 {
			t.Errorf("after it vanished: got %d connections, %d subscriptions, want 1 and 2", all, subs)
		}
	})
}

func TestRefusedFiltersAreToldOnceAndPresenceGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, feed := newFake(t), newFakeFeed(t)
		feed.refuse = func(filter string) bool { return strings.Contains(filter, agentExt) }
		s, _, log := fedBy(t, f, feed, nil)
		eventually(t, 5*time.Second, "partial", func() bool { return s.Status().Feed.State == FeedPartial })
		pass(10 * time.Minute)
		if n := strings.Count(log.text(), "event filters disabled"); n != 1 || !strings.Contains(log.text(), "CallControl") {
			t.Errorf("got %d warnings, want one with a hint: %s", n, log.text())
		}
		if st := s.Status().Feed; len(st.Disabled) != 1 || !strings.Contains(st.Disabled[0], "SUB-406") {
			t.Errorf("status: got %+v", st)
		}
		if n := f.requests("/presence"); n < 60 {
			t.Errorf("got %d looks in 10 minutes, want as many as without a feed", n)
		}
	})
}

func TestBrokenConnectionIsTakenUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, feed := newFake(t), newFakeFeed(t)
		s, _, _ := fedBy(t, f, feed, nil)
		got := heard(s)
		eventually(t, 5*time.Second, "a live feed", live1(s))
		pass(30 * time.Second)
		looks := f.requests("/presence")
		feed.cut()
		feed.tell(agentExt, eventOf(sess1, 3, "p-9", "999", "Inbound", "Setup"))
		pass(3 * time.Second)
		if open, all, subs := feed.count(); open != 1 || all != 2 || subs != 1 || len(got()) != 1 {
			t.Errorf("got %d of %d connections, %d subscriptions, %d events, want the old subscription with the missed event", open, all, subs, len(got()))
		}
		if n := f.requests("/presence"); n > looks+1 {
			t.Errorf("a recovery without loss: got %d looks, want none of its own", n-looks)
		}
		// Where the place is lost, all is subscribed anew, and one look heals what was missed.
		feed.noRecover = true
		looks = f.requests("/presence")
		feed.cut()
		pass(3 * time.Second)
		if _, _, subs := feed.count(); subs != 2 || f.requests("/presence") == looks {
			t.Errorf("after a failed recovery: got %d subscriptions, %d looks, want 2 and one", subs, f.requests("/presence")-looks)
		}
	})
}

func TestDeadConnectionIsFoundByItsPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, feed := newFake(t), newFakeFeed(t)
		s, _, _ := fedBy(t, f, feed, nil)
		eventually(t, 5*time.Second, "a live feed", live1(s))
		feed.mute = true
		eventually(t, pingEvery+pongWithin+time.Second, "down", func() bool { return s.Status().Feed.State == FeedDown })
		feed.mu.Lock()
		feed.mute = false
		feed.mu.Unlock()
		eventually(t, 3*time.Second, "live again", live1(s))
	})
}

func TestFeedThatIsRefusedBacksOffWithinTheAuthBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, feed := newFake(t), newFakeFeed(t)
		feed.reject = 1 << 30
		s, _, log := fedBy(t, f, feed, nil)
		pass(time.Hour)
		if n := f.requests("wstoken"); n > 90 || n < 40 {
			t.Errorf("got %d tokens in an hour, want about one a minute", n)
		}
		if st := s.Status(); st.Feed.State != FeedDown || len(st.Errors) != 1 || !strings.Contains(st.Errors[0], "handshake: got 401") {
			t.Errorf("status: got %+v", st)
		}
		if n := strings.Count(log.text(), "level=WARN"); n > 70 {
			t.Errorf("got %d warnings in an hour, want at most one a minute", n)
		}
	})
}

func TestServerWithoutFeedIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		s, _, _ := running(t, f, nil)
		pass(time.Minute)
		if st := s.Status(); st.Feed.State != FeedNone || len(st.Errors) != 0 {
			t.Errorf("got %+v, want no feed and no error", st)
		}
		if n := f.requests("/presence"); n < 7 {
			t.Errorf("got %d looks in a minute, want one each 8 s", n)
		}
	})
}

func TestSilentFeedIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, feed := newFake(t), newFakeFeed(t)
		s, _, log := fedBy(t, f, feed, nil)
		eventually(t, 5*time.Second, "a live feed", live1(s))
		pass(2 * time.Minute)
		feed.deaf = true
		for i := range 2 {
			f.set(func() { f.sessions[fmt.Sprintf("s-%d", i)] = twoParty() })
			pass(3 * time.Minute)
		}
		if st := s.Status().Feed; st.State != FeedSilent || !strings.Contains(log.text(), "event feed silent") {
			t.Errorf("got %+v, want silent: %s", st, log.text())
		}
		feed.mu.Lock()
		feed.deaf = false
		feed.mu.Unlock()
		feed.tell(agentExt, eventOf("s-0", 12, agentParty, agentExt, "Inbound", "Hold"))
		eventually(t, time.Second, "live again", live1(s))
	})
}

// heard counts the events that the core was given.
func heard(s *Supervisor) func() map[string]int {
	var mu sync.Mutex
	got := map[string]int{}
	s.mu.Lock()
	s.onEvent = func(ev sessionEvent) {
		mu.Lock()
		got[fmt.Sprint(ev.session, " ", ev.sequence)]++
		mu.Unlock()
	}
	s.mu.Unlock()
	return func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return got
	}
}

func TestNoEventIsLostIn72HoursWithRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, feed := newFake(t), newFakeFeed(t)
		f.expiresIn = 3600
		rnd := rand.New(rand.NewPCG(7, 7))
		f.feed = feed
		log := &logLines{}
		cfg := f.config()
		cfg.Log = slog.New(slog.NewTextHandler(log, nil))
		s := mustNew(t, cfg) // the feed alone: looks and upkeep would only take time
		s.feed.dial = feed.dial
		s.core.agents.add(extensionDoc{ID: agentExt, Number: "108"})
		got := heard(s)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.feed.run(ctx)
		}()
		defer func() {
			cancel()
			<-done
		}()
		eventually(t, 5*time.Second, "a live feed", live1(s))
		sent, cuts := 0, 0
		end := time.Now().Add(72 * time.Hour)
		for time.Now().Before(end) {
			pass(time.Duration(1+rnd.IntN(90)) * time.Second)
			feed.limits()
			if rnd.IntN(400) == 0 {
				feed.cut()
				cuts++
			}
			for range rnd.IntN(3) {
				sent++
				feed.tell(agentExt, eventOf(fmt.Sprintf("s-%d", sent/10), 2+sent%10, "p-x", "999", "Outbound", "Proceeding"))
			}
		}
		pass(5 * time.Minute)
		feed.mu.Lock()
		for _, c := range feed.conns {
			if age := time.Since(c.born); age >= feed.absolute {
				t.Errorf("a connection is %s old", age)
			}
		}
		feed.mu.Unlock()
		renewed := strings.Count(log.text(), "event feed renewed")
		open, all, subs := feed.count()
		if len(got()) != sent || renewed < 3 || open != 1 || cuts == 0 {
			t.Errorf("72 h: got %d of %d events, %d renewals, %d of %d connections open, want all events, at least 3 renewals, one connection", len(got()), sent, renewed, open, all)
		}
		if subs != renewed+1 {
			t.Errorf("got %d subscriptions, want one and one per renewal (%d): a cut connection is taken up again", subs, renewed)
		}
		t.Logf("%d events, %d renewals, %d cuts, %d connections", sent, renewed, cuts, all)
	})
}

func TestFeedOverARealWebSocket(t *testing.T) {
	f := newFake(t)
	f.feed = newFakeFeed(t)
	tell := make(chan string, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Query().Get("access_token"), "ws-made-up") || r.Header.Get("Authorization") != "" {
			t.Errorf("handshake: got %s", r.URL)
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
		defer cancel()
		c.Write(ctx, websocket.MessageText, []byte(`[{"type":"ConnectionDetails","status":200,"wsc":{"token":"t","sequence":1}},{"absoluteTimeout":86400}]`))
		_, b, err := c.Read(ctx)
		var m []map[string]any
		if err != nil || json.Unmarshal(b, &m) != nil {
			t.Errorf("subscribe: got %s, %v", b, err)
			return
		}
		c.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `[{"type":"ClientRequest","messageId":%q,"status":200},{"id":"sub-1"}]`, m[0]["messageId"]))
		ctx = c.CloseRead(ctx)
		select {
		case ev := <-tell:
			c.Write(ctx, websocket.MessageText, []byte(`[{"type":"ServerNotification"},`+ev+`]`))
		case <-ctx.Done():
		}
		<-ctx.Done()
	})
	var srv *httptest.Server
	mux.HandleFunc("/restapi/oauth/wstoken", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"uri":"ws%s/ws","ws_access_token":"ws-made-up-1"}`, strings.TrimPrefix(srv.URL, "http"))
	})
	mux.Handle("/", f)
	srv = httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	s, _, _ := running(t, f, func(c *Config) { c.Server, c.HTTP = srv.URL, nil })
	eventually(t, 5*time.Second, "a live feed", live1(s))
	tell <- eventOf(sess1, 3, "p-9", "999", "Inbound", "Setup")
	eventually(t, 5*time.Second, "the event", func() bool { return s.Status().Feed.Events == 1 })
}

func TestFeedFrames(t *testing.T) {
	f, err := parseFrame([]byte(`[{"type":"ConnectionDetails","messageId":7,"status":"200","wsc":{"token":"t","sequence":"3"}},{"recoveryState":"Successful","recoveryTimeout":"60","idleTimeout":-1}]`))
	want := feedDetails{recovered: true, recovery: time.Minute, idle: defaultIdle, absolute: defaultAbsolute}
	if err != nil || f.id != "7" || f.status != 200 || f.wsc.Sequence.integer() != 3 || f.details() != want {
		t.Errorf("got %+v, %+v, %v", f, f.details(), err)
	}
	f, err = parseFrame([]byte(`[{"type":"ClientRequest","wsc":"odd"},{"id":5,"disabledFilters":[{"filter":"/x\n","reason":1},7]}]`))
	if sub := f.subscription(); err != nil || sub.id != "5" || len(sub.disabled) != 1 || sub.disabled[0].String() != "/x: 1" {
		t.Errorf("got %+v, %v", sub, err)
	}
	for _, bad := range []string{``, `{}`, `[]`, `["x"]`, `[[]]`, `<html>`} {
		if f, err := parseFrame([]byte(bad)); err == nil {
			t.Errorf("%q: got %+v, want an error", bad, f)
		}
	}
}

// FuzzFrame: whatever comes over the feed, what is kept of it is bounded, and fits into one line of a log.
func FuzzFrame(f *testing.F) {
	f.Add([]byte(`[{"type":"ServerNotification","wsc":{"token":"t","sequence":2}},` + eventOf(sess1, 8, agentParty, agentExt, "Inbound", "Answered") + `]`))
	f.Add([]byte(`[{"type":"ConnectionDetails"},{"recoveryState":"Failed","recoveryTimeout":1e99,"absoluteTimeout":-3}]`))
	f.Add([]byte(`[{"type":"Error","status":"x"},{"errorCode":"WSG-902","message":"Idle\ntimeout"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseFrame(b)
		if err != nil {
			return
		}
		if d := m.details(); d.idle < minFeedTime || d.absolute < minFeedTime || d.recovery < minFeedTime {
			t.Errorf("details: got %+v, want times of a second or more", d)
		}
		for _, d := range m.subscription().disabled {
			if strings.ContainsAny(d.String(), "\n\r") {
				t.Errorf("disabled filter: got %q", d)
			}
		}
		if e := feedError(m); strings.ContainsAny(e.Error(), "\n\r") {
			t.Errorf("error: got %q", e)
		}
		ev, err := parseEvent(m.body)
		if err != nil {
			return
		}
		if ev.sequence < 0 || len(ev.parties) > maxParties {
			t.Errorf("event: got %+v", ev)
		}
		v := &view{id: ev.session}
		v.merge(time.Unix(1, 0), ev)
		if ev.sequence > 0 && v.merge(time.Unix(2, 0), ev) {
			t.Errorf("a repeated event changed the view: %+v", ev)
		}
	})
}
