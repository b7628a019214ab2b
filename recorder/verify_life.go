package recorder

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/earshot/earshot/recorder/evidence"
)

// erased counts a recording that the log says was erased, and tells by whom.
func (v *verifier) erased(k known) {
	v.out.Erased++
	if k.erasure != nil {
		v.out.Erasures = append(v.out.Erasures, *k.erasure)
	}
}

// going tells whether a folder is about to go: that it is erased is decided and in the log, and a crash came before it went.
func (v *verifier) going(folder string, k known) bool {
	if !k.erased {
		return false
	}
	if _, err := v.c.root.Lstat(intentName(folder)); err != nil {
		if _, err := v.c.root.Lstat(folder); !errors.Is(err, fs.ErrNotExist) {
			return false // somebody put it back
		}
	} else {
		v.out.Erasing++
	}
	v.erased(k)
	return true
}

// went tells whether a folder is gone that was there when we began to look into it; then missing has to say why.
func (v *verifier) went(folder string, k known) bool {
	if _, err := v.c.root.Lstat(folder); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	v.log[folder] = k
	return len(v.cfg.Only) == 0
}

// named looks in the log alone for what the disk has nothing of, and gives how many of it were erased.
func (v *verifier) named() (erased int) {
	for _, name := range v.cfg.Names {
		found := false
		for _, folder := range slices.Sorted(maps.Keys(v.log)) {
			k := v.log[folder]
			if path.Base(folder) != path.Base(name) && k.call != name {
				continue
			}
			found = true
			if k.erased {
				erased++
				if k.erasure != nil {
					v.out.Erasures = append(v.out.Erasures, *k.erasure)
				}
			} else {
				v.find(evidence.Removed, folder, "the log names this recording, and it is not there")
			}
		}
		if !found {
			v.find(evidence.Removed, name, "neither the disk nor the log has anything of that name")
		}
	}
	return erased
}

// heldBy follows the legal holds.
func (v *verifier) heldBy(l evidence.Leaf) {
	switch {
	case v.holds == nil:
	case l.Act == actHold:
		if v.holds[l.Folder] == nil {
			v.holds[l.Folder] = map[string]bool{}
		}
		v.holds[l.Folder][l.Matter] = true
	case l.Act == actUnhold:
		delete(v.holds[l.Folder], l.Matter)
	}
}

// holdsThere names the holds that somebody took away: what the log holds, a file must hold.
func (v *verifier) holdsThere() error {
	for _, folder := range slices.Sorted(maps.Keys(v.holds)) {
		if len(v.holds[folder]) == 0 {
			continue
		}
		name := holdName(folder)
		list, err := v.c.Holds(folder)
		if err != nil {
			v.find(evidence.Changed, name, "%v", err)
			continue
		}
		for _, matter := range slices.Sorted(maps.Keys(v.holds[folder])) {
			if slices.ContainsFunc(list, func(h Hold) bool { return h.Matter == matter }) {
				continue
			}
			again, err := v.again()
			if err != nil {
				return err
			}
			if again.holds == nil || again.holds[folder][matter] { // else it was ended while we looked
				v.find(evidence.Removed, name, "the log names a legal hold (matter %q), and it is not there", matter)
			}
		}
	}
	return nil
}
