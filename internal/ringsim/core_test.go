package ringsim

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/ringsim/trunk"
)

func TestPurseSlidesAndEachRequestInThePenaltyRestartsIt(t *testing.T) {
	l := Limits{}
	l.check()
	var p purse
	now := time.Unix(0, 0)
	for i, step := range []struct {
		after     time.Duration
		remaining int
		wait      time.Duration
	}{
		{0, 1, 0},
		{10 * time.Second, 0, 0},
		{10 * time.Second, 0, time.Minute}, // the third within 60 s
		{59 * time.Second, 0, time.Minute}, // still in the penalty, which starts again
		{59 * time.Second, 0, time.Minute},
		{60 * time.Second, 1, 0},
		{30 * time.Second, 0, 0},
		{30 * time.Second, 0, 0}, // the first has left the window
	} {
		now = now.Add(step.after)
		if remaining, wait := p.spend(&l, 2, now); remaining != step.remaining || wait != step.wait {
			t.Errorf("step %d: got %d, %s, want %d, %s", i, remaining, wait, step.remaining, step.wait)
		}
	}
}

func TestRefreshTokenIsGoodOnceWithGrace(t *testing.T) {
	a := DefaultAccount(1)
	app, user := &a.Apps[0], &a.Extensions[0]
	now := time.Unix(1e9, 0)
	for _, tc := range []struct {
		name string
		use  time.Duration // first use of the new access token, negative: never
		at   time.Duration // the old refresh token comes again
		ok   bool
	}{
		{"used, within 10 s", 0, 9 * time.Second, true},
		{"used, after 10 s", 0, 10 * time.Second, false},
		{"unused, within an hour", -1, 59 * time.Minute, true},
		{"unused, after an hour", -1, time.Hour, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := 0
			ls := logins{mint: func() string { n++; return fmt.Sprintf("%032d", n) }}
			_, first := ls.open(app, user, accessTTL, refreshTTL, "e", now)
			_, second, fail := ls.refresh(app, first.refresh, now)
			if fail != nil {
				t.Fatal(fail.message)
			}
			if _, fail := ls.bearer(first.access, now); fail == nil || fail.code != "OAU-213" {
				t.Errorf("old access token lives on: %+v", fail)
			}
			if tc.use >= 0 {
				if _, fail := ls.bearer(second.access, now.Add(tc.use)); fail != nil {
					t.Fatal(fail.message)
				}
			}
			_, again, fail := ls.refresh(app, first.refresh, now.Add(tc.at))
			if (fail == nil) != tc.ok || tc.ok && again.access != second.access {
				t.Errorf("repeated refresh: got %+v, want the same token: %v", fail, tc.ok)
			}
		})
	}
}

func TestTokensEnd(t *testing.T) {
	a := DefaultAccount(1)
	a.Apps[0].NoRefresh = true
	n := 0
	ls := logins{mint: func() string { n++; return fmt.Sprintf("%032d", n) }}
	now := time.Unix(1e9, 0)
	l, p := ls.open(&a.Apps[0], &a.Extensions[0], accessTTL, refreshTTL, "e", now)
	if b := l.body(p, now); b["refresh_token"] != nil || b["expires_in"] != 3600 {
		t.Errorf("body without refresh tokens: %v", b)
	}
	if _, fail := ls.bearer(p.access, now.Add(accessTTL-1)); fail != nil {
		t.Errorf("just before the end: %s", fail.code)
	}
	if _, fail := ls.bearer(p.access, now.Add(accessTTL)); fail == nil || fail.code != "OAU-128" {
		t.Errorf("at the end: %+v, want OAU-128", fail)
	}
	if _, _, fail := ls.refresh(&a.Apps[0], "", now); fail == nil {
		t.Error("an empty refresh token was taken")
	}
}

func TestNumberedOctetsSurviveG711AndTellTheirPlace(t *testing.T) {
	const n = 200_000
	seen := make(map[[16]byte]string, 2*n)
	for _, party := range []Numbered{1, 2} {
		var window [16]byte
		for i := range int64(n) {
			o := party.Octet(trunk.PCMU, i)
			if o == negativeZero || encode(trunk.PCMU, decode(trunk.PCMU, o)) != o || encode(trunk.PCMA, decode(trunk.PCMA, o)) != o {
				t.Fatalf("party %d, octet %d: %#02x does not survive decoding and encoding", party, i, o)
			}
			copy(window[:], window[1:])
			window[15] = o
			if i < 15 {
				continue
			}
			here := fmt.Sprintf("party %d at %d", party, i)
			if there, has := seen[window]; has {
				t.Fatalf("%s: the last 16 octets are those of %s", here, there)
			}
			seen[window] = here
		}
	}
}

func TestG711EncodesToTheNearestValue(t *testing.T) {
	for _, law := range []trunk.Law{trunk.PCMU, trunk.PCMA} {
		for v := -32768; v <= 32767; v++ {
			got := decode(law, encode(law, v))
			step := max(16, abs(v)/15) // an interval is at most 1/16 of the value it begins at
			if v > 32124 || v < -32124 {
				step = 32768 - 31000
			}
			if abs(got-v) > step {
				t.Fatalf("%s: %d became %d", law, v, got)
			}
		}
		for o := range 256 {
			if got := encode(law, decode(law, byte(o))); got != byte(o) && o != negativeZero {
				t.Errorf("%s: octet %#02x became %#02x", law, o, got)
			}
		}
	}
}

func abs(v int) int { return max(v, -v) }

func TestMixIsTheSumCutAtFullScale(t *testing.T) {
	loud := constant(0x80) // µ-law's largest positive value
	if got := (Mix{loud, loud}).Octet(trunk.PCMU, 0); got != 0x80 {
		t.Errorf("two full scales: %#02x, want 0x80", got)
	}
	if got := (Mix{loud, constant(0x00)}).Octet(trunk.PCMU, 0); got != 0xFF {
		t.Errorf("full scale and its opposite: %#02x, want silence 0xff", got)
	}
	for n := range int64(1000) {
		if got, want := (Mix{Numbered(1), trunk.Silence{}}).Octet(trunk.PCMU, n), Numbered(1).Octet(trunk.PCMU, n); got != want {
			t.Fatalf("with silence, octet %d: %#02x, want %#02x", n, got, want)
		}
	}
}

type constant byte

func (c constant) Octet(trunk.Law, int64) byte { return byte(c) }

func TestSpeechIsTwoSpeakersInTurns(t *testing.T) {
	if len(customerSpeech) != len(agentSpeech) || len(customerSpeech)+len(agentSpeech) > 500_000 {
		t.Fatalf("speech: %d and %d octets, want the same, 500 kB together", len(customerSpeech), len(agentSpeech))
	}
	var talk [2]int
	both := 0
	for i := range customerSpeech {
		a, b := customerSpeech[i] != 0xFF, agentSpeech[i] != 0xFF
		if a {
			talk[0]++
		}
		if b {
			talk[1]++
		}
		if a && b {
			both++
		}
	}
	if talk[0] < 9*8000 || talk[1] < 15*8000 || both > 0 {
		t.Errorf("customer talks %d samples, agent %d, both at once %d", talk[0], talk[1], both)
	}
}

func TestConfigMistakes(t *testing.T) {
	bad := DefaultAccount(1)
	bad.Devices[0].Extension = "1"
	twice := DefaultAccount(1)
	twice.Extensions = append(twice.Extensions, twice.Extensions[0])
	member := DefaultAccount(1)
	member.Groups[0].Members[0].Extension = "1"
	for want, cfg := range map[string]Config{
		"UDP, TCP and TLS are all off":       {UDP: Off, TCP: Off, TLS: Off},
		"REST:":                              {REST: "nowhere"},
		"Host is needed":                     {REST: "0.0.0.0:0"},
		`Form: "three"`:                      {Form: "three"},
		`LegacyBody: "x"`:                    {Switches: Switches{LegacyBody: "x"}},
		`device 802636634016: extension "1"`: {Account: bad},
		`extension "62226587016" (101)`:      {Account: twice},
		`group 8121017: member "1": unknown`: {Account: member},
	} {
		s, err := New(cfg)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if s != nil {
			_ = s.Close()
		}
	}
}

func TestNewWithoutRunCanBeClosedTwice(t *testing.T) {
	s, err := New(Config{TLS: Off})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNothingStartsAfterTheEnd(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	close(s.stopped)
	defer s.Close()
	if _, err := s.StartCall(CallSpec{For: time.Hour}); !errors.Is(err, ErrStopped) {
		t.Errorf("StartCall: %v, want ErrStopped", err)
	}
	for _, spec := range []CallSpec{{Agent: "999"}, {Form: "x"}} {
		if _, err := s.StartCall(spec); err == nil {
			t.Errorf("StartCall(%+v): no error", spec)
		}
	}
}
