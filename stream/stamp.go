package stream

import (
	"encoding/binary"
	"sync"
	"time"
)

// HeaderOctets is the length of the header before each message, where a consumer wants one: HeaderMagic, the octets of audio that
// follow (uint32), the position of the first sample in call time at 8000 Hz (int64), and when it was captured, in nanoseconds of
// Unix time (int64), 0 where no packet brought it; all little-endian.
const HeaderOctets = 24

// HeaderMagic begins each header.
const HeaderMagic = "EAR1"

const (
	// stampSamples is the part of call time that has one stamp: a packet's.
	stampSamples = int64(minMessage / sampleTime)
	// stampReach is how many parts the longest packet covers.
	stampReach = int64(maxMessage / minMessage)
)

// stamps know when the newest audio was captured. A lane notes it, one reader asks. Of two parties at one time, the packet that came later counts.
type stamps struct {
	// mu guards the fields below. It is one consumer's, and held for a few words only.
	mu      sync.Mutex
	started time.Time // of the call's sample 0; zero: nobody knows, and nothing is said
	slots   []stamp   // by part of call time, the newest over the oldest
}

// stamp is one packet's: at is its arrival, since the call's sample 0.
type stamp struct {
	pos, samples int64
	at           time.Duration
}

// newStamps makes room for what waits in a buffer, and in a lane before it.
func newStamps(started time.Time, buffer time.Duration) *stamps {
	return &stamps{started: started, slots: make([]stamp, int64(buffer/minMessage)+maxSkewSamples/stampSamples+2*stampReach)}
}

// note remembers when samples came in.
//
//earshot:hot
func (s *stamps) note(pos, samples int64, at time.Duration) {
	if pos < 0 {
		return
	}
	part := pos / stampSamples
	s.mu.Lock()
	defer s.mu.Unlock()
	old := &s.slots[part%int64(len(s.slots))]
	if old.samples > 0 && old.pos/stampSamples == part && old.at > at {
		return
	}
	*old = stamp{pos, samples, at}
}

// captured gives when the packet that a sample was in came, in nanoseconds of Unix time; 0: none brought it, or that is not known.
func (s *stamps) captured(pos int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pos < 0 || s.started.IsZero() {
		return 0
	}
	for part := pos / stampSamples; part >= max(0, pos/stampSamples-stampReach); part-- {
		if x := s.slots[part%int64(len(s.slots))]; x.pos <= pos && pos < x.pos+x.samples {
			return s.started.Add(x.at).UnixNano()
		}
	}
	return 0
}

// anchor says when the call's sample 0 was.
func (s *stamps) anchor(started time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = started
}

// header appends what stands before a message of so many octets whose first sample is at pos.
func (s *stamps) header(out []byte, pos int64, octets int) []byte {
	out = append(out, HeaderMagic...)
	out = binary.LittleEndian.AppendUint32(out, uint32(octets)) //nolint:gosec // a message of 200 ms at most
	out = binary.LittleEndian.AppendUint64(out, uint64(pos))    //nolint:gosec // as it is
	return binary.LittleEndian.AppendUint64(out, uint64(s.captured(pos)))
}
