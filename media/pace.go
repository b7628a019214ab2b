package media

import "time"

// Paced is a [Sink] that need not have everything at once: a file, or who takes 100 ms in a message. Pace is how long what came may
// wait for its batch; 0, or a sink that says nothing: not at all, there is a batch for every Config.Sweep. The most that a batch
// waits is Config.SlowSweep. A timeline has the pace of its most impatient sink.
type Paced interface{ Pace() time.Duration }

// Coded is a [Sink] that reads frames' octets, and needs no PCM of what was received. Where all sinks of a timeline do, there is none.
type Coded interface{ Coded() bool }

// Fetched is a [Sink] that can have the processor fetch what its next Write needs: Fetch reads a byte of each line of it ([Fetch]), and nothing
// else. A shard lets many do so in a row, so that all of them wait for memory at once. Called by the shard's goroutine, before Write; what it returns
// says nothing.
type Fetched interface{ Fetch() byte }

// Swept is a [Sink] that wakes others. Swept is called once after each sweep in which it got batches, when the shard's work is done: who is woken
// while it goes on takes its processor, or its neighbour's.
type Swept interface{ Swept() }

// seat is one attached sink.
type seat struct {
	sink    Sink
	fetched Fetched // nil: it isn't
	swept   Swept   // nil: it isn't
	ended   bool
	owed    bool // it got a batch since Swept
	coded   bool
	pace    time.Duration
}

func newSeat(s Sink) *seat {
	st := &seat{sink: s}
	if p, ok := s.(Paced); ok {
		st.pace = p.Pace()
	}
	if c, ok := s.(Coded); ok {
		st.coded = c.Coded()
	}
	st.fetched, _ = s.(Fetched)
	st.swept, _ = s.(Swept)
	return st
}

// need looks what the sinks ask for.
func (l *liveTimeline) need() {
	l.pace, l.samples = l.shard.engine.cfg.SlowSweep, false
	for _, st := range l.seats {
		l.pace = min(l.pace, max(0, st.pace))
		l.samples = l.samples || !st.coded
	}
}

// wait is how long the timeline's next turn may.
//
//earshot:hot
func (l *liveTimeline) wait() time.Duration {
	if l.opening {
		return 0
	}
	return l.pace
}

// ripe tells whether the timeline's turn can't wait for the next sweep: that would be too late. Half a Sweep is what timers are late.
//
//earshot:hot
func (s *shard) ripe(l *liveTimeline) bool {
	return s.now+s.next()-s.engine.cfg.Sweep/2 >= l.turned+l.wait()
}
