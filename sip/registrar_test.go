package sip

import (
	"math"
	"testing"
	"time"
)

// Events as a script needs them.
func answer(code int, f ...func(*regEvent)) regEvent {
	ev := regEvent{kind: regAnswer, judged: true, answer: regResponse{code: code, granted: time.Hour}}
	for _, g := range f {
		g(&ev)
	}
	return ev
}

func refused() func(*regEvent) { return func(e *regEvent) { e.answer.digest = digestSame } }
func retry(n int) func(*regEvent) {
	return func(e *regEvent) { e.answer.retryAfter = time.Duration(n) * time.Second }
}

func grant(d time.Duration) func(*regEvent) { return func(e *regEvent) { e.answer.granted = d } }

// line is one step of a script: an event after a time, and what must come of it. wait < 0: not looked at.
type line struct {
	name   string
	after  time.Duration
	ev     regEvent
	do     regDo
	status regStatus
	wait   time.Duration
	closes bool
}

// What the scripts share: each starts with begin.
var (
	up     = regEvent{kind: regFlowUp}
	wake   = regEvent{kind: regWake}
	down   = regEvent{kind: regFlowDown, others: true}
	noFlow = regEvent{kind: regNoFlow}
	calm   = regEvent{kind: regWake, judged: true, away: true, idle: true}
	stayed = regEvent{kind: regStayed, judged: true, away: true}
	auth   = func(e *regEvent) { e.answer.digest = digestAnswered }
	away   = func(e *regEvent) { e.away = true }
	stale  = func(e *regEvent) { e.answer.stale = true }

	redirect = func(e *regEvent) { e.answer.redirect = true }

	begin = []line{
		{ev: regEvent{kind: regStart}, do: doDial, status: regRegistering, wait: -1},
		{ev: up, do: doRegister, status: regRegistering, wait: -1},
	}
	ok = line{ev: answer(200), do: doWait, status: regRegistered, wait: 510 * time.Second}
)

type script struct {
	ring  bool
	rnd   float64
	lines []line
}

var scripts = map[string]script{
	"a probe out of turn": {lines: []line{ok, {after: 10 * time.Second, ev: regEvent{kind: regProbe, judged: true}, do: doRegister, status: regRegistered, wait: -1}}},
	"a probe without a flow waits": {lines: []line{{ev: regEvent{kind: regNoFlow, others: true}, do: doWait, status: regBackoff, wait: -1, closes: true},
		{after: time.Millisecond, ev: regEvent{kind: regProbe}, do: doWait, status: regBackoff, wait: -1}}},
	"refresh at 85 percent":         {lines: []line{ok, {after: 510 * time.Second, ev: regEvent{kind: regWake, judged: true}, do: doRegister, status: regRegistered, wait: -1}}},
	"refresh at 90 percent at most": {rnd: 0.999999, lines: []line{{ev: answer(200), do: doWait, status: regRegistered, wait: 539999 * time.Millisecond}}},
	"a day is believed for 10 min":  {lines: []line{{ev: answer(200, grant(24*time.Hour)), do: doWait, status: regRegistered, wait: 510 * time.Second}}},
	"30 s before the end":           {lines: []line{{ev: answer(200, grant(100*time.Second)), do: doWait, status: regRegistered, wait: 70 * time.Second}}},
	"short expiry":                  {lines: []line{{ev: answer(200, grant(40*time.Second)), do: doWait, status: regRegistered, wait: 34 * time.Second}}},
	"tiny expiry":                   {lines: []line{{ev: answer(200, grant(2*time.Second)), do: doWait, status: regRegistered, wait: time.Second}}},
	"foreign contact only":          {lines: []line{{ev: answer(200, func(e *regEvent) { e.answer.foreign = true }), do: doWait, status: regRegistered, wait: 30 * time.Second}}},
	"flow without pongs is judged by REGISTER": {lines: []line{
		{ev: answer(200, func(e *regEvent) { e.judged = false }), do: doWait, status: regRegistered, wait: 30 * time.Second},
		{after: 30 * time.Second, ev: wake, do: doRegister, status: regRegistered, wait: -1},
		{ev: answer(200, func(e *regEvent) { e.judged = false }), do: doWait, status: regRegistered, wait: 30 * time.Second},
		{after: 30 * time.Second, ev: regEvent{kind: regWake, judged: true}, do: doWait, status: regRegistered, wait: 480 * time.Second},
	}},
	"challenge": {lines: []line{
		{ev: answer(401, auth), do: doRegister, status: regRegistering, wait: -1}, ok,
		{after: 510 * time.Second, ev: regEvent{kind: regWake, judged: true}, do: doRegister, status: regRegistered, wait: -1},
		{ev: answer(407, auth), do: doRegister, status: regRegistered, wait: -1}, ok,
	}},
	"wrong password is slow": {lines: []line{
		{ev: answer(401, auth), do: doRegister, status: regRegistering, wait: -1},
		{ev: answer(401, refused()), do: doWait, status: regRejected, wait: 5 * time.Minute, closes: true},
		{after: 5 * time.Minute, ev: wake, do: doDial, status: regRegistering, wait: -1},
		{ev: up, do: doRegister, status: regRegistering, wait: -1},
		{ev: answer(401, refused()), do: doWait, status: regRejected, wait: 10 * time.Minute, closes: true},
	}},
	"challenges for ever": {lines: []line{
		{ev: answer(401, auth), do: doRegister, status: regRegistering, wait: -1},
		{ev: answer(401, auth), do: doRegister, status: regRegistering, wait: -1},
		{ev: answer(401, auth), do: doWait, status: regRejected, wait: 5 * time.Minute, closes: true},
	}},
	"ringcentral: three refused digests are a no": {ring: true, lines: []line{
		{ev: answer(401, refused()), do: doWait, status: regBackoff, wait: 0, closes: true},
		{ev: wake, do: doDial, status: regRegistering, wait: -1}, begin[1],
		{ev: answer(401, refused()), do: doWait, status: regBackoff, wait: time.Second, closes: true},
		{ev: wake, do: doDial, status: regRegistering, wait: -1}, begin[1],
		{ev: answer(401, refused()), do: doWait, status: regRejected, wait: 5 * time.Minute, closes: true},
	}},
	"423 is obeyed once": {lines: []line{
		{ev: answer(423, func(e *regEvent) { e.answer.minExpires = 2 * time.Hour }), do: doRegister, status: regRegistering, wait: -1},
		{ev: answer(423, func(e *regEvent) { e.answer.minExpires = 3 * time.Hour }), do: doWait, status: regBackoff, wait: time.Second, closes: true},
	}},
	"423 beyond a day is not":   {lines: []line{{ev: answer(423, func(e *regEvent) { e.answer.minExpires = 25 * time.Hour }), do: doWait, status: regBackoff, wait: time.Second, closes: true}}},
	"403 doubles to an hour":    {lines: append(repeat(6, up, answer(403), 5, 10, 20, 40, 60, 60), line{ev: regEvent{kind: regStop}, do: doEnd, status: regUnregistered, wait: -1, closes: true})},
	"404":                       {lines: []line{{ev: answer(404), do: doWait, status: regRejected, wait: 5 * time.Minute, closes: true}}},
	"ringcentral: 404 is short": {ring: true, lines: []line{{ev: answer(404), do: doWait, status: regBackoff, wait: 0, closes: true}}},
	"ringcentral: 603":          {ring: true, lines: repeat(5, up, answer(603), 1, 2, 4, 8, 10)},
	"ringcentral: intercepted": {ring: true, lines: []line{
		{ev: answer(403, func(e *regEvent) { e.answer.intercepts = true }), do: doWait, status: regRejected, wait: time.Minute, closes: true}}},
	"503 waits for Retry-After":          {lines: []line{{ev: answer(503, retry(120)), do: doWait, status: regBackoff, wait: 120 * time.Second, closes: true}}},
	"503 and another proxy":              {lines: []line{{ev: answer(503, retry(120), func(e *regEvent) { e.others = true }), do: doWait, status: regBackoff, wait: time.Second, closes: true}}},
	"Retry-After is capped":              {lines: []line{{ev: answer(503, retry(86400)), do: doWait, status: regBackoff, wait: 30 * time.Minute, closes: true}}},
	"ringcentral: Retry-After is capped": {ring: true, lines: []line{{ev: answer(503, retry(86400)), do: doWait, status: regBackoff, wait: time.Minute, closes: true}}},
	"ringcentral: steps": {ring: true, rnd: 0.5, lines: []line{
		{ev: noFlow, do: doWait, status: regBackoff, wait: 250 * time.Millisecond, closes: true},
		{ev: noFlow, do: doWait, status: regBackoff, wait: 1100 * time.Millisecond, closes: true},
		{ev: noFlow, do: doWait, status: regBackoff, wait: 2200 * time.Millisecond, closes: true},
		{ev: noFlow, do: doWait, status: regBackoff, wait: 4400 * time.Millisecond, closes: true},
		{ev: noFlow, do: doWait, status: regBackoff, wait: 5500 * time.Millisecond, closes: true},
		{ev: noFlow, do: doWait, status: regBackoff, wait: 5500 * time.Millisecond, closes: true},
	}},
	"others: an unwell registrar is asked after 2 s, doubling to 60 s": {rnd: 0.999999, lines: failing(answer(500),
		2*time.Second, 4*time.Second, 8*time.Second, 16*time.Second, 32*time.Second, time.Minute, time.Minute)},
	"others: while nobody answers every 4 s, after 5 minutes every minute": {rnd: 0.999999, lines: append(
		failing(noFlow, 2*time.Second, 4*time.Second, 4*time.Second, 4*time.Second, 4*time.Second),
		line{after: 5 * time.Minute, ev: noFlow, do: doWait, status: regBackoff, wait: time.Minute, closes: true})},
	"others: an answer ends an outage": {rnd: 0.999999, lines: append(
		failing(noFlow, 2*time.Second, 4*time.Second, 4*time.Second),
		line{after: 5 * time.Minute, ev: answer(500), do: doWait, status: regBackoff, wait: 16 * time.Second, closes: true},
		line{ev: wake, do: doDial, status: regRegistering, wait: -1},
		line{ev: noFlow, do: doWait, status: regBackoff, wait: 4 * time.Second, closes: true})},
	"waiting for an answer is waiting": {rnd: 0.5, lines: []line{
		{ev: noFlow, do: doWait, status: regBackoff, wait: 1500 * time.Millisecond, closes: true},
		{ev: wake, do: doDial, status: regRegistering, wait: -1},
		{after: 5 * time.Second, ev: regEvent{kind: regNoFlow, spent: 5 * time.Second}, do: doWait, status: regBackoff, wait: 250 * time.Millisecond, closes: true},
		{ev: wake, do: doDial, status: regRegistering, wait: -1},
		{after: time.Second, ev: regEvent{kind: regNoFlow, spent: time.Second}, do: doWait, status: regBackoff, wait: 2 * time.Second, closes: true},
	}},
	"a 3xx is followed once": {lines: []line{
		{ev: answer(302, redirect), do: doDial, status: regRegistering, wait: -1, closes: true}, begin[1],
		{ev: answer(305, redirect), do: doWait, status: regBackoff, wait: time.Second, closes: true},
		{after: time.Second, ev: wake, do: doDial, status: regRegistering, wait: -1}, begin[1],
		{ev: answer(301, redirect), do: doDial, status: regRegistering, wait: -1, closes: true}, begin[1], ok,
	}},
	"a 3xx to a stranger is a failure": {lines: []line{{ev: answer(302), do: doWait, status: regBackoff, wait: time.Second, closes: true}}},
	"a contested binding is renewed each minute": {lines: []line{
		{ev: answer(200, func(e *regEvent) { e.answer.contested = true }), do: doWait, status: regRegistered, wait: time.Minute},
		{after: time.Minute, ev: regEvent{kind: regWake, judged: true}, do: doRegister, status: regRegistered, wait: -1}, ok,
	}},
	"old Contacts of ours are removed once a REGISTER": {lines: []line{
		{ev: answer(200, stale), do: doSweep, status: regRegistered, wait: -1},
		{ev: answer(200, stale), do: doWait, status: regRegistered, wait: 510 * time.Second},
		{after: 510 * time.Second, ev: regEvent{kind: regWake, judged: true}, do: doRegister, status: regRegistered, wait: -1},
		{ev: answer(200, stale), do: doSweep, status: regRegistered, wait: -1},
		{name: "a nonce for one request", ev: answer(401, auth), do: doSweep, status: regRegistered, wait: -1}, ok,
	}},
	"away: home after a minute, then after two": {lines: []line{
		{ev: answer(200, away), do: doWait, status: regRegistered, wait: time.Minute},
		{after: time.Minute, ev: calm, do: doHome, status: regRegistered, wait: -1},
		{ev: stayed, do: doWait, status: regRegistered, wait: 2 * time.Minute},
		{after: 2 * time.Minute, ev: calm, do: doHome, status: regRegistered, wait: -1},
		ok,
	}},
	"away: not while a call is up": {lines: []line{
		{ev: answer(200, away), do: doWait, status: regRegistered, wait: time.Minute},
		{after: time.Minute, ev: regEvent{kind: regWake, judged: true, away: true}, do: doWait, status: regRegistered, wait: time.Minute},
		{after: time.Minute, ev: calm, do: doHome, status: regRegistered, wait: -1},
	}},
	"away: a flow without pongs is judged all the same": {lines: []line{
		{ev: answer(200, away, func(e *regEvent) { e.judged = false }), do: doWait, status: regRegistered, wait: 30 * time.Second},
		{after: 30 * time.Second, ev: regEvent{kind: regWake, away: true, idle: true}, do: doRegister, status: regRegistered, wait: -1},
		{ev: answer(200, away, func(e *regEvent) { e.judged = false }), do: doWait, status: regRegistered, wait: 30 * time.Second},
		{after: 30 * time.Second, ev: regEvent{kind: regWake, away: true, idle: true}, do: doHome, status: regRegistered, wait: -1},
		{ev: regEvent{kind: regStayed, away: true}, do: doWait, status: regRegistered, wait: 0},
		{ev: regEvent{kind: regWake, away: true, idle: true}, do: doRegister, status: regRegistered, wait: -1},
	}},
	"a healthy flow is replaced at once": {rnd: 0.5, lines: []line{
		{ev: answer(200), do: doWait, status: regRegistered, wait: -1},
		{after: time.Minute, ev: down, do: doWait, status: regBackoff, wait: time.Second, closes: true},
		{after: time.Second, ev: wake, do: doDial, status: regRegistering, wait: -1},
	}},
	"ringcentral: a flapping flow goes on in its steps": {ring: true, lines: []line{
		{ev: noFlow, do: doWait, status: regBackoff, wait: 0, closes: true},
		{ev: wake, do: doDial, status: regRegistering, wait: -1}, begin[1],
		{ev: answer(200), do: doWait, status: regRegistered, wait: -1},
		{after: 59 * time.Second, ev: down, do: doWait, status: regBackoff, wait: time.Second, closes: true},
		{ev: wake, do: doDial, status: regRegistering, wait: -1}, begin[1],
		{ev: answer(200), do: doWait, status: regRegistered, wait: -1},
		{after: 60 * time.Second, ev: down, do: doWait, status: regBackoff, wait: 0, closes: true},
	}},
	"a refused refresh keeps the flow while the binding holds": {ring: true, lines: []line{
		{ev: answer(200, grant(100*time.Second)), do: doWait, status: regRegistered, wait: -1},
		{after: 70 * time.Second, ev: regEvent{kind: regWake, judged: true}, do: doRegister, status: regRegistered, wait: -1},
		{ev: answer(500), do: doWait, status: regDegraded, wait: 0},
		{ev: wake, do: doRegister, status: regDegraded, wait: -1},
		{after: 31 * time.Second, ev: answer(500), do: doWait, status: regBackoff, wait: time.Second, closes: true},
	}},
	"an unanswered refresh is a dead flow": {ring: true, lines: []line{
		{ev: answer(200), do: doWait, status: regRegistered, wait: -1},
		{after: 510 * time.Second, ev: regEvent{kind: regWake, judged: true}, do: doRegister, status: regRegistered, wait: -1},
		{after: 8 * time.Second, ev: regEvent{kind: regTimeout}, do: doWait, status: regBackoff, wait: 0, closes: true},
	}},
	"a 403 to a refresh keeps the flow of the calls": {lines: []line{
		{ev: answer(200), do: doWait, status: regRegistered, wait: -1},
		{ev: answer(403), do: doWait, status: regRejected, wait: 5 * time.Minute},
		{after: time.Minute, ev: down, do: doWait, status: regRejected, wait: 4 * time.Minute},
		{after: 4 * time.Minute, ev: wake, do: doDial, status: regRegistering, wait: -1},
	}},
	"the outer address is registered once more": {lines: []line{
		{ev: answer(200, func(e *regEvent) { e.answer.moved = true }), do: doRegister, status: regRegistered, wait: -1},
		{ev: answer(200, func(e *regEvent) { e.answer.moved = true }), do: doWait, status: regRegistered, wait: 510 * time.Second},
	}},
	"stop un-registers": {lines: []line{
		{ev: answer(200), do: doWait, status: regRegistered, wait: -1},
		{ev: regEvent{kind: regStop}, do: doUnregister, status: regUnregistering, wait: -1},
		{ev: answer(401, auth), do: doUnregister, status: regUnregistering, wait: -1},
		{ev: answer(200), do: doEnd, status: regUnregistered, wait: -1, closes: true},
	}},
	"released: no REGISTER, none at the end": {ring: true, lines: []line{
		{ev: answer(200), do: doWait, status: regRegistered, wait: -1},
		{ev: regEvent{kind: regRelease}, do: doWait, status: regReleased, wait: parkedFor},
		{after: parkedFor, ev: wake, do: doWait, status: regReleased, wait: parkedFor},
		{ev: regEvent{kind: regStop}, do: doEnd, status: regUnregistered, wait: -1, closes: true},
	}},
	"released: a dead flow is made anew, without a REGISTER": {ring: true, lines: []line{
		{ev: answer(200), do: doWait, status: regRegistered, wait: -1},
		{ev: regEvent{kind: regRelease}, do: doWait, status: regReleased, wait: parkedFor},
		{after: time.Minute, ev: down, do: doWait, status: regBackoff, wait: 0, closes: true},
		{ev: wake, do: doDial, status: regRegistering, wait: -1},
		{ev: up, do: doWait, status: regReleased, wait: parkedFor},
		{ev: regEvent{kind: regResume}, do: doRegister, status: regRegistering, wait: -1}, ok,
	}},
	"released while it waits for the registrar": {lines: []line{
		{ev: answer(503, retry(120)), do: doWait, status: regBackoff, wait: 120 * time.Second, closes: true},
		{ev: regEvent{kind: regRelease}, do: doWait, status: regBackoff, wait: 120 * time.Second},
		{ev: regEvent{kind: regResume}, do: doDial, status: regRegistering, wait: -1}, begin[1], ok,
	}},
	"resume without a release changes nothing": {lines: []line{
		ok, {after: time.Minute, ev: regEvent{kind: regResume}, do: doWait, status: regRegistered, wait: 450 * time.Second},
	}},
	"stop without a binding": {lines: []line{{ev: regEvent{kind: regStop}, do: doEnd, status: regUnregistered, wait: -1, closes: true}}},
	"stop, and nobody answers": {lines: []line{
		{ev: answer(200), do: doWait, status: regRegistered, wait: -1},
		{ev: regEvent{kind: regStop}, do: doUnregister, status: regUnregistering, wait: -1},
		{ev: regEvent{kind: regTimeout}, do: doEnd, status: regUnregistered, wait: -1, closes: true},
	}},
}

func TestRegistrarScripts(t *testing.T) {
	for name, c := range scripts {
		t.Run(name, func(t *testing.T) {
			r := newRegistrar(c.ring, tuning{}.orDefault())
			now := time.Unix(1e9, 0)
			for i, l := range append(append([]line{}, begin...), c.lines...) {
				now = now.Add(l.after)
				l.ev.now, l.ev.rnd = now, c.rnd
				act := r.step(l.ev)
				if act.do != l.do || r.status != l.status || act.closeFlow != l.closes {
					t.Fatalf("line %d: got do %d, status %s, close %v; want %d, %s, %v", i, act.do, r.status, act.closeFlow, l.do, l.status, l.closes)
				}
				if l.wait >= 0 {
					if got := act.wake.Sub(now); math.Abs(float64(got-l.wait)) > float64(2*time.Millisecond) {
						t.Fatalf("line %d: got wait %v, want %v", i, got, l.wait)
					}
				}
			}
		})
	}
}

// failing is the same failure again and again, each after a new flow.
func failing(ev regEvent, waits ...time.Duration) []line {
	var out []line
	for _, w := range waits {
		out = append(out, line{ev: ev, do: doWait, status: regBackoff, wait: w, closes: true}, line{ev: wake, do: doDial, status: regRegistering, wait: -1})
	}
	return out[:len(out)-1]
}

// repeat is the same refusal again and again, with waits in minutes.
func repeat(n int, up, ev regEvent, minutes ...int) []line {
	var out []line
	for i := range n {
		wait := time.Duration(minutes[i]) * time.Minute
		out = append(out, line{ev: ev, do: doWait, status: regRejected, wait: wait, closes: true})
		out = append(out,
			line{after: wait, ev: regEvent{kind: regWake}, do: doDial, status: regRegistering, wait: -1},
			line{ev: up, do: doRegister, status: regRegistering, wait: -1})
	}
	return out
}

func TestStrongestKnownChallengeWins(t *testing.T) {
	for name, c := range map[string]struct {
		in   []string
		want string // nonce
	}{
		"rfc 2069":        {[]string{`Digest realm="r", nonce="a"`}, "a"},
		"strongest":       {[]string{`Digest realm="r", nonce="a", algorithm=MD5, qop="auth"`, `Digest realm="r", nonce="b", algorithm=sha-256, qop="auth"`}, "b"},
		"in one line":     {[]string{`Digest realm="a, Digest b", nonce="a", Digest realm="r", nonce="b", algorithm=SHA-512-256`}, "b"},
		"unknown first":   {[]string{`Digest realm="r", nonce="a", algorithm=AKAv1-MD5`, `Digest realm="r", nonce="b"`}, "b"},
		"auth-int, auth":  {[]string{`Digest realm="r", nonce="a", qop="auth-int, auth"`}, "a"},
		"auth-int alone":  {[]string{`Digest realm="r", nonce="a", qop="auth-int"`}, ""},
		"session digest":  {[]string{`Digest realm="r", nonce="a", algorithm=MD5-sess, qop="auth"`}, ""},
		"basic":           {[]string{`Basic realm="r"`}, ""},
		"no nonce":        {[]string{`Digest realm="r"`}, ""},
		"nothing":         {nil, ""},
		"unclosed quote":  {[]string{`Digest realm="r, nonce="a`}, ""},
		"many challenges": {[]string{`Digest realm="r", nonce="a"` + `, Digest realm="r", nonce="b"`}, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if b := strongest(c.in); b != nil {
				got = b.Nonce
			}
			if got != c.want {
				t.Errorf("got nonce %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzChallenges(f *testing.F) {
	f.Add(`Digest realm="r", nonce="a", Digest realm="r", nonce="b", algorithm=SHA-256, qop="auth"`)
	f.Add(`Digest Digest Digest`)
	f.Fuzz(func(t *testing.T, s string) {
		d := digestAuth{user: "u", password: "p"}
		if v := d.challenge([]string{s}, false); v == digestAnswered {
			name, value, err := d.authorization("REGISTER", "sip:x")
			if err == nil && (name == "" || value == "") {
				t.Errorf("answered %q with nothing", s)
			}
		}
		if n := len(splitChallenges([]string{s})); n > maxChallengeValues {
			t.Errorf("%d challenges", n)
		}
	})
}
