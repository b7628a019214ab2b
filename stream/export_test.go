package stream

import "time"

// Quicken makes a hub wait for programs so long that a test can see it, and no longer.
func Quicken(h *Hub) {
	h.pace = pace{
		grace: 300 * time.Millisecond, term: 200 * time.Millisecond, hurry: 300 * time.Millisecond, backoff: 10 * time.Millisecond, longest: 20 * time.Millisecond,
		steady: time.Minute, settled: time.Minute, write: 200 * time.Millisecond, renew: time.Hour, pipeWait: time.Second, rate: 100,
	}
}

// Calm makes a hub wait long also for a consumer that reads nothing: on a busy machine nobody reads for a while.
func Calm(h *Hub) {
	Patient(h)
	h.pace.write = time.Hour
}

// Patient makes a hub wait long for programs while it runs, and short once it is to end.
func Patient(h *Hub) {
	h.pace.grace, h.pace.term, h.pace.hurry, h.pace.write = time.Hour, time.Hour, 100*time.Millisecond, time.Hour
}

// RenewAfter has sessions made anew after d, without a wait.
func RenewAfter(h *Hub, d time.Duration) { h.pace.renew, h.pace.settled = d, 0 }
