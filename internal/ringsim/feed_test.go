package ringsim_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/internal/ringsim"
)

func TestConnectionDetailsComeAtOnce(t *testing.T) {
	c := start(t, quick())
	m := c.dial("").must("ConnectionDetails")
	for k, want := range map[string]any{
		"maxConnectionsPerSession": 50.0, "recoveryBufferSize": 100.0, "recoveryTimeout": 180.0, "idleTimeout": 1800.0,
		"absoluteTimeout": 86400.0, "maxActiveRequests": 10.0, "recoveryState": nil,
	} {
		if m.body[k] != want {
			t.Errorf("%s: got %v, want %v", k, m.body[k], want)
		}
	}
	if w := m.meta["wsc"].(object); w["sequence"] != 1.0 || w["token"] == "" || m.status() != 200 {
		t.Errorf("meta: %v, want status 200 and the first wsc", m.meta)
	}
}

func TestWSTokenIsGoodOnceAndNotForLong(t *testing.T) {
	for _, atHandshake := range []bool{true, false} {
		cfg := quick()
		cfg.Switches.Feed.Handshake401, cfg.Switches.Feed.TokenTTL = atHandshake, 300*time.Millisecond
		c := start(t, cfg)
		r := c.do("POST", "/restapi/oauth/wstoken", "", "")
		uri := r.body["uri"].(string) + "?access_token="
		good := r.body["ws_access_token"].(string)
		f, _ := c.dialWith(uri+good, "")
		f.must("ConnectionDetails")
		late := c.do("POST", "/restapi/oauth/wstoken", "", "").body["ws_access_token"].(string)
		wait := time.NewTimer(320 * time.Millisecond)
		defer wait.Stop()
		<-wait.C
		for name, tc := range map[string][2]string{"used": {good, "OAU-213"}, "late": {late, "OAU-128"}, "none": {"", "OAU-213"}} {
			f, status := c.dialWith(uri+tc[0], "")
			if atHandshake {
				if status != 401 {
					t.Errorf("%s: %d, want 401 at the handshake", name, status)
				}
				continue
			}
			if m := f.must("Error"); m.status() != 401 || m.code() != tc[1] {
				t.Errorf("%s: got %v, want an Error 401 %s", name, m, tc[1])
			}
			if _, ok := f.read(5 * time.Second); ok {
				t.Errorf("%s: the connection lives on", name)
			}
		}
	}
}

func TestWSTokenMayBeReusedBySwitch(t *testing.T) {
	cfg := quick()
	cfg.Switches.Feed.ReuseTokens = true
	c := start(t, cfg)
	r := c.do("POST", "/restapi/oauth/wstoken", "", "")
	for range 2 {
		f, _ := c.dialWith(r.body["uri"].(string)+"?access_token="+r.body["ws_access_token"].(string), "")
		f.must("ConnectionDetails")
	}
}

func TestWSTokenIsOfTheAuthGroupAndNeedsItsScope(t *testing.T) {
	c := startLimited(t, ringsim.Config{}, ringsim.Limits{})
	c.login()
	if r := c.do("POST", "/restapi/oauth/wstoken", "", ""); r.status != 200 || r.header.Get("X-Rate-Limit-Group") != "auth" || r.body["expires_in"] != 30.0 {
		t.Errorf("got %d %s %v", r.status, r.raw, r.header)
	}
	a := ringsim.DefaultAccount(1)
	a.Apps[0].Scopes = []string{"CallControl"}
	c = start(t, ringsim.Config{Account: a})
	if r := c.do("POST", "/restapi/oauth/wstoken", "", ""); r.status != 403 || r.body["permissionName"] != "WebSocketsSubscription" {
		t.Errorf("without the scope: %d %s", r.status, r.raw)
	}
	c = start(t, ringsim.Config{Switches: ringsim.Switches{Feed: ringsim.Feed{Off: true}}})
	if r := c.do("POST", "/restapi/oauth/wstoken", "", ""); r.status != 404 || r.code() != "AGW-404" {
		t.Errorf("without a feed: %d %s", r.status, r.raw)
	}
}

func TestSubscriptionOverTheSocket(t *testing.T) {
	c := start(t, quick())
	f := c.dial("")
	f.must("ConnectionDetails")
	m := f.ask("POST", subscriptions+"/", subscribeTo(bobFilter))
	id, _ := m.body["id"].(string)
	want := []any{"/restapi/v1.0/account/" + ringsim.DefaultAccountID + "/extension/" + bobID + "/telephony/sessions"}
	if m.kind() != "ClientRequest" || m.status() != 200 || m.body["status"] != "Active" || !cmp.Equal(m.body["eventFilters"], any(want)) ||
		!regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f-]{27}$`).MatchString(id) {
		t.Fatalf("POST: %v", m)
	}
	one := subscriptions + "/" + id
	for _, step := range []struct {
		method, path string
		body         any
		status       int
		code         string
		filters      int
	}{
		{"GET", one, nil, 200, "", 1},
		{"GET", one + "/", nil, 200, "", 1},
		{"PUT", one, nil, 200, "", 1},
		{"PUT", one, subscribeTo(bobFilter, accountFilter), 200, "", 2},
		{"POST", one + "/renew", nil, 200, "", 2},
		{"PUT", one, subscribeTo("/restapi/v1.0/nonsense"), 400, "SUB-508", 0},
		{"GET", one, nil, 200, "", 2},
		{"PUT", subscriptions + "/other", subscribeTo(bobFilter), 404, "CMN-102", 0},
		{"POST", subscriptions, subscribeTo(), 400, "CMN-101", 0},
		{"POST", subscriptions, object{"eventFilters": []string{bobFilter}}, 400, "CMN-101", 0},
		{"GET", "/restapi/v1.0/account/~", nil, 404, "CMN-120", 0},
		{"PATCH", one, nil, 405, "SUB-511", 0},
		{"DELETE", one, nil, 204, "", 0},
		{"GET", one, nil, 404, "CMN-102", 0},
	} {
		m := f.ask(step.method, step.path, step.body)
		filters, _ := m.body["eventFilters"].([]any)
		if m.status() != step.status || m.code() != step.code || len(filters) != step.filters {
			t.Errorf("%s %s: got %v, want %d %s with %d filters", step.method, step.path, m, step.status, step.code, step.filters)
		}
	}
}

func TestOnlyOneSubscriptionPerConnection(t *testing.T) {
	c := start(t, quick())
	f := c.subscribed(accountFilter)
	second := f.ask("POST", subscriptions, subscribeTo(accountFilter)).body["id"]
	c.sim.Publish(bobID, "Answered", "Inbound", 7)
	if got := f.event()["subscriptionId"]; got != second {
		t.Errorf("event of subscription %v, want the second, %v", got, second)
	}
	c.sim.Publish(bobID, "Answered", "Inbound", 8)
	if got := f.sequences(1)[0]; got != "8" {
		t.Errorf("next event is %s, want 8: the first subscription is replaced", got)
	}
}

func TestHeartbeatIsEchoedAndNonsenseIsAnError(t *testing.T) {
	c := start(t, quick())
	f := c.dial("")
	f.must("ConnectionDetails")
	f.send(`[{"type":"Heartbeat","messageId":"x"}]`)
	if m := f.must("Heartbeat"); m.meta["messageId"] != "x" || m.body != nil {
		t.Errorf("got %v, want the same object", m)
	}
	for _, text := range []string{`{}`, `[`, `[]`, `[1]`, `[{"type":"Nonsense","messageId":"y"}]`, `[{"type":"ClientRequest"}]`} {
		f.send(text)
		if m := f.must("Error"); m.status() != 400 {
			t.Errorf("%s: got %v, want an Error 400", text, m)
		}
	}
}

func TestFiltersChooseEvents(t *testing.T) {
	const carol = "62295328016"
	c := start(t, quick())
	for _, tc := range []struct {
		filters []string
		want    []string
	}{
		{[]string{accountFilter}, []string{"1", "2", "3", "4"}},
		{[]string{bobFilter}, []string{"1", "2"}},
		{[]string{bobFilter, strings.Replace(bobFilter, bobID, carol, 1)}, []string{"1", "2", "3"}},
		{[]string{accountFilter, bobFilter}, []string{"1", "2", "3", "4"}},
		{[]string{bobFilter + "?statusCode=Hold"}, []string{"2"}},
		{[]string{accountFilter + "?statusCode=Hold", accountFilter + "?direction=Outbound"}, []string{"2", "3"}},
		{[]string{accountFilter + "?missedCall=true"}, nil},
	} {
		f := c.subscribed(tc.filters...)
		c.sim.Publish(bobID, "Answered", "Inbound", 1)
		c.sim.Publish(bobID, "Hold", "Inbound", 2)
		c.sim.Publish(carol, "Answered", "Outbound", 3)
		c.sim.Publish("", "Answered", "Inbound", 4)
		f.ask("GET", subscriptions, nil) // behind all events
		var got []string
		for _, m := range f.held {
			got = append(got, fmt.Sprint(m.body["body"].(object)["sequence"]))
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tc.filters, diff)
		}
	}
}

func TestRefusedFiltersAreDisabledAndNamed(t *testing.T) {
	a := twoSupervisors()
	a.Extensions[0].Denied = []string{"AccountTelephonySessions"}
	cfg := quick()
	cfg.Account, cfg.Switches.Feed.MaxFilters = a, 1
	c := start(t, cfg)
	f := c.dial("")
	f.must("ConnectionDetails")
	own := "/restapi/v1.0/account/~/extension/~/telephony/sessions"
	m := f.ask("POST", subscriptions, subscribeTo(
		own, bobFilter, accountFilter, "/restapi/v1.0/account/1/telephony/sessions", "/restapi/v1.0/account/~/extension/1/telephony/sessions",
		"/nonsense", own+"?statusCode=Processing", own+"?direction=Inbound"))
	var got []string
	for _, d := range m.body["disabledFilters"].([]any) {
		got = append(got, fmt.Sprint(d.(object)["reason"]))
	}
	want := []string{"CMN-408", "CMN-408", "SUB-406", "SUB-408", "SUB-508", "SUB-508", "SUB-505"}
	if diff := cmp.Diff(want, got); diff != "" || len(m.body["eventFilters"].([]any)) != 1 {
		t.Errorf("disabled (-want +got):\n%s\n%v", diff, m.body)
	}
	if m := f.ask("POST", subscriptions, subscribeTo(bobFilter)); m.status() != 403 || m.code() != "CMN-408" {
		t.Errorf("no filter left: %v, want 403 CMN-408", m)
	}
}

func TestWithoutScopeNoEventComes(t *testing.T) {
	a := ringsim.DefaultAccount(1)
	a.Apps[0].Scopes = []string{"WebSocketsSubscription"}
	cfg := quick()
	cfg.Account = a
	f := start(t, cfg).subscribed(bobFilter)
	c := f.ask("GET", subscriptions, nil)
	if c.status() != 200 || len(f.held) != 0 {
		t.Errorf("got %v, %d events", c, len(f.held))
	}
}

func TestMissedEventsAreReplayedAfterRecovery(t *testing.T) {
	for _, delay := range []time.Duration{-1, 0} { // at once, and as RingCentral's are
		cfg := quick()
		cfg.Switches.Feed.Delay = delay
		replayed(t, start(t, cfg))
	}
}

func replayed(t *testing.T, c *rest) {
	t.Helper()
	f := c.subscribed(accountFilter)
	c.sim.Publish(bobID, "Answered", "Inbound", 1)
	f.sequences(1)
	seen := f.wsc
	c.sim.Publish(bobID, "Answered", "Inbound", 2) // perhaps sent, and never read
	if n := c.sim.CutFeed(ringsim.CutNow); n != 1 {
		t.Fatalf("cut %d connections, want 1", n)
	}
	c.sim.Publish(bobID, "Answered", "Inbound", 3)
	c.sim.Publish(bobID, "Answered", "Inbound", 4)
	g := c.dial(seen)
	if m := g.must("ConnectionDetails"); m.body["recoveryState"] != "Successful" || m.meta["wsc"].(object)["sequence"] != 1.0 {
		t.Errorf("recovery: %v, want Successful and a count from 1", m)
	}
	c.sim.Publish(bobID, "Answered", "Inbound", 5)
	if got := g.sequences(4); !slices.Equal(got, []string{"2", "3", "4", "5"}) {
		t.Errorf("replayed %v, want 2 3 4 5", got)
	}
	if m := g.ask("GET", subscriptions, nil); len(m.body["records"].([]any)) != 1 {
		t.Errorf("subscription after recovery: %v", m)
	}
}

func TestRecoveryBufferKeepsTheNewestHundred(t *testing.T) {
	c := start(t, quick())
	f := c.subscribed(accountFilter)
	c.sim.CutFeed(ringsim.CutNow)
	for n := range 130 {
		c.sim.Publish(bobID, "Answered", "Inbound", n)
	}
	g := c.dial(f.wsc)
	g.must("ConnectionDetails")
	got := g.sequences(100)
	if got[0] != "30" || got[99] != "129" {
		t.Errorf("replayed %s to %s, want 30 to 129", got[0], got[99])
	}
}

func TestRecoveryFails(t *testing.T) {
	for name, tc := range map[string]struct {
		speed  float64
		refuse bool
		cut    ringsim.Cut
		wsc    string
	}{
		"too late":    {speed: 3600, cut: ringsim.CutNow},
		"forgotten":   {cut: ringsim.CutForget},
		"by switch":   {refuse: true, cut: ringsim.CutNow},
		"unknown wsc": {wsc: "RTFhRG5nfE_nonsense"},
	} {
		cfg := quick()
		cfg.Switches.Feed.Speed, cfg.Switches.Feed.NoRecovery = tc.speed, tc.refuse
		c := start(t, cfg)
		f := c.subscribed(accountFilter)
		token := f.wsc
		if tc.wsc != "" {
			token = tc.wsc
		}
		if tc.cut != "" {
			c.sim.CutFeed(tc.cut)
		}
		if tc.speed > 0 {
			wait := time.NewTimer(100 * time.Millisecond)
			defer wait.Stop()
			<-wait.C
		}
		g := c.dial(token)
		if m := g.must("ConnectionDetails"); m.body["recoveryState"] != "Failed" || m.body["recoveryErrorCode"] == nil {
			t.Errorf("%s: %v, want Failed", name, m.body)
		}
		if m := g.ask("POST", subscriptions, subscribeTo(accountFilter)); m.status() != 200 {
			t.Errorf("%s: subscribing anew on the same socket: %v", name, m)
		}
	}
}

func TestConnectionEndsWithItsReason(t *testing.T) {
	for want, speed := range map[string]float64{"WSG-902": 3600, "WSG-903": 43200} {
		cfg := quick()
		cfg.Switches.Feed.Speed = speed
		c := start(t, cfg)
		got := c.endOf(c.dial(""), speed > 3600)
		// At this speed 30 minutes are 42 ms: a busy machine may miss a heartbeat.
		for range 5 {
			if got == want {
				break
			}
			got = c.endOf(c.dial(""), speed > 3600)
		}
		if got != want {
			t.Errorf("the connection ended with %q, want %s", got, want)
		}
	}
}

// endOf reads until the connection's end, busy or idle, and gives the code of its last Error.
func (c *rest) endOf(f *feed, busy bool) (code string) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for m, ok := f.read(eventTime); ok; m, ok = f.read(eventTime) {
			if m.kind() == "Error" {
				code = m.code()
			}
		}
	}()
	beat := time.NewTicker(3 * time.Millisecond)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			if busy {
				_ = f.ws.Write(c.t.Context(), websocket.MessageText, []byte(`[{"type":"Heartbeat","messageId":"x"}]`))
			}
		case <-ended:
			return code
		}
	}
}

func TestClientWithoutPongsIsCut(t *testing.T) {
	cfg := quick()
	cfg.Switches.Feed.Speed = 60 // pings each second, pongs within one
	c := start(t, cfg)
	c.subscribed(accountFilter) // and reads no more: no pong
	eventually(t, 10*time.Second, "the connection is lost", func() bool { return c.sim.Subscribers() == 0 })
}

func TestSilentCutSendsNothingMore(t *testing.T) {
	c := start(t, quick())
	f := c.subscribed(accountFilter)
	c.sim.CutFeed(ringsim.CutSilent)
	c.sim.Publish(bobID, "Answered", "Inbound", 2)
	if m, ok := f.read(50 * time.Millisecond); ok {
		t.Errorf("got %v, want silence", m)
	}
	g := c.dial(f.wsc)
	g.must("ConnectionDetails")
	if got := g.sequences(1); got[0] != "2" {
		t.Errorf("replayed %v, want 2", got)
	}
}

func TestSubscriptionVanishes(t *testing.T) {
	c := start(t, quick())
	f := c.dial("")
	f.must("ConnectionDetails")
	id := f.ask("POST", subscriptions, subscribeTo(accountFilter)).body["id"].(string)
	c.sim.DropSubscriptions()
	if m := f.ask("POST", subscriptions+"/"+id+"/renew", nil); m.status() != 404 {
		t.Errorf("renewal: %v, want 404", m)
	}
}

func TestEventsAreDamagedAsTheSwitchesSay(t *testing.T) {
	const n = 200
	for name, tc := range map[string]struct {
		feed ringsim.Feed
		good func(got []string, sorted bool) bool
	}{
		"delay keeps the order": {ringsim.Feed{Delay: 20 * time.Millisecond}, func(got []string, sorted bool) bool { return len(got) == n && sorted }},
		"default delay too":     {ringsim.Feed{}, func(got []string, sorted bool) bool { return len(got) == n && sorted }},
		"reorder":               {ringsim.Feed{Delay: -1, Reorder: 0.3}, func(got []string, sorted bool) bool { return len(got) == n && !sorted }},
		"duplicate":             {ringsim.Feed{Delay: -1, Duplicate: 0.5}, func(got []string, sorted bool) bool { return len(got) > n+50 && len(got) < n+150 && sorted }},
		"loss":                  {ringsim.Feed{Delay: -1, Loss: 0.5}, func(got []string, sorted bool) bool { return len(got) > 50 && len(got) < 150 && sorted }},
		"overlap":               {ringsim.Feed{Delay: -1, Overlap: true}, func(got []string, _ bool) bool { return len(got) == 2*n }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, ringsim.Config{Switches: ringsim.Switches{Feed: tc.feed}})
			f := c.subscribed(accountFilter, bobFilter)
			for i := range n {
				c.sim.Publish(bobID, "Answered", "Inbound", 1000+i)
			}
			var got []string
			for {
				m, ok := f.read(500 * time.Millisecond)
				if !ok {
					break
				}
				got = append(got, fmt.Sprint(m.body["body"].(object)["sequence"]))
			}
			if !tc.good(got, slices.IsSorted(got)) {
				t.Errorf("%d events, sorted %v", len(got), slices.IsSorted(got))
			}
		})
	}
}
