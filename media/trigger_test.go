package media

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// keys are whole telephone-events of one packet each, the first at a time, each so long after the one before.
func keys(at, each time.Duration, seq uint16, dialled string) (in []letter) {
	for i, d := range dialled {
		code := byte(strings.IndexRune(digitNames, d)) //nolint:gosec // below 16
		at := at + time.Duration(i)*each
		in = append(in, key(at, seq+uint16(i), uint32(samplesIn(at)), code, true, 400)) //nolint:gosec // few
	}
	return in
}

// presses is who is told of triggers.
type presses struct{ got []string }

func (p *presses) Dialled(id string, on bool, _ time.Duration) {
	p.got = append(p.got, fmt.Sprintf("%s %v", id, on))
}

// dialling is a rig whose track is an agent's.
func dialling(t *testing.T, on, off string) (*rig, *presses) {
	p := &presses{}
	r := newRig(t, Config{Triggers: Triggers{On: on, Off: off, To: p}}).commit(plainParams()).send(stream(testSSRC, 100, 0, 100*ms, 5)...)
	r.line.SetParty(r.track.ID(), call.Party{Role: call.RoleAgent})
	return r.until(300 * ms), p
}

func (p *tape) dialled() string {
	var s strings.Builder
	for _, e := range p.typed(call.EventDTMF) {
		s.WriteString(e.Facts["digit"].(string))
	}
	return s.String()
}

func TestAgentsKeysMaskAndAreToldToNobody(t *testing.T) {
	for _, c := range []struct {
		name, keys string
		each       time.Duration
		told       string // until 8 s after
		on         int    // triggers that were told
		off        int
	}{
		{"the trigger alone", "*1", 300 * ms, "", 1, 0},
		{"what comes before it stays", "57*1", 300 * ms, "57", 1, 0},
		{"card and end", "*14111*2", 300 * ms, "", 1, 1},
		{"a key more before it", "**1", 300 * ms, "*", 1, 0},
		{"too slow", "*1", 3 * time.Second, "*1", 0, 0},
		{"half of it", "*", 300 * ms, "*", 0, 0},
		{"the end without a beginning", "*2", 300 * ms, "", 0, 1},
		{"other keys", "1*3", 300 * ms, "1*3", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, p := dialling(t, "*1", "*2")
			r.send(keys(500*ms, c.each, 105, c.keys)...).until(12 * time.Second).close()
			if got := r.tape.dialled(); got != c.told {
				t.Errorf("told: got %q, want %q", got, c.told)
			}
			if on, off := strings.Count(join(p.got), "true"), strings.Count(join(p.got), "false"); on != c.on || off != c.off {
				t.Errorf("triggers: got %q, want %d and %d", p.got, c.on, c.off)
			}
			if masks := r.tape.typed(call.EventMaskOn); len(masks) != c.on {
				t.Errorf("masks: got %v, want %d", masks, c.on)
			}
			if strings.Contains(fmt.Sprint(r.tape.events), "4111") || strings.Contains(fmt.Sprint(r.tape.events), "*1") {
				t.Errorf("events hold what was dialled: %v", r.tape.events)
			}
		})
	}
}

// TestAKeyThatMayBeginATriggerWaitsForTheNext: three keys take longer than the archive window.
func TestAKeyThatMayBeginATriggerWaitsForTheNext(t *testing.T) {
	for keyed, want := range map[string]string{"*11": "", "*12": "*12"} {
		r, p := dialling(t, "*11", "")
		r.send(keys(500*ms, 1700*ms, 105, keyed)...).until(12 * time.Second).close()
		if got := r.tape.dialled(); got != want || (len(p.got) == 1) != (want == "") {
			t.Errorf("%s: told %q, triggers %q; want %q", keyed, got, p.got, want)
		}
	}
}

func join(s []string) string { return strings.Join(s, ",") }

func TestOnlyAnAgentsKeysAreATrigger(t *testing.T) {
	r, p := dialling(t, "*1", "*2")
	r.line.SetParty(r.track.ID(), call.Party{Role: call.RoleCustomer})
	r.send(keys(500*ms, 300*ms, 105, "*1")...).until(6 * time.Second).close()
	if r.tape.dialled() != "*1" || len(p.got) != 0 {
		t.Errorf("told %q, triggers %q: want a customer's keys told, and no trigger", r.tape.dialled(), p.got)
	}
}

// TestDigitsDialledBeforeAMaskThatReachesBackAreNotTold: the number was dialled while the agent reached for the mask.
func TestDigitsDialledBeforeAMaskThatReachesBackAreNotTold(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(stream(testSSRC, 100, 0, 100*ms, 5)...)
	r.send(keys(500*ms, 200*ms, 105, "4111")...).until(1500 * ms)
	r.line.Post(call.Event{Type: call.EventDTMF, Facts: map[string]any{"digit": "9", "by": "info"}})
	r.until(1600 * ms)
	r.line.Hold(HolderPCI, 650*ms, "")
	r.until(5 * time.Second)
	r.line.Release(HolderPCI)
	r.until(5100 * ms)
	r.send(keys(5200*ms, 200*ms, 109, "7")...).until(9 * time.Second).close()
	if got := r.tape.dialled(); got != "47" {
		t.Errorf("told: got %q, want what was dialled before the mask and after it, 47", got)
	}
}

func TestADigitIsToldOnceNoMaskCanReachIt(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(stream(testSSRC, 100, 0, 100*ms, 5)...)
	r.send(keys(500*ms, 200*ms, 105, "5")...).until(2480 * ms)
	if got := r.tape.dialled(); got != "" {
		t.Errorf("told %q within the archive window", got)
	}
	if r.until(2600 * ms); r.tape.dialled() != "5" {
		t.Error("not told after it")
	}
	r.close()
}

func TestADialledNumberOfAnyLengthIsBounded(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(stream(testSSRC, 100, 0, 100*ms, 5)...)
	r.send(keys(300*ms, 10*ms, 105, strings.Repeat("12", maxWithheld))...).until(5 * time.Second).close()
	if got := r.tape.dialled(); len(got) != maxWithheld {
		t.Errorf("told: %d digits, want the newest %d", len(got), maxWithheld)
	}
	n := 0
	for _, e := range r.tape.typed(call.EventDropped) {
		n += int(e.Facts["events"].(int64))
	}
	if n != maxWithheld {
		t.Errorf("events dropped: got %d, want %d", n, maxWithheld)
	}
}

func TestTriggersThatCannotBeToldApartAreRefused(t *testing.T) {
	for _, c := range []Triggers{{On: "*"}, {On: "*1", Off: "*1"}, {On: "*12", Off: "12"}, {Off: "*a"}, {On: "123456789"}, {On: "* 1"}} {
		if _, err := New(Config{Triggers: c}); err == nil || !strings.Contains(err.Error(), "trigger") {
			t.Errorf("%+v: got %v", c, err)
		}
	}
	if _, err := New(Config{Triggers: Triggers{On: "*1", Off: "*2"}}); err != nil {
		t.Error(err)
	}
}
