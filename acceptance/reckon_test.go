package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

const (
	// wholeWithin is what a whole call may lack: far more than the way from answer to first sample takes, so that a busy
	// machine makes no false alarm; what it took is told.
	wholeWithin = 3 * time.Second
	// compareEach n-th whole call is compared sample by sample with what the simulator sent.
	compareEach = 10
	// shiftApartSamples is how far a call's parties may be apart here: 200 streams of the simulator wait for their turn on a busy
	// machine. How exactly parties are placed, endpoint's tests and the fifty calls say.
	shiftApartSamples = 640
)

// planted is a fault that was made on purpose, with the time in which a call that is answered may suffer from it.
type planted struct {
	what     string
	from, to time.Time
}

// account is what became of one call, by the recordings.
type account struct {
	*handled
	parts   []string      // folders
	heard   time.Duration // in which both parties are in a recording
	lead    time.Duration // from the answer to the first moment of it
	cause   string        // of the last part that says one
	planted string        // the fault in whose time it was answered
}

func (a *account) String() string {
	return fmt.Sprintf("call %s of agent %s, answered %s", a.SessionID(), a.agent, a.answered.Format(time.TimeOnly))
}

func (a *account) talked() time.Duration { return a.ended.Sub(a.answered) }

func (a *account) verdict() string {
	switch {
	case len(a.parts) == 0:
		return "unaccounted"
	case a.heard == 0:
		return "missed"
	case a.talked()-a.heard > wholeWithin:
		return "partial"
	default:
		return "whole"
	}
}

// reckon holds the recordings against the calls of a shift.
func reckon(t *testing.T, dir string, calls []*handled, faults []planted) []account {
	t.Helper()
	sealed, open := oracle.Folders(t, dir)
	if len(open) > 0 {
		t.Errorf("%d recordings are not sealed, the first %s", len(open), open[0])
	}
	byCall, folders := map[string][]oracle.Manifest{}, map[string][]string{}
	for _, f := range sealed {
		m := oracle.ReadManifest(t, f)
		byCall[m.Call.ID], folders[m.Call.ID] = append(byCall[m.Call.ID], m), append(folders[m.Call.ID], f)
	}
	out := make([]account, 0, len(calls))
	for _, c := range calls {
		a := account{handled: c, parts: folders[c.SessionID()]}
		a.listen(byCall[c.SessionID()])
		for _, dir := range a.parts {
			a.cause = strings.TrimSpace(a.cause + " " + delays(t, dir))
		}
		for _, f := range faults {
			if c.answered.After(f.from) && c.answered.Before(f.to) {
				a.planted = f.what
			}
		}
		out = append(out, a)
	}
	for id := range byCall {
		if !slices.ContainsFunc(calls, func(c *handled) bool { return c.SessionID() == id }) {
			t.Errorf("%s: a recording of a call that nobody had", folders[id][0])
		}
	}
	return out
}

// delays are what a recording says of dialogs that came late.
func delays(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "events.jsonl"))
	if err != nil {
		t.Error(err)
		return ""
	}
	for line := range bytes.Lines(b) {
		var ev struct {
			Type   string `json:"type"`
			Waited int64  `json:"waited_ms"`
			Why    string `json:"delayed_by"`
		}
		if json.Unmarshal(line, &ev) == nil && ev.Type == "leg_answered" && ev.Why != "" {
			return fmt.Sprintf("a dialog was delayed by %d ms: %s", ev.Waited, ev.Why)
		}
	}
	return ""
}

// stretch is a time in which a party is heard.
type stretch struct{ from, to time.Time }

// listen finds when both parties are in a recording, to a hundredth of a second.
func (a *account) listen(parts []oracle.Manifest) {
	var agent, customer []stretch
	for _, m := range parts {
		if m.State != "recorded" {
			a.cause = strings.TrimSpace(m.Cause + " " + m.CauseText)
		}
		if m.Late != nil {
			a.cause = strings.TrimSpace(fmt.Sprintf("%s %s by %d samples: %s", a.cause, m.Late.Cause, m.Late.Samples, m.Late.Text))
		}
		at := func(k *oracle.Track, pos int64) time.Time {
			return m.Started.Add(time.Duration(k.Offset+pos) * time.Second / time.Duration(m.Rate))
		}
		for i := range m.Tracks {
			k := &m.Tracks[i]
			var got []stretch
			pos := int64(0)
			for _, s := range k.Spans {
				if s.Kind != "late" {
					got = append(got, stretch{at(k, pos), at(k, s.Pos)})
					pos = s.Pos + s.Samples
				}
			}
			got = append(got, stretch{at(k, pos), at(k, k.Samples)})
			switch k.Role {
			case string(ringsim.RoleAgent):
				agent = append(agent, got...)
			case string(ringsim.RoleCustomer):
				customer = append(customer, got...)
			default:
				agent, customer = append(agent, got...), append(customer, got...)
			}
		}
	}
	in := func(list []stretch, at time.Time) bool {
		return slices.ContainsFunc(list, func(s stretch) bool { return !at.Before(s.from) && at.Before(s.to) })
	}
	const step = 10 * time.Millisecond
	for at := a.answered; at.Before(a.ended); at = at.Add(step) {
		if !in(agent, at) || !in(customer, at) {
			continue
		}
		if a.heard == 0 {
			a.lead = at.Sub(a.answered)
		}
		a.heard += step
	}
}

// compareSome compares each tenth whole call with what was sent.
func compareSome(t *testing.T, accounts []account) (compared int) {
	t.Helper()
	for i, a := range accounts {
		if a.verdict() != "whole" || len(a.parts) != 1 || i%compareEach != 0 {
			continue
		}
		r := oracle.Read(t, a.parts[0])
		if len(r.Tracks) != len(a.Streams()) {
			continue // joined again in between: the tracks are compared where nothing was planted
		}
		oracle.Compare(t, "call "+a.SessionID(), a.Streams(), r, oracle.Limits{ApartSamples: shiftApartSamples})
		compared++
	}
	return compared
}

// table says what became of all calls.
func table(accounts []account) string {
	verdicts, causes := map[string]int{}, map[string]int{}
	var leads []time.Duration
	var talked, heard time.Duration
	for i := range accounts {
		a := &accounts[i]
		v := a.verdict()
		if v != "whole" {
			causes[fmt.Sprintf("%s: %s (in the time of: %s)", v, short(a.cause), a.planted)]++
		}
		if a.planted != "" {
			v += " in a fault's time"
		}
		verdicts[v]++
		talked, heard = talked+a.talked(), heard+a.heard
		if a.heard > 0 && a.planted == "" {
			leads = append(leads, a.lead)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d calls, %v on the line, %.2f %% of it heard with both parties", len(accounts), talked.Round(time.Second), 100*heard.Seconds()/max(1, talked.Seconds()))
	for _, v := range slices.Sorted(maps.Keys(verdicts)) {
		fmt.Fprintf(&b, "; %d %s", verdicts[v], v)
	}
	if slices.Sort(leads); len(leads) > 0 {
		fmt.Fprintf(&b, "\nfrom the answer to the first moment, outside faults: p50 %v, p99 %v, most %v", leads[len(leads)/2], leads[len(leads)*99/100], leads[len(leads)-1])
	}
	for _, c := range slices.Sorted(maps.Keys(causes)) {
		fmt.Fprintf(&b, "\n%4d %s", causes[c], c)
	}
	return b.String()
}

// short leaves out of a cause what differs from call to call.
func short(cause string) string {
	cause = regexp.MustCompile(`\d+( ms|m?s)`).ReplaceAllString(cause, "N$1")
	return cause[:min(len(cause), 120)]
}

// requests lists what was asked of the simulator.
func requests(sim *ringsim.Sim) string {
	var b strings.Builder
	for _, r := range sim.Requests() {
		fmt.Fprintf(&b, "\n%6d  %d %s %s", r.Count, r.Status, r.Method, strings.TrimPrefix(r.Pattern, "/restapi/v1.0/account/"))
	}
	return b.String()
}
