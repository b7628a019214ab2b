package recorder

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// Config holds a store's settings.
type Config struct {
	// Dir is where recordings go; made if missing. Required.
	Dir string
	// Format is FormatWAV (default) or FormatMulaw.
	Format string
	// Left and Right are the roles of a stereo recording's channels; default customer and agent.
	Left, Right call.Role
	// Fill says what stands where nothing was received: FillSilence (default, and the only one).
	Fill string
	// Sync is how often open recordings are made durable and their headers right; default 1 s, at least 100 ms.
	Sync time.Duration
	// Buffer is how much audio of a track may wait for the disk; default 8 s, at least 1 s.
	Buffer time.Duration
	// Software stands in the manifest, such as "earshot 1.0.0".
	Software string
	// Log takes what goes wrong; nil discards.
	Log *slog.Logger
}

// The formats and fills.
const (
	FormatWAV   = "wav"
	FormatMulaw = "mulaw"
	FillSilence = "silence"
)

// State says how much of a call a recording holds.
type State string

// The states, as in the manifest.
const (
	StateRecorded State = "recorded" // every second that was wanted
	StatePartial  State = "partial"  // something is missing, cause says why; also while the call lives
	StateNoMedia  State = "no_media" // not one sample came: no audio.wav
)

// Anchor ties the media engine's clock to the wall: at Mono since its start the wall clock read Wall.
type Anchor struct {
	Wall time.Time
	Mono time.Duration
}

// Result is what became of one recording.
type Result struct {
	Dir     string // its folder, ends in .partial while not sealed
	CallID  string
	Part    int
	State   State
	Cause   call.Cause
	Samples int64 // length of audio.wav, per channel
	Started time.Time
	Ended   time.Time
	SHA256  string // of audio.wav, hex
	Err     error  // why it could not be sealed; the next start tries again
}

// ErrClosed is returned by Open after Run has ended or was told to.
var ErrClosed = errors.New("recorder: store is closed")

// Store writes the recordings of one directory.
type Store struct{}

var errSkeleton = errors.New("recorder: not built yet")

// New checks the settings, makes Dir and takes its lock.
func New(Config) (*Store, error) { return nil, errSkeleton }

// Run repairs, writes and syncs until ctx ends and the open recordings are sealed.
func (s *Store) Run(ctx context.Context) error { return errSkeleton }

// Open makes the folder of a call's next part.
func (s *Store) Open(info call.Info, at Anchor) (*Recording, error) { return nil, errSkeleton }

// Repaired gives what Run finished of earlier processes so far.
func (s *Store) Repaired() []Result { return nil }

// Counters gives the totals since New.
func (s *Store) Counters() Counters { return Counters{} }

// DiskFree gives the octets that Dir's file system has left for us.
func (s *Store) DiskFree() (int64, error) { return 0, errSkeleton }

// Counters are a store's totals since New.
type Counters struct {
	ReceivedSamples, LateSamples, LostSamples, GapSamples, MaskedSamples int64 // on disk, by kind
	DiskSamples                                                          int64 // not written: disk full, broken or too slow
	Events, DroppedEvents                                                int64
	Syncs                                                                int64
	SyncTime, LastSync                                                   time.Duration // in group syncs, all and the last
	Errors                                                               int64         // of the disk
	Open                                                                 int64         // recordings open now
	Recorded, Partial, NoMedia                                           int64         // sealed, by state
	Repaired                                                             int64
}

// Recording is one part of one call; a media.Sink.
type Recording struct{}

var _ media.Sink = (*Recording)(nil)

// Write takes a batch.
func (r *Recording) Write(b *media.Batch) {}

// End seals the recording.
func (r *Recording) End(c call.Cause) {}

// Update replaces what is known of the call.
func (r *Recording) Update(info call.Info) {}

// Sealed is closed when the recording is sealed.
func (r *Recording) Sealed() <-chan struct{} { return nil }

// Result gives what is known of the recording.
func (r *Recording) Result() Result { return Result{} }
