package recorder

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// nextPart looks for earlier parts of the call, sealed or not, in the days around its start: a call that goes on after a
// restart began hours ago at most.
func (s *Store) nextPart(r *Recording, id string) error {
	clean := cleanID(id)
	for days := -1; days <= 1; days++ {
		day := dayDir(r.started.Add(time.Duration(days) * 24 * time.Hour))
		names, err := s.names(day)
		if err != nil {
			return fmt.Errorf("open recording: %w", err)
		}
		for _, name := range names {
			if !namesCall(name, clean) {
				continue
			}
			base := strings.TrimSuffix(name, partialSuffix)
			m, err := s.manifestOf(day, base)
			if err != nil || m.Call.ID != id || m.Part < r.part {
				continue
			}
			r.part, r.previous = m.Part+1, inDay(day, base)
		}
	}
	return nil
}

// manifestOf reads a recording's manifest, whether it is sealed or about to be.
func (s *Store) manifestOf(day, base string) (*Manifest, error) {
	m, err := readManifest(s.root, inDay(day, base+partialSuffix, ManifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return readManifest(s.root, inDay(day, base, ManifestName))
	}
	return m, err
}

// names lists a folder without a look at what is in it; nothing if there is none.
func (s *Store) names(folder string) ([]string, error) {
	d, err := s.root.Open(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	return names, errors.Join(err, d.Close())
}

// link ties a finished manifest to the part before: by its hash, and by what lies between the two where no event of the call
// has told, since the part before ended for itself: with its process, or as somebody wished.
func (s *Store) link(m *Manifest) {
	if m.Previous == nil {
		return
	}
	b, err := s.root.ReadFile(inDay(m.Previous.Folder, ManifestName))
	if err != nil {
		return
	}
	sum := sha256.Sum256(b)
	m.Previous.SHA256 = hex.EncodeToString(sum[:])
	var before Manifest
	if json.Unmarshal(b, &before) != nil || before.Ended == nil || slices.ContainsFunc(slices.Concat(m.Missing, m.Gaps), between) {
		return
	}
	samples := int64(m.Started.Sub(*before.Ended) * rate / time.Second)
	if samples < leastGap {
		return
	}
	g := Missing{What: "gap", Samples: samples, Text: "before this part: the one before had ended"}
	if c := before.EndCause; c != nil {
		if g.Cause = c.Code; c.Text != "" {
			g.Text += ": " + c.Text
		}
	}
	m.Gaps = slices.Insert(m.Gaps, 0, g)
}

// between says whether x is the stretch between the part before and this one.
func between(x Missing) bool { return x.What == "gap" && x.Channel == nil }
