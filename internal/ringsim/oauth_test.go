package ringsim_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/ringsim"
)

func TestJWTLoginGivesTheDocumentedAnswer(t *testing.T) {
	c := startLimited(t, ringsim.Config{}, ringsim.Limits{})
	r := c.ask("/restapi/oauth/token", loginForm())
	if r.status != 200 {
		t.Fatalf("login: %d %s", r.status, r.raw)
	}
	for k, want := range map[string]any{
		"token_type": "bearer", "expires_in": 3600.0, "refresh_token_expires_in": 604800.0, "owner_id": ringsim.DefaultSupervisorID,
		"scope": "ReadAccounts ReadCallLog CallControl WebSocketsSubscription ReadPresence",
	} {
		if r.body[k] != want {
			t.Errorf("%s: got %v, want %v", k, r.body[k], want)
		}
	}
	for k, want := range map[string]string{"X-Rate-Limit-Group": "auth", "X-Rate-Limit-Limit": "5", "X-Rate-Limit-Remaining": "4", "X-Rate-Limit-Window": "60"} {
		if got := r.header.Get(k); got != want {
			t.Errorf("%s: got %q, want %q", k, got, want)
		}
	}
	if ct := r.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		t.Errorf("content type %q", ct)
	}
}

func TestTokenEndpointRefuses(t *testing.T) {
	c := startLimited(t, ringsim.Config{}, ringsim.Unlimited)
	good := basic(ringsim.DefaultClientID, ringsim.DefaultClientSecret)
	with := func(k, v string) url.Values {
		f := loginForm()
		f.Set(k, v)
		return f
	}
	for _, tc := range []struct {
		name, auth, kind string
		form             url.Values
		status           int
		code, oauth      string
	}{
		{"no client credentials", "", formType, loginForm(), 401, "OAU-123", "invalid_client"},
		{"wrong secret", basic(ringsim.DefaultClientID, "x"), formType, loginForm(), 401, "OAU-146", "invalid_client"},
		{"unknown client", basic("x", "x"), formType, loginForm(), 401, "OAU-146", "invalid_client"},
		{"another client in the body", good, formType, with("client_id", "other"), 401, "OAU-120", "invalid_client"},
		{"JSON body", good, "application/json", loginForm(), 400, "CMN-104", "invalid_request"},
		{"unknown JWT", good, formType, with("assertion", "a.b.c"), 400, "OAU-140", "invalid_grant"},
		{"no JWT", good, formType, with("assertion", ""), 400, "OAU-140", "invalid_grant"},
		{"no grant type", good, formType, with("grant_type", ""), 400, "CMN-101", "invalid_request"},
		{"password grant", good, formType, with("grant_type", "password"), 401, "OAU-125", "unauthorized_client"},
		{"ttl is no number", good, formType, with("access_token_ttl", "soon"), 400, "CMN-101", "invalid_request"},
		{"unknown refresh token", good, formType, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}, 400, "OAU-213", "invalid_grant"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := c.do("POST", "/restapi/oauth/token", tc.kind, tc.form.Encode(), "Authorization", tc.auth)
			if r.status != tc.status || r.code() != tc.code || r.body["error"] != tc.oauth {
				t.Errorf("got %d %s, want %d %s %s", r.status, r.raw, tc.status, tc.code, tc.oauth)
			}
			if list, _ := r.body["errors"].([]any); len(list) != 1 {
				t.Errorf("errors: got %v, want one", r.body["errors"])
			}
		})
	}
}

func TestBearerIsChecked(t *testing.T) {
	c := start(t, ringsim.Config{})
	const path = "/restapi/v1.0/account/~/extension/~"
	for _, tc := range []struct {
		name, auth, query string
		status            int
		code              string
	}{
		{"none", "", "", 401, "AGW-401"},
		{"not bearer", "Basic eDp5", "", 401, "AGW-402"},
		{"the JWT itself", "Bearer " + jwt(), "", 401, "OAU-149"},
		{"revoked", "Bearer U0pDMTFQMDFQgone", "", 401, "OAU-213"},
		{"bearer in lower case", "bearer " + c.token, "", 200, ""},
		{"in the query", "", "?access_token=" + c.token, 200, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if r := c.do("GET", path+tc.query, "", "", "Authorization", tc.auth); r.status != tc.status || r.code() != tc.code {
				t.Errorf("got %d %s, want %d %s", r.status, r.raw, tc.status, tc.code)
			}
		})
	}
}

func TestRefreshEndsTheOldTokenAndRevokeTheSession(t *testing.T) {
	c := start(t, ringsim.Config{})
	const path = "/restapi/v1.0/account/~/extension/~"
	first := c.login()
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first["refresh_token"].(string)}}
	second := c.ask("/restapi/oauth/token", refresh)
	if second.status != 200 || second.body["access_token"] == first["access_token"] {
		t.Fatalf("refresh: %d %s", second.status, second.raw)
	}
	if r := c.get(path); r.status != 401 || r.code() != "OAU-213" {
		t.Errorf("old access token: %d %s, want 401 OAU-213", r.status, r.raw)
	}
	if r := c.ask("/restapi/oauth/token", refresh); r.body["access_token"] != second.body["access_token"] {
		t.Errorf("refresh repeated at once: %d %s, want the same token", r.status, r.raw)
	}
	c.token = second.body["access_token"].(string)
	c.ok(path)
	if r := c.ask("/restapi/oauth/revoke", url.Values{"token": {second.body["refresh_token"].(string)}}); r.status != 200 || len(r.raw) != 0 {
		t.Errorf("revoke: %d %q, want 200 and nothing", r.status, r.raw)
	}
	if r := c.get(path); r.code() != "OAU-213" {
		t.Errorf("after revoke: %d %s, want OAU-213", r.status, r.raw)
	}
}

func TestSixthLoginEndsTheOldest(t *testing.T) {
	c := startLimited(t, ringsim.Config{}, ringsim.Unlimited)
	var tokens []string
	for range 6 {
		c.login()
		tokens = append(tokens, c.token)
	}
	for i, tok := range tokens {
		c.token = tok
		r := c.get("/restapi/v1.0/account/~/extension/~")
		if want := map[bool]int{true: 401, false: 200}[i == 0]; r.status != want {
			t.Errorf("login %d: %d %s, want %d", i+1, r.status, r.raw, want)
		}
	}
}

func TestAccessTokenExpires(t *testing.T) {
	c := start(t, ringsim.Config{Switches: ringsim.Switches{AccessTTL: 50 * time.Millisecond}})
	eventually(t, 5*time.Second, "OAU-128", func() bool {
		r := c.get("/restapi/v1.0/account/~/extension/~")
		return r.status == 401 && r.code() == "OAU-128"
	})
}

func TestRateLimitAnswers429AndEachRequestRestartsThePenalty(t *testing.T) {
	c := startLimited(t, ringsim.Config{}, ringsim.Limits{Penalty: 150 * time.Millisecond, Window: 50 * time.Millisecond, Heavy: 3, Light: 1000, Medium: 1000})
	c.login()
	const path = "/restapi/v1.0/account/~/presence"
	eventually(t, 5*time.Second, "429", func() bool { return c.get(path).status == 429 })
	r := c.get(path)
	if r.code() != "CMN-301" || r.header.Get("Retry-After") == "" || r.header.Get("X-Rate-Limit-Remaining") != "0" || r.header.Get("X-Rate-Limit-Group") != "heavy" {
		t.Errorf("got %d %s %v, want CMN-301, Retry-After and the group's headers", r.status, r.raw, r.header)
	}
	c.ok("/restapi/v1.0/account/~/extension/~") // another group is another purse
	last := time.Now()
	for time.Since(last) < 400*time.Millisecond {
		if c.get(path).status == 200 {
			t.Fatalf("200 although requests went on during the penalty")
		}
	}
	wait := time.NewTimer(200 * time.Millisecond)
	defer wait.Stop()
	<-wait.C
	c.ok(path)
}

func TestDocumentedLimits(t *testing.T) {
	c := startLimited(t, ringsim.Config{}, ringsim.Limits{})
	c.login()
	for path, want := range map[string][2]string{
		"/restapi/v1.0/account/~/presence":               {"heavy", "10"},
		"/restapi/v1.0/account/~/active-calls":           {"heavy", "10"},
		"/restapi/v1.0/account/~/extension":              {"medium", "40"},
		"/restapi/v1.0/account/~/call-monitoring-groups": {"medium", "40"},
		"/restapi/v1.0/account/~/extension/~/device":     {"light", "50"},
		"/restapi/v1.0/account/~/extension/~/presence":   {"light", "50"},
	} {
		r := c.get(path)
		if got := [2]string{r.header.Get("X-Rate-Limit-Group"), r.header.Get("X-Rate-Limit-Limit")}; got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}

func TestScopeAndPermissionAreNeeded(t *testing.T) {
	a := ringsim.DefaultAccount(1)
	a.Apps[0].Scopes = []string{"ReadAccounts", "ReadPresence"}
	a.Extensions[0].Denied = []string{"ReadPresenceStatus"}
	c := start(t, ringsim.Config{Account: a})
	for _, tc := range []struct{ path, code, permission string }{
		{"/restapi/v1.0/account/~/telephony/sessions/s-1", "CMN-401", "CallControl"},
		{"/restapi/v1.0/account/~/active-calls", "CMN-401", "ReadCallLog"},
		{"/restapi/v1.0/account/~/presence", "CMN-408", "ReadPresenceStatus"},
	} {
		if r := c.get(tc.path); r.status != 403 || r.code() != tc.code || r.body["permissionName"] != tc.permission {
			t.Errorf("%s: got %d %s, want 403 %s %s", tc.path, r.status, r.raw, tc.code, tc.permission)
		}
	}
}
