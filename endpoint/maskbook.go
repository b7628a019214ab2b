package endpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

const (
	// settledAfter is how long after its end a mask is still known: what it took back may be on the disk until the newest sync, and a
	// crash before that has the repair take it back once more.
	settledAfter = time.Minute
	// maxPages bounds the calls whose masks are looked through, maxPageMasks those of one call.
	maxPages     = 4096
	maxPageMasks = 64
)

// maskBook keeps the masks that people set, so that a call comes back masked: after a crash, a restart, a hand-over, a re-join. It is the folder
// DIR/state/masks with a file per call, read anew each time: another process may have written it.
type maskBook struct {
	dir string // empty: nothing is recorded, so there is nowhere to keep it

	// mu guards pages, and the writing of files.
	mu    sync.Mutex
	pages map[string]maskPage // where there is no folder, by call
}

// maskPage is what is known of one call.
type maskPage struct {
	Version  int        `json:"version"`
	Call     string     `json:"call"`
	Sessions []string   `json:"sessions"`
	Masks    []maskLine `json:"masks"` // the newest last
}

// maskLine is one mask.
type maskLine struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"` // it ends by itself
	To    time.Time `json:"to,omitzero"`
	Why   string    `json:"why,omitempty"`
	Who   string    `json:"who"`
	// Applied is from when on its newest change holds, Pos where that is in the recording; zero: it waits for the process that hears the call.
	Applied time.Time `json:"applied,omitzero"`
	Pos     int64     `json:"pos,omitempty"`
}

const maskPageVersion = 1

func newMaskBook(recordings string) *maskBook {
	b := &maskBook{pages: map[string]maskPage{}}
	if recordings != "" {
		b.dir = filepath.Join(recordings, "state", "masks")
	}
	return b
}

// end is when a mask ends, or has ended.
func (m *maskLine) end() time.Time {
	if !m.To.IsZero() && m.To.Before(m.Until) {
		return m.To
	}
	return m.Until
}

// on is the mask that lasts at a time; nil: none.
func (p *maskPage) on(now time.Time) *maskLine {
	if len(p.Masks) == 0 {
		return nil
	}
	if last := &p.Masks[len(p.Masks)-1]; now.Before(last.end()) {
		return last
	}
	return nil
}

// trim forgets what is settled, and of many masks puts the two oldest together.
func (p *maskPage) trim(now time.Time) {
	p.Masks = slices.DeleteFunc(p.Masks, func(m maskLine) bool { return now.After(m.end().Add(settledAfter)) })
	for len(p.Masks) > maxPageMasks {
		p.Masks[1].From = p.Masks[0].From
		p.Masks = p.Masks[1:]
	}
}

// write makes a page durable; one without masks goes.
func (b *maskBook) write(p maskPage, now time.Time) error {
	p.Version, p.Sessions = maskPageVersion, slices.Clone(p.Sessions)
	p.Masks = slices.Clone(p.Masks)
	p.trim(now)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dir == "" {
		b.pages[p.Call] = p
		if len(p.Masks) == 0 {
			delete(b.pages, p.Call)
		}
		return nil
	}
	name := filepath.Join(b.dir, pageName(p.Call))
	if len(p.Masks) == 0 {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("mask: %w", err)
		}
		return nil
	}
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("mask: %w", err)
	}
	if err := writeDurably(b.dir, name, append(text, '\n')); err != nil {
		return fmt.Errorf("mask: %w", err)
	}
	return nil
}

// find gives the pages of the calls that any of these ids names, by the call's or a session's.
func (b *maskBook) find(ids []string) (found []maskPage, err error) {
	for _, p := range b.all(&err) {
		if slices.Contains(ids, p.Call) || slices.ContainsFunc(p.Sessions, func(s string) bool { return slices.Contains(ids, s) }) {
			found = append(found, p)
		}
	}
	return found, err
}

// all gives every page that can be read; of those that can't, err tells.
func (b *maskBook) all(err *error) (out []maskPage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dir == "" {
		for _, p := range b.pages {
			out = append(out, p)
		}
		return out
	}
	d, e := os.Open(b.dir)
	if errors.Is(e, fs.ErrNotExist) {
		return nil
	}
	if e != nil {
		*err = errors.Join(*err, e)
		return nil
	}
	defer d.Close() //nolint:errcheck // read only
	names, e := d.Readdirnames(maxPages)
	if len(names) == 0 {
		return nil
	}
	for _, n := range names {
		if !strings.HasSuffix(n, ".json") {
			continue
		}
		p, e := readPage(filepath.Join(b.dir, n))
		if e != nil {
			*err = errors.Join(*err, e)
			continue
		}
		out = append(out, p)
	}
	return out
}

func readPage(name string) (p maskPage, err error) {
	text, err := os.ReadFile(name) //nolint:gosec // a file of ours
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err == nil && p.Version != maskPageVersion {
		err = fmt.Errorf("version: got %d, want %d", p.Version, maskPageVersion)
	}
	if err != nil {
		return p, fmt.Errorf("mask state %s: %w", filepath.Base(name), err)
	}
	return p, nil
}

// sweep removes the pages of which nothing lasts.
func (b *maskBook) sweep(now time.Time) {
	var err error
	for _, p := range b.all(&err) {
		if len(p.Masks) > 0 && now.After(p.Masks[len(p.Masks)-1].end().Add(settledAfter)) {
			_ = b.write(maskPage{Call: p.Call}, now) // again at the next sweep
		}
	}
}

// masks is recorder.Masks: those that a repair has to write again.
func (b *maskBook) masks(id string, sessions []string) (out []call.Mask) {
	found, _ := b.find(append([]string{id}, sessions...)) // what can't be read was told when it was looked at for the call
	for _, p := range found {
		for _, m := range p.Masks {
			out = append(out, call.Mask{By: media.HolderPCI.String(), Why: m.Why, From: m.From, To: m.end()})
		}
	}
	return out
}
