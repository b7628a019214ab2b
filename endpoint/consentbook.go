package endpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/earshot/earshot/call"
)

const (
	// consentKept is how long what was said of a call is known: longer than any call.
	consentKept = 48 * time.Hour
	// maxConsents bounds what is known where nothing is recorded, and so there is no folder.
	maxConsents = 4096
)

// consentBook keeps what was said of calls, so that a restart, a hand-over, a re-join or a transfer finds it: DIR/state/consent, a file for each id of a call.
type consentBook struct {
	dir string // empty: in memory only

	// mu guards the fields below, and the writing of files.
	mu    sync.Mutex
	said  map[string]consentPage
	swept time.Time
}

type consentPage struct {
	Version int          `json:"version"`
	ID      string       `json:"id"`
	Consent call.Consent `json:"consent"`
	// Applied is since when it holds; zero: it waits for the older process, which hears the call.
	Applied time.Time `json:"applied,omitzero"`
}

func newConsentBook(recordings string) *consentBook {
	b := &consentBook{said: map[string]consentPage{}}
	if recordings != "" {
		b.dir = filepath.Join(recordings, "state", "consent")
	}
	return b
}

// write makes what was said durable, under all ids of the call; applied is since when it holds, zero where another process is to see to that.
func (b *consentBook) write(id string, sessions []string, said call.Consent, applied time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range append([]string{id}, sessions...) {
		if b.dir == "" {
			if len(b.said) >= maxConsents {
				clear(b.said) // who is asked again is asked once too often
			}
			b.said[id] = consentPage{consentPageVersion, id, said, applied}
			continue
		}
		text, err := json.Marshal(consentPage{consentPageVersion, id, said, applied})
		if err != nil {
			return fmt.Errorf("consent: %w", err)
		}
		if err := writeDurably(b.dir, filepath.Join(b.dir, pageName(id)), append(text, '\n')); err != nil {
			return fmt.Errorf("consent: %w", err)
		}
	}
	return nil
}

const consentPageVersion = 1

// read gives what was said of an id; no state: nothing.
func (b *consentBook) read(id string) (call.Consent, error) {
	p, err := b.page(id)
	return p.Consent, err
}

// page gives an id's page; an empty one: there is none.
func (b *consentBook) page(id string) (p consentPage, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dir == "" {
		return b.said[id], nil
	}
	text, err := os.ReadFile(filepath.Join(b.dir, pageName(id)))
	if errors.Is(err, fs.ErrNotExist) {
		return consentPage{}, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err == nil && (p.Version != consentPageVersion || p.ID != id) {
		err = fmt.Errorf("version %d of %q", p.Version, p.ID)
	}
	if err != nil {
		return consentPage{}, fmt.Errorf("consent state %s: %w", pageName(id), err)
	}
	return p, nil
}

// sweep removes what is older than any call, and what a process that was killed did not finish.
func (b *consentBook) sweep(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.swept) < time.Hour {
		return
	}
	b.swept = now
	names, err := filepath.Glob(filepath.Join(b.dir, "*"))
	if err != nil || b.dir == "" {
		return
	}
	for _, name := range names {
		if fi, err := os.Lstat(name); err == nil && now.Sub(fi.ModTime()) > consentKept {
			_ = os.Remove(name) // again at the next sweep
		}
	}
}
