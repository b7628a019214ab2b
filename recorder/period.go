package recorder

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Period is how long something is kept, in steps of the calendar: a year later is the same day of the next year. The zero Period is for ever.
type Period struct{ Years, Days int }

const (
	maxPeriodYears = 200
	maxPeriodDays  = maxPeriodYears * 366
)

// ParsePeriod reads 90d, 12w, 5y, or several such as 1y6w; empty is for ever. Months are not among the units: an m could be minutes.
func ParsePeriod(text string) (p Period, err error) {
	for rest := strings.TrimSpace(text); rest != ""; {
		n := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if n < 1 {
			return Period{}, badPeriod(text)
		}
		v, err := strconv.Atoi(rest[:n])
		if err != nil || v > maxPeriodDays {
			return Period{}, badPeriod(text)
		}
		switch rest[n] {
		case 'd':
			p.Days += v
		case 'w':
			p.Days += 7 * v
		case 'y':
			p.Years += v
		default:
			return Period{}, badPeriod(text)
		}
		rest = rest[n+1:]
	}
	if p == (Period{}) && strings.TrimSpace(text) != "" || p.Years > maxPeriodYears || p.Days > maxPeriodDays {
		return Period{}, badPeriod(text)
	}
	return p, nil
}

func badPeriod(text string) error {
	return fmt.Errorf("%s: want days, weeks or years such as 90d, 12w or 5y, from 1d to %dy; empty is for ever", text, maxPeriodYears)
}

// From gives when a period that began at t is over; zero: never.
func (p Period) From(t time.Time) time.Time {
	if p == (Period{}) {
		return time.Time{}
	}
	return t.AddDate(p.Years, 0, p.Days)
}

// String gives the period as ParsePeriod reads it.
func (p Period) String() string {
	s := ""
	if p.Years > 0 {
		s = strconv.Itoa(p.Years) + "y"
	}
	if p.Days > 0 {
		s += strconv.Itoa(p.Days) + "d"
	}
	return s
}
