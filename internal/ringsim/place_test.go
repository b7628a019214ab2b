package ringsim_test

import (
	"errors"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/ringsim"
)

func TestAHumanHoldsTheOnlyPlaceUntilItIsVacated(t *testing.T) {
	cfg := quick()
	cfg.Switches.InviteDelay = time.Hour
	c := start(t, cfg)
	f := c.subscribed(accountFilter)
	call := c.call(ringsim.CallSpec{})
	f.told()
	if err := call.Occupy(""); err != nil {
		t.Fatal(err)
	}
	f.tells("occupied", "7 -3 Outbound Answered Supervising")
	session := account + "/telephony/sessions/" + call.SessionID()
	human := c.ok(session)["parties"].([]any)[2].(object)
	if human["extensionId"] == ringsim.DefaultSupervisorID || human["direction"] != "Outbound" || human["status"].(object)["reason"] != "Supervising" {
		t.Errorf("the session shows %v, want a stranger who supervises", human)
	}
	if err := call.Occupy("109"); !errors.Is(err, ringsim.ErrOccupied) {
		t.Errorf("a second human: %v, want ErrOccupied", err)
	}
	for _, path := range []string{"/supervise", "/parties/" + call.AgentParty() + "/supervise"} {
		if r := c.post(session+path, today()); r.status != 409 || r.code() != "TAS-113" {
			t.Errorf("%s: %d %s, want 409 TAS-113", path, r.status, r.raw)
		}
	}
	if err := call.Vacate(); err != nil {
		t.Fatal(err)
	}
	f.tells("vacated", "8 -3 Outbound Disconnected")
	if call.Vacate() == nil || call.Occupy("999") == nil {
		t.Error("an empty place was vacated, or somebody unknown took it")
	}
	if r := c.post(session+"/supervise", today()); r.status != 200 {
		t.Errorf("free again: %d %s", r.status, r.raw)
	}
	if err := call.Occupy(""); !errors.Is(err, ringsim.ErrOccupied) {
		t.Errorf("a human where we listen: %v, want ErrOccupied", err)
	}
}

func TestAHumanGoesWithTheAgentAndWithTheCall(t *testing.T) {
	c := start(t, quick())
	states := func(call *ringsim.Call, number string) string {
		for _, p := range c.ok(account + "/telephony/sessions/" + call.SessionID())["parties"].([]any) {
			if o := p.(object); o["from"].(object)["phoneNumber"] == number {
				return o["status"].(object)["code"].(string)
			}
		}
		return ""
	}
	for name, end := range map[string]func(*ringsim.Call) error{
		"transfer": func(call *ringsim.Call) error { return call.TransferBlind("110") },
		"hang-up":  func(call *ringsim.Call) error { call.Hangup(); return nil },
	} {
		call := c.call(ringsim.CallSpec{Agent: "108"})
		if err := call.Occupy("109"); err != nil {
			t.Fatal(err)
		}
		if got := states(call, "109"); got != "Answered" {
			t.Errorf("%s: the human is %q, want Answered", name, got)
		}
		if err := end(call); err != nil {
			t.Fatal(err)
		}
		if got := states(call, "109"); got != "Disconnected" {
			t.Errorf("%s: the human is %q, want Disconnected", name, got)
		}
	}
}
