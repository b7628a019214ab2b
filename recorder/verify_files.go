package recorder

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/earshot/earshot/recorder/evidence"
)

// files checks all that lies in the folder against the manifest.
func (v *verifier) files(ctx context.Context, folder string, m *Manifest, k known) error {
	before := len(v.out.Findings)
	names, err := dirNames(v.c.root, folder)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, n := range names {
		there[n] = true
	}
	delete(there, ManifestName)
	delete(there, SignatureName)
	moved := v.moveCheck(folder, m, k, there[MovedName])
	delete(there, MovedName)
	for _, f := range m.OnDisk() {
		name := path.Join(folder, path.Base(f.File))
		if !there[f.File] || moved.took(v.c.root, name) {
			moved.lacks(v, name, f, k)
		} else {
			v.file(name, f, m)
		}
		delete(there, f.File)
	}
	if v.changedPlace(folder, moved) { // while we looked
		v.out.Findings = v.out.Findings[:before]
		return v.files(ctx, folder, m, k)
	}
	if err := v.transcript(folder, k.transcript, there); err != nil {
		return err
	}
	for _, n := range slices.Sorted(maps.Keys(there)) {
		v.find(evidence.Added, path.Join(folder, n), "the manifest does not name this file")
	}
	moved.tell(ctx, v)
	if m.Encryption != nil {
		v.encrypted(folder, m, len(moved.gone) > 0)
	}
	return nil
}

// file checks one file by its hash.
func (v *verifier) file(name string, want File, m *Manifest) {
	f, err := v.open(name)
	if err != nil {
		v.unreadable(name, err)
		return
	}
	defer f.Close()
	var d digester
	sum, err := d.read(f)
	if err != nil {
		v.unreadable(name, err)
		return
	}
	if sum == want.SHA256 && d.n == want.Bytes {
		return
	}
	text := "its octets are not those that were sealed"
	if d.n != want.Bytes {
		text = fmt.Sprintf("it has %d octets, %d were sealed", d.n, want.Bytes)
	}
	if m.Audio != nil && path.Base(name) == m.Audio.File {
		text += where(m, d.pieces)
	}
	text += m.Encryption.where(path.Base(name))
	v.find(evidence.Changed, name, "%s", text)
}

// where says which minutes of the audio are not as they were sealed.
func where(m *Manifest, now []string) string {
	s := m.Audio.Segments
	if s == nil || s.Bytes <= 0 || m.Samples <= 0 {
		return ""
	}
	var at []string
	for i, sum := range s.SHA256 {
		if i < len(now) && now[i] == sum {
			continue
		}
		if len(at) == 10 {
			at = append(at, "...")
			break
		}
		perSecond := max(1, (m.Audio.Bytes-1)*rate/m.Samples)
		from := int64(i) * s.Bytes / perSecond
		at = append(at, fmt.Sprintf("%d:%02d to %d:%02d", from/60, from%60, (from+s.Bytes/perSecond)/60, (from+s.Bytes/perSecond)%60))
	}
	if len(at) == 0 {
		return ""
	}
	return "; in it, from " + strings.Join(at, ", ")
}
