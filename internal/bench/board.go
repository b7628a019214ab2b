package bench

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// boardPackets is how many of a track's newest packets a board knows, a power of two: 10 s, and no buffer of a consumer holds more.
const boardPackets = 512

// board tells when the kernel had each track's newest packets, in nanoseconds of the machine's monotonic clock. Two processes have it in common: the
// one that measures writes a packet's time before the packet goes on, the consumers' reads it once they have it.
type board []int64

func boardBytes(tracks int) int { return tracks * boardPackets * 8 }

// openBoard opens a board for a number of tracks.
func openBoard(path string, tracks int) (board, error) {
	b, err := mapFile(path, boardBytes(tracks))
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*int64)(unsafe.Pointer(&b[0])), tracks*boardPackets), nil //nolint:gosec // of the same memory, and as long; a page begins at a multiple of 8
}

func (b board) close() error {
	return unmapFile(unsafe.Slice((*byte)(unsafe.Pointer(&b[0])), len(b)*8)) //nolint:gosec // as openBoard
}

func (b board) of(track int, packet int64) *int64 {
	return &b[track*boardPackets+int(packet)&(boardPackets-1)]
}

// clock reads the machine's monotonic clock, which is the same in all processes.
type clock struct {
	start time.Time
	at    time.Duration
}

func newClock() (clock, error) {
	at, err := sinceBoot()
	return clock{time.Now(), at}, err
}

func (c clock) now() time.Duration { return c.at + time.Since(c.start) }

// witness is a sink that notes when the kernel had each packet of a call. It is attached before those whose delay is measured.
type witness struct {
	board board
	first int           // of the call's tracks
	zero  time.Duration // of the engine's time, on the machine's clock
}

// Write notes what was received.
func (w *witness) Write(b *media.Batch) {
	for i := range b.Frames {
		if f := &b.Frames[i]; f.Kind == media.KindReceived {
			atomic.StoreInt64(w.board.of(w.first+int(f.Track)-1, f.Pos/packetSamples), int64(w.zero+f.Captured))
		}
	}
}

// Pace and Coded: it asks for nothing that others do not.
func (*witness) Pace() time.Duration { return time.Hour }
func (*witness) Coded() bool         { return true }

// End implements media.Sink.
func (*witness) End(call.Cause) {}
