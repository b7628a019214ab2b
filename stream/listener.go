package stream

import (
	"io"
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
	// Track is HearMix, the default, HearAgent or HearCustomer.
	Track string
	// Format is FormatS16LE, the default, FormatMulaw or FormatWAV.
	Format string
	// Rate is 8000, the default, or 16000.
	Rate int
	// Buffer is the ring's length, 100 ms to 60 s, default 5 s.
	Buffer time.Duration
}

// Listener is a sink that a reader hears from now on until the call ends. A reader that is too slow loses the oldest
// audio.
type Listener struct{}

// NewListener checks the configuration.
func NewListener(cfg ListenConfig) (*Listener, error) { return &Listener{}, nil }

// Write implements media.Sink.
func (l *Listener) Write(b *media.Batch) {}

// End implements media.Sink: WriteTo returns when what is buffered has gone out.
func (l *Listener) End(c call.Cause) {}

// WriteTo writes the audio to w until the call ends (nil), w fails, or Close (nil). One caller only.
func (l *Listener) WriteTo(w io.Writer) (int64, error) { return 0, nil }

// Close ends WriteTo soon and makes the sink take nothing more. It may be called from anywhere, any number of times.
func (l *Listener) Close() error { return nil }

// DroppedSamples counts what the reader was too slow for, per channel at 8000 Hz.
func (l *Listener) DroppedSamples() int64 { return 0 }
