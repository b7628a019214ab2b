package outbox

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// window is how many keys are held in memory; what is due later is found by the next look into the folder.
const window = 1024

// entry is an item as the folder shows it.
type entry struct {
	key string
	due time.Time
}

func earlier(a, b entry) int {
	if c := a.due.Compare(b.due); c != 0 {
		return c
	}
	return strings.Compare(a.key, b.key)
}

// sched is what is known of a box without looking: plain data. Invariant: next is sorted, and has at most window entries, none of them in work.
type sched struct {
	next   []entry
	more   bool            // the folder has, or may have, what next lacks
	length int             // items there are
	oldest string          // the least key that the last look found
	work   map[string]bool // under way

	down     int       // times in a row that the other side was not there
	notUntil time.Time // while down > 0
	why      error
	since    time.Time // of down
}

// add puts an entry in its place; fresh counts it.
func (s *sched) add(e entry, fresh bool) {
	if fresh {
		s.length++
		if s.oldest == "" || e.key < s.oldest {
			s.oldest = e.key
		}
	}
	if s.work[e.key] {
		return
	}
	i, _ := slices.BinarySearchFunc(s.next, e, earlier)
	if i >= window {
		s.more = true
		return
	}
	s.next = slices.Insert(s.next, i, e)
	if len(s.next) > window {
		s.next, s.more = s.next[:window], true
	}
}

// drop forgets an item that is gone.
func (s *sched) drop(key string) {
	s.length = max(0, s.length-1)
	s.next = slices.DeleteFunc(s.next, func(e entry) bool { return e.key == key })
}

// take gives the next item to be tried, or how long there is none.
func (s *sched) take(now time.Time, workers int) (key string, wait time.Duration) {
	const never = time.Hour
	switch {
	case len(s.work) >= workers, s.down > 0 && len(s.work) > 0:
		return "", never // an answer will come
	case s.down > 0 && now.Before(s.notUntil):
		return "", s.notUntil.Sub(now)
	case len(s.next) == 0:
		return "", never
	}
	if d := s.next[0].due.Sub(now); d > 0 {
		return "", d
	}
	key = s.next[0].key
	s.next = slices.Delete(s.next, 0, 1)
	if s.work == nil {
		s.work = map[string]bool{}
	}
	s.work[key] = true
	return key, 0
}

// reached notes that the other side was there.
func (s *sched) reached() { s.down, s.why, s.since = 0, nil, time.Time{} }

// missed notes that it was not. What was under way when that was noticed first says nothing new.
func (s *sched) missed(now time.Time, err error, first, most time.Duration) {
	s.why = err
	if s.down > 0 && now.Before(s.notUntil) {
		return
	}
	if s.down == 0 {
		s.since = now
	}
	s.down++
	s.notUntil = now.Add(backoff(s.down, first, most))
}

// backoff is the wait after so many failures, from 1: doubled each time, and somewhere between half of that and all, so that many that failed
// together don't come back together.
func backoff(n int, first, most time.Duration) time.Duration {
	d := most
	if n-1 < 30 && first<<(n-1) > 0 {
		d = min(most, first<<(n-1))
	}
	return spread(d)
}

func spread(d time.Duration) time.Duration {
	if d < 2 {
		return d
	}
	return d/2 + rand.N(d/2) //nolint:gosec // no secret
}

// scan looks through the folder. It holds window entries at most, however many there are.
func (b *Box) scan(now time.Time) (next []entry, length int, oldest string, err error) {
	d, err := b.root.Open(".")
	if err != nil {
		return nil, 0, "", err
	}
	defer d.Close() //nolint:errcheck // it was only read
	limit := now.Add(b.longest())
	for {
		list, err := d.ReadDir(window)
		for _, f := range list {
			fi, err := f.Info()
			if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.Mode().IsRegular() {
				continue
			}
			if strings.HasPrefix(f.Name(), ".") {
				if err == nil && strings.HasPrefix(f.Name(), tempPrefix) && now.Sub(fi.ModTime()) > tempAge {
					_ = b.root.Remove(f.Name()) // a process died over it
				}
				continue
			}
			e := entry{key: f.Name(), due: now}
			if err == nil && !fi.ModTime().After(limit) { // else the clock was set back
				e.due = fi.ModTime()
			}
			length++
			if oldest == "" || e.key < oldest {
				oldest = e.key
			}
			next = append(next, e)
			if len(next) >= 2*window {
				next = least(next)
			}
		}
		if errors.Is(err, io.EOF) || err == nil && len(list) == 0 {
			break
		}
		if err != nil {
			return nil, 0, "", err
		}
	}
	return least(next), length, oldest, nil
}

func least(e []entry) []entry {
	slices.SortFunc(e, earlier)
	return e[:min(len(e), window)]
}

// longest is more than any wait there is, with what chance adds and the other side may ask for.
func (b *Box) longest() time.Duration {
	d := b.cfg.RetryMax
	for _, s := range b.cfg.Schedule {
		d = max(d, s)
	}
	return 2*d + mostAfter
}

// mostAfter bounds Verdict.After.
const mostAfter = time.Hour
