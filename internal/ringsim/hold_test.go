package ringsim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

func TestHoldDoesToTheStreamsWhatTheSwitchSays(t *testing.T) {
	for _, tc := range []struct {
		hold   ringsim.HoldMedia
		source trunk.Source // heard meanwhile; nil: what was heard before
		sdp    string       // of a re-INVITE
	}{
		{ringsim.HoldContinues, nil, ""},
		{ringsim.HoldSilence, trunk.Silence{}, ""},
		{ringsim.HoldMusic, ringsim.Music{}, ""},
		{ringsim.HoldPause, nil, ""},
		{ringsim.HoldInactive, nil, "a=inactive"},
		{ringsim.HoldSendonly, ringsim.Music{}, "a=sendonly"},
	} {
		t.Run(string(tc.hold), func(t *testing.T) {
			t.Parallel()
			cfg := quick()
			cfg.Switches.HoldMedia = tc.hold
			c, d := ready(t, cfg)
			call := c.call(ringsim.CallSpec{CustomerAudio: ringsim.Numbered(7)})
			c.supervise(call, call.CustomerParty())
			eventually(t, 5*time.Second, "the first packets", func() bool {
				return len(call.Streams()) == 1 && len(call.Streams()[0].Sent()) > 3
			})
			call.Hold()
			st := call.Streams()[0]
			quiet := tc.hold == ringsim.HoldPause || tc.hold == ringsim.HoldInactive
			last := func() trunk.Packet { sent := st.Sent(); return sent[len(sent)-1] }
			if tc.sdp != "" {
				eventually(t, 5*time.Second, "a re-INVITE", func() bool { n, _ := d.counts(); return n == 2 })
				d.mu.Lock()
				if body := d.invites[1].body; !strings.Contains(body, tc.sdp) {
					t.Errorf("re-INVITE has no %s:\n%s", tc.sdp, body)
				}
				d.mu.Unlock()
			}
			if quiet {
				eventually(t, 5*time.Second, "silence on the line", func() bool { return time.Since(last().At) > 150*time.Millisecond })
			} else if src := tc.source; src != nil {
				eventually(t, 5*time.Second, "what is heard on hold", func() bool {
					p := last()
					for n := p.Pos; n < p.Pos+160; n++ {
						if st.Source.Octet(0, n) != src.Octet(0, n) {
							return false
						}
					}
					return true
				})
			}
			call.Resume()
			resumed := time.Now()
			eventually(t, 5*time.Second, "the customer again", func() bool {
				p := last()
				return p.At.After(resumed) && st.Source.Octet(0, p.Pos+159) == ringsim.Numbered(7).Octet(0, p.Pos+159) &&
					st.Source.Octet(0, p.Pos+80) == ringsim.Numbered(7).Octet(0, p.Pos+80)
			})
			call.Hangup()
			<-call.Done()
			if tc.sdp == "" { // this device opens new ports for a re-INVITE
				_, lines := d.inviteFor(call.Dialogs()[0].CallID())
				eventually(t, 5*time.Second, "the last packet", func() bool { return lines[0].packets() >= delivered(st) })
				lines[0].heard(t, st)
			}
		})
	}
}

func TestTheMixFollowsWhoIsOnTheLine(t *testing.T) {
	c, d := ready(t, quick())
	call := c.call(ringsim.CallSpec{CustomerAudio: ringsim.Numbered(1), AgentAudio: ringsim.Numbered(2)})
	c.supervise(call, "")
	eventually(t, 5*time.Second, "the first packets", func() bool {
		return len(call.Streams()) == 1 && len(call.Streams()[0].Sent()) > 2
	})
	st := call.Streams()[0]
	mixOf := func(sources ...trunk.Source) func() bool {
		mix := ringsim.Mix(sources)
		return func() bool {
			sent := st.Sent()
			p := sent[len(sent)-1]
			for n := p.Pos; n < p.Pos+160; n++ {
				if st.Source.Octet(0, n) != mix.Octet(0, n) {
					return false
				}
			}
			return true
		}
	}
	eventually(t, 5*time.Second, "two people", mixOf(ringsim.Numbered(1), ringsim.Numbered(2)))
	third, err := call.AddParty(ringsim.PartySpec{Number: "+1", Audio: ringsim.Numbered(3)})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "three people", mixOf(ringsim.Numbered(1), ringsim.Numbered(2), ringsim.Numbered(3)))
	if err := call.DropParty(third); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "two people again", mixOf(ringsim.Numbered(1), ringsim.Numbered(2)))
	call.Hangup()
	<-call.Done()
	_, lines := d.inviteFor(call.Dialogs()[0].CallID())
	eventually(t, 5*time.Second, "the last packet", func() bool { return lines[0].packets() >= delivered(st) })
	lines[0].heard(t, st)
}
