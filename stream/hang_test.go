package stream

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// deaf is a session whose far side takes what the kernel has room for, and reads nothing.
type deaf struct {
	room  int
	limit time.Duration // of a write
	err   error         // after it; nil: errHangs
	shut  chan struct{}
	once  atomic.Bool
}

func (d *deaf) write(_ int64, b []byte) error {
	if d.room -= len(b); d.room >= 0 {
		return nil
	}
	t := time.NewTimer(d.limit)
	defer t.Stop()
	select {
	case <-t.C:
		if d.err != nil {
			return d.err
		}
		return hangs(d.limit)
	case <-d.shut:
		return errLeft
	}
}

func (d *deaf) finish(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-d.shut:
	}
	return nil
}

func (*deaf) gone() <-chan struct{} { return nil }
func (*deaf) ended(err error) error { return err }
func (d *deaf) close() {
	if !d.once.Swap(true) {
		close(d.shut)
	}
}

// quietArchive has silence everywhere.
type quietArchive struct{}

func (quietArchive) Behind() time.Duration                   { return 5 * time.Second }
func (quietArchive) Open(Voice) Shelf                        { return quietArchive{} }
func (quietArchive) Read(_ int64, pcm []int16) (n, gone int) { clear(pcm); return len(pcm), 0 }
func (quietArchive) Close()                                  {}

// speaks gives a hub's consumer a call of so long in real time, and counts its connections; dial makes them.
func speaks(t *testing.T, c Consumer, long time.Duration, dial dialer, o Options) (h *Hub, sink media.Sink, stop func(), ran chan struct{}) {
	t.Helper()
	c.Type, c.Address = TypeTCP, "engine:1"
	h, err := New(Config{Consumers: []Consumer{c}, Grace: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	(*h.consumers.Load())[0].dial = dial
	ctx, cancel := context.WithCancel(t.Context())
	ran = make(chan struct{})
	go func() { defer close(ran); _ = h.Run(ctx) }()
	sink = h.Open(call.Info{ID: "c"}, o)
	tracks := []media.TrackState{state(1, call.RoleAgent, 0, true)}
	for pos := int64(0); pos < int64(long/sampleTime); pos += chunkOf {
		time.Sleep(time.Duration(chunkOf) * sampleTime)
		sink.Write(&media.Batch{Zero: zeroAt, Now: at(pos + chunkOf), Frames: []media.Frame{run(1, media.KindReceived, pos, chunkOf, at(pos))}, Tracks: tracks})
	}
	return h, sink, cancel, ran
}

const chunkOf = 800

// TestAConsumerThatHangsIsReachedEverMoreSeldom: also one that catches up, and though the kernel takes its first seconds each time.
func TestAConsumerThatHangsIsReachedEverMoreSeldom(t *testing.T) {
	for name, c := range map[string]struct {
		Consumer
		err error
	}{"live": {}, "catching up": {Consumer: Consumer{CatchUp: true}}, "it answers no ping": {err: fmt.Errorf("audiohook: %w", errNoPong)}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var dials atomic.Int64
				dial := func(context.Context, *link) (session, error) {
					dials.Add(1)
					return &deaf{room: sendBuffer, limit: defaultPace.write, err: c.err, shut: make(chan struct{})}, nil
				}
				_, sink, stop, ran := speaks(t, c.Consumer, 10*time.Minute, dial, Options{Archive: quietArchive{}})
				if n := dials.Load(); n < 10 || n > 35 {
					t.Errorf("%d connections in 10 minutes, want 10 to 35: a back-off that does not grow makes 60", n)
				}
				sink.End(call.Cause{})
				stop()
				<-ran
			})
		})
	}
}
