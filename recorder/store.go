package recorder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder/evidence"
)

const (
	rate     = media.SampleRate
	fileMode = 0o600
	dirMode  = 0o700
	lockName = ".lock"
)

// Config holds a store's settings.
type Config struct {
	// Dir is where recordings go; made if missing. Required.
	Dir string
	// Format is FormatWAV (default) or FormatMulaw.
	Format string
	// Left and Right are the roles of a stereo recording's channels; default customer and agent.
	Left, Right call.Role
	// Fill says what stands in lost runs: FillSilence, the default, or FillConceal. The manifest names them all in either case.
	Fill string
	// Sync is how often open recordings are made durable and their headers right; default 1 s, 100 ms to 5 s.
	Sync time.Duration
	// Buffer is how much audio of a track may wait for the disk; default 8 s, 1 s to 60 s. It is twice that for the few recordings
	// whose own files the disk is busy with.
	Buffer time.Duration
	// Sign has recordings signed and named in the directory's evidence log, see package evidence. KeyFile is the private key; empty: one in the directory, made if
	// missing.
	Sign    bool
	KeyFile string
	// Recipients are whom audio is encrypted to, as age writes them (age1...), and RecipientsFile has more of them, one a line. With any, no
	// audio is written in plain; manifests and events are.
	Recipients     []string
	RecipientsFile string
	// Standby: the directory may be another process's for a while. New does not take its lock, and nothing that was left is
	// finished, until Claim.
	Standby bool
	// Retention says how long recordings are kept; what it says of one stands in its manifest.
	Retention Retention
	// Changed is told the folder of a recording that was sealed, repaired or erased, from any goroutine; it must not block. nil: nobody.
	Changed func(folder string)
	// Erasers have copies elsewhere, of which an erasure is told.
	Erasers []Eraser
	// Sealed, if not nil, is told of each recording when its folder has its final name, of those that were finished after a crash too. It is called by
	// the writers, so it must not wait for anything. A crash may come between: who must not miss one looks at the folders as well.
	Sealed func(Result)
	// Masks, if not nil, is asked by a repair.
	Masks Masks
	// VCon has an IETF vCon written into each folder, see package vcon.
	VCon bool
	// Software stands in the manifest, such as "earshot 1.0.0".
	Software string
	// Warn and Refuse are how much room the disk should have left: with less it is told, once, and Disk says so; with less than Refuse
	// new calls should not be taken. Default 2 GB and 500 MB.
	Warn, Refuse Mark
	// Log takes what goes wrong; nil discards.
	Log *slog.Logger

	// through is how files are made durable, fault what the disk says to a change; tests only.
	through evidence.Through
	fault   func(op, name string) error
	room    func(dir string) (free, total int64, err error)
}

// The formats and fills.
const (
	FormatWAV   = "wav"   // PCM, 16 bit
	FormatMulaw = "mulaw" // G.711, octets are stored as they came; in A-law where the first of them are
	FormatAlaw  = "alaw"  // only in manifests: what FormatMulaw makes of calls in A-law
	FillSilence = "silence"
	FillConceal = "conceal" // what the speech before suggests, for 60 ms at most (media.Concealer)
)

func (c *Config) check() error {
	if c.Dir == "" {
		return errors.New("recorder: dir: empty, want a directory")
	}
	switch c.Format {
	case "":
		c.Format = FormatWAV
	case FormatWAV, FormatMulaw:
	default:
		return fmt.Errorf("recorder: format: got %q, want wav or mulaw", c.Format)
	}
	if c.Left == call.RoleUnknown && c.Right == call.RoleUnknown {
		c.Left, c.Right = call.RoleCustomer, call.RoleAgent
	}
	if c.Left == call.RoleUnknown || c.Right == call.RoleUnknown || c.Left == c.Right {
		return fmt.Errorf("recorder: channels: got %s left and %s right, want two different roles", c.Left, c.Right)
	}
	if c.Fill == "" {
		c.Fill = FillSilence
	}
	if c.Fill != FillSilence && c.Fill != FillConceal {
		return fmt.Errorf("recorder: fill: got %q, want silence or conceal", c.Fill)
	}
	if err := within("sync", &c.Sync, time.Second, 100*time.Millisecond, 5*time.Second); err != nil {
		return err
	}
	if err := within("buffer", &c.Buffer, 8*time.Second, time.Second, time.Minute); err != nil {
		return err
	}
	if err := c.Retention.check(); err != nil {
		return err
	}
	if c.Refuse == (Mark{}) {
		c.Refuse.Bytes = refuseBytes
	}
	if c.Warn == (Mark{}) {
		c.Warn.Bytes = max(warnBytes, c.Refuse.Bytes)
	}
	if err := errors.Join(c.Warn.check("disk.warn"), c.Refuse.check("disk.refuse")); err != nil {
		return err
	}
	if w, r := c.Warn, c.Refuse; w.Bytes > 0 && w.Bytes < r.Bytes || w.Percent > 0 && w.Percent < r.Percent {
		return fmt.Errorf("recorder: disk.warn: got %d bytes, %g %%, which is less than disk.refuse", w.Bytes, w.Percent)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

func within(name string, d *time.Duration, usual, least, most time.Duration) error {
	if *d == 0 {
		*d = usual
	}
	if *d < least || *d > most {
		return fmt.Errorf("recorder: %s: got %v, want %v to %v", name, *d, least, most)
	}
	return nil
}

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
	Part    int // from 1
	State   State
	Cause   call.Cause // as in the manifest: of a partial one, what is missing
	Samples int64      // length of audio.wav, per channel
	Started time.Time
	Ended   time.Time
	SHA256  string // of audio.wav, hex; empty without one
	Err     error  // why it could not be sealed; it is tried again, at the latest at the next start
}

var (
	// ErrClosed is returned by Open after Run was told to end.
	ErrClosed = errors.New("recorder: store is closed")
	// ErrInUse is returned by New while another process records to the same directory.
	ErrInUse = errors.New("recordings directory in use by another earshot")
)

// Store writes the recordings of one directory. Its methods are safe for concurrent use.
type Store struct {
	// Set by New, then constant.
	cfg           Config
	root          *os.Root
	present       *os.File // the directory, shared with other stores of it; nil: it can't be opened
	log           *slog.Logger
	book          *evidence.Book // nil: nothing is signed
	to            *recipients    // nil: nothing is encrypted
	bufferSamples int64
	wakeBytes     int
	unfinished    []leftover // what was found at the start
	// wrap puts something between us and audio.wav; tests only.
	wrap func(name string, f blockFile) blockFile
	// leftovers is leftoversEvery; tests shorten it.
	leftovers time.Duration

	// wholeAgain is when the whole file system may be synced again. Owned by syncAll.
	wholeAgain time.Time

	queue   chan *Recording
	begun   chan *Recording // to be announced
	looks   chan struct{}   // size 1: there may be something to be finished
	folders sync.Mutex      // held while a folder is made or taken, so that nobody finishes one that is just being made
	count   counters
	closing atomic.Bool
	gripe   gripe
	disk    disk

	// care is held while a recording is held, freed or erased: one at a time.
	care sync.Mutex
	// copies and empty are guarded by care: empty has days, and recordings of other days, of which no audio is here that might be moved.
	copies copyKeepers
	empty  map[string]bool
	// fetching is held while audio is fetched: one recording at a time.
	fetching sync.Mutex
	// step is told what an erasure, a move or a fetch has done, and may stop it there; tests only.
	step func(done string) error

	// acting guards noActs: acts is closed.
	acting sync.Mutex
	noActs bool
	acts   chan act

	// mu guards the fields below.
	mu       sync.Mutex
	lock     *os.File // nil: not ours
	open     map[*Recording]struct{}
	heard    map[*Recording]*scribe // those with a transcript that is not finished; what is in it belongs to writeTranscripts
	owed     map[string]owed        // erasures, by folder
	repaired []Result
	ran      bool
}

// queueLength bounds the recordings that wait for a worker; one that finds no room is seen at the next group sync.
const queueLength = 1024

// New checks the settings, makes Dir, takes its lock, and looks for what an earlier process left unfinished.
func New(cfg Config) (*Store, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	to, err := parseRecipients(cfg.Recipients, cfg.RecipientsFile)
	if err != nil {
		return nil, fmt.Errorf("recorder: %w", err)
	}
	if err := os.MkdirAll(cfg.Dir, dirMode); err != nil {
		return nil, fmt.Errorf("recorder: dir: %w", err)
	}
	root, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("recorder: dir: %w", err)
	}
	s := &Store{
		cfg: cfg, root: root, log: cfg.Log, queue: make(chan *Recording, queueLength), looks: make(chan struct{}, 1), leftovers: leftoversEvery, acts: make(chan act, maxActs), begun: make(chan *Recording, queueLength),
		to:            to,
		open:          make(map[*Recording]struct{}),
		heard:         make(map[*Recording]*scribe),
		empty:         make(map[string]bool),
		owed:          make(map[string]owed),
		bufferSamples: int64(cfg.Buffer) * rate / int64(time.Second),
	}
	s.wakeBytes = int(s.bufferSamples) / 2
	s.measure()
	s.enter()
	if cfg.Sign {
		if s.book, err = evidence.OpenThrough(cfg.through, cfg.Dir, cfg.KeyFile, cfg.Log); err != nil {
			return nil, errors.Join(fmt.Errorf("recorder: %w", err), s.leave(), root.Close())
		}
	}
	if cfg.Standby {
		return s, nil
	}
	if s.lock, err = s.takeLock(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.unfinished, err = s.findUnfinished(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close gives the directory back. Run does it at its end; call it only if Run was never called. It is safe twice.
func (s *Store) Close() error {
	s.closing.Store(true)
	s.endActs()
	return errors.Join(s.Release(), s.leave(), s.root.Close(), s.closeBook())
}

func (s *Store) closeBook() error {
	if s.book == nil {
		return nil
	}
	return s.book.Close()
}

// Open makes the folder of a call's next part and its first manifest. It makes files, so a disk that stands still holds it
// up, unlike the Recording's methods; it does not wait until they are durable, which they are after the first sync.
func (s *Store) Open(info call.Info, at Anchor) (*Recording, error) {
	if s.closing.Load() {
		return nil, ErrClosed
	}
	r, err := s.lay(info, at)
	if err != nil && !errors.Is(err, ErrClosed) {
		s.complain(err, info.ID)
	}
	return r, err
}

// lay makes a recording's folder and what is in it at first.
func (s *Store) lay(info call.Info, at Anchor) (*Recording, error) {
	info = cloneInfo(info)
	started := info.Started.UTC()
	if info.Started.IsZero() {
		started = at.Wall.UTC()
	}
	r := &Recording{s: s, day: dayDir(started), part: 1, started: started, at: at, done: make(chan struct{})}
	r.seating = seating{channels: 1, roles: [2]call.Role{s.cfg.Left, s.cfg.Right}, expected: info.Expected}
	if len(info.Expected) >= 2 {
		r.seating.channels = 2
	}
	if err := s.nextPart(r, info.ID); err != nil {
		return nil, err
	}
	if err := s.makeFolder(r, info.ID); err != nil {
		return nil, fmt.Errorf("open recording: %w", err)
	}
	var err error
	if r.key, err = s.newKey(r.day, r.base); err != nil {
		return nil, errors.Join(fmt.Errorf("open recording: %w", err), r.discard())
	}
	r.w.notes.masks = info.Masks
	r.opened = evidence.Leaf{Call: info.ID, Time: time.Now()}
	r.w.info, r.w.unlisted, r.w.unlistedDay = info, true, true
	r.w.img = image{layout: newLayout(s.cfg.Format, r.seating.channels), done: r.pieceDone}
	r.inbox.info, r.inbox.in = info, newBuffer()
	r.inbox.result = Result{Dir: r.dir(), CallID: info.ID, Part: r.part, State: StatePartial, Started: started}
	if err := s.begin(r); err != nil {
		return nil, fmt.Errorf("open recording: %w", err)
	}
	s.log.Debug("recording opened", attr.Call(info.ID), slog.Int("part", r.part), slog.Int("channels", r.seating.channels))
	return r, nil
}

// begin writes the first manifest and puts the recording on the list. Where that can't be, nothing is left behind.
func (s *Store) begin(r *Recording) error {
	f, err := s.openWrite(r.file(EventsName), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND)
	if err != nil {
		return errors.Join(err, r.discard())
	}
	r.w.log.f, r.w.log.s = f, s
	if err := r.showLive(time.Now(), false); err != nil {
		return errors.Join(err, f.Close(), r.discard())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return errors.Join(ErrClosed, f.Close(), r.discard())
	}
	s.open[r] = struct{}{}
	s.announce(r)
	return nil
}

// makeFolder makes the recording's folder under a name that nothing has, and takes it for us.
func (s *Store) makeFolder(r *Recording, id string) error {
	if err := s.root.MkdirAll(r.day, dirMode); err != nil {
		return err
	}
	for same := 1; same <= maxSameName; same++ {
		base := baseName(r.started, id, same)
		if _, err := s.root.Lstat(inDay(r.day, base)); err == nil {
			continue
		}
		lock, err := s.newFolder(inDay(r.day, base+partialSuffix))
		switch {
		case err == nil:
			r.base, r.lock = base, lock
			return nil
		case errors.Is(err, errHeld), errors.Is(err, fs.ErrNotExist): // another process took it for a leftover
		case !errors.Is(err, fs.ErrExist):
			return err
		}
	}
	return fmt.Errorf("%s: more than %d of one name: %w", baseName(r.started, id, 1), maxSameName, fs.ErrExist)
}

// create makes an audio file.
func (s *Store) create(name string) (blockFile, error) {
	f, err := s.openWrite(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	if s.wrap != nil {
		return s.wrap(name, osFile{f, s}), nil
	}
	return osFile{f, s}, nil
}

type osFile struct {
	*os.File
	s *Store
}

func (f osFile) WriteAt(b []byte, off int64) (int, error) { return writeAt(f.File, b, off) }

func (f osFile) Sync() error { return f.s.sync(f.File) }

func (f osFile) Datasync() error { return f.s.datasync(f.File) }

// Run finishes what earlier processes left, writes what recordings take, and makes it durable every Config.Sync. When ctx
// ends it takes no new recordings, waits for the open ones to end and be sealed, and gives the directory back.
func (s *Store) Run(ctx context.Context) error {
	s.mu.Lock()
	again := s.ran
	s.ran = true
	s.mu.Unlock()
	if again || s.closing.Load() {
		return ErrClosed
	}
	s.loop(ctx)
	for _, r := range s.list() {
		_ = errors.Join(r.w.img.letGo(), r.w.log.letGo()) // it could not be sealed: the next start may finish it
		_ = r.lock.Close()
	}
	for r := range s.heard { // its transcript could not be finished, and lies where the next start finds it
		_ = r.lock.Close()
	}
	return s.Close()
}

// Repaired gives what Run has finished so far of what earlier processes left.
func (s *Store) Repaired() []Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Result(nil), s.repaired...)
}

// DiskFree gives the bytes that Dir's file system has left for us.
func (s *Store) DiskFree() (int64, error) {
	free, _, err := diskRoom(s.cfg.Dir)
	return free, err
}
