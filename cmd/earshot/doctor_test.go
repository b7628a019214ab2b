package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
	"github.com/earshot/earshot/supervise"
)

// examined runs doctor without a daemon.
func examined(t *testing.T, sim *ringsim.Sim, args ...string) (code int, found checks) {
	t.Helper()
	code, out, errs := alone(t, sim, append([]string{"doctor", "--json", "--set=media.ports=0-0"}, args...)...)
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	if found.OK != (code == exitDone) {
		t.Errorf("ok %v with exit code %d", found.OK, code)
	}
	return code, found
}

// has looks for a finding with that mark and subject, whose texts contain all of the words.
func (c checks) has(mark, what string, words ...string) bool {
next:
	for _, f := range c.Findings {
		if f.Mark != mark || f.What != what {
			continue
		}
		for _, w := range words {
			if !strings.Contains(f.Found+" -> "+f.Do, w) {
				continue next
			}
		}
		return true
	}
	return false
}

func TestAHealthyAccountHasNoFinding(t *testing.T) {
	sim := ringsim.Start(t, ringsim.Config{})
	code, found := examined(t, sim, "--set=supervise.agents=108,109,110", "--peak=2", "--set=supervise.share=1")
	for _, f := range found.Findings {
		if f.Mark != supervise.MarkOK || f.Found == "" || f.Do != "" {
			t.Errorf("got %+v, want it ok", f)
		}
	}
	if code != exitDone || found.Agents != 3 || len(found.Findings) < 14 {
		t.Errorf("exit code %d, %d agents, %d findings", code, found.Agents, len(found.Findings))
	}
	if called(sim, "/oauth/token") != 1 || called(sim, "/oauth/revoke") != 1 {
		t.Errorf("%d logins, %d revoked", called(sim, "/oauth/token"), called(sim, "/oauth/revoke"))
	}
}

// account changes the default one.
func account(change func(*ringsim.Account)) ringsim.Config {
	a := ringsim.DefaultAccount(3)
	change(&a)
	return ringsim.Config{Account: a}
}

func TestEachThingThatIsWrongIsFoundWithWhatToDo(t *testing.T) {
	const agents = "--set=supervise.agents=108,109,110"
	denied := func(permission string) ringsim.Config {
		return account(func(a *ringsim.Account) { a.Extensions[0].Denied = []string{permission} })
	}
	for _, c := range []struct {
		name  string
		cfg   ringsim.Config
		args  []string
		mark  string
		what  string
		words []string
	}{
		{"no CallControl", account(func(a *ringsim.Account) {
			a.Apps[0].Scopes = []string{"ReadAccounts", "ReadPresence", "WebSocketsSubscription"}
		}), nil,
			supervise.MarkFail, "scopes", []string{"403 CMN-401", "[CallControl]", "developer support"}},
		{"no WebSocketsSubscription", account(func(a *ringsim.Account) { a.Apps[0].Scopes = []string{"ReadAccounts", "ReadPresence", "CallControl"} }), nil,
			supervise.MarkWarn, "scopes", []string{"WebSocketsSubscription", "developer console"}},
		{"presence forbidden", denied("ReadPresenceStatus"), nil, supervise.MarkFail, "presence", []string{"403 CMN-408", "[ReadPresenceStatus]", "Roles"}},
		{"devices forbidden", denied("ReadUserDevices"), nil, supervise.MarkFail, "device", []string{"CMN-408", "[ReadUserDevices]"}},
		{"sip-info forbidden", denied("ReadCompanyDevices"), []string{"--set=sip.domain=", "--set=sip.username=", "--set=sip.password="},
			supervise.MarkFail, "sip-info", []string{"CMN-408", "[ReadCompanyDevices]"}},
		{"sip-info forbidden, account configured", denied("ReadCompanyDevices"), nil, supervise.MarkWarn, "sip-info", []string{"CMN-408"}},
		{"extensions forbidden", denied("ReadExtensions"), nil, supervise.MarkFail, "login", []string{"CMN-408", "[ReadExtensions]"}},
		{"no OtherPhone", account(func(a *ringsim.Account) { a.Devices = a.Devices[1:] }), nil,
			supervise.MarkFail, "device", []string{"SoftPhone", "Existing Phone", "assign it"}},
		{"two devices", account(func(a *ringsim.Account) {
			d := a.Devices[0]
			d.ID, d.UserName = "802636634999", "12055550999"
			a.Devices = append(a.Devices, d)
		}), nil, supervise.MarkFail, "device", []string{"802636634016", "802636634999", "supervise.device_id"}},
		{"a device of somebody else", ringsim.Config{}, []string{"--set=supervise.device_id=702636635016"},
			supervise.MarkFail, "device", []string{"702636635016 (HardPhone) belongs to 108, the JWT to 101", "JWT of 108"}},
		{"a device of nobody", ringsim.Config{}, []string{"--set=supervise.device_id=4711"}, supervise.MarkFail, "device", []string{"no device 4711", "CMN-102", "earshot devices"}},
		{"a softphone", ringsim.Config{}, []string{"--set=supervise.device_id=52959004"}, supervise.MarkFail, "device", []string{"of type SoftPhone", "OtherPhone"}},
		{"a device that another program has", account(func(a *ringsim.Account) { a.Devices[0].Status = "Online" }), nil,
			supervise.MarkWarn, "registration", []string{"not tried", "Online", "another program", "one program a device"}},
		{"no group", account(func(a *ringsim.Account) { a.Groups = nil }), nil, supervise.MarkFail, "groups", []string{"no call monitoring group", "Monitoring"}},
		{"not Monitoring", account(func(a *ringsim.Account) {
			a.Groups[0].Members[0] = ringsim.Member{Extension: ringsim.DefaultSupervisorID, Monitored: true}
		}), nil,
			supervise.MarkFail, "groups", []string{"101 is Monitoring in none of the 1 group", "add 101"}},
		{"an agent without a group", account(func(a *ringsim.Account) { a.Groups[0].Members = a.Groups[0].Members[:3] }), nil,
			supervise.MarkFail, "agents", []string{"in no group with a supervisor: 110 (1 of 3 agents)", "Monitored"}},
		{"an agent who does not exist", ringsim.Config{}, []string{"--set=supervise.agents=108,666"}, supervise.MarkFail, "agents", []string{"666", "no such extension"}},
		{"a group that does not exist", ringsim.Config{}, []string{"--set=supervise.groups=Sales"}, supervise.MarkFail, "groups", []string{"no call monitoring group Sales"}},
		{"nobody to hear", ringsim.Config{}, []string{"--set=supervise.agents="}, supervise.MarkWarn, "agents", []string{"none are configured"}},
		{"a pool that is too small", ringsim.Config{}, []string{"--peak=100", "--per-second=2"}, supervise.MarkWarn, "sizing", []string{"100 calls at peak", "needs 12 supervisors and 50 devices", "sizing.md"}},
		{"wrong secret", ringsim.Config{}, []string{"--set=ringcentral.client_secret=x"}, supervise.MarkFail, "login", []string{"401 OAU-146", "client_secret"}},
		{"wrong JWT", ringsim.Config{}, []string{"--set=ringcentral.jwt=x"}, supervise.MarkFail, "login", []string{"OAU-140", "JWT"}},
		{"no server", ringsim.Config{}, []string{"--set=ringcentral.server=http://127.0.0.1:9"}, supervise.MarkFail, "server", []string{"refused", "firewall"}},
		{"a wrong configuration", ringsim.Config{}, []string{"--set=media.live_wait=60"}, supervise.MarkFail, "configuration", []string{"media.live_wait", "60ms"}},
		{"an address that is not ours", ringsim.Config{}, []string{"--set=media.listen_ip=192.0.2.1", "--set=media.ports=20000-20009"}, supervise.MarkFail, "media ports", []string{"192.0.2.1", "media.listen_ip"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sim := ringsim.Start(t, c.cfg)
			code, found := examined(t, sim, append([]string{agents}, c.args...)...)
			if !found.has(c.mark, c.what, c.words...) {
				t.Errorf("want %s %s with %q, got\n%s", c.mark, c.what, c.words, lines(found))
			}
			if want := map[bool]int{true: exitFailed, false: exitDone}[c.mark == supervise.MarkFail]; code != want {
				t.Errorf("exit code %d, want %d:\n%s", code, want, lines(found))
			}
			if strings.Contains(lines(found), "TAS-") {
				t.Errorf("an invented code in\n%s", lines(found))
			}
		})
	}
}

func lines(c checks) string {
	var b strings.Builder
	for _, f := range c.Findings {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

func TestDoctorsLinesAreGolden(t *testing.T) {
	root := here(t)
	sim := ringsim.Start(t, account(func(a *ringsim.Account) { a.Groups[0].Members = a.Groups[0].Members[:3] }))
	code, out, errs := alone(t, sim, "--set=supervise.agents=108,110", "--set=record.dir=/", "doctor")
	var kept []string
	for line := range strings.Lines(out) {
		if !strings.Contains(line, "GB free") && !strings.Contains(line, "pairs free") && !strings.Contains(line, "sip connection") && !strings.Contains(line, "descriptors:") {
			kept = append(kept, line)
		}
	}
	golden(t, root, "account/doctor.txt", strings.Join(kept, ""))
	if code != exitFailed || errs != fmt.Sprintf("earshot: doctor: 1 of %d findings are FAIL\n", strings.Count(out, "\n")) {
		t.Errorf("exit code %d, standard error %q", code, errs)
	}
}

// plainRegistrar runs a registrar that is not RingCentral, and gives its address.
func plainRegistrar(t *testing.T) string {
	t.Helper()
	user := trunk.User{AuthID: "u", UserName: "u", Password: "p-made-up"}
	r, err := trunk.New(trunk.Config{Domain: "sip.test", UDP: "127.0.0.1:0", Qop: true, User: func(id string) (trunk.User, bool) { return user, id == "u" }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return r.Addr("udp")
}

func TestDoctorForAPlainRegistrarAsksNoRingCentral(t *testing.T) {
	sim := ringsim.Start(t, ringsim.Config{})
	at := plainRegistrar(t)
	t.Chdir(t.TempDir())
	doctor := func(more ...string) (int, checks) {
		t.Helper()
		var out, errs strings.Builder
		code := run(t.Context(), process{out: &out, err: &errs, in: strings.NewReader(""), args: append([]string{
			"--set=sip.domain=sip.test", "--set=sip.transport=udp", "--set=sip.outbound_proxy=" + at, "--set=sip.username=u", "--set=sip.password=p-made-up",
			"--set=media.ports=0-0"}, append(more, "doctor", "--json")...)})
		var found checks
		if err := json.Unmarshal([]byte(out.String()), &found); err != nil {
			t.Fatalf("%v: %s%s", err, &out, &errs)
		}
		return code, found
	}
	code, found := doctor()
	if code != exitDone || strings.Contains(lines(found), "login") || len(sim.Requests()) != 0 {
		t.Errorf("exit code %d: %s", code, lines(found))
	}
	for what, words := range map[string]string{"sip connection": "OPTIONS is answered 200", "nat": "none on the way", "credentials": "accepted; 0 registered"} {
		if !found.has(supervise.MarkOK, what, words) {
			t.Errorf("lacks %s: %s in\n%s", what, words, lines(found))
		}
	}
	for _, c := range []struct{ set, mark, what, words string }{
		{"--set=sip.password=wrong", supervise.MarkFail, "credentials", "sip.password"},
		{"--set=sip.outbound_proxy=127.0.0.1:9", supervise.MarkFail, "sip connection", "firewall"},
		{"--set=sip.outbound_proxy=does-not-exist.invalid:5060", supervise.MarkFail, "sip dns", "resolver"},
		{"--set=media.advertise_ip=192.0.2.7", supervise.MarkOK, "nat", "none on the way"},
		{"--set=sip.outbound_proxy=does-not-exist.invalid:5060," + at, supervise.MarkWarn, "sip dns", "does-not-exist"},
	} {
		if code, found := doctor(c.set); !found.has(c.mark, c.what, c.words) || (code == exitDone) != (c.mark != supervise.MarkFail) {
			t.Errorf("%s: exit code %d, want %s %s: %s in\n%s", c.set, code, c.mark, c.what, c.words, lines(found))
		}
	}
}
