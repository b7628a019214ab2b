package recorder

import (
	"sync/atomic"
	"time"
)

// Counters are a store's totals since New. All but Open and LastSync only grow.
type Counters struct {
	// What went into files, by kind. A late sample was counted as lost before.
	ReceivedSamples, LateSamples, LostSamples, GapSamples, MaskedSamples int64
	// DiskSamples came and could not be written: disk full, broken or too slow. UnknownSamples never came to us.
	DiskSamples, UnknownSamples int64
	// StrangeFrames were not what media may send.
	StrangeFrames         int64
	Events, DroppedEvents int64
	// Syncs counts group syncs; SyncTime is what all took together, LastSync the last.
	Syncs              int64
	SyncTime, LastSync time.Duration
	// Errors of the disk.
	Errors int64
	// Open recordings, and sealed ones by state, repaired ones included.
	Open, Recorded, Partial, NoMedia int64
	// Repaired recordings of earlier processes.
	Repaired int64
	// Erased recordings, on purpose; Moved are recordings whose audio left for the vault.
	Erased, Moved int64
	// LostLines of transcripts came too late, or were too many.
	LostLines int64
}

// counters is what goroutines add to.
type counters struct {
	kinds                                      [kinds]atomic.Int64
	strange, events, droppedEvents, errors     atomic.Int64
	syncs, syncNS, lastNS                      atomic.Int64
	recorded, partial, noMedia, repairedFolder atomic.Int64
	erased, moved, lostLines                   atomic.Int64
}

func (c *counters) synced(d time.Duration) {
	c.syncs.Add(1)
	c.syncNS.Add(int64(d))
	c.lastNS.Store(int64(d))
}

func (c *counters) state(s State) {
	switch s {
	case StateRecorded:
		c.recorded.Add(1)
	case StatePartial:
		c.partial.Add(1)
	case StateNoMedia:
		c.noMedia.Add(1)
	}
}

// Counters gives the totals since New.
func (s *Store) Counters() Counters {
	c := &s.count
	s.mu.Lock()
	open := int64(len(s.open))
	s.mu.Unlock()
	return Counters{
		ReceivedSamples: c.kinds[kindReceived].Load(), LateSamples: c.kinds[kindLate].Load(),
		LostSamples: c.kinds[kindLost].Load(), GapSamples: c.kinds[kindGap].Load(), MaskedSamples: c.kinds[kindMasked].Load(),
		DiskSamples: c.kinds[kindDisk].Load(), UnknownSamples: c.kinds[kindUnknown].Load(), StrangeFrames: c.strange.Load(),
		Events: c.events.Load(), DroppedEvents: c.droppedEvents.Load(), Syncs: c.syncs.Load(),
		SyncTime: time.Duration(c.syncNS.Load()), LastSync: time.Duration(c.lastNS.Load()), Errors: c.errors.Load(), Open: open,
		Recorded: c.recorded.Load(), Partial: c.partial.Load(), NoMedia: c.noMedia.Load(), Repaired: c.repairedFolder.Load(),
		Erased: c.erased.Load(), Moved: c.moved.Load(), LostLines: c.lostLines.Load(),
	}
}
