package media

import (
	"fmt"
	"strings"
	"time"

	"github.com/earshot/earshot/call"
)

const (
	// triggerPause is the longest time between two keys of a trigger.
	triggerPause = 2 * time.Second
	// minTrigger and maxTrigger bound a trigger's keys: one alone is pressed in any menu.
	minTrigger = 2
	maxTrigger = 8
)

// Triggers are what an agent dials to mask a call, or to end that. Only his own telephone-events count, on a track of his own: in a
// mix nobody knows who dialled. What was dialled is told to no sink. The mask begins at once, at the first of its keys; its end is for who is told.
type Triggers struct {
	On, Off string // of 0-9 * # A-D, two to eight; empty: none
	To      Dialled
}

// Dialled is told that an agent dialled a trigger: the call's id, whether it is the one that masks, and the newest key's arrival.
// Shards call it, so at once several goroutines do; it never blocks.
type Dialled interface {
	Dialled(call string, on bool, at time.Duration)
}

// Check says what is wrong with them.
func (t *Triggers) Check() error {
	for _, w := range []string{t.On, t.Off} {
		if w != "" && (len(w) < minTrigger || len(w) > maxTrigger || strings.Trim(w, digitNames) != "") {
			return fmt.Errorf("keys: got %q, want %d to %d of %s", w, minTrigger, maxTrigger, digitNames)
		}
	}
	if t.On != "" && t.Off != "" && (strings.Contains(t.On, t.Off) || strings.Contains(t.Off, t.On)) {
		return fmt.Errorf("keys %q and %q: one is a part of the other", t.On, t.Off)
	}
	return nil
}

// dialled is how far a track has come with the two triggers. It knows when keys came and no key.
type dialled struct {
	on, off int                       // keys of either that came
	times   [maxTrigger]time.Duration // when the newest keys began, the newest first
	last    time.Duration             // arrival of the newest
}

// take takes a key, that began and came at a time. It tells whether it completes a trigger, and when that trigger began.
func (d *dialled) take(t *Triggers, key string, began, at time.Duration) (on, off bool, since time.Duration) {
	if at-d.last > triggerPause {
		d.on, d.off = 0, 0
	}
	copy(d.times[1:], d.times[:])
	d.times[0], d.last = began, at
	on, off = follow(&d.on, t.On, key), follow(&d.off, t.Off, key)
	if on || off {
		word := t.Off
		if on {
			word = t.On
		}
		since = d.times[len(word)-1]
		d.on, d.off = 0, 0
	}
	return on, off, since
}

// follow goes on in a word with a key; true: it is complete. Of what does not go on, the longest end that begins the word counts.
func follow(n *int, word, key string) bool {
	if word == "" || len(key) != 1 {
		*n = 0
		return false
	}
	typed := word[:*n] + key
	for !strings.HasPrefix(word, typed) {
		typed = typed[1:]
	}
	*n = len(typed)
	return *n == len(word)
}

// pending is since when keys may be the beginning of a trigger; false: none may.
func (d *dialled) pending(now time.Duration) (time.Duration, bool) {
	n := max(d.on, d.off)
	if n == 0 || now-d.last > triggerPause {
		return 0, false
	}
	return d.times[n-1], true
}

// dial looks whether an agent has dialled a trigger.
func (k *liveTrack) dial(d *digit) {
	t := &k.shard.engine.cfg.Triggers
	if t.On == "" && t.Off == "" || k.state.Party.Role != call.RoleAgent {
		return
	}
	on, off, since := k.dialled.take(t, d.name, d.began, d.at)
	if !on && !off {
		return
	}
	k.line.withheld.forget(k.state.ID, since)
	if on {
		k.line.holdBack(HolderPCI, since, WhyDialled)
	}
	if t.To != nil {
		t.To.Dialled(k.line.info.ID, on, d.at)
	}
}

// WhyDialled is why a mask began that an agent dialled.
const WhyDialled = "dialled by the agent"
