package stream_test

import (
	"strings"
	"testing"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/stream"
)

func TestACallGoesToTheConsumersThatChoseIt(t *testing.T) {
	ann := call.Info{ID: "s-1", Agent: "108", AgentID: "80110801", Groups: []string{"8121017", "Sales"}}
	for _, c := range []struct {
		name  string
		of    stream.Consumer
		info  call.Info
		heard string
	}{
		{"everybody's", stream.Consumer{}, call.Info{}, "agent customer"},
		{"an agent's", stream.Consumer{Agents: []string{"107", "108"}}, ann, "agent customer"},
		{"an agent's, by id", stream.Consumer{Agents: []string{"80110801"}}, ann, "agent customer"},
		{"another agent's", stream.Consumer{Agents: []string{"107"}}, ann, ""},
		{"nobody's", stream.Consumer{Agents: []string{""}}, call.Info{}, ""},
		{"a group's, by name", stream.Consumer{Groups: []string{"sales"}}, ann, "agent customer"},
		{"a group's, by id", stream.Consumer{Agents: []string{"107"}, Groups: []string{"8121017"}}, ann, "agent customer"},
		{"another group's", stream.Consumer{Groups: []string{"Support"}}, ann, ""},
		{"a role's", stream.Consumer{Roles: []string{"customer"}}, ann, "customer"},
		{"per call", stream.Consumer{Agents: []string{"108"}, Per: stream.PerCall}, ann, "mix"},
	} {
		c.of.Command = []string{"cat"}
		h, stop := start(t, c.of)
		var told record
		s := h.Open(c.info, stream.Options{Notify: told.notify})
		feed(s, 2, 0, 10)
		n := len(strings.Fields(c.heard))
		waitFor(t, c.name+" has begun", func() bool { return len(told.of(call.EventStreamStarted)) == n })
		var heard []string
		for _, l := range h.Live() {
			heard = append(heard, l.Role)
		}
		if got := strings.Join(heard, " "); got != c.heard {
			t.Errorf("%s: got the streams %q, want %q", c.name, got, c.heard)
		}
		s.End(call.Cause{})
		stop()
	}
}

func TestWrongChoicesAreTold(t *testing.T) {
	for want, c := range map[string]stream.Consumer{
		`roles: got "boss", want agent, customer, other`: {Roles: []string{"boss"}},
		`roles: want per: track`:                         {Roles: []string{"agent"}, Per: stream.PerCall},
	} {
		c.Command = []string{"cat"}
		if err := c.Check(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestReloadChoosesAnewForCallsToCome(t *testing.T) {
	cat := stream.Consumer{Command: []string{"cat"}, Per: stream.PerCall, Agents: []string{"107"}}
	h, _ := start(t, cat)
	var told record
	before := h.Open(info(), stream.Options{Notify: told.notify})
	cat.Agents = []string{"108"}
	if err := h.Reload([]stream.Consumer{cat}); err != nil {
		t.Fatal(err)
	}
	after := h.Open(info(), stream.Options{Notify: told.notify})
	feed(before, 2, 0, 10)
	feed(after, 2, 0, 10)
	waitFor(t, "one has begun", func() bool { return len(h.Live()) == 1 })
	before.End(call.Cause{})
	after.End(call.Cause{})
	waitFor(t, "it has ended", func() bool { return len(h.Live()) == 0 })
	if n := len(told.of(call.EventStreamStarted)); n != 1 {
		t.Errorf("%d streams, want that of the later call", n)
	}
}
