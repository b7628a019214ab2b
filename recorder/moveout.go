package recorder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"time"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/recorder/evidence"
)

// Placer is who keeps whole copies of recordings elsewhere: a vault.
type Placer interface {
	// Placed tells where the copy of a recording is, after it made sure, there and here, that each file is as it was sealed. fs.ErrNotExist: there is no copy yet. ErrAway: nobody
	// can tell now.
	Placed(ctx context.Context, folder string) (*Place, error)
}

// ErrAway is why a Placer can't tell: it is not reached, or takes no questions.
var ErrAway = errors.New("the vault is away")

// MoveConfig says which recordings' audio is to leave this disk for the vault.
type MoveConfig struct {
	Vault Placer
	// Leaves gives when the audio of a recording that ended then may go, once the vault has it.
	Leaves func(ended time.Time) time.Time
	// Wanted gives the calls whose audio is still read here, whatever its time: they go on, or streams catch up from it. nil: none is.
	Wanted func() map[string]bool
	// Now is the time, default the clock's.
	Now time.Time
}

const (
	// moveEvery is how often it is looked for audio that may go.
	moveEvery = time.Minute
	// tellAside is after how many rounds in a row it is told that another program has the directory.
	tellAside = 10
	// moveBatch is for how many recordings the evidence log is read once.
	moveBatch = 100
	// fetchedStays is how long audio stays at least that was brought back.
	fetchedStays = 24 * time.Hour
	// movingName is what becomes moved.json: no half of it may lie in a sealed folder. One is written at a time, as care is held.
	movingName = "state/moving.json"
	// maxToldMoves bounds the recordings that are remembered for having been told of.
	maxToldMoves = 1000
)

// MoveOut removes the audio of recordings whose time has come, that nobody reads here, that are on no legal hold, and that the vault has whole: it is asked for each. What is left of such a recording is
// its manifest, events and signature, and moved.json, which names the objects. The evidence log says so before anything goes, and a crash at any moment leaves the audio here
// or named there. It gives how many went, and with an error which could not; ErrAway ends the round. While another process still has the directory open, which handed it over to
// us, nothing goes: who reads there nobody knows here.
func (s *Store) MoveOut(ctx context.Context, cfg MoveConfig) (moved int, err error) {
	if !s.claimed() {
		return 0, fmt.Errorf("move: %s: %w", s.cfg.Dir, ErrInUse)
	}
	if !s.alone() {
		return 0, nil
	}
	if cfg.Now.IsZero() {
		cfg.Now = time.Now()
	}
	c := &Catalog{s.root, s.cfg.Dir}
	if err := c.checkClock(cfg.Now); err != nil {
		return 0, fmt.Errorf("move: %w", err)
	}
	days, errs := c.days()
	for _, day := range days {
		if s.emptied(day) || !cfg.mayLeave(day) {
			continue
		}
		n, err := s.moveDay(ctx, c, day, cfg)
		moved, errs = moved+n, errors.Join(errs, err)
		if errors.Is(err, ErrAway) || ctx.Err() != nil {
			break
		}
	}
	return moved, errs
}

// mayLeave tells whether anything of a day may go: nothing ends before it begins.
func (c MoveConfig) mayLeave(day string) bool {
	began, err := time.Parse("2006/01/02", day)
	return err == nil && !c.Leaves(began).After(c.Now)
}

// isPast tells whether no recording comes into a day any more: a folder lies in the day in which it began, and may come late where the disk did not take it.
func (c MoveConfig) isPast(day string) bool {
	began, err := time.Parse("2006/01/02", day)
	return err == nil && began.AddDate(0, 0, 2).Before(c.Now)
}

// moveDay moves what may go of a day. A day of which all has gone is not looked into again before somebody fetches something back.
func (s *Store) moveDay(ctx context.Context, c *Catalog, day string, cfg MoveConfig) (moved int, errs error) {
	names, err := c.recordings(day)
	if err != nil {
		return 0, err
	}
	var due, gone []string
	left := false
	for _, n := range names {
		folder := path.Join(day, n)
		if s.emptied(folder) {
			gone = append(gone, folder)
			continue
		}
		switch s.mayMove(folder, cfg) {
		case moveNever:
			gone = append(gone, folder)
			s.noteEmpty(folder)
		case moveNow:
			due = append(due, folder)
		case moveLater:
			left = true
		}
	}
	for some := range slices.Chunk(due, moveBatch) {
		n, err := s.moveSome(ctx, some, cfg)
		moved, errs = moved+n, errors.Join(errs, err)
		if errors.Is(err, ErrAway) || ctx.Err() != nil {
			return moved, errs
		}
	}
	if !left && moved == len(due) && cfg.isPast(day) {
		s.noteEmpty(day, append(gone, due...)...)
	}
	return moved, errs
}

// emptied tells whether a day, or a recording, is known to have no audio here.
func (s *Store) emptied(what string) bool {
	s.care.Lock()
	defer s.care.Unlock()
	return s.empty[what]
}

// noteEmpty notes that; of a day, instead of its recordings.
func (s *Store) noteEmpty(what string, instead ...string) {
	s.care.Lock()
	defer s.care.Unlock()
	for _, folder := range instead {
		delete(s.empty, folder)
	}
	s.empty[what] = true
}

// may is what may become of a recording's audio.
type may int

const (
	moveNever may = iota // there is none here
	moveLater
	moveNow
)

// mayMove looks at one recording, without the log and the vault.
func (s *Store) mayMove(folder string, cfg MoveConfig) may {
	if !isFolder(folder) {
		return moveLater // it is being written
	}
	m, err := readManifest(s.root, inDay(folder, ManifestName))
	if err != nil || m.Ended == nil {
		return moveLater
	}
	newest, found := time.Time{}, false
	for _, f := range m.audioFiles() {
		fi, err := s.root.Lstat(inDay(folder, f.File))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return moveLater
		}
		found = true
		if fi.ModTime().After(newest) {
			newest = fi.ModTime()
		}
	}
	switch {
	case !found:
		return moveNever
	case cfg.Leaves(*m.Ended).After(cfg.Now), (&Catalog{s.root, s.cfg.Dir}).Held(folder):
		return moveLater
	}
	// The manifest is the last file that is written: audio that is newer was brought back.
	if fi, err := s.root.Lstat(inDay(folder, ManifestName)); err != nil || newest.After(fi.ModTime()) && newest.Add(fetchedStays).After(cfg.Now) {
		return moveLater
	}
	return moveNow
}

// moveSome moves recordings, for which the log is read once.
func (s *Store) moveSome(ctx context.Context, folders []string, cfg MoveConfig) (moved int, errs error) {
	asked := map[string]bool{}
	for _, f := range folders {
		asked[f] = true
	}
	said, err := saidOf(s.cfg.Dir, asked)
	if err != nil {
		return 0, err
	}
	var wanted map[string]bool
	if cfg.Wanted != nil {
		wanted = cfg.Wanted()
	}
	for _, folder := range folders {
		if ctx.Err() != nil {
			return moved, errs
		}
		if id, _, err := s.identify(folder); err != nil || wanted[id] {
			continue // it was erased just now, or is read
		}
		place, err := cfg.Vault.Placed(ctx, folder)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it waits for its upload
		}
		if err == nil {
			err = said[folder].held(folder)
		}
		if !s.claimed() || !s.alone() { // the vault took its time, and another process has come
			return moved, errs
		}
		if err == nil {
			err = s.moveOne(folder, place, said[folder], cfg.Now)
		}
		switch {
		case err == nil:
			moved++
		case errors.Is(err, ErrAway):
			return moved, errors.Join(errs, fmt.Errorf("move %s: %w", folder, err))
		case !errors.Is(err, ErrOnHold) && !s.isErased(folder):
			errs = errors.Join(errs, &moveError{folder, err})
		}
	}
	return moved, errs
}

// isErased tells whether an erasure has a recording, or had it: what fails of it meanwhile, here or in the vault, is no fault.
func (s *Store) isErased(folder string) bool {
	if _, err := s.root.Lstat(intentName(folder)); err == nil { // first: it stands until all has gone
		return true
	}
	_, err := s.root.Lstat(folder)
	return errors.Is(err, fs.ErrNotExist)
}

// moveError is why one recording's audio stays.
type moveError struct {
	folder string
	err    error
}

func (e *moveError) Error() string { return "move " + e.folder + ": " + e.err.Error() }
func (e *moveError) Unwrap() error { return e.err }

// moveOne moves a recording whose copy is at a place.
func (s *Store) moveOne(folder string, place *Place, said said, now time.Time) error {
	s.care.Lock()
	defer s.care.Unlock()
	if _, err := s.root.Lstat(intentName(folder)); err == nil {
		return ErrErasing
	}
	if h, err := readHolds(s.root, folder); h != nil || err != nil { // maybe it was held just now
		return errors.Join(onHold(h), err)
	}
	sum, err := manifestHash(s.root, folder)
	if err != nil {
		return err
	}
	if len(said.manifests) > 0 && !slices.Contains(said.manifests, sum) {
		return errChanged
	}
	m, err := readManifest(s.root, inDay(folder, ManifestName))
	if err != nil {
		return err
	}
	moved := &Moved{Version: movedVersion, Folder: folder, Call: m.Call.ID, Time: now.UTC(), Manifest: sum, Place: *place}
	moved.Objects = nil
	files := m.audioFiles()
	for _, f := range files {
		o, ok := place.of(f)
		if !ok {
			return fmt.Errorf("the vault does not have %s as it was sealed", f.File)
		}
		moved.Objects = append(moved.Objects, o)
	}
	if err := s.sayMoved(folder, m, moved); err != nil {
		return err
	}
	for _, f := range files {
		if err := s.root.Remove(inDay(folder, f.File)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := s.did("removed"); err != nil {
			return err
		}
	}
	if err := s.syncDir(folder); err != nil {
		return err
	}
	s.changed(folder)
	s.count.moved.Add(1)
	s.log.Info("recording's audio moved to the vault", attr.Call(moved.Call), slog.String("folder", folder), slog.String("bucket", moved.Bucket))
	return nil
}

// sayMoved has the log say that audio goes, then the folder where it is. Where the folder says so already, a crash came before all was gone.
func (s *Store) sayMoved(folder string, m *Manifest, moved *Moved) error {
	if old, err := readMoved(s.root, folder); err != nil {
		return err
	} else if old != nil && old.Manifest == moved.Manifest && slices.Equal(old.Objects, moved.Objects) {
		return nil
	}
	b, err := json.MarshalIndent(moved, "", "  ")
	if err != nil {
		return err
	}
	if b = append(b, '\n'); len(b) >= maxSmallBytes {
		return fmt.Errorf("%s: more than %d octets: the recording has too many files", MovedName, maxSmallBytes)
	}
	to := &evidence.Elsewhere{Endpoint: moved.Endpoint, Bucket: moved.Bucket, Prefix: moved.Prefix, Files: len(moved.Objects), SHA256: sumOf(b)}
	for _, o := range moved.Objects {
		to.Bytes += o.Bytes
	}
	err = s.leaf(evidence.Leaf{Type: evidence.LeafMoved, Folder: folder, Call: m.Call.ID, Part: m.Part, Manifest: moved.Manifest, To: to, Time: moved.Time})
	if err == nil {
		err = s.did("leaf")
	}
	if err == nil {
		err = s.root.MkdirAll(path.Dir(movingName), dirMode)
	}
	if err == nil {
		err = s.putFile(movingName, b, true)
	}
	if err == nil {
		err = s.rename(movingName, inDay(folder, MovedName))
	}
	if err == nil {
		err = s.syncDir(folder)
	}
	if err != nil {
		return err
	}
	return s.did("moved.json")
}

// MoveOutAlways moves out what may go, as it may, until ctx ends. What can't be moved stays, and is told of once.
func (s *Store) MoveOutAlways(ctx context.Context, cfg MoveConfig) error {
	tick := time.NewTicker(moveEvery)
	defer tick.Stop()
	told := map[string]bool{}
	aside := 0 // rounds in a row
	for {
		if s.claimed() { // else who has the lock does it
			if aside++; s.alone() {
				aside = 0
			}
			if aside == tellAside {
				s.log.Warn("nothing moves to the vault while another program has the recordings' directory locked: an older earshot whose calls go on, or a script under flock", slog.String("dir", s.cfg.Dir))
			}
			if _, err := s.MoveOut(ctx, cfg); err != nil && ctx.Err() == nil {
				s.tellMoves(told, err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tellMoves tells of what was not told yet. That the vault is away is told by who brings recordings there.
func (s *Store) tellMoves(told map[string]bool, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // what errors.Join made
		for _, e := range joined.Unwrap() {
			s.tellMoves(told, e)
		}
		return
	}
	if errors.Is(err, ErrAway) || errors.Is(err, os.ErrClosed) {
		return
	}
	text, what := "recording's audio not moved to the vault: it stays on this disk, look at it with `earshot recordings verify`", err.Error()
	if errors.Is(err, ErrClock) {
		text, what = "nothing moved to the vault: if the clock is right, say so with `earshot recordings prune --clock-is-right`", ErrClock.Error()
	}
	if e, ok := errors.AsType[*moveError](err); ok {
		what = e.folder
	}
	if told[what] {
		return
	}
	if len(told) >= maxToldMoves {
		clear(told)
	}
	told[what] = true
	s.count.errors.Add(1)
	s.log.Error(text, attr.Err(err))
}
