package endpoint_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// lacks gives the one thing that a recording lacks.
func lacks(t *testing.T, r oracle.Recording, what string, channel int, cause, text string) oracle.Lack {
	t.Helper()
	if r.State != "partial" || r.Cause != cause || len(r.Missing) != 1 {
		t.Fatalf("got %s, %s (%s), missing %+v; want partial, %s, for one thing", r.State, r.Cause, r.CauseText, r.Missing, cause)
	}
	x := r.Missing[0]
	if x.What != what || x.Channel == nil || *x.Channel != channel || x.Cause != cause || !strings.Contains(x.Text, text) || !strings.Contains(r.CauseText, text) {
		t.Errorf("missing: got %+v (cause_text %q), want %s of channel %d, %s, with %q", x, r.CauseText, what, channel, cause, text)
	}
	return x
}

func TestSecondPartyRefusedIsPartialWithRingCentralsWord(t *testing.T) {
	t.Parallel()
	w := newLife(t, lifeSpec{})
	c, err := w.sim.StartCall(ringsim.CallSpec{Agent: "108", Ringing: true})
	w.must(err)
	w.must(w.sim.Inject(ringsim.Fault{Kind: ringsim.FaultError, Method: "POST", Path: c.CustomerParty() + "/supervise"}))
	c.Answer()
	w.until("the agent's stream", func() bool { return w.tracks("agent", 2.5) == 1 })
	w.hangUp(c)
	r := w.one(1, c)[0]
	lacks(t, r, "stream", 0, "refused", "CMN-203")
	wantEvent(t, r, `"type":"join_failed"`)
}

func TestSecondPartysInviteThatNeverComesIsPartial(t *testing.T) {
	t.Parallel()
	w := newLife(t, lifeSpec{})
	w.must(w.sim.Inject(ringsim.Fault{Kind: ringsim.FaultInviteNever, Count: 1})) // though RingCentral granted both
	c, err := w.sim.StartCall(ringsim.CallSpec{Agent: "108"})
	w.must(err)
	w.until("one stream", func() bool { return w.tracks("agent", 3.5)+w.tracks("customer", 3.5) == 1 })
	w.hangUp(c)
	r := w.one(1, c)[0]
	channel := 1 - r.Tracks[0].Channel
	lacks(t, r, "stream", channel, "no_invite", "no INVITE came within")
	wantEvent(t, r, `"cause":"no_invite"`)
}

func TestDialogThatDropsIsJoinedAgainAndTheGapIsNamed(t *testing.T) {
	t.Parallel()
	for name, both := range map[string]bool{"one": false, "both": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newLife(t, lifeSpec{})
			c := w.start(ringsim.CallSpec{Agent: "108"})
			w.talk(c, 700*time.Millisecond)
			if both {
				w.must(w.sim.Inject(ringsim.Fault{Kind: ringsim.FaultBye}))
			} else {
				c.Dialogs()[0].Bye(t.Context()) //nolint:errcheck // the end is looked for below
			}
			want := map[bool]int{false: 3, true: 4}[both]
			w.until("joined again", func() bool {
				st := w.ep.Status()
				return len(st.Calls) == 1 && len(st.Calls[0].Tracks) == want && w.dialogs() == 2
			})
			w.talk(c, 700*time.Millisecond)
			w.hangUp(c)
			r := w.one(1, c)[0]
			if r.State != "partial" || r.Cause != "hangup" || len(r.Missing) != want-2 {
				t.Fatalf("got %s, %s (%s), missing %+v; want partial, %d gaps", r.State, r.Cause, r.CauseText, r.Missing, want-2)
			}
			for _, g := range r.Missing {
				if g.What != "gap" || g.Channel == nil || g.Samples < 160 || g.Text == "" || !tiles(r, g) {
					t.Errorf("gap %+v does not lie between two tracks of its channel: %+v", g, r.Tracks)
				}
			}
		})
	}
}

// tiles tells whether a gap lies exactly between two tracks of its channel, and is silent.
func tiles(r oracle.Recording, g oracle.Lack) bool {
	before, after := false, false
	for _, k := range r.Tracks {
		if k.Channel != *g.Channel {
			continue
		}
		before = before || k.Offset+k.Samples == g.Pos
		after = after || k.Offset == g.Pos+g.Samples
	}
	for _, v := range r.PCM[*g.Channel][g.Pos : g.Pos+g.Samples] {
		if v != 0 {
			return false
		}
	}
	return before && after
}

// Three are heard as one stream; when that drops after the third has left, two are asked for.
func TestConferenceThatDropsComesBackAsTwoStreams(t *testing.T) {
	t.Parallel()
	w := newLife(t, lifeSpec{known: byAccount})
	c := w.start(ringsim.CallSpec{Agent: "108"})
	w.talk(c, 700*time.Millisecond)
	third, err := c.AddParty(ringsim.PartySpec{Number: "+14155550123"})
	w.must(err)
	w.until("the three", func() bool { return w.tracks("mix", 0.7) == 1 })
	w.must(w.sim.Inject(ringsim.Fault{Kind: ringsim.FaultBye})) // while they are three: one stream again, in the same part
	w.until("the three again", func() bool { return w.tracks("mix", 0.7) == 2 })
	w.must(c.DropParty(third))
	w.must(w.sim.Inject(ringsim.Fault{Kind: ringsim.FaultBye}))
	w.until("two streams again", func() bool { return w.tracks("agent", 0.7) == 2 && w.tracks("customer", 0.7) == 2 })
	w.hangUp(c)
	got := w.one(3, c)
	for i, n := range []int{2, 1, 2} {
		if len(got[i].Channels) != n {
			t.Errorf("part %d: channels %v, want %d", i+1, got[i].Channels, n)
		}
	}
	wantState(t, got[0], "recorded", "hangup")
	wantState(t, got[1], "partial", "hangup") // its stream dropped
	wantState(t, got[2], "partial", "hangup") // and there is a gap before it
	if p := got[2].Previous; p.Text == "" || len(got[2].Missing) != 1 || got[2].Missing[0].What != "gap" || got[2].Missing[0].Samples < 160 {
		t.Errorf("part 3: previous %+v, missing %+v; want why it began and the gap before it", p, got[2].Missing)
	}
}

// RingCentral offers one line, and both in a later offer: the call goes on in stereo, cut between two samples.
func TestALineMoreInALaterOfferIsANextPart(t *testing.T) {
	t.Parallel()
	w := newLife(t, lifeSpec{mode: "session", form: ringsim.FormTwoLines})
	c := w.start(ringsim.CallSpec{Agent: "108", Invite: func(in *trunk.Invite) { in.Lines[1].Refused = true }})
	w.until("the first line", func() bool { return w.tracks("mix", 1)+w.tracks("customer", 1) == 1 })
	w.must(c.Dialogs()[0].Reinvite(t.Context(), trunk.Reinvite{Revive: true}))
	w.until("both lines", func() bool { return w.tracks("customer", 1) == 1 && w.tracks("agent", 1) == 1 })
	w.hangUp(c)
	got := oracle.Parts(t, w.dir, c.SessionID())
	if len(got) != 2 {
		t.Fatalf("got %d folders, want 2", len(got))
	}
	if !slices.Equal(got[0].Channels, []string{"mix"}) || !slices.Equal(got[1].Channels, []string{"customer", "agent"}) {
		t.Errorf("channels: got %v and %v", got[0].Channels, got[1].Channels)
	}
	wantState(t, got[0], "recorded", "replan")
	wantState(t, got[1], "recorded", "hangup")
	streams := c.Streams()
	oracle.CompareMoved(t, "the first line", streams[0], got[0], got[1])
	second := got[1]
	second.Tracks = second.Tracks[1:]
	oracle.Compare(t, "the second line", streams[1:], second, oracle.Limits{})
	if d := got[0].Ended.Sub(got[0].Started); d > time.Duration(got[0].Samples)*time.Second/8000+500*time.Millisecond {
		t.Errorf("part 1: ended %v after its start, and holds %d samples", d, got[0].Samples)
	}
}

// An agent hands the call over, and RingCentral leaves the dialogs of who has left alone for a while: the new agent's stream
// has no channel there. The customer's goes on beside it.
func TestADialogWhoseChannelIsTakenIsANextPart(t *testing.T) {
	t.Parallel()
	w := newLife(t, lifeSpec{known: byAccount, switches: ringsim.Switches{KeepDialogs: true}})
	c := w.start(ringsim.CallSpec{Agent: "108"})
	w.talk(c, 700*time.Millisecond)
	w.must(c.TransferBlind("109"))
	c.Answer()
	w.until("the new agent's stream", func() bool { return w.tracks("agent", 0.7) == 2 })
	w.hangUp(c)
	got := oracle.Parts(t, w.dir, c.SessionID())
	if len(got) != 2 {
		t.Fatalf("got %d folders, want 2", len(got))
	}
	for _, r := range got {
		if r.State != "recorded" || !slices.Equal(r.Channels, []string{"customer", "agent"}) {
			t.Errorf("part %d: got %s (%s), channels %v; want both parties recorded", r.Part, r.State, r.CauseText, r.Channels)
		}
	}
	for _, s := range c.Streams() {
		switch {
		case s.Role == ringsim.RoleCustomer:
			oracle.CompareMoved(t, "the customer", s, got[0], got[1])
		default:
			i := 0
			if s.Party == c.AgentParty() {
				i = 1
			}
			r := got[i]
			r.Tracks = slices.DeleteFunc(slices.Clone(r.Tracks), func(k oracle.Track) bool { return k.Role != "agent" })
			oracle.Compare(t, "agent "+s.Party, []ringsim.Stream{s}, r, oracle.Limits{})
		}
	}
}
