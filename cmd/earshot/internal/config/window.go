package config

import (
	"fmt"
	"strings"
	"time"
)

// Window is a time of the week, of supervise.schedule.
type Window struct {
	Days     []time.Weekday // empty: all
	From, To time.Duration  // from midnight
}

var weekdays = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseWindow reads "Mon-Fri 08:00-18:00", "Sat 09:00-12:00" or "22:00-06:00". A range of days may go over the week's end.
func ParseWindow(s string) (Window, error) {
	bad := fmt.Errorf("%s: want a time such as Mon-Fri 08:00-18:00", s)
	f := strings.Fields(s)
	var w Window
	switch len(f) {
	case 1:
	case 2:
		first, last, isRange := strings.Cut(f[0], "-")
		a, okA := weekday(first)
		b, okB := a, okA
		if isRange {
			b, okB = weekday(last)
		}
		if !okA || !okB {
			return w, bad
		}
		for d := a; ; d = (d + 1) % 7 {
			w.Days = append(w.Days, d)
			if d == b {
				break
			}
		}
	default:
		return w, bad
	}
	from, to, ok := strings.Cut(f[len(f)-1], "-")
	var okF, okT bool
	w.From, okF = clock(from)
	w.To, okT = clock(to)
	if !ok || !okF || !okT || w.From == w.To {
		return w, bad
	}
	return w, nil
}

func weekday(s string) (time.Weekday, bool) {
	for i, name := range weekdays {
		if strings.EqualFold(name, s) {
			return time.Weekday(i), true
		}
	}
	return 0, false
}

func clock(s string) (time.Duration, bool) {
	if s == "24:00" {
		return 24 * time.Hour, true
	}
	t, err := time.Parse("15:04", s)
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, err == nil
}
