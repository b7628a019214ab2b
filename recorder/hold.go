package recorder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/recorder/evidence"
)

// HoldsName is the folder of legal holds, beside the days: what is sealed is not touched.
const HoldsName = "holds"

const (
	holdVersion   = 1
	maxHolds      = 100
	maxMatter     = 100
	maxWhy        = 1 << 10
	maxSmallBytes = 1 << 20
)

// The acts of holds.
const (
	actHold   = "hold"
	actUnhold = "unhold"
)

// ErrOnHold is why a recording is not erased: somebody needs it, whatever its time.
var ErrOnHold = errors.New("on legal hold")

// Hold keeps a recording from being erased. Each matter (a lawsuit, say) has one of its own, and the recording is free when the last one is gone.
type Hold struct {
	Matter string    `json:"matter,omitempty"`
	Who    string    `json:"who"`
	Why    string    `json:"why"`
	Since  time.Time `json:"since"`
}

// holdFile is DIR/holds/2026/11/23/NAME.json.
type holdFile struct {
	Version int    `json:"version"`
	Folder  string `json:"folder"`
	Call    string `json:"call,omitempty"`
	Holds   []Hold `json:"holds"`
}

func holdName(folder string) string { return path.Join(HoldsName, folder) + ".json" }

// Holds gives a recording's legal holds. An error means that there is one, and that it can't be read: what is in doubt is held.
func (c *Catalog) Holds(folder string) ([]Hold, error) {
	f, err := readHolds(c.root, folder)
	if f == nil || err != nil {
		return nil, err
	}
	return f.Holds, nil
}

// OnHold lists the folders of recordings that are held, oldest first.
func (c *Catalog) OnHold() ([]string, error) {
	var out []string
	days, err := daysUnder(c.root, HoldsName)
	for _, day := range days {
		names, e := dirNames(c.root, day)
		err = errors.Join(err, e)
		for _, n := range names {
			folder := path.Join(strings.TrimPrefix(day, HoldsName+"/"), strings.TrimSuffix(n, ".json"))
			if strings.HasSuffix(n, ".json") && isFolder(folder) {
				out = append(out, folder)
			}
		}
	}
	slices.Sort(out)
	return out, err
}

// readHolds reads a recording's holds; nil: it has none.
func readHolds(root *os.Root, folder string) (*holdFile, error) {
	f := new(holdFile)
	err := readState(root, holdName(folder), f)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && (f.Version != holdVersion || f.Folder != folder) {
		err = fmt.Errorf("got version %d of %q, want %d of %q", f.Version, f.Folder, holdVersion, folder)
	}
	if err != nil {
		return nil, fmt.Errorf("legal hold %s: %w", holdName(folder), err)
	}
	if len(f.Holds) == 0 {
		return nil, nil
	}
	return f, nil
}

// readState reads a small JSON file.
func readState(root *os.Root, name string, into any) error {
	f, err := openFile(root, name)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSmallBytes))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

// Hold keeps a recording from being erased, until Unhold: durably, when it returns. A hold of the same matter takes the place of the one before. With an error that comes
// after the hold itself, of the evidence log, the recording is held.
func (s *Store) Hold(folder string, h Hold) error {
	s.care.Lock()
	defer s.care.Unlock()
	err := s.mayCare(folder, h.Who, h.Why)
	if err == nil && len(h.Matter) > maxMatter {
		err = fmt.Errorf("matter: more than %d octets", maxMatter)
	}
	if err == nil {
		err = s.hold(folder, h)
	}
	if err != nil {
		return fmt.Errorf("hold %s: %w", folder, err)
	}
	return nil
}

func (s *Store) hold(folder string, h Hold) error {
	if _, err := s.root.Lstat(intentName(folder)); err == nil {
		return fmt.Errorf("it is being erased: %w", fs.ErrNotExist)
	}
	id, _, err := s.identify(folder)
	if err != nil {
		return err
	}
	f, err := readHolds(s.root, folder)
	if err != nil {
		return err
	}
	if f == nil {
		f = &holdFile{Version: holdVersion, Folder: folder, Call: id}
	}
	if h.Since.IsZero() {
		h.Since = time.Now()
	}
	h.Since = h.Since.UTC()
	f.Holds = append(slices.DeleteFunc(f.Holds, func(o Hold) bool { return o.Matter == h.Matter }), h)
	if len(f.Holds) > maxHolds {
		return fmt.Errorf("more than %d matters", maxHolds)
	}
	if err := s.putSmall(holdName(folder), f); err != nil {
		return err
	}
	return s.leaf(evidence.Leaf{Type: evidence.LeafAct, Act: actHold, Folder: folder, Call: id, Who: h.Who, Why: h.Why, Matter: h.Matter})
}

// Unhold ends the hold of a matter, and tells how many others there are still.
func (s *Store) Unhold(folder, matter, who, why string) (left int, err error) {
	s.care.Lock()
	defer s.care.Unlock()
	if err = s.mayCare(folder, who, why); err == nil {
		left, err = s.unhold(folder, matter, who, why)
	}
	if err != nil {
		return 0, fmt.Errorf("unhold %s: %w", folder, err)
	}
	return left, nil
}

func (s *Store) unhold(folder, matter, who, why string) (int, error) {
	f, err := readHolds(s.root, folder)
	if err != nil {
		return 0, err
	}
	if f == nil || !slices.ContainsFunc(f.Holds, func(h Hold) bool { return h.Matter == matter }) {
		of := ""
		if f != nil {
			var names []string
			for _, h := range f.Holds {
				names = append(names, fmt.Sprintf("%q", h.Matter))
			}
			of = "; there is " + strings.Join(names, ", ")
		}
		return 0, fmt.Errorf("no hold of the matter %q%s", matter, of)
	}
	f.Holds = slices.DeleteFunc(f.Holds, func(h Hold) bool { return h.Matter == matter })
	// The log first: a hold that has gone unnamed would be one that somebody took away.
	if err := s.leaf(evidence.Leaf{Type: evidence.LeafAct, Act: actUnhold, Folder: folder, Call: f.Call, Who: who, Why: why, Matter: matter}); err != nil {
		return 0, err
	}
	if len(f.Holds) > 0 {
		return len(f.Holds), s.putSmall(holdName(folder), f)
	}
	return 0, s.remove(holdName(folder))
}

// mayCare tells whether we may hold and erase here.
func (s *Store) mayCare(folder, who, why string) error {
	switch {
	case !isFolder(folder):
		return fmt.Errorf("got %q, want a recording's folder such as 2026/11/23/20261123T101500Z_s-1", folder)
	case who == "" || why == "":
		return errors.New("who does it, and why, must be said")
	case len(who) > maxWhy || len(why) > maxWhy:
		return fmt.Errorf("who and why: more than %d octets", maxWhy)
	case !s.claimed():
		return fmt.Errorf("%s: %w", s.cfg.Dir, ErrInUse)
	}
	return nil
}

// isFolder tells whether a name is that of a sealed recording's folder, in the directory.
func isFolder(folder string) bool {
	day, base := path.Split(folder)
	if path.Clean(folder) != folder || len(day) != len("2006/01/02/") {
		return false
	}
	if _, err := time.Parse("2006/01/02/", day); err != nil {
		return false
	}
	_, id, ok := splitName(base)
	return ok && id != "" && !strings.ContainsAny(base, ".\\\x00")
}

// identify gives the call and part of a recording that is there, sealed or live.
func (s *Store) identify(folder string) (id string, part int, err error) {
	name := folder
	if fi, err := s.root.Lstat(folder); errors.Is(err, fs.ErrNotExist) {
		name = folder + partialSuffix
	} else if err == nil && !fi.IsDir() {
		return "", 0, fmt.Errorf("%s is no folder: %w", folder, fs.ErrNotExist)
	}
	if _, err := s.root.Lstat(name); err != nil {
		return "", 0, fmt.Errorf("there is no such recording: %w", fs.ErrNotExist)
	}
	_, id, _ = splitName(path.Base(folder))
	if m, err := readManifest(s.root, inDay(name, ManifestName)); err == nil {
		id, part = m.Call.ID, m.Part
	}
	return id, part, nil
}

// leaf has the evidence log name what was done, and waits for it. Without a log there is nothing to be named in.
func (s *Store) leaf(l evidence.Leaf) error {
	if s.book == nil {
		return nil
	}
	return s.book.Write(l)
}

// putSmall writes a file of ours and makes it durable, with the folders above it.
func (s *Store) putSmall(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := s.root.MkdirAll(path.Dir(name), dirMode); err != nil {
		return err
	}
	if err := s.putFile(name, append(b, '\n'), true); err != nil {
		return err
	}
	return s.syncUp(path.Dir(name))
}

// syncUp makes a folder durable, and those above it.
func (s *Store) syncUp(dir string) error {
	for ; ; dir = path.Dir(dir) {
		if err := s.syncDir(dir); err != nil {
			return err
		}
		if dir == "." {
			return nil
		}
	}
}

// remove removes a file, durably; one that is not there is removed.
func (s *Store) remove(name string) error {
	if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.syncDir(path.Dir(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
