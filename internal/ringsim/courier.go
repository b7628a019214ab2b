package ringsim

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// notice is a change that clients may want to be told.
type notice struct {
	topic     string
	extension string // id of whom it is about; empty: nobody of the account
	code      string // status of the party
	direction string
	from, to  string
	missed    bool
	uuid      string
	path      string // the "event" member
	body      json.RawMessage
}

// delivery is a notice on its way to a subscription, or a message on its way once more.
type delivery struct {
	due    time.Time
	link   *link
	sub    *subscription
	notice *notice
	again  *message
}

const (
	leastDelay, delaySpread = 50 * time.Millisecond, int64(70 * time.Millisecond)
	leastHold, holdSpread   = 50 * time.Millisecond, int64(200 * time.Millisecond)
	maxWaiting              = 100_000
)

// publishLocked sends a notice to all who want it, damaged as the switches say.
func (s *Sim) publishLocked(n *notice, now time.Time) {
	g, sw := &s.world.gateway, &s.cfg.Switches.Feed
	for _, k := range g.links {
		if k.sub == nil {
			continue
		}
		copies := 0
		for i := range k.sub.filters {
			if k.sub.filters[i].takes(n) && (copies == 0 || sw.Overlap) {
				copies++
			}
		}
		if copies > 0 && (chance(g, sw.Loss) || s.takeFaultLocked(FaultEventsLost, now) != nil) {
			continue
		}
		if copies > 0 && chance(g, sw.Duplicate) {
			copies++
		}
		for range copies {
			s.sendLocked(delivery{link: k, sub: k.sub, notice: n}, now)
		}
	}
}

func chance(g *gateway, p float64) bool { return p > 0 && g.random.Float64() < p }

// sendLocked gives a delivery its time. Only a reordered one is overtaken.
func (s *Sim) sendLocked(d delivery, now time.Time) {
	g, sw := &s.world.gateway, &s.cfg.Switches.Feed
	d.due = now
	switch {
	case sw.Delay == 0:
		d.due = now.Add(leastDelay + time.Duration(g.random.Int64N(delaySpread)))
	case sw.Delay > 0:
		d.due = now.Add(sw.Delay)
	}
	if chance(g, sw.Reorder) {
		d.due = d.due.Add(leastHold + time.Duration(g.random.Int64N(holdSpread)))
	} else {
		if last := g.last[d.link]; d.due.Before(last) {
			d.due = last
		}
		g.last[d.link] = d.due
	}
	s.queueLocked(d, now)
}

// repeatLocked sends a client that came back what it missed, in its order and a moment after ConnectionDetails, as any event:
// RingCentral's own SDK hears nothing that comes in one breath with them.
func (s *Sim) repeatLocked(k *link, missed []message, now time.Time) {
	g, due := &s.world.gateway, now
	switch sw := &s.cfg.Switches.Feed; {
	case sw.Delay == 0:
		due = now.Add(leastDelay)
	case sw.Delay > 0:
		due = now.Add(sw.Delay)
	}
	for i := range missed {
		s.queueLocked(delivery{due: due, link: k, again: &missed[i]}, now)
		g.last[k] = due
	}
}

// queueLocked lets a delivery wait until it is due.
func (s *Sim) queueLocked(d delivery, now time.Time) {
	g := &s.world.gateway
	if !d.due.After(now) {
		s.deliverLocked(d, now)
		return
	}
	if len(g.waiting) >= maxWaiting {
		s.log.Warn("event dropped: too many are on their way")
		return
	}
	at, _ := slices.BinarySearchFunc(g.waiting, d.due, func(o delivery, due time.Time) int {
		if o.due.After(due) {
			return 1
		}
		return -1 // behind all that are due at the same time
	})
	g.waiting = slices.Insert(g.waiting, at, d)
	if at == 0 {
		s.wakeCourier()
	}
}

func (s *Sim) wakeCourier() {
	select {
	case s.courier <- struct{}{}:
	default:
	}
}

// deliverLocked writes the event of section "telephony session event" and hands it over.
func (s *Sim) deliverLocked(d delivery, now time.Time) {
	if d.again != nil {
		d.link.notify(*d.again)
		return
	}
	if d.link.sub != d.sub {
		return // replaced or deleted on the way
	}
	g := &s.world.gateway
	body, err := json.Marshal(object{
		"uuid": d.notice.uuid, "event": d.notice.path, "timestamp": now.UTC().Format(isoTime), "subscriptionId": d.sub.id,
		"ownerId": d.link.login.user.ID, "body": d.notice.body,
	})
	if err != nil {
		s.log.Error("event not written", "err", err)
		return
	}
	d.link.notify(message{id: strconv.FormatUint(g.random.Uint64()>>1, 10), body: body})
}

// carry delivers what is due until ctx ends.
func (s *Sim) carry(ctx context.Context) {
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	for {
		s.mu.Lock()
		g, now, wait := &s.world.gateway, time.Now(), time.Hour
		done := 0
		for done < len(g.waiting) && !g.waiting[done].due.After(now) {
			s.deliverLocked(g.waiting[done], now)
			done++
		}
		g.waiting = slices.Delete(g.waiting, 0, done)
		if len(g.waiting) > 0 {
			wait = g.waiting[0].due.Sub(now)
		}
		for k, last := range g.last {
			if now.After(last) {
				delete(g.last, k)
			}
		}
		s.mu.Unlock()
		t.Reset(wait)
		select {
		case <-t.C:
		case <-s.courier:
		case <-ctx.Done():
			return
		}
	}
}
