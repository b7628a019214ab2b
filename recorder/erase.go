package recorder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"time"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/recorder/evidence"
)

const (
	// erasingSuffix is the name under which an erased folder goes: what is half gone is nobody's recording.
	erasingSuffix = ".erasing"
	// eraserWait is how long who has copies elsewhere may take for one recording.
	eraserWait = 30 * time.Second
)

var (
	// ErrLive is why a recording can't be erased that is being written, or waits to be finished.
	ErrLive = errors.New("it is being recorded, or waits to be finished: it can be erased when it is sealed")
	// ErrErasing is why a recording can't be erased again while it is being erased.
	ErrErasing = errors.New("it is being erased already")
)

// Eraser is who keeps copies of recordings elsewhere: a vault, what waits to be uploaded.
type Eraser interface {
	// Erase removes every copy of a recording, and is not to send another. It is done when it returns nil, also where there was none; after an error it is
	// asked again later. An error with a method Until() time.Time (an object lock, say) is not asked before that.
	Erase(ctx context.Context, folder string) error
}

// Erasure is a recording that was erased, or is being erased.
type Erasure struct {
	Folder   string    `json:"folder"`
	Call     string    `json:"call,omitempty"`
	Part     int       `json:"part,omitempty"`
	Who      string    `json:"who"`
	Why      string    `json:"why"`
	Time     time.Time `json:"time"`
	Manifest string    `json:"manifest_sha256,omitempty"` // of the recording.json that went
	// Exports are the files that were made of it, as far as the evidence log knows, and what became of them.
	Exports []Exported `json:"exports,omitempty"`
	// Pending says which copies elsewhere are still there, and why: they are tried again, at Next.
	Pending []string  `json:"pending,omitempty"`
	Next    time.Time `json:"next,omitzero"`
}

// Erase removes a sealed recording from everywhere: its folder, its key, the copies that Erasers have, and exports that still lie where they were made. It is a leaf of the
// evidence log, before anything goes. Where it returns an Erasure the recording is gone from here, for good; what Pending names is tried again by Run. A crash on the way is
// finished at the next start; with an error from behind the first step as well.
func (s *Store) Erase(ctx context.Context, folder, who, why string) (*Erasure, error) {
	s.care.Lock()
	defer s.care.Unlock()
	e, err := s.erase(ctx, folder, who, why, nil)
	if err != nil {
		return nil, fmt.Errorf("erase %s: %w", folder, err)
	}
	return e, nil
}

// erase does it; known are the exports of it, where they were looked up already. care is held.
func (s *Store) erase(ctx context.Context, folder, who, why string, known map[string][]Exported) (*Erasure, error) {
	if err := s.mayCare(folder, who, why); err != nil {
		return nil, err
	}
	i, err := s.intend(folder, who, why, known)
	if err != nil {
		return nil, err
	}
	if err := s.finishErasure(ctx, i); err != nil {
		return nil, fmt.Errorf("%w; it is finished when that is over, at the latest at the next start", err)
	}
	return &i.Erasure, nil
}

// finishErasure does the steps that are left of an erasure. Each may be done again.
func (s *Store) finishErasure(ctx context.Context, i *intent) error {
	if !i.Local {
		if err := s.eraseHere(i); err != nil {
			return err
		}
	}
	s.eraseElsewhere(ctx, i)
	s.owe(i)
	if err := s.did("elsewhere"); err != nil {
		return err
	}
	if len(i.Pending) > 0 {
		return s.putSmall(intentName(i.Folder), i)
	}
	return s.remove(intentName(i.Folder))
}

// eraseHere names the erasure in the log, then takes the recording away.
func (s *Store) eraseHere(i *intent) error {
	if err := s.sameAsIntended(i); err != nil {
		return err
	}
	if s.book != nil {
		l := evidence.Leaf{Type: evidence.LeafErased, Folder: i.Folder, Call: i.Call, Part: i.Part, Manifest: i.Manifest, Who: i.Who, Why: i.Why, Time: i.Time}
		if err := s.book.Ensure(l); err != nil {
			return err
		}
	}
	if err := s.did("leaf"); err != nil {
		return err
	}
	if err := s.takeAway(i.Folder); err != nil {
		return err
	}
	if err := s.dropPending(i.Folder); err != nil {
		return err
	}
	for _, key := range i.Keys { // before the audio: what is left of that can't be read
		if err := s.eraseKey(key); err != nil {
			return err
		}
	}
	if err := s.did("keys"); err != nil {
		return err
	}
	if err := errors.Join(s.root.RemoveAll(i.Folder+erasingSuffix), s.root.RemoveAll(fetchingName(i.Folder))); err != nil {
		return err
	}
	if err := s.did("folder"); err != nil {
		return err
	}
	if err := s.syncDir(path.Dir(i.Folder)); err != nil {
		return err
	}
	i.Local = true
	if err := s.putSmall(intentName(i.Folder), i); err != nil {
		return err
	}
	s.changed(i.Folder)
	s.count.erased.Add(1)
	s.log.Info("recording erased", attr.Call(i.Call), slog.String("folder", i.Folder), slog.String("who", i.Who), slog.String("why", i.Why))
	return s.did("local")
}

// takeAway gives the folder the name of one that goes: from then on it is no recording, however much of it there is.
func (s *Store) takeAway(folder string) error {
	if _, err := s.root.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil // that was done
	}
	if err := s.root.RemoveAll(folder + erasingSuffix); err != nil {
		return err
	}
	if err := s.root.Rename(folder, folder+erasingSuffix); err != nil {
		return err
	}
	if err := s.syncDir(path.Dir(folder)); err != nil {
		return err
	}
	return s.did("away")
}

// sameAsIntended sees that what lies there is what was to be erased: between the decision and a next start somebody may have held it, or put something else in its place.
func (s *Store) sameAsIntended(i *intent) error {
	if _, err := s.root.Lstat(i.Folder); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if h, err := readHolds(s.root, i.Folder); h != nil || err != nil {
		return errors.Join(ErrOnHold, err)
	}
	if sum := s.manifestHash(i.Folder); sum != i.Manifest {
		return errors.New("its recording.json is not the one that was to be erased: look at it with `earshot recordings verify`")
	}
	return nil
}

// eraseElsewhere has every copy removed that is not here, and notes what could not be.
func (s *Store) eraseElsewhere(ctx context.Context, i *intent) {
	i.Pending, i.Next = nil, time.Time{}
	for n := range i.Exports {
		i.Exports[n].erase()
	}
	for _, e := range s.cfg.Erasers {
		err := s.copies.ask(ctx, e, i.Folder)
		if err == nil {
			continue
		}
		i.Pending = append(i.Pending, err.Error())
		if u := until(nil); errors.As(err, &u) && u.Until().After(i.Next) {
			i.Next = u.Until()
		}
	}
	if i.Vault != "" && len(s.cfg.Erasers) == 0 {
		i.Pending = append(i.Pending, "its audio was moved to the vault ("+i.Vault+"), and none is configured: configure that one")
	}
	if len(i.Pending) == 0 {
		return
	}
	i.Tries++
	if wait := time.Now().Add(i.wait()); wait.After(i.Next) {
		i.Next = wait
	}
	i.Next = i.Next.UTC()
	s.log.Warn("copies of an erased recording are still elsewhere", attr.Call(i.Call), slog.String("folder", i.Folder), slog.Any("reason", i.Pending), slog.Time("next", i.Next))
}

// until is an error that says how long it stands.
type until interface{ Until() time.Time }

// copyKeepers keeps a run over many recordings from waiting for an Eraser that does not answer.
type copyKeepers struct {
	fails int
	back  time.Time // not asked before
}

const (
	awayAfter = 3
	awayFor   = 10 * time.Minute
)

var errAway = errors.New("not asked: it failed for the recordings before")

func (a *copyKeepers) ask(ctx context.Context, e Eraser, folder string) error {
	if time.Now().Before(a.back) {
		return errAway
	}
	limited, cancel := context.WithTimeout(ctx, eraserWait)
	defer cancel()
	err := e.Erase(limited, folder)
	if u := until(nil); err == nil || errors.As(err, &u) {
		a.fails = 0
		return err
	}
	if a.fails++; a.fails >= awayAfter {
		a.fails, a.back = 0, time.Now().Add(awayFor)
	}
	return err
}

// did tells tests how far an erasure has come.
func (s *Store) did(what string) error {
	if s.step == nil {
		return nil
	}
	return s.step(what)
}
