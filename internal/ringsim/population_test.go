package ringsim_test

import (
	"testing"

	"github.com/earshot/earshot/internal/ringsim"
)

func TestPopulationOfManySupervisorsAndGroups(t *testing.T) {
	a, err := ringsim.Populate(ringsim.Population{Agents: 300, Supervisors: 4, Devices: 7, Groups: 3, MaxDialogs: 5})
	if err != nil {
		t.Fatal(err)
	}
	c := startLimited(t, ringsim.Config{Account: a}, ringsim.Unlimited)
	for i, x := range a.Extensions[:4] {
		f := loginForm()
		f.Set("assertion", x.JWT)
		c.token = c.ask("/restapi/oauth/token", f).body["access_token"].(string)
		own := records(c.ok(account + "/extension/~/device"))
		if n := len(own) - map[bool]int{true: 1}[i == 0]; n != 7 { // the first one has an app too
			t.Errorf("supervisor %s: %d phones, want 7", x.Number, n)
		}
		last := own[len(own)-1]["id"].(string)
		if info := c.ok(account + "/device/" + last + "/sip-info"); info["password"] == "" || info["authorizationId"] != last {
			t.Errorf("sip-info of %s: %v", last, info)
		}
	}
	monitored := 0
	for _, g := range records(c.ok(account + "/call-monitoring-groups")) {
		members := records(c.ok(account + "/call-monitoring-groups/" + g["id"].(string) + "/members?perPage=1000"))
		monitored += len(members) - 4
	}
	if monitored != 300 {
		t.Errorf("%d agents in groups, want each in one", monitored)
	}
	for _, p := range []ringsim.Population{{Agents: -1}, {Supervisors: 101}, {Devices: 101}} {
		if _, err := ringsim.Populate(p); err == nil {
			t.Errorf("%+v was taken", p)
		}
	}
}

func TestSupervisorsHaveNumbersOfTheirOwn(t *testing.T) {
	a, err := ringsim.Populate(ringsim.Population{Agents: 300, Supervisors: 12})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, x := range a.Extensions {
		if seen[x.Number] {
			t.Errorf("extension number %s is there twice", x.Number)
		}
		seen[x.Number] = true
	}
	if !seen["107"] || !seen["9008"] {
		t.Error("want supervisors 101 to 107, then 9008")
	}
}

func TestGroupsChangeWhileItRuns(t *testing.T) {
	c := start(t, ringsim.Config{})
	call := c.call(ringsim.CallSpec{Agent: "108"})
	path := account + "/telephony/sessions/" + call.SessionID() + "/supervise"
	members := c.sim.Account().Groups[0].Members
	if err := c.sim.SetMembers(ringsim.DefaultGroupID, members[:1]); err != nil {
		t.Fatal(err)
	}
	if r := c.post(path, today()); r.status != 403 || r.code() != "TAS-112" {
		t.Errorf("agent left the group: %d %s, want 403 TAS-112", r.status, r.raw)
	}
	if n := len(records(c.ok(account + "/call-monitoring-groups/" + ringsim.DefaultGroupID + "/members"))); n != 1 {
		t.Errorf("%d members, want 1", n)
	}
	if err := c.sim.SetMembers(ringsim.DefaultGroupID, members); err != nil {
		t.Fatal(err)
	}
	if r := c.post(path, today()); r.status != 200 {
		t.Errorf("agent is back: %d %s", r.status, r.raw)
	}
	if c.sim.SetMembers("1", nil) == nil || c.sim.SetMembers(ringsim.DefaultGroupID, []ringsim.Member{{Extension: "1"}}) == nil {
		t.Error("an unknown group or member was taken")
	}
}

func TestDeviceHasALimitOfItsOwn(t *testing.T) {
	cfg := quick()
	cfg.Account = ringsim.DefaultAccount(3)
	cfg.Account.Devices[0].MaxDialogs = 1
	c, d := ready(t, cfg)
	call := c.call(ringsim.CallSpec{})
	c.supervise(call, call.AgentParty())
	eventually(t, eventTime, "the first INVITE", func() bool { return len(call.Dialogs()) == 1 })
	p := c.supervise(call, call.CustomerParty())["id"].(string)
	eventually(t, eventTime, "the second party to leave", func() bool {
		o := c.ok(account + "/telephony/sessions/" + call.SessionID() + "/parties/" + p)
		return o["status"].(object)["code"] == "Disconnected"
	})
	if n, _ := d.counts(); n != 1 {
		t.Errorf("%d INVITEs, want 1", n)
	}
}
