package stream

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// TestWhatIsMaskedIsSilentAlsoForWhoGoesBack: a ring with a past holds what was read, and a mask that reaches back silences that too; it is revoked as far as it was given.
func TestWhatIsMaskedIsSilentAlsoForWhoGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sum atomic.Int64
		var told []stretch
		r := newRing(10*time.Second, minMessage, 1, &sum)
		r.keep(&past{archive: &shelved{ch: 1}})
		l := newLane(laneConfig{channels: 1, track: 1, revoked: func(from, n int64) { told = append(told, stretch{from, from + n}) }}, r)
		tracks := []media.TrackState{state(1, call.RoleCustomer, 0, true)}
		say := func(kind media.Kind, from, n int64) {
			l.write(&media.Batch{Zero: zeroAt, Now: at(from + n), Tracks: tracks, Frames: []media.Frame{run(1, kind, from, n, at(from))}})
		}
		say(media.KindReceived, 0, 4000)
		say(media.KindReceived, 4000, 4000)
		var quit atomic.Bool
		buf := make([]int16, 6000)
		if pos, n, _ := r.take(buf, &quit); pos != 0 || n != 6000 || buf[5999] == 0 {
			t.Fatalf("%d samples from %d on, the last %d", n, pos, buf[5999])
		}
		say(media.KindMasked, 5000, 2000)
		if len(told) != 1 || told[0] != (stretch{5000, 6000}) {
			t.Errorf("revoked: %v, want 5000 to 6000", told)
		}
		r.rewind(2000, 0)
		buf = make([]int16, 4000)
		pos, n, _ := r.take(buf, &quit)
		if pos != 4000 || n != 4000 {
			t.Fatalf("%d samples from %d on, want 4000 from 4000 on", n, pos)
		}
		for i, v := range buf {
			if masked := i >= 1000 && i < 3000; masked != (v == 0) {
				t.Fatalf("sample %d is %d, masked: %v", 4000+i, v, masked)
			}
		}
		r.letGo()
	})
}

// TestNobodyGoesBackBeforeWhatTheBrokenConnectionWasGiven, nor before the stream's first sample; and always to a whole millisecond, as Twilio's form tells no finer.
func TestNobodyGoesBackBeforeWhatTheBrokenConnectionWasGiven(t *testing.T) {
	for _, c := range []struct{ at, back, floor, want int64 }{
		{16003, 8000, 0, 8000}, {16003, 8000, 12005, 12005}, {16003, 0, 0, 16003}, {16003, 99999, 0, 100}, {200, 8000, 0, 100}, {16003, 8000, 20000, 16003},
	} {
		var sum atomic.Int64
		r := newRing(time.Minute, minMessage, 1, &sum)
		r.keep(&past{archive: &shelved{ch: 1}})
		r.begin(100)
		r.silence(20000)
		r.pass(c.at)
		r.rewind(c.back, c.floor)
		if got := r.position(); got != c.want {
			t.Errorf("from %d back by %d, not before %d: got %d, want %d", c.at, c.back, c.floor, got, c.want)
		}
	}
}

// TestTheDefaultOverlapIsWhatTheKernelHolds of the consumer's form, and 16 KiB that the consumer does.
func TestTheDefaultOverlapIsWhatTheKernelHolds(t *testing.T) {
	for _, c := range []struct {
		c        Consumer
		channels int
		want     int64
	}{
		{Consumer{Type: TypeExec, Format: FormatS16LE, Rate: 8000}, 1, 40960},
		{Consumer{Type: TypeExec, Format: FormatS16LE, Rate: 16000}, 2, 10240},
		{Consumer{Type: TypeFIFO, Format: FormatMulaw, Rate: 8000}, 1, 81920},
		{Consumer{Type: TypeUnix, Format: FormatS16LE, Rate: 8000}, 2, 12288},
		{Consumer{Type: TypeTCP, Format: FormatF32LE, Rate: 16000}, 1, 24576},
		{Consumer{Type: TypeTwilio, Format: FormatMulaw, Rate: 8000}, 2, 49152},
		{Consumer{Type: TypeTCP, Format: FormatS16LE, Rate: 8000, Overlap: time.Second}, 1, 8000},
		{Consumer{Type: TypeTCP, Format: FormatS16LE, Rate: 8000, Overlap: -1}, 1, 0},
	} {
		if got := c.c.overlapSamples(c.channels); got != c.want {
			t.Errorf("%s %s at %d Hz, %d channels: got %d samples, want %d", c.c.Type, c.c.Format, c.c.Rate, c.channels, got, c.want)
		}
	}
	for want, c := range map[string]Consumer{
		"overlap: got 1s, which goes with catch_up only": {Command: []string{"cat"}, Overlap: time.Second},
		"overlap: got 1h0m0s, want up to 5m0s":           {Command: []string{"cat"}, Overlap: time.Hour, CatchUp: true},
	} {
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestAListenerMayBeginBeforeNow: with what the archive has, as far back as it was asked for, without a hole up to what is live.
func TestAListenerMayBeginBeforeNow(t *testing.T) {
	for since, want := range map[time.Duration]int64{2 * time.Second: 16000, time.Hour: 0} {
		synctest.Test(t, func(t *testing.T) {
			a := &shelved{ch: 1}
			l, err := NewListener(ListenConfig{Since: since, Archive: a})
			if err != nil {
				t.Fatal(err)
			}
			tracks := []media.TrackState{state(1, call.RoleCustomer, 0, true)}
			say := func(i int64) {
				f := run(1, media.KindReceived, i*ptime, ptime, at(i*ptime))
				a.mu.Lock()
				a.all = append(a.all, f.PCM...)
				a.edge = max(0, (i-50)*ptime)
				a.mu.Unlock()
				if i >= 200 { // the listener comes at 4 s
					l.Write(&media.Batch{Zero: zeroAt, Now: at((i + 1) * ptime), Tracks: tracks, Frames: []media.Frame{f}})
				}
				time.Sleep(20 * time.Millisecond)
			}
			var got samples
			done := make(chan error, 1)
			go func() {
				_, err := l.WriteTo(&got)
				done <- err
			}()
			for i := range int64(400) {
				say(i)
			}
			a.mu.Lock()
			a.edge = 400 * ptime
			a.mu.Unlock()
			l.End(call.Cause{})
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			from := 400*ptime - int64(len(got))
			if now := int64(201 * ptime); want == 0 && from != 0 || want != 0 && from != now-want {
				t.Errorf("since %v: begins with sample %d, the listener came at %d", since, from, now)
			}
			for i, v := range got {
				if v != a.all[from+int64(i)] {
					t.Fatalf("since %v: sample %d is %d, want %d", since, i, v, a.all[from+int64(i)])
				}
			}
		})
	}
}

// samples takes s16le.
type samples []int16

func (s *samples) Write(b []byte) (int, error) {
	for i := 0; i+2 <= len(b); i += 2 {
		*s = append(*s, int16(uint16(b[i])|uint16(b[i+1])<<8))
	}
	return len(b), nil
}
