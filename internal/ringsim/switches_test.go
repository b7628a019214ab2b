package ringsim_test

import (
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

func TestRandomCodesSayNothing(t *testing.T) {
	refusals := func(seed uint64, status bool) (out []*reply) {
		c := start(t, ringsim.Config{Account: twoSupervisors(), Switches: ringsim.Switches{RandomCodes: seed, RandomStatus: status}})
		path := func(k *ringsim.Call) string {
			return account + "/telephony/sessions/" + k.SessionID() + "/supervise"
		}
		out = append(out,
			c.post(path(c.call(ringsim.CallSpec{Agent: "110"})), change{"agentExtensionId": "62295329016"}.on(today())),
			c.post(path(c.call(ringsim.CallSpec{Agent: "108", Ringing: true})), today()),
			c.post(path(c.call(ringsim.CallSpec{Agent: "108"})), change{"supervisorDeviceId": "1"}.on(today())))
		return out
	}
	codes, statuses := map[string]bool{}, map[int]bool{}
	for seed := uint64(1); seed <= 8; seed++ {
		got, again := refusals(seed, true), refusals(seed, false)
		for i, want := range []int{403, 409} {
			r := got[i]
			codes[r.code()], statuses[r.status] = true, true
			if !regexp.MustCompile(`^(TAS|TEL|SPV)-\d{3}$`).MatchString(r.code()) || r.code() == "TAS-120" || r.status < 400 || r.status > 499 || r.status == 401 || r.status == 429 {
				t.Errorf("seed %d: %d %s", seed, r.status, r.raw)
			}
			if again[i].code() != r.code() || again[i].status != want {
				t.Errorf("seed %d without random status: %d %s, want %d %s", seed, again[i].status, again[i].code(), want, r.code())
			}
			if strings.Contains(string(r.raw), "permitted") || strings.Contains(string(r.raw), "state") {
				t.Errorf("seed %d: the text tells: %s", seed, r.raw)
			}
		}
		if got[2].code() != "TAS-120" || again[2].status != http.StatusNotFound || again[2].code() != "TAS-120" {
			t.Errorf("seed %d: %d %s and %d %s, want TAS-120, which was seen", seed, got[2].status, got[2].raw, again[2].status, again[2].raw)
		}
	}
	if len(codes) < 12 || len(statuses) < 4 {
		t.Errorf("%d codes with %d statuses in 16 refusals", len(codes), len(statuses))
	}
}

func TestScopesAndPermissionsAreTakenAwayBySwitch(t *testing.T) {
	c := start(t, ringsim.Config{NoScopes: []string{"CallControl"}, NoPermissions: []string{"ReadPresenceStatus"}})
	for path, want := range map[string]string{"/telephony/sessions/s-1": "CMN-401", "/presence": "CMN-408", "/extension": ""} {
		if r := c.get(account + path); r.code() != want {
			t.Errorf("%s: %d %s, want %q", path, r.status, r.raw, want)
		}
	}
	if n := len(ringsim.DefaultAccount(1).Apps[0].Scopes); n != 5 {
		t.Errorf("the default account has %d scopes, want 5", n)
	}
	for kind, want := range map[ringsim.FaultKind]string{ringsim.FaultScopeMissing: "CMN-401", ringsim.FaultPermissionMissing: "CMN-408"} {
		c.inject(ringsim.Fault{Kind: kind, Permission: "ReadAccounts", Count: 1})
		if r := c.get(ownExtension); r.status != 403 || r.code() != want || r.body["permissionName"] != "ReadAccounts" {
			t.Errorf("%s: %d %s, want 403 %s", kind, r.status, r.raw, want)
		}
		if c.sim.Inject(ringsim.Fault{Kind: kind}) == nil {
			t.Errorf("%s without a permission was taken", kind)
		}
	}
	c.inject(ringsim.Fault{Kind: ringsim.FaultTokenExpired, Count: 1})
	if r := c.get(ownExtension); r.status != 401 || r.code() != "OAU-128" {
		t.Errorf("token-expired: %d %s, want 401 OAU-128", r.status, r.raw)
	}
	c.login()
	c.ok(ownExtension)
}

func TestEachUserHasAPurse(t *testing.T) {
	c := startLimited(t, ringsim.Config{Supervisors: 2, Devices: 2}, ringsim.Limits{Heavy: 2})
	a := c.sim.Account()
	token := func(i int) string {
		f := loginForm()
		f.Set("assertion", a.Extensions[i].JWT)
		r := c.ask("/restapi/oauth/token", f)
		if r.status != 200 || r.header.Get("X-Rate-Limit-Group") != "auth" {
			t.Fatalf("login of %s: %d %s %v", a.Extensions[i].Number, r.status, r.raw, r.header)
		}
		return r.body["access_token"].(string)
	}
	for i := range 2 {
		c.token = token(i)
		for n, want := range []struct {
			status int
			left   string
		}{{200, "1"}, {200, "0"}, {429, "0"}} {
			if r := c.get(account + "/presence"); r.status != want.status || r.header.Get("X-Rate-Limit-Remaining") != want.left || r.header.Get("X-Rate-Limit-Window") != "60" {
				t.Errorf("supervisor %d, request %d: %d %v, want %d and %s left", i+1, n+1, r.status, r.header, want.status, want.left)
			}
		}
		c.ok(ownExtension)
	}
	// A refresh is counted with its user's logins.
	f := loginForm()
	f.Set("assertion", a.Extensions[1].JWT)
	first := c.ask("/restapi/oauth/token", f)
	r := c.ask("/restapi/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.body["refresh_token"].(string)}})
	if r.status != 200 || r.header.Get("X-Rate-Limit-Remaining") != "2" {
		t.Errorf("refresh: %d, %s left, want 2 of 5 after two logins", r.status, r.header.Get("X-Rate-Limit-Remaining"))
	}
}

func TestTooManyFiltersAreDisabledOrRefused(t *testing.T) {
	filters := make([]string, 0, 3)
	for _, id := range []string{"62295327016", "62295328016", "62295329016"} {
		filters = append(filters, "/restapi/v1.0/account/~/extension/"+id+"/telephony/sessions")
	}
	for _, strict := range []bool{false, true} {
		cfg := quick()
		cfg.Switches.Feed.MaxFilters, cfg.Switches.Feed.RefuseFilters = 2, strict
		f := start(t, cfg).dial("")
		f.must("ConnectionDetails")
		m := f.ask("POST", subscriptions, subscribeTo(filters...))
		if disabled, _ := m.body["disabledFilters"].([]any); !strict && (m.status() != 200 || len(disabled) != 1) || strict && (m.status() != 403 || m.code() != "SUB-505") {
			t.Errorf("strict=%v: %v", strict, m)
		}
		if m := f.ask("POST", subscriptions, subscribeTo(filters[:2]...)); m.status() != 200 {
			t.Errorf("strict=%v: two filters: %v", strict, m)
		}
	}
}

func TestPartyStreamsLeakBySwitch(t *testing.T) {
	const decibels = 20
	for name, tc := range map[string]struct {
		cfg, spec float64
		leaks     bool
	}{
		"clean": {0, 0, false}, "whole account": {decibels, 0, true}, "one call": {0, decibels, true}, "all but one call": {decibels, -1, false},
	} {
		cfg := quick()
		cfg.Leak = tc.cfg
		c, _ := ready(t, cfg)
		call := c.call(ringsim.CallSpec{Leak: tc.spec, CustomerAudio: ringsim.Music{}, AgentAudio: trunk.Silence{}})
		c.supervise(call, call.AgentParty())
		c.supervise(call, call.CustomerParty())
		waitSupervised(t, call)
		for _, st := range call.Streams() {
			got, want := rms(st.Source), rms(ringsim.Music{})
			if st.Role == ringsim.RoleAgent {
				want = 0
				if tc.leaks {
					want = rms(ringsim.Music{}) / 10 // 20 dB
				}
			}
			if math.Abs(got-want) > want/20+1 {
				t.Errorf("%s: %s has %.0f, want %.0f", name, st.Role, got, want)
			}
		}
	}
}

// rms is the level of a second of a µ-law source.
func rms(src trunk.Source) float64 {
	sum := 0.0
	for n := range int64(8000) {
		v := float64(linear(src.Octet(trunk.PCMU, n)))
		sum += v * v
	}
	return math.Sqrt(sum / 8000)
}

// linear decodes µ-law by ITU-T G.711 table 2b.
func linear(o byte) int {
	o = ^o
	v := (int(o&0x0F)<<3+0x84)<<(o>>4&7) - 0x84
	if o&0x80 != 0 {
		return -v
	}
	return v
}
