package stream

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// Whom a listener hears.
const (
	HearMix      = "mix"
	HearAgent    = "agent"
	HearCustomer = "customer"
)

// ListenConfig is a listener's configuration.
type ListenConfig struct {
	// Track is HearMix, the default, HearAgent or HearCustomer. Where a call has no track of that role, there is silence.
	Track string
	// Format is FormatS16LE, the default, FormatMulaw, FormatAlaw or FormatWAV.
	Format string
	// Rate is 8000 Hz, the default, 16000 Hz or 24000 Hz.
	Rate int
	// Buffer is the ring's length, 100 ms to 60 s, default 5 s.
	Buffer time.Duration
	// Message is how much audio goes out at a time, if the reader keeps up: 20 ms, the default, to 200 ms, at most Buffer.
	Message time.Duration
	// Header puts a header of HeaderOctets before each message; not with FormatWAV. Started, asked once when WriteTo begins, then gives the wall
	// time of the call's sample 0, for the capture time in it; nil: it is not told.
	Header  bool
	Started func() time.Time
	// Revoked is told what a mask took back of what the reader has: from a position in call time on. The sink's caller calls it; it must not
	// block. Nil: nobody is.
	Revoked func(from, samples int64)
	// Since begins so much before now, as far as Archive, the call's recording, goes back: nil, or nothing, begins now.
	Since   time.Duration
	Archive Archive
	// Wait is how long the mix waits for a side that is behind another, as in Config.
	Wait time.Duration
}

// Listener is a sink that a reader hears from now on until the call ends, in mono. A reader that is too slow loses the
// oldest audio.
type Listener struct {
	// Set by NewListener, then constant.
	cfg     ListenConfig
	ring    *ring
	stamps  *stamps // nil: no header
	dropped atomic.Int64
	closed  atomic.Bool

	// Owned by the shard.
	lane *lane
	// bunched: Swept is called, and wakes the reader.
	bunched bool
	// Owned by the caller of WriteTo.
	used bool
}

// NewListener checks the configuration.
func NewListener(cfg ListenConfig) (*Listener, error) {
	lane := laneConfig{channels: 1, fromNow: true}
	cfg.Track = or(cfg.Track, HearMix)
	var bad error
	switch cfg.Track {
	case HearMix:
	case HearAgent:
		lane.wants = func(t *media.TrackState) bool { return t.Party.Role == call.RoleAgent }
	case HearCustomer:
		lane.wants = func(t *media.TrackState) bool { return t.Party.Role == call.RoleCustomer }
	default:
		bad = fmt.Errorf("track: got %q, want %s, %s or %s", cfg.Track, HearMix, HearAgent, HearCustomer)
	}
	form := checkForm(&cfg.Format, &cfg.Rate, FormatS16LE, FormatMulaw, FormatAlaw, FormatWAV)
	if cfg.Header && cfg.Format == FormatWAV {
		form = errors.Join(form, errors.New("header: a WAV file has no room for it: want format s16le, mulaw or alaw"))
	}
	long := checkBuffer(&cfg.Buffer)
	if err := errors.Join(bad, form, long, checkMessage(&cfg.Message, listenMessage, cfg.Buffer), checkWait(&cfg.Wait)); err != nil {
		return nil, err
	}
	if cfg.Header {
		lane.stamps = newStamps(time.Time{}, cfg.Buffer)
	}
	lane.wait, lane.revoked = waitFor(cfg.Wait, cfg.Message), cfg.Revoked
	lane.hasPast = cfg.Archive != nil && cfg.Since > 0
	l := &Listener{cfg: cfg, stamps: lane.stamps}
	l.ring = cfg.makeRing(lane.hasPast, &l.dropped)
	l.lane = newLane(lane, l.ring)
	return l, nil
}

// makeRing makes the listener's ring, with a past where it begins there.
func (cfg *ListenConfig) makeRing(hasPast bool, dropped *atomic.Int64) *ring {
	if !hasPast {
		return newRing(cfg.Buffer, cfg.Message, 1, dropped)
	}
	role := map[string]call.Role{HearMix: call.RoleMix, HearAgent: call.RoleAgent, HearCustomer: call.RoleCustomer}[cfg.Track]
	r := newRing(max(cfg.Buffer, cfg.Archive.Behind()), cfg.Message, 1, dropped)
	r.keep(&past{archive: cfg.Archive, voice: Voice{Channels: 1, Role: role}, back: int64(cfg.Since / sampleTime)})
	return r
}

// Write implements media.Sink.
//
//earshot:hot
func (l *Listener) Write(b *media.Batch) {
	l.lane.write(b)
	if !l.bunched {
		l.ring.signal()
	}
}

// Fetch implements media.Fetched.
//
//earshot:hot
func (l *Listener) Fetch() byte { return l.lane.fetch() + l.ring.fetch() }

// Swept implements media.Swept: the reader is woken when the sweep's work is done. Where nobody calls it, it is woken by Write.
//
//earshot:hot
func (l *Listener) Swept() {
	l.bunched = true
	l.ring.signal()
}

// Pace is how long audio may wait: a message's length.
func (l *Listener) Pace() time.Duration { return paceOf(l.cfg.Message) }

// End implements media.Sink: WriteTo returns when what is buffered has gone out.
func (l *Listener) End(call.Cause) {
	l.lane.finish()
	l.ring.end()
}

// WriteTo implements io.WriterTo: it writes the audio to w until the call ends (nil), w fails, or Close (nil), and may be
// called once. A WAV header goes out at once, audio by the message, or in pieces of up to 200 ms where w was slow.
func (l *Listener) WriteTo(w io.Writer) (sum int64, err error) {
	if l.used {
		return 0, errors.New("listen: the listener has been read already")
	}
	l.used = true
	defer l.ring.letGo()
	defer l.ring.quit()
	write := func(b []byte) bool {
		var n int
		n, err = w.Write(b)
		if sum += int64(n); err != nil {
			l.ring.quit() // he has gone: nothing is lost on him
		}
		return err == nil
	}
	if l.stamps != nil && l.cfg.Started != nil {
		l.stamps.anchor(l.cfg.Started())
	}
	e := newEncoder(l.cfg.Format, l.cfg.Rate, 1)
	e.stamps = l.stamps
	if head := e.header(nil); len(head) == 0 || write(head) {
		l.ring.relay(e, &l.closed, func(_ int64, b []byte) bool { return write(b) })
	}
	if err != nil {
		return sum, fmt.Errorf("listen: %w", err)
	}
	return sum, nil
}

// Close ends WriteTo soon and makes the sink take nothing more. It may be called from anywhere, any number of times. It
// doesn't detach the sink.
func (l *Listener) Close() error {
	if !l.closed.Swap(true) {
		l.ring.quit()
		l.ring.stir()
	}
	return nil
}

// DroppedSamples counts what the reader was too slow for, at 8000 Hz. Safe from anywhere.
func (l *Listener) DroppedSamples() int64 { return l.dropped.Load() }
