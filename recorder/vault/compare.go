package vault

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/earshot/earshot/recorder"
)

// compare queues every sealed recording that is neither in the vault nor waiting nor erased: a crash may have come between seal and queue, and a vault
// that was configured later takes what is there. One day is held in memory at a time, the oldest first.
func (v *Vault) compare(ctx context.Context) error {
	root, err := os.OpenRoot(v.cfg.Dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // it was only read
	days, err := days(root)
	if err != nil {
		return err
	}
	var errs error
	for _, d := range days {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		errs = errors.Join(errs, v.compareDay(root, d)) // a day that can't be read must not keep the others out
	}
	return errs
}

func (v *Vault) compareDay(root *os.Root, day string) error {
	d, err := root.Open(day)
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	// What waits is looked at first: an item is noted as done before it is taken away.
	names = slices.DeleteFunc(names, func(n string) bool {
		return !folderName.MatchString(n) || folderOf(n) != path.Join(day, n) || v.box.Has(n)
	})
	if len(names) == 0 {
		return nil
	}
	done := map[string]bool{}
	err = v.done.Read(dayOf(names[0]), func(line []byte) {
		var e entry
		if json.Unmarshal(line, &e) == nil {
			done[e.Folder] = true
		}
	})
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, n := range names {
		if done[path.Join(day, n)] {
			continue
		}
		if _, err := root.Lstat(path.Join(day, n, recorder.ManifestName)); errors.Is(err, fs.ErrNotExist) {
			continue // no recording of ours
		}
		if recorder.TranscriptPending(root, path.Join(day, n)) { // its engines are still at it, or a crash came: it is sealed, and not complete
			v.again.Store(true)
			continue
		}
		if _, err := root.Lstat(path.Join(day, n, recorder.MovedName)); err == nil {
			continue // its audio is in the vault, and no more here
		}
		v.enqueue(n)
	}
	return nil
}

var digits = []*regexp.Regexp{regexp.MustCompile(`^\d{4}$`), regexp.MustCompile(`^\d{2}$`), regexp.MustCompile(`^\d{2}$`)} //nolint:gochecknoglobals // constant

// days lists the folders of days, oldest first.
func days(root *os.Root) ([]string, error) {
	out := []string{"."}
	for _, want := range digits {
		var next []string
		for _, dir := range out {
			list, err := fs.ReadDir(root.FS(), filepath.ToSlash(dir))
			if err != nil {
				return nil, err
			}
			for _, e := range list {
				if e.IsDir() && want.MatchString(e.Name()) {
					next = append(next, path.Join(dir, e.Name()))
				}
			}
		}
		out = next
	}
	slices.Sort(out)
	return out, nil
}
