package stream

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// seat is a consumer that is killed and restarted, in memory. It notes how far behind what is said it is with each message.
type seat struct {
	mu    sync.Mutex
	up    bool
	left  chan struct{} // of the session
	live  int64         // what was said
	next  int64         // what it has, without a hole
	hole  bool
	close time.Time // since when it has been live again
}

var errDead = errors.New("connection refused")

func (c *seat) dial(context.Context, *link) (session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.up {
		return nil, errDead
	}
	c.left = make(chan struct{})
	return &seatSession{c, c.left}, nil
}

// turn kills it, or has it there again.
func (c *seat) turn(up bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up && !up && c.left != nil {
		close(c.left)
		c.left = nil
	}
	c.up, c.close = up, time.Time{}
}

type seatSession struct {
	c    *seat
	left chan struct{}
}

func (s *seatSession) write(pos int64, b []byte) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	select {
	case <-s.left:
		return errDead
	default:
	}
	end := pos + int64(len(b)/2)
	s.c.hole = s.c.hole || pos > s.c.next
	s.c.next = max(s.c.next, end)
	if s.c.close.IsZero() && s.c.live-end < int64(500*time.Millisecond/sampleTime) {
		s.c.close = time.Now()
	}
	return nil
}

func (s *seatSession) finish(context.Context) error { return nil }
func (s *seatSession) gone() <-chan struct{}        { return s.left }
func (s *seatSession) ended(err error) error        { return err }
func (s *seatSession) close()                       {}

// TestAConsumerThatIsRestartedIsLiveAgainWithinTwoSeconds, each of 20 times, with all that may have stood in the kernel given again. Away for longer it takes longer: an eighth of what it missed.
func TestAConsumerThatIsRestartedIsLiveAgainWithinTwoSeconds(t *testing.T) {
	for _, away := range []time.Duration{0, 700 * time.Millisecond, 2 * time.Second} {
		for _, lives := range []time.Duration{3 * time.Second, 20 * time.Second} {
			synctest.Test(t, func(t *testing.T) { restarts20(t, away, lives) })
		}
	}
}

func restarts20(t *testing.T, away, lives time.Duration) {
	h, err := New(Config{Consumers: []Consumer{{Type: TypeTCP, Address: "asr:1", CatchUp: true}}})
	if err != nil {
		t.Fatal(err)
	}
	c, a := &seat{up: true}, &shelved{ch: 1}
	(*h.consumers.Load())[0].dial = c.dial
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	s := h.Open(call.Info{ID: "c"}, Options{Archive: a})
	var talk sync.WaitGroup
	stop := make(chan struct{})
	talk.Go(func() { speak(s, a, c, stop) })
	time.Sleep(lives)
	for i := range 20 {
		c.turn(false)
		time.Sleep(away)
		c.turn(true)
		back := time.Now()
		time.Sleep(lives)
		c.mu.Lock()
		if took := c.close.Sub(back); c.close.IsZero() || took > 2*time.Second {
			t.Errorf("away %v, restart %d: live again after %v, want 2 s", away, i, took)
		}
		c.mu.Unlock()
	}
	close(stop)
	talk.Wait()
	s.End(call.Cause{})
	time.Sleep(10 * time.Second)
	c.mu.Lock()
	if c.hole || c.next != c.live || h.Totals().DroppedSamples != 0 {
		t.Errorf("away %v: it has %d of %d samples, a hole: %v, dropped %d", away, c.next, c.live, c.hole, h.Totals().DroppedSamples)
	}
	c.mu.Unlock()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// speak says something each 100 ms; the archive has it three seconds later.
func speak(s media.Sink, a *shelved, c *seat, stop <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	pcm := make([]int16, 800)
	for i := int64(0); ; i++ {
		select {
		case <-stop:
			a.mu.Lock()
			a.edge = i * 800
			a.mu.Unlock()
			return
		case <-tick.C:
		}
		for j := range pcm {
			pcm[j] = int16(1 + j)
		}
		a.mu.Lock()
		a.all = append(a.all, pcm...)
		a.edge = max(0, (i-30)*800)
		a.mu.Unlock()
		c.mu.Lock()
		c.live = (i + 1) * 800
		c.mu.Unlock()
		now := time.Duration(i+1)*100*time.Millisecond + time.Second
		s.Write(&media.Batch{
			Now: now, Final: now - 2*time.Second, Zero: time.Second, Tracks: []media.TrackState{{ID: 1, Placed: true}},
			Frames: []media.Frame{{Track: 1, Kind: media.KindReceived, Pos: i * 800, Samples: 800, Captured: now, PCM: pcm}},
		})
	}
}
