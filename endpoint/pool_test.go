package endpoint_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/secret"
	"github.com/earshot/earshot/supervise"
)

// pooled starts an endpoint with all supervisors and devices of the simulator's account; ready says how many devices are to be
// registered first.
func pooled(t *testing.T, sim *ringsim.Sim, dir string, ready int, change func(*supervise.Config)) (ep *endpoint.Endpoint, stop func()) {
	t.Helper()
	env := dotEnv(sim)
	cfg := supervise.Config{
		Server: env["RINGCENTRAL_SERVER_URL"], ClientID: env["RINGCENTRAL_CLIENT_ID"], ClientSecret: secret.Text(env["RINGCENTRAL_CLIENT_SECRET"]),
		Groups: []string{"8121017"},
	}
	account := sim.Account()
	for _, x := range account.Extensions {
		if x.JWT == "" {
			continue
		}
		l := supervise.Login{JWT: secret.Text(x.JWT)}
		for _, d := range account.Devices {
			if d.Extension == x.ID && d.UserName != "" {
				l.Devices = append(l.Devices, supervise.LoginDevice{ID: d.ID})
			}
		}
		if len(l.Devices) > 0 {
			cfg.Logins = append(cfg.Logins, l)
		}
	}
	if change != nil {
		change(&cfg)
	}
	all := against(t, sim, "tls", dir)
	all.Supervisors[0].RingCentral = cfg
	ep, stop = started(t, all)
	oracle.Eventually(t, 20*time.Second, fmt.Sprintf("%d devices registered", ready), func() bool {
		n := 0
		for _, d := range ep.Status().Devices {
			if d.Registered {
				n++
			}
		}
		return n == ready
	})
	return ep, stop
}

func TestPoolHearsMoreCallsThanOneDeviceTakes(t *testing.T) {
	t.Parallel()
	account, err := ringsim.Populate(ringsim.Population{Agents: 9, Supervisors: 2, Devices: 2, MaxDialogs: 5})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	sim := ringsim.Start(t, ringsim.Config{Account: account, Switches: ringsim.Switches{InviteDelay: -1}})
	ep, stop := pooled(t, sim, dir, 4, func(c *supervise.Config) {
		for i := range c.Logins {
			for k := range c.Logins[i].Devices {
				c.Logins[i].Devices[k].MaxDialogs = 5
			}
		}
	})
	var calls []*ringsim.Call
	begin := func(i int) {
		c, err := sim.StartCall(ringsim.CallSpec{Agent: fmt.Sprint(ringsim.FirstAgentNumber + i), SRTP: new(bool)})
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, c)
	}
	for i := range 8 { // two calls of two dialogs each on a device that takes five
		begin(i)
	}
	for _, c := range calls {
		if err := c.WaitSupervised(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for _, d := range ep.Status().Devices {
		if d.Dialogs != 4 || d.Limit != 5 {
			t.Errorf("device %s of %s: %d dialogs of %d, want 4 of 5", d.Device, d.Supervisor, d.Dialogs, d.Limit)
		}
	}
	begin(8)
	oracle.Eventually(t, 10*time.Second, "the ninth call is told to have no room", func() bool {
		for _, w := range ep.Status().Waiting {
			if w.ID == calls[8].SessionID() && w.Cause != "" {
				return true
			}
		}
		return false
	})
	calls[3].Hangup()
	if err := calls[8].WaitSupervised(t.Context()); err != nil {
		t.Error("where a call ended there is room:", err)
	}
	oracle.Eventually(t, 10*time.Second, "half a second of each", func() bool {
		for _, c := range ep.Status().Calls {
			for _, k := range c.Tracks {
				if k.Seconds < 0.5 {
					return false
				}
			}
		}
		return true
	})
	for _, c := range calls {
		c.Hangup()
		<-c.Done()
	}
	stop()
	rec := oracle.ByCall(t, dir)
	for _, c := range calls {
		oracle.Compare(t, "call "+c.SessionID(), c.Streams(), rec[c.SessionID()], oracle.Limits{ApartSamples: apart}) // many calls at once
	}
	if n := sim.Requested("POST", "/restapi/v1.0/account/{account}/telephony/sessions/{session}/parties/{party}/supervise"); n != 18 {
		t.Errorf("%d requests, want two for each call", n)
	}
}

func TestDeviceThatTakesNoCallsIsGoneRound(t *testing.T) {
	t.Parallel()
	account, err := ringsim.Populate(ringsim.Population{Agents: 1, Supervisors: 2})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	sim := ringsim.Start(t, ringsim.Config{Account: account, Switches: ringsim.Switches{InviteDelay: -1}})
	ep, stop := pooled(t, sim, dir, 2, func(c *supervise.Config) { c.InviteWithin = 500 * time.Millisecond })
	first := ep.Status().Devices[0].Device
	if err := sim.Inject(ringsim.Fault{Kind: ringsim.FaultInviteNever, Device: first}); err != nil {
		t.Fatal(err)
	}
	c, err := sim.StartCall(ringsim.CallSpec{Agent: "108"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WaitSupervised(t.Context()); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 5*time.Second, "both parties on the other device", func() bool {
		d := ep.Status().Devices
		return d[0].Dialogs == 0 && d[1].Dialogs == 2
	})
	oracle.Eventually(t, 5*time.Second, "half a second of each party", func() bool {
		st := ep.Status().Calls
		return len(st) == 1 && len(st[0].Tracks) == 2 && st[0].Tracks[0].Seconds > 0.5 && st[0].Tracks[1].Seconds > 0.5
	})
	c.Hangup()
	<-c.Done()
	stop()
	oracle.Compare(t, "call "+c.SessionID(), c.Streams(), oracle.ByCall(t, dir)[c.SessionID()], oracle.Limits{ApartSamples: apart})
}
