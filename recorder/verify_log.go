package recorder

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/earshot/earshot/recorder/evidence"
)

// How many logs may have been put aside is bounded by package evidence.

var currentLog = path.Join(evidence.DirName, evidence.LogName)

// anyKey takes what any of the keys signed.
func (v *verifier) anyKey() *evidence.Public { return v.cfg.Key.With(v.cfg.Older...) }

// logs checks the log, and those before it that were put aside.
func (v *verifier) logs() error {
	names, err := dirNames(v.c.root, evidence.DirName)
	if err != nil {
		return err
	}
	if !slices.Contains(names, evidence.LogName) {
		v.find(evidence.Removed, currentLog, "there is no log: record.sign was off, or it was taken away")
	}
	var aside []string
	for _, name := range names {
		if strings.HasPrefix(name, evidence.LogName+"-") {
			aside = append(aside, name)
		}
	}
	slices.Sort(aside)
	pins := v.pins(append(slices.Clone(aside), evidence.LogName))
	kept := v.cfg.Kept
	for _, name := range aside {
		if _, ok := pins[name]; !ok {
			v.find(evidence.Added, path.Join(evidence.DirName, name), "no log goes on from this one: what it names counts for nothing")
			continue
		}
		if kept, err = v.oldLog(name, pins[name], kept); err != nil {
			return err
		}
	}
	if !slices.Contains(names, evidence.LogName) {
		return nil
	}
	r, err := evidence.CheckLog(v.c.dir, currentLog, v.cfg.Key, kept, v.leaf)
	if err != nil {
		return err
	}
	v.out.Findings = append(v.out.Findings, r.Findings...)
	v.out.Leaves += r.Leaves
	v.out.Proven += r.Proven
	return nil
}

// pins gives for each log that was put aside the last checkpoint that the log after it holds, and names those that are gone.
func (v *verifier) pins(names []string) map[string]*evidence.Checkpoint {
	pins := map[string]*evidence.Checkpoint{}
	for _, name := range names {
		before, err := evidence.PreviousOf(v.c.dir, path.Join(evidence.DirName, name))
		if before == nil || err != nil {
			continue // the first of all; or what it says is wrong, and CheckLog says that
		}
		if !slices.Contains(names, before.Dir) {
			v.find(evidence.Removed, path.Join(evidence.DirName, before.Dir), "%s goes on from this log, and it is not there", name)
			continue
		}
		pins[before.Dir] = before.Head() // nil: it could not be read then
	}
	return pins
}

// oldLog checks a log that was put aside, and gives back those of the checkpoints kept elsewhere that are not its own.
func (v *verifier) oldLog(name string, pin *evidence.Checkpoint, kept []*evidence.Checkpoint) (others []*evidence.Checkpoint, err error) {
	all := kept
	if pin != nil {
		all = append(slices.Clone(kept), pin)
	}
	name = path.Join(evidence.DirName, name)
	r, err := evidence.CheckOldLog(v.c.dir, name, v.anyKey(), all, v.leaf)
	if err != nil {
		return nil, err
	}
	v.out.Findings = append(v.out.Findings, r.Findings...)
	if pin != nil && !r.Holds[len(all)-1] {
		v.find(evidence.Changed, name, "its first %d leaves are not those that the log after it names", pin.Size)
	}
	if pin != nil && r.Leaves < pin.Size {
		v.find(evidence.RolledBack, name, "the log after it says that it had %d leaves, its checkpoint says %d", pin.Size, r.Leaves)
	}
	v.out.Leaves += r.Leaves
	v.out.Proven += r.Proven
	for i, k := range kept {
		if !r.Holds[i] {
			others = append(others, k)
		}
	}
	return others, nil
}

// leaf notes what the log says.
func (v *verifier) leaf(_ int64, b []byte) {
	l, err := evidence.ParseLeaf(b)
	if err != nil || l.Folder == "" {
		return // that the line is wrong was found already
	}
	if l.Type == evidence.LeafAct {
		v.heldBy(l)
		return
	}
	k := v.log[l.Folder]
	switch l.Type {
	case evidence.LeafRecording:
		k.manifests = append(k.manifests, l.Manifest)
		k.unannounced = l.Unannounced
	case evidence.LeafTranscript:
		k.transcript = File{File: path.Base(l.File), SHA256: l.SHA256}
	case evidence.LeafOpened:
		k.opened = l.Time
	case evidence.LeafMoved:
		if l.To != nil {
			if k.moved == nil {
				k.moved = map[string]evidence.Elsewhere{}
			}
			k.moved[l.To.SHA256] = *l.To
		}
	case evidence.LeafErased:
		k.erased = true
		k.erasure = &Erasure{Folder: l.Folder, Call: l.Call, Part: l.Part, Who: l.Who, Why: l.Why, Time: l.Time, Manifest: l.Manifest}
	}
	k.call = l.Call
	v.log[l.Folder] = k
}

// late names what is signed and not in the log, unless it was sealed after that was read.
func (v *verifier) late() error {
	if len(v.unnamed)+len(v.unsaid) == 0 {
		return nil
	}
	again, err := v.again()
	if err != nil {
		return err
	}
	folders := slices.Sorted(maps.Keys(v.unnamed))
	for _, folder := range folders {
		if k := again.log[folder]; slices.Contains(k.manifests, v.unnamed[folder]) {
			continue
		}
		v.find(evidence.Added, folder, "it is signed, and the log does not name it")
	}
	for _, u := range v.unsaid {
		if _, ok := again.log[u.folder].moved[u.sum]; !ok {
			v.find(u.kind, path.Join(u.folder, MovedName), "the log does not say that audio was moved as it says")
			v.out.Findings = append(v.out.Findings, u.lacks...)
		}
	}
	return nil
}

// again reads the log once more, for what happened after it was read. One that is not in order says nothing.
func (v *verifier) again() (*verifier, error) {
	if v.reread != nil {
		return v.reread, nil
	}
	again := &verifier{log: map[string]known{}, holds: map[string]map[string]bool{}}
	r, err := evidence.CheckLog(v.c.dir, currentLog, v.cfg.Key, nil, again.leaf)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("log: %w", err)
	}
	if err != nil || len(r.Findings) > 0 {
		again = &verifier{}
	}
	v.reread = again
	return again, nil
}
