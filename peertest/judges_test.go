package peertest

import (
	"bufio"
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// judgeTime bounds a judge; the slowest waits 24 s for a token of the feed to grow old.
const judgeTime = 2 * time.Minute

// scenario starts `earshot sim` with a scenario of testdata.
func scenario(t *testing.T, name string) (simFile, *process) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", "scenarios", name))
	if err != nil {
		t.Fatal(err)
	}
	return startSim(t, "--scenario", path)
}

// told reads the lines that a judge wrote about one event.
func told[T any](t *testing.T, p *process, event string) []T {
	t.Helper()
	var out []T
	lines := bufio.NewScanner(strings.NewReader(p.out.String()))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var kind struct{ Event string }
		var v T
		if err := json.Unmarshal(lines.Bytes(), &kind); err != nil {
			t.Fatalf("judge: %v in %s", err, lines.Text())
		}
		if kind.Event != event {
			continue
		}
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatalf("judge: %s: %v", event, err)
		}
		out = append(out, v)
	}
	return out
}

func passed(t *testing.T, p *process, who string) {
	t.Helper()
	if code := p.wait(t, judgeTime); code != 0 {
		t.Fatalf("%s: exit code %d\n%s", who, code, tail(p.log.String(), 4000))
	}
}

// kept says that the simulator's story ended, and that nobody broke a rule.
func kept(t *testing.T, sim *process) {
	t.Helper()
	if code := sim.wait(t, judgeTime); code != 0 {
		t.Errorf("earshot sim: exit code %d\n%s", code, tail(sim.log.String(), 4000))
	}
}

func TestRingCentralsFeedSDKRecoversAndMissesNothing(t *testing.T) {
	needModules(t, "@rc-ex/core", "@rc-ex/ws")
	t.Parallel()
	sim, server := scenario(t, "feed.yaml")
	judge := sim.judge(t, nil, "judge-ws.mjs")
	passed(t, judge, "@rc-ex/ws")

	type subscribed struct {
		Status            string
		Filters, Disabled []string
	}
	if subs := told[subscribed](t, judge, "subscribed"); len(subs) != 1 || subs[0].Status != "Active" || len(subs[0].Filters) != 2 || len(subs[0].Disabled) > 0 {
		t.Errorf("subscribed: %+v, want one active with both filters", subs)
	}
	// The SDK comes back with the token that it has used, is refused until the token is old, and recovers with a new one.
	if again := told[struct{ State string }](t, judge, "recovered"); len(again) != 1 || again[0].State != "Successful" {
		t.Errorf("recovered: %+v, want once, Successful", again)
	}
	if n := len(told[struct{}](t, judge, "refused")); n == 0 {
		t.Error("a wstoken was good twice")
	}
	type notification struct {
		Session, Party, Code string
		Sequence             int
	}
	var got []int
	codes := map[string][]string{}
	for _, n := range told[notification](t, judge, "notification") {
		got = append(got, n.Sequence)
		_, number, _ := strings.Cut(n.Party[len("p-"):], "-")
		codes[number] = append(codes[number], n.Code)
	}
	if want := []int{2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}; !slices.Equal(got, want) {
		t.Errorf("sequences %v, want %v: none lost while the feed was cut, none twice", got, want)
	}
	want := map[string][]string{
		"1": {"Setup", "Answered", "Disconnected"}, "2": {"Setup", "Disconnected"},
		"3": {"Setup", "Proceeding", "Answered", "Hold", "Answered", "Disconnected"},
	}
	if diff := cmp.Diff(want, codes); diff != "" {
		t.Errorf("states of the parties (want, got):\n%s", diff)
	}
	if p := told[struct{ Status string }](t, judge, "presence"); len(p) == 0 || p[len(p)-1].Status != "NoCall" {
		t.Errorf("presence: %+v, want NoCall at the end", p)
	}
	kept(t, server)
}

func TestRingCentralsSDKLogsInReadsAndIsRefused(t *testing.T) {
	needModules(t, "@ringcentral/sdk", "@ringcentral/subscriptions")
	t.Parallel()
	sim, _ := startSim(t, "--every", "4s")
	judge := sim.judge(t, nil, "judge-sdk.mjs")
	passed(t, judge, "@ringcentral/sdk")
	type refusal struct {
		Status  int
		Code    string
		Message string
	}
	var r struct {
		Extension, Owner, Scope string
		Agents                  []string
		Members                 []struct {
			ID          string
			Permissions []string
		}
		Devices []struct{ ID, Type, Status string }
		Heard   struct {
			Filters               []string
			Event, Session, Owner string
		}
		Presences, Parties int
		Limits             []string
		Refusals           map[string]refusal
	}
	if err := json.Unmarshal([]byte(judge.out.String()), &r); err != nil {
		t.Fatal(err)
	}
	if r.Extension != r.Owner || r.Owner != r.Heard.Owner || !strings.Contains(r.Scope, "CallControl") {
		t.Errorf("extension %s, owner of the token %s, of the event %s; scope %q", r.Extension, r.Owner, r.Heard.Owner, r.Scope)
	}
	if len(r.Agents) != 3 || len(r.Members) != 4 || r.Presences != 4 || len(r.Devices) != 2 || r.Parties != 2 {
		t.Errorf("%d agents, %d members, %d presences, %d devices, %d parties; want 3, 4, 4, 2, 2", len(r.Agents), len(r.Members), r.Presences, len(r.Devices), r.Parties)
	}
	if len(r.Heard.Filters) != 3 || !strings.HasSuffix(r.Heard.Event, "/telephony/sessions") {
		t.Errorf("heard %+v", r.Heard)
	}
	if len(r.Limits) != 4 || r.Limits[0] != "light" || r.Limits[1] != "50" || r.Limits[3] != "60" {
		t.Errorf("rate limit headers %v, want light, 50, what is left, 60", r.Limits)
	}
	want := map[string]refusal{
		"session": {404, "CMN-102", "Resource for parameter [telephonySessionId] is not found"},
		"body":    {400, "CMN-101", "Parameter [mode] value is invalid"},
		"device":  {404, "TAS-120", "Can't find registered deviceId"},
	}
	if diff := cmp.Diff(want, r.Refusals); diff != "" {
		t.Errorf("refusals (want, got):\n%s", diff)
	}
}

// shown is a party as a judge shows it, from the SDK or from the server.
type shown struct {
	Direction, Extension, From, To, Code, Reason string
	Peer                                         *struct{ TelephonySessionID, PartyID string }
	Queue                                        bool
}

// comparison is what the SDK and the server believe of one session.
type comparison struct {
	Session     string
	SDK, Server map[string]shown
}

// agree fails the test unless each party that the SDK has is the server's. Of a call that an announcement took first the SDK
// forgets the parties that were there before the announcement left: it takes the session for over.
func (c comparison) agree(t *testing.T) {
	t.Helper()
	server, machine := maps.Clone(c.Server), false
	for id, p := range c.Server {
		if _, known := c.SDK[id]; !known {
			machine = machine || p.Code == "Disconnected"
			delete(server, id)
		}
	}
	if len(server) < len(c.Server) && !machine || len(server) == 0 {
		t.Errorf("session %s: the SDK has %d of %d parties", c.Session, len(c.SDK), len(c.Server))
	}
	if diff := cmp.Diff(server, c.SDK); diff != "" {
		t.Errorf("session %s (server, SDK):\n%s", c.Session, diff)
	}
}

func TestRingCentralsCallControlSDKSeesTheCallsAsTheSimulator(t *testing.T) {
	needModules(t, "@ringcentral/sdk", "@ringcentral/subscriptions", "ringcentral-call-control")
	t.Parallel()
	sim, server := scenario(t, "calls.yaml")
	judge := sim.judge(t, []string{"SESSIONS=4"}, "judge-call-control.mjs")
	passed(t, judge, "ringcentral-call-control")

	live := told[comparison](t, judge, "checked")
	if len(live) < 12 {
		t.Errorf("%d comparisons of live sessions, want at least 12", len(live))
	}
	seen := map[string]bool{}
	for _, c := range live {
		c.agree(t)
		for _, p := range c.SDK {
			seen[p.Code+" "+p.Reason] = true
			if p.Peer != nil && p.Peer.PartyID != "" {
				seen["peer of "+p.Reason] = true
			}
		}
	}
	// The transfer's session is over with its last event, so that its Gone is in no comparison of a live one.
	for _, want := range []string{
		"Proceeding ", "Answered ", "Hold ", "Parked CallPark", "Gone Pickup", "Disconnected Pickup", "Disconnected BlindTransfer",
		"Disconnected AttendedTransfer", "peer of Pickup",
	} {
		if !seen[want] {
			t.Errorf("the SDK never saw %q; it saw %v", want, slices.Sorted(maps.Keys(seen)))
		}
	}
	over := told[comparison](t, judge, "forgotten")
	if len(over) != 3 {
		t.Errorf("the SDK gave %d sessions up as over, want 3", len(over))
	}
	for _, c := range over {
		for id, p := range c.Server {
			if p.Code != "Disconnected" && p.Code != "Gone" {
				t.Errorf("session %s: party %s is %s, and the SDK gave it up", c.Session, id, p.Code)
			}
		}
	}
	type loaded struct {
		SDK, Events map[string]struct {
			Legacy  string
			Parties map[string]shown
		}
	}
	both := told[loaded](t, judge, "loaded")
	if len(both) != 1 || len(both[0].SDK) < 2 {
		t.Fatalf("a second instance loaded %+v, want at least two sessions, once", both)
	}
	for id, s := range both[0].SDK {
		events := both[0].Events[id]
		comparison{Session: id, SDK: events.Parties, Server: s.Parties}.agree(t)
		if s.Legacy != events.Legacy || s.Legacy == "" {
			t.Errorf("session %s: sessionId %q from the presence, %q from events", id, s.Legacy, events.Legacy)
		}
	}
	kept(t, server)
}
