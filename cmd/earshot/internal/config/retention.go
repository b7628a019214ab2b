package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/recorder"
)

// defaultPruneAt is when what is past its time is erased, from midnight.
const defaultPruneAt = 3 * time.Hour

// PruneAt gives the time of the day at which is pruned; false: never.
func (r Retention) PruneAt() (at time.Duration, daily bool, err error) {
	switch r.Prune {
	case "true":
		return defaultPruneAt, true, nil
	case "false", "":
		return 0, false, nil
	}
	at, ok := clock(r.Prune)
	if !ok || at >= 24*time.Hour {
		return 0, false, fmt.Errorf("%s: want true, false or a time of the day such as 03:00", r.Prune)
	}
	return at, true, nil
}

// Policy gives what the recorder takes; check has refused what can't be read.
func (r Retention) Policy() recorder.Retention {
	var out recorder.Retention
	out.Default, _ = recorder.ParsePeriod(r.Default)
	for _, c := range r.Classes {
		keep, _ := recorder.ParsePeriod(c.Keep)
		out.Classes = append(out.Classes, recorder.Class{Name: c.Name, Keep: keep, Agents: c.Agents, Queues: c.Queues, Numbers: c.Numbers, Directions: c.Directions})
	}
	return out
}

func (l *Loaded) checkRetention(fail func(string, string, ...any)) {
	r := &l.Config.Record.Retention
	if _, err := recorder.ParsePeriod(r.Default); err != nil {
		fail("record.retention.default", "%v", err)
	}
	if _, _, err := r.PruneAt(); err != nil {
		fail("record.retention.prune", "%v", err)
	}
	names := []string{recorder.DefaultClass}
	for i, c := range r.Classes {
		key := fmt.Sprintf("record.retention.classes[%d].", i)
		switch {
		case c.Name == "":
			fail(key+"name", "missing: want a name of the class's own")
		case slices.Contains(names, c.Name):
			fail(key+"name", "%s: named twice (%s is what no class fits): want a name of its own", c.Name, recorder.DefaultClass)
		}
		names = append(names, c.Name)
		if _, err := recorder.ParsePeriod(c.Keep); err != nil {
			fail(key+"keep", "%v", err)
		}
		for _, n := range c.Numbers {
			if !strings.HasPrefix(n, "+") || strings.Trim(n[1:], "0123456789") != "" || len(n) < 2 {
				fail(key+"numbers", "%s: want the beginning of a number in international form, such as +44", n)
			}
		}
	}
}
