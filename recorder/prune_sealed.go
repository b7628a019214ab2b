package recorder

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
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
	named, err := p.c.manifestsOf(items)
	return slices.DeleteFunc(items, func(i PrunedItem) bool {
		bad := err
		if list := named[i.Folder]; bad == nil && len(list) > 0 {
			sum, e := p.c.manifestHash(i.Folder)
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

// manifestsOf gives the hashes of the manifests that the log names, of some recordings.
func (c *Catalog) manifestsOf(items []PrunedItem) (map[string][]string, error) {
	out := map[string][]string{}
	for _, i := range items {
		out[i.Folder] = nil
	}
	err := evidence.Leaves(c.dir, []string{`"type":"` + evidence.LeafRecording + `"`}, func(l evidence.Leaf) {
		if list, ok := out[l.Folder]; ok && l.Type == evidence.LeafRecording {
			out[l.Folder] = append(list, l.Manifest)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("the evidence log can't be read: %w", err)
	}
	return out, nil
}

func (c *Catalog) manifestHash(folder string) (string, error) {
	f, err := openFile(c.root, path.Join(folder, ManifestName))
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, maxManifestBytes+1)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
