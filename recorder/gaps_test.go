package recorder

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// story is a recording told by its tracks ("role party leg from to", in seconds) and its events ("second type key=value…").
func story(t *testing.T, tracks, events string) *Recording {
	t.Helper()
	r := &Recording{started: time.Unix(1_000_000, 0), part: 1}
	for line := range strings.Lines(strings.TrimSpace(tracks)) {
		var role, party, leg string
		var from, to float64
		if _, err := fmt.Sscan(line, &role, &party, &leg, &from, &to); err != nil {
			t.Fatal(line, err)
		}
		k := r.w.track(media.TrackID(len(r.w.tracks) + 1))
		k.state = media.TrackState{ID: k.id, Leg: leg, Party: call.Party{ID: party}, Ended: true}
		if err := k.state.Party.Role.UnmarshalText([]byte(role)); err != nil {
			t.Fatal(err)
		}
		k.channel = map[string]int{"customer": 0, "mix": 0, "agent": 1}[role]
		k.placed, k.offset = true, int64(from*rate)
		k.loss.set(0, int64((to-from)*rate), kindReceived)
	}
	for line := range strings.Lines(strings.TrimSpace(events)) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		var at float64
		if _, err := fmt.Sscan(f[0], &at); err != nil {
			t.Fatal(line, err)
		}
		e := call.Event{Time: r.started.Add(time.Duration(at * float64(time.Second))), Type: call.Type(f[1]), Facts: map[string]any{}}
		for _, kv := range f[2:] {
			k, v, _ := strings.Cut(kv, "=")
			e.Facts[k] = v
			switch n, err := strconv.Atoi(v); {
			case k == "leg":
				e.Leg = v
			case k == "gap_samples":
				e.Facts[k] = int64(n)
			case err == nil:
				e.Facts[k] = n
			}
		}
		r.note(e)
	}
	return r
}

func tell(gaps []Missing) string {
	var out []string
	for _, g := range gaps {
		out = append(out, fmt.Sprintf("%d %.1f+%.1f %s", *g.Channel, float64(g.Pos)/rate, float64(g.Samples)/rate, g.Cause))
	}
	return strings.Join(out, ", ")
}

func TestEveryStretchWithoutATrackHasItsCause(t *testing.T) {
	for _, c := range []struct{ name, tracks, events, quiet, lacking string }{
		{"both begin and end within a second", "customer c1 A 0.2 9.9\nagent a2 B 0.9 9.2", "9.9 leg_ended leg=A cause=hangup\n9.2 leg_ended leg=B cause=hangup", "", ""},
		{"one drops and comes again", "customer c1 A 0 10\nagent a2 B 0 4\nagent a2 C 4.5 10", "4 leg_ended leg=B cause=session_expired", "", "1 4.0+0.5 session_expired"},
		{"both drop", "customer c1 A 0 4\nagent a2 B 0 4\ncustomer c1 C 6 9\nagent a2 D 6.2 9", "4 leg_ended leg=A cause=flow_lost\n4 leg_ended leg=B cause=flow_lost", "",
			"0 4.0+2.0 flow_lost, 1 4.0+2.2 flow_lost"},
		{"one drops and is refused", "customer c1 A 0 10\nagent a2 B 0 4", "4 leg_ended leg=B cause=hangup\n5 join_failed role=agent cause=refused", "", "1 4.0+6.0 refused"},
		{"a failure of the other side is not blamed", "customer c1 A 0 10\nagent a2 B 0 4", "4 leg_ended leg=B cause=hangup\n5 join_failed role=customer cause=refused", "", "1 4.0+6.0 hangup"},
		{"the second begins late", "customer c1 A 0 10\nagent a2 B 6 10", "2 join_failed role=agent cause=no_invite", "", "1 0.0+6.0 no_invite"},
		{"blind transfer", "customer c1 A 0 4\nagent a2 B 0 4\ncustomer c1 C 12.2 20\nagent a3 D 12.1 20",
			"4 leg_ended leg=A cause=hangup\n4 leg_ended leg=B cause=hangup\n4.1 agent_left reason=BlindTransfer\n12 agent_talks", "0 4.0+8.2 agent_left, 1 4.0+8.1 agent_left", ""},
		{"transfer, and the new agent's stream is refused at first", "customer c1 A 0 4\nagent a2 B 0 4\ncustomer c1 C 12.2 20\nagent a3 D 16 20",
			"4 leg_ended leg=A cause=hangup\n4 leg_ended leg=B cause=hangup\n4.1 agent_left\n12 agent_talks\n13 join_failed role=agent cause=refused",
			"0 4.0+8.2 agent_left, 1 4.0+8.0 agent_left", "1 12.0+4.0 refused"},
		{"the flow is lost, and then the agent leaves", "customer c1 A 0 4\nagent a2 B 0 4\ncustomer c1 C 12 20\nagent a3 D 12 20",
			"4 leg_ended leg=A cause=flow_lost\n4 leg_ended leg=B cause=flow_lost\n6 agent_left\n12 agent_talks",
			"0 6.0+6.0 agent_left, 1 6.0+6.0 agent_left", "0 4.0+2.0 flow_lost, 1 4.0+2.0 flow_lost"},
		{"no packets from one side", "customer c1 A 0 4\nagent a2 B 0 10", "10 leg_ended leg=A cause=hangup\n10 leg_ended leg=B cause=hangup", "0 4.0+6.0 no_media", ""},
		{"the streams of two end one by one when three are one stream", "customer c1 A 0 8\nagent a2 B 0 20", "5 part_started part=2\n8 leg_ended leg=A cause=hangup", "0 8.0+12.0 replan", ""},
		{"session form drops", "mix - A 0 4\nmix - B 5 9", "4 leg_ended leg=A cause=hangup", "", "0 4.0+1.0 hangup"},
	} {
		t.Run(c.name, func(t *testing.T) {
			labels := []string{"customer", "agent"}
			if strings.HasPrefix(c.tracks, "mix") {
				labels = []string{"mix"}
			}
			quiet, lacking := story(t, c.tracks, c.events).gaps(labels)
			if tell(quiet) != c.quiet || tell(lacking) != c.lacking {
				t.Errorf("got nothing to hear: %q, want %q; missing: %q, want %q", tell(quiet), c.quiet, tell(lacking), c.lacking)
			}
			for _, g := range append(quiet, lacking...) {
				if g.What != "gap" || g.Text == "" || strings.Contains(g.Text, "%!") {
					t.Errorf("got %+v, want a gap with a text", g)
				}
			}
		})
	}
}

func TestWhatLiesBetweenTwoPartsIsNamedInTheSecond(t *testing.T) {
	for cause, lacking := range map[string]bool{"flow_lost": true, "agent_left": false} {
		r := story(t, "mix - A 0 10", "0 part_started part=1 gap_samples=4000 text=why cause="+cause)
		quiet, missing := r.gaps([]string{"mix"})
		got := append(quiet, missing...)
		if len(got) != 1 || lacking != (len(missing) == 1) || got[0].Samples != 4000 || string(got[0].Cause) != cause || got[0].Channel != nil {
			t.Errorf("%s: got quiet %+v, missing %+v", cause, quiet, missing)
		}
		if text := got[0].text(nil); !strings.HasPrefix(text, "0.5 s before this part") || r.w.notes.why != "why" {
			t.Errorf("%s: got %q, %q", cause, text, r.w.notes.why)
		}
	}
}

func TestAStreamThatNeverCameHasItsCause(t *testing.T) {
	r := story(t, "customer c1 A 0 10", "1 join_failed role=agent cause=refused text=TAS-120")
	if c := r.w.absent(1, "agent"); c.Code != call.CodeRefused || c.Text != "TAS-120" {
		t.Errorf("got %v, want refused with RingCentral's text", c)
	}
	r = story(t, "customer c1 A 0 10\nagent a2 B 0 0", "")
	if c := r.w.absent(1, "agent"); c.Code != call.CodeNoMedia {
		t.Errorf("got %v, want no_media: the dialog was up", c)
	}
}
