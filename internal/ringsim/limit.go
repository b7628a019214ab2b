package ringsim

import "time"

// Limits are the request rates per user and application. The zero value means RingCentral's documented numbers.
type Limits struct {
	Off                        bool
	Auth, Heavy, Medium, Light int           // requests per Window; default 5, 10, 40, 50
	Window                     time.Duration // default 60 s, sliding
	Penalty                    time.Duration // default 60 s, begun again by each request
}

// Unlimited switches rate limiting off.
var Unlimited = Limits{Off: true}

func (l *Limits) check() {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&l.Auth, 5)
	def(&l.Heavy, 10)
	def(&l.Medium, 40)
	def(&l.Light, 50)
	if l.Window == 0 {
		l.Window = time.Minute
	}
	if l.Penalty == 0 {
		l.Penalty = time.Minute
	}
}

// rateGroup names a purse of requests.
type rateGroup string

const (
	groupNone   rateGroup = ""
	groupAuth   rateGroup = "auth"
	groupHeavy  rateGroup = "heavy"
	groupMedium rateGroup = "medium"
	groupLight  rateGroup = "light"
)

func (l *Limits) of(g rateGroup) int {
	switch g {
	case groupAuth:
		return l.Auth
	case groupHeavy:
		return l.Heavy
	case groupMedium:
		return l.Medium
	case groupLight:
		return l.Light
	case groupNone:
	}
	return 0
}

// purse counts one user's requests of one group with one application. Its methods take the time, and read no clock.
type purse struct {
	spent   []time.Time // within the window, oldest first; never longer than the limit
	blocked time.Time   // penalty ends
}

// spend takes one request: how many remain, or how long to wait. Each request during the penalty starts it again.
func (p *purse) spend(l *Limits, limit int, now time.Time) (remaining int, wait time.Duration) {
	if now.Before(p.blocked) {
		p.blocked = now.Add(l.Penalty)
		return 0, l.Penalty
	}
	keep := p.spent[:0]
	for _, t := range p.spent {
		if now.Sub(t) < l.Window {
			keep = append(keep, t)
		}
	}
	p.spent = keep
	if len(p.spent) >= limit {
		p.blocked = now.Add(l.Penalty)
		return 0, l.Penalty
	}
	p.spent = append(p.spent, now)
	return limit - len(p.spent), 0
}
