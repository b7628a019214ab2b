package recorder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/earshot/earshot/recorder/evidence"
)

// Away says where the audio of a recording is that was moved to the vault.
type Away struct {
	Folder   string    `json:"folder"`
	Endpoint string    `json:"endpoint"`
	Bucket   string    `json:"bucket"`
	Prefix   string    `json:"prefix"`
	Since    time.Time `json:"since"`
	Files    int       `json:"files"`
}

// moveCheck is what a folder that is checked says of audio that is not in it.
type moveCheck struct {
	folder string
	there  bool   // moved.json
	moved  *Moved // nil: it is not to be believed
	sum    string // of moved.json
	said   bool   // by the log, when it was read
	kind   string // of finding, if the log doesn't say it either when it is read again
	gone   []File // not here, and there
}

// unsaid is a move that the log did not name when it was read.
type unsaid struct {
	folder, sum, kind string
	// lacks is what is missing if the log does not name it at all.
	lacks []evidence.Finding
}

// moveCheck reads moved.json, which must be one that the log names.
func (v *verifier) moveCheck(folder string, m *Manifest, k known, there bool) *moveCheck {
	a := &moveCheck{folder: folder, there: there}
	name := path.Join(folder, MovedName)
	if !there {
		return a
	}
	b, ok := v.read(name, maxSmallBytes)
	if !ok || b == nil {
		return a
	}
	a.sum = sumOf(b)
	_, a.said = k.moved[a.sum]
	if a.kind = evidence.Added; len(k.moved) > 0 {
		a.kind = evidence.Changed
	}
	moved, err := ParseMoved(b)
	if err == nil && moved.Folder != folder {
		err = fmt.Errorf("it is of %s", moved.Folder)
	}
	if err != nil {
		v.find(evidence.Changed, name, "%v", err)
		return a
	}
	a.moved = moved
	return a
}

// took tells whether a file went after its folder was listed.
func (a *moveCheck) took(root *os.Root, name string) bool {
	if a.moved == nil {
		return false
	}
	_, err := root.Lstat(name)
	return errors.Is(err, fs.ErrNotExist)
}

// lacks takes a file that is not there: it was moved, or somebody removed it.
func (a *moveCheck) lacks(v *verifier, name string, f File, k known) {
	if a.moved != nil {
		if _, ok := a.moved.of(f); ok {
			a.gone = append(a.gone, f)
			return
		}
	}
	text := "the manifest names this file, and it is not there"
	if !a.there {
		for _, to := range k.moved {
			text += fmt.Sprintf("; the log says that audio was moved to bucket %s at %s, %s, and %s, which names the objects, is gone", to.Bucket, to.Endpoint, to.Prefix, MovedName)
			break
		}
	}
	v.find(evidence.Removed, name, "%s", text)
}

// changedPlace tells whether audio went, or came back, while its folder was looked at.
func (v *verifier) changedPlace(folder string, a *moveCheck) bool {
	_, err := v.c.root.Lstat(path.Join(folder, MovedName))
	return a.there != (err == nil)
}

// tell counts a recording whose audio is elsewhere, and looks there if that is wanted.
func (a *moveCheck) tell(ctx context.Context, v *verifier) {
	if a.moved == nil {
		return
	}
	if !a.said {
		u := unsaid{folder: a.folder, sum: a.sum, kind: a.kind}
		for _, f := range a.gone {
			u.lacks = append(u.lacks, evidence.Finding{Kind: evidence.Removed, What: path.Join(a.folder, f.File), Text: "the manifest names this file, and it is not there"})
		}
		v.unsaid = append(v.unsaid, u)
	}
	if len(a.gone) == 0 {
		return
	}
	p := a.moved.Place
	v.out.Moved++
	v.out.Away = append(v.out.Away, Away{a.folder, p.Endpoint, p.Bucket, p.Prefix, a.moved.Time, len(a.gone)})
	if v.cfg.Vault == nil {
		return
	}
	good := true
	for _, f := range a.gone {
		o, _ := p.of(f)
		r, err := v.cfg.Vault.Open(ctx, p, o)
		if err == nil {
			err = sameOctets(io.Discard, r, f)
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, errNotSame):
			v.find(evidence.Changed, path.Join(a.folder, f.File), "%v", err)
		case errors.Is(err, fs.ErrNotExist):
			v.find(evidence.Removed, path.Join(a.folder, f.File), "it was moved to the vault (%s), and it is not there: %v", &p, err)
		default:
			v.find(evidence.Unreadable, path.Join(a.folder, f.File), "in the vault: %v", err)
		}
		good = false
	}
	if good {
		v.out.Read++
	}
}
