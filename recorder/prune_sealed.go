package recorder

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/earshot/earshot/recorder/evidence"
)

// errChanged is why a recording past its time stays: its manifest is not what was sealed, so the time is nobody's word.
var errChanged = errors.New("its recording.json is not the one that the evidence log names: look at it with `earshot recordings verify`")

// asSealed leaves out what is past its time by a manifest that the evidence log does not name: whoever can write in the folder could else have earshot erase a recording, and say
// in the log that its time was over. Of a folder that the log does not know at all (record.sign was off) the manifest is taken as it is.
func (p *pruner) asSealed(items []PrunedItem) []PrunedItem {
	if len(items) == 0 {
		return nil
	}
	folders := map[string]bool{}
	for _, i := range items {
		folders[i.Folder] = true
	}
	said, err := saidOf(p.c.dir, folders)
	return slices.DeleteFunc(items, func(i PrunedItem) bool {
		bad := err
		if bad == nil {
			bad = said[i.Folder].held(i.Folder)
		}
		if list := said[i.Folder].manifests; bad == nil && len(list) > 0 {
			sum, e := manifestHash(p.c.root, i.Folder)
			if bad = e; e == nil && !slices.Contains(list, sum) {
				bad = errChanged
			}
		}
		if bad != nil {
			p.note(i, "", bad)
		}
		return bad != nil
	})
}

// said is what the evidence log says of a recording.
type said struct {
	manifests []string        // hashes of its manifests
	holds     map[string]bool // matters of legal holds that were not ended
}

// held tells whether the log knows a legal hold; it is asked where no file says so, and then somebody took that away.
func (s said) held(folder string) error {
	if len(s.holds) == 0 {
		return nil
	}
	return fmt.Errorf("%w: the evidence log names a hold (matter %q), and %s is gone: hold it again, or end the hold after that",
		ErrOnHold, slices.Sorted(maps.Keys(s.holds))[0], holdName(folder))
}

// saidOf reads the log for some recordings.
func saidOf(dir string, folders map[string]bool) (map[string]said, error) {
	out := map[string]said{}
	texts := []string{`"type":"` + evidence.LeafRecording + `"`, `"act":"` + actHold + `"`, `"act":"` + actUnhold + `"`}
	err := evidence.Leaves(dir, texts, func(l evidence.Leaf) {
		if !folders[l.Folder] {
			return
		}
		s := out[l.Folder]
		switch {
		case l.Type == evidence.LeafRecording:
			s.manifests = append(s.manifests, l.Manifest)
		case l.Type == evidence.LeafAct && l.Act == actHold:
			if s.holds == nil {
				s.holds = map[string]bool{}
			}
			s.holds[l.Matter] = true
		case l.Type == evidence.LeafAct && l.Act == actUnhold:
			delete(s.holds, l.Matter)
		}
		out[l.Folder] = s
	})
	if err != nil {
		return nil, fmt.Errorf("the evidence log can't be read: %w", err)
	}
	return out, nil
}
