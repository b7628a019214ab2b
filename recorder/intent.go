package recorder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/internal/attr"
)

const (
	// erasingDir is where decided erasures stand until they are done.
	erasingDir    = "state/erasing"
	intentVersion = 1
	// Copies elsewhere are tried again after firstRetry, then after twice as long, up to mostRetry.
	firstRetry = time.Hour
	mostRetry  = 24 * time.Hour
	// retryEvery is how often it is looked whether an erasure is to be tried again; a round ends with so many failures, for they are of one cause.
	retryEvery   = time.Minute
	maxRetryFail = 3
)

// intent is an erasure that was decided. Once it is durable the recording will go, whatever happens.
type intent struct {
	Version int `json:"version"`
	Erasure
	Keys  []string `json:"keys,omitempty"`  // files of the recording's keys
	Local bool     `json:"local,omitempty"` // nothing is left here
	Vault string   `json:"vault,omitempty"` // where its audio was that had been moved
	Tries int      `json:"tries,omitempty"`
}

func intentName(folder string) string {
	return path.Join(erasingDir, strings.ReplaceAll(folder, "/", "-")+".json")
}

// intend decides: what is to go, and that it may.
func (s *Store) intend(folder, who, why string, known map[string][]Exported) (*intent, error) {
	if _, err := s.root.Lstat(intentName(folder)); err == nil {
		return nil, ErrErasing
	}
	if fi, err := s.root.Lstat(folder); err != nil || !fi.IsDir() {
		if _, err := s.root.Lstat(folder + partialSuffix); err == nil {
			return nil, ErrLive
		}
		return nil, fmt.Errorf("there is no such recording: %w", fs.ErrNotExist)
	}
	if h, err := readHolds(s.root, folder); h != nil || err != nil {
		return nil, errors.Join(onHold(h), err)
	}
	i := &intent{Version: intentVersion, Erasure: Erasure{Folder: folder, Who: who, Why: why, Time: time.Now().UTC(), Manifest: s.manifestHash(folder)}}
	var err error
	if i.Call, i.Part, err = s.identify(folder); err != nil {
		return nil, err
	}
	i.Keys, i.Vault = s.keysOf(folder), (&Catalog{s.root, s.cfg.Dir}).Vault(folder)
	if known == nil { // else the log was asked for all
		all, err := saidOf(s.cfg.Dir, map[string]bool{folder: true})
		if err == nil {
			err = all[folder].held(folder)
		}
		if err != nil {
			return nil, err
		}
	}
	if known == nil {
		if known, err = exportsOf(s.cfg.Dir, map[string]bool{folder: true}); err != nil {
			return nil, err
		}
	}
	i.Exports = known[folder]
	if err := s.putSmall(intentName(folder), i); err != nil {
		return nil, err
	}
	if err := s.did("intent"); err != nil {
		return nil, err
	}
	return i, nil
}

// onHold says who holds a recording, and why.
func onHold(f *holdFile) error {
	if f == nil {
		return ErrOnHold
	}
	var by []string
	for _, h := range f.Holds {
		text := h.Who + ": " + h.Why
		if h.Matter != "" {
			text = h.Matter + ", " + text
		}
		by = append(by, text)
	}
	return fmt.Errorf("%w (%s)", ErrOnHold, strings.Join(by, "; "))
}

// keysOf gives the files of keys without which the recording's audio can't be read.
func (s *Store) keysOf(folder string) []string {
	usual := path.Join(keysDir, folder)
	m, err := readManifest(s.root, inDay(folder, ManifestName))
	if err == nil && m.Encryption != nil {
		// Only what can be this recording's: a manifest that lies must not take another one's key.
		same, ok := strings.CutPrefix(m.Encryption.Key, usual+"_")
		if ok && strings.Trim(strings.TrimSuffix(same, ".age"), "0123456789") == "" {
			return []string{m.Encryption.Key}
		}
	}
	return []string{usual + ".age"}
}

// intents lists the erasures that were decided and are not done; with an error those that can be read.
func intents(root *os.Root) (out []*intent, errs error) {
	names, errs := dirNames(root, erasingDir)
	slices.Sort(names)
	for _, n := range names {
		if !strings.HasSuffix(n, ".json") {
			continue
		}
		i := new(intent)
		err := readState(root, path.Join(erasingDir, n), i)
		if errors.Is(err, fs.ErrNotExist) { // done just now
			continue
		}
		if err == nil && (i.Version != intentVersion || !isFolder(i.Folder) || path.Base(intentName(i.Folder)) != n) {
			err = errors.New("it is no erasure of ours")
		}
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("%s/%s: %w", erasingDir, n, err))
			continue
		}
		out = append(out, i)
	}
	return out, errs
}

// Erasing lists the erasures that are decided and not done: cut short by a crash, or with copies elsewhere that could not be erased yet.
func (c *Catalog) Erasing() ([]Erasure, error) {
	list, err := intents(c.root)
	out := []Erasure{}
	for _, i := range list {
		out = append(out, i.Erasure)
	}
	return out, err
}

// wait is how long the next try waits.
func (i *intent) wait() time.Duration {
	wait := firstRetry
	for n := 1; n < i.Tries && wait < mostRetry; n++ {
		wait *= 2
	}
	return min(wait, mostRetry)
}

// FinishErasures does what is left of erasures that are due: those that a crash cut short, and copies elsewhere that could not be erased at first. Run does it
// at the start and then as they fall due.
func (s *Store) FinishErasures(ctx context.Context) error {
	s.care.Lock()
	defer s.care.Unlock()
	if !s.claimed() {
		return nil // who has the lock does it
	}
	list, errs := intents(s.root)
	now, failed := time.Now(), 0
	for _, i := range list {
		if ctx.Err() != nil || failed >= maxRetryFail {
			s.owe(i)
			continue
		}
		if i.Local && i.Next.After(now) && i.Next.Before(now.Add(maxNext)) {
			s.owe(i)
			continue
		}
		if err := s.finishErasure(ctx, i); err != nil {
			errs = errors.Join(errs, fmt.Errorf("erase %s: %w", i.Folder, err))
			failed++
		} else if len(i.Pending) > 0 {
			failed++
		}
	}
	return errs
}

// maxNext is how far away a next try may be before it is a clock that was wrong, and no object lock.
const maxNext = maxPeriodYears * 366 * 24 * time.Hour

// retryErasures finishes erasures as they fall due, until ctx ends.
func (s *Store) retryErasures(ctx context.Context) {
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	var gripe gripe
	for {
		if err := s.FinishErasures(ctx); err != nil {
			s.count.errors.Add(1)
			if n, ok := gripe.pass(time.Now(), false); ok {
				s.log.Error("erasure not finished", attr.Err(err), slog.Int64("count", n))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
