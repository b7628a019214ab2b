package recorder

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/recorder/evidence"
)

// errNotAsSealed: a folder that looks unfinished was sealed once. To finish it would be to sign what somebody made of it.
var errNotAsSealed = errors.New("the evidence log names this recording, and it is not as it was sealed: left as it is, look at it with `earshot recordings verify`")

// named gives what the evidence log says of a leftover under the name that it is to have.
func (s *Store) named(l leftover) (k evidence.Named, err error) {
	if s.book == nil {
		return k, nil
	}
	return s.book.Named(inDay(l.day, strings.TrimSuffix(l.name, partialSuffix)))
}

// repairNamed gives a folder its name that was sealed but for that; what is not exactly as it was sealed is not touched.
func (s *Store) repairNamed(l leftover, k evidence.Named, err error) Result {
	folder, base := inDay(l.day, l.name), strings.TrimSuffix(l.name, partialSuffix)
	res := Result{Dir: filepath.Join(s.cfg.Dir, filepath.FromSlash(folder)), State: StatePartial, Err: err}
	m, e := readManifest(s.root, inDay(folder, ManifestName))
	if e == nil {
		res.CallID, res.Part, res.State, res.Started, res.Samples = m.Call.ID, m.Part, m.State, m.Started, m.Samples
		res.Cause = call.Cause{Code: m.Cause, Text: m.CauseText}
		if m.Ended != nil {
			res.Ended = *m.Ended
		}
		if m.Audio != nil {
			res.SHA256 = m.Audio.SHA256
		}
	}
	if res.Err != nil {
		return res
	}
	if k.Erased || e != nil || !slices.Contains(k.Manifests, s.manifestHash(folder)) || !s.asSealed(folder, m) {
		res.Err = fmt.Errorf("repair %s: %w", l.name, errNotAsSealed)
		return res
	}
	if res.Err = s.shut(l.day, l.name, base); res.Err == nil {
		res.Dir = filepath.Join(s.cfg.Dir, filepath.FromSlash(inDay(l.day, base)))
	}
	return res
}

// asSealed tells whether all files are those that the manifest names.
func (s *Store) asSealed(folder string, m *Manifest) bool {
	files, err := s.listFiles(folder)
	return err == nil && slices.Equal(files, m.Files) && s.whole(folder, m)
}

// attestRepaired signs what was left, and has the evidence log name it.
func (s *Store) attestRepaired(l leftover, base string, m *Manifest) error {
	folder := inDay(l.day, l.name)
	if err := s.sameManifest(folder, m); err != nil {
		return err
	}
	if err := s.attest(folder, m); err != nil {
		return err
	}
	if err := s.syncDir(folder); err != nil {
		return err
	}
	return s.testify(inDay(l.day, base), m, true)
}

// sameManifest has the manifest on disk be the octets that will be signed: another version may have written it.
func (s *Store) sameManifest(folder string, m *Manifest) error {
	if s.book == nil {
		return nil
	}
	b, err := m.encode()
	if err != nil {
		return err
	}
	if s.manifestHash(folder) == sumOf(b) {
		return nil
	}
	return s.putManifest(folder, m, true)
}
