package recorder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Listed is a recording as a folder of recordings shows it.
type Listed struct {
	Folder string `json:"folder"` // below the folder of recordings, with slashes
	CallID string `json:"call_id"`
	Part   int    `json:"part"`
	// Live: it is being written, or waits to be finished after a crash.
	Live     bool      `json:"live,omitempty"`
	State    State     `json:"state"`
	Cause    string    `json:"cause,omitempty"`
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"` // of audio
	Agent    string    `json:"agent,omitempty"`
	Channels []string  `json:"channels"`
	// What is known of the call, for who searches.
	Ended     time.Time     `json:"ended,omitzero"`
	Direction string        `json:"direction,omitempty"`
	Queues    []string      `json:"queues,omitempty"`
	Sessions  []string      `json:"sessions,omitempty"`
	Parties   []ListedParty `json:"parties,omitempty"`
	// Class and Until are how long it is kept; a zero Until: for ever. Held: it is on legal hold, and kept whatever they say.
	Class string    `json:"class,omitempty"`
	Until time.Time `json:"until,omitzero"`
	Held  bool      `json:"held,omitempty"`
	// Vault is where its audio is, if that was moved there.
	Vault string `json:"vault,omitempty"`
	// Error says why the manifest can't be read; then only what the folder's name says is known.
	Error string `json:"error,omitempty"`
}

// Catalog looks at a folder of recordings; nothing is written, and a daemon that records there is not disturbed.
type Catalog struct {
	root *os.Root
	dir  string
}

// OpenCatalog opens a folder of recordings, such as record.dir. Close it afterwards.
func OpenCatalog(dir string) (*Catalog, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	return &Catalog{root, dir}, nil
}

// Close ends the looking.
func (c *Catalog) Close() error { return c.root.Close() }

// Dir is where a folder that was listed lies.
func (c *Catalog) Dir(folder string) string { return filepath.Join(c.dir, filepath.FromSlash(folder)) }

// List gives the newest recordings, newest first, at most so many; day, as 2006-01-02 and UTC, restricts it to one day. Of what
// is listed the manifests are read. With an error it gives what lies in the folders that can be looked into.
func (c *Catalog) List(ctx context.Context, day string, most int) (list []Listed, err error) {
	days, errs := c.days()
	for _, d := range slices.Backward(days) {
		if day != "" && d != strings.ReplaceAll(day, "-", "/") {
			continue
		}
		names, err := c.recordings(d)
		errs = errors.Join(errs, err)
		for _, name := range slices.Backward(names) {
			if len(list) >= most || ctx.Err() != nil {
				return list, errors.Join(errs, context.Cause(ctx))
			}
			if l, ok := c.look(path.Join(d, name)); ok {
				list = append(list, l)
			}
		}
	}
	return list, errs
}

// Find gives the recordings that a name means, oldest first: a folder's name, with or without what stands before it, or a call's id, with
// all its parts. Folders that can't be looked into are an error if nothing is found elsewhere.
func (c *Catalog) Find(name string) (list []Listed, err error) {
	days, errs := c.days()
	clean := cleanID(name)
	base := strings.TrimSuffix(path.Base(filepath.ToSlash(name)), partialSuffix)
	for _, d := range days {
		names, err := c.recordings(d)
		errs = errors.Join(errs, err)
		for _, n := range names {
			exact := strings.TrimSuffix(n, partialSuffix) == base
			if !exact && !namesCall(n, clean) {
				continue
			}
			if l, ok := c.look(path.Join(d, n)); ok && (exact || l.CallID == name) {
				list = append(list, l)
			}
		}
	}
	if len(list) == 0 {
		return nil, errs
	}
	slices.SortStableFunc(list, func(a, b Listed) int { return cmp.Compare(a.Part, b.Part) })
	return list, nil
}

// days lists the folders of days, oldest first; with an error those that can be looked for.
func (c *Catalog) days() (days []string, errs error) { return daysUnder(c.root, ".") }

// daysUnder lists the folders of days below a folder.
func daysUnder(root *os.Root, top string) (days []string, errs error) {
	days = []string{top}
	for _, digits := range []int{4, 2, 2} {
		var next []string
		for _, d := range days {
			names, err := dirNames(root, d)
			if err != nil { // such as a year that was moved to another disk, and a link to it
				errs = errors.Join(errs, fmt.Errorf("recordings: %w", err))
			}
			for _, n := range names {
				if allDigits(n, digits) {
					next = append(next, path.Join(d, n))
				}
			}
		}
		slices.Sort(next)
		days = next
	}
	return days, errs
}

// recordings lists a day's folders whose names are those of recordings, oldest first.
func (c *Catalog) recordings(day string) ([]string, error) {
	names, err := dirNames(c.root, day)
	if err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	names = slices.DeleteFunc(names, func(n string) bool {
		_, _, ok := splitName(strings.TrimSuffix(n, partialSuffix))
		return !ok
	})
	slices.Sort(names)
	return names, nil
}

// look reads a recording's manifest; false: it is no recording, or it has got another name meanwhile and is listed under that.
func (c *Catalog) look(folder string) (Listed, bool) {
	started, id, _ := splitName(strings.TrimSuffix(path.Base(folder), partialSuffix))
	l := Listed{Folder: folder, CallID: id, Started: started, Live: strings.HasSuffix(folder, partialSuffix), Channels: []string{}}
	m, err := readManifest(c.root, path.Join(folder, ManifestName))
	if l.Live && errors.Is(err, fs.ErrNotExist) { // sealed just now
		l.Live, l.Folder = false, strings.TrimSuffix(folder, partialSuffix)
		m, err = readManifest(c.root, path.Join(l.Folder, ManifestName))
	}
	l.Held, l.Vault = c.Held(l.Folder), c.Vault(l.Folder)
	if err != nil {
		if fi, e := c.root.Stat(l.Folder); e != nil || !fi.IsDir() {
			return l, false
		}
		l.Error = err.Error()
		return l, true
	}
	l.CallID, l.Part, l.State, l.Cause, l.Started = m.Call.ID, m.Part, m.State, string(m.Cause), m.Started
	l.Seconds, l.Agent, l.Channels = float64(m.Samples)/rate, m.Call.Agent, full(m.Channels)
	l.Direction, l.Queues, l.Sessions, l.Parties = m.Call.Direction, m.Call.Queues, m.Call.Sessions, partiesOf(m)
	if m.Ended != nil {
		l.Ended = *m.Ended
	}
	if k := m.Retention; k != nil {
		if l.Class = k.Class; k.Until != nil {
			l.Until = *k.Until
		}
	}
	return l, true
}

// Vault tells where a recording's audio is, if that was moved to the vault; empty: it is here.
func (c *Catalog) Vault(folder string) string {
	away, err := readMoved(c.root, folder)
	switch {
	case err != nil:
		return err.Error()
	case away == nil:
		return ""
	}
	return away.String()
}

// Held tells whether a recording is on legal hold, or may be.
func (c *Catalog) Held(folder string) bool {
	_, err := c.root.Lstat(holdName(trimPartial(folder)))
	return !errors.Is(err, fs.ErrNotExist)
}
