package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/internal/outbox"
	"github.com/earshot/earshot/recorder"
)

// tellAll tells of what is sealed, and of what a crash kept from being told.
func (k *keeper) tellAll(ctx context.Context) error {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			for len(k.sealed) > 0 {
				k.tellSealed(filepath.Base((<-k.sealed).Dir))
			}
			return nil
		case res := <-k.sealed:
			k.tellSealed(filepath.Base(res.Dir))
			continue
		case <-retry.C:
		}
		if k.again.CompareAndSwap(true, false) {
			if err := k.compare(ctx); err != nil && ctx.Err() == nil {
				k.log.Error("recordings not compared with what services were told", attr.Err(err))
				k.again.Store(true)
			}
		}
		retry.Reset(tellAgain)
	}
}

// sealedData is what services are told of a recording: no number and no name of a person.
type sealedData struct {
	Folder   string     `json:"folder"`
	Call     string     `json:"call"`
	Part     int        `json:"part"`
	State    string     `json:"state"`
	Cause    string     `json:"cause,omitempty"`
	Started  time.Time  `json:"started"`
	Ended    *time.Time `json:"ended,omitempty"`
	Samples  int64      `json:"samples"`
	Audio    string     `json:"audio_sha256,omitempty"`
	Manifest string     `json:"manifest_sha256"`
}

// toldLine is a line of the ledger.
type toldLine struct {
	Folder string `json:"folder"`
}

// tellSealed tells of a recording by its folder's name.
func (k *keeper) tellSealed(name string) {
	folder := folderOf(name)
	if folder == "" {
		return
	}
	err := k.tellFolder(folder)
	switch {
	case err == nil:
		err = k.told.Add(dayOf(folder), toldLine{folder})
	case errors.Is(err, fs.ErrNotExist): // erased meanwhile
		return
	}
	if err != nil {
		k.log.Error("services not told of a recording, tried again", slog.String("folder", name), attr.Err(err))
		k.again.Store(true)
	}
}

func (k *keeper) tellFolder(folder string) error {
	at := filepath.Join(k.dir, filepath.FromSlash(folder))
	m, err := recorder.ReadManifest(at)
	if err != nil {
		return err
	}
	sum, err := recorder.ManifestHash(at)
	if err != nil {
		return err
	}
	d := sealedData{
		Folder: folder, Call: m.Call.ID, Part: m.Part, State: string(m.State), Cause: string(m.Cause), Started: m.Started, Ended: m.Ended, Samples: m.Samples, Manifest: sum,
	}
	if m.Audio != nil {
		d.Audio = m.Audio.SHA256
	}
	when := m.Started
	if m.Ended != nil {
		when = *m.Ended
	}
	return k.hooks.Tell(EventSealed, when, folder, d)
}

// compare tells of the recordings of the last days that were sealed and not told of.
func (k *keeper) compare(ctx context.Context) error {
	since, err := k.since()
	if err != nil {
		return err
	}
	var errs error
	for n := range tellDays + 1 {
		day := time.Now().UTC().AddDate(0, 0, n-tellDays).Format("2006/01/02")
		if ctx.Err() != nil {
			return ctx.Err()
		}
		errs = errors.Join(errs, k.compareDay(day, since))
	}
	return errs
}

// since is when services were told of for the first time: what was recorded before is no news.
func (k *keeper) since() (time.Time, error) {
	name := filepath.Join(k.dir, "webhooks", sinceName)
	if fi, err := os.Stat(name); err == nil {
		return fi.ModTime(), nil
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return time.Time{}, err
	}
	return time.Now(), f.Close()
}

func (k *keeper) compareDay(day string, since time.Time) error {
	root, err := os.OpenRoot(k.dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // it was only read
	list, err := os.ReadDir(filepath.Join(k.dir, filepath.FromSlash(day)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	told := map[string]bool{}
	err = k.told.Read(dayOf(day+"/"), func(line []byte) {
		var l toldLine
		if json.Unmarshal(line, &l) == nil {
			told[l.Folder] = true
		}
	})
	if err != nil {
		return err
	}
	for _, e := range list {
		folder := folderOf(e.Name())
		if folder == "" || path.Dir(folder) != day || told[folder] {
			continue
		}
		fi, err := os.Stat(filepath.Join(k.dir, filepath.FromSlash(folder), recorder.ManifestName))
		if err != nil || fi.ModTime().Before(since) {
			continue
		}
		if recorder.TranscriptPending(root, folder) { // a crash came: it is told of when its transcript is there
			k.again.Store(true)
			continue
		}
		k.tellSealed(e.Name())
	}
	return nil
}

// folderOf gives the folder of a sealed recording, below that of all, by its last element; empty: it is none.
func folderOf(name string) string {
	t, err := time.Parse(outbox.Stamp, name[:min(len(name), len(outbox.Stamp))])
	if err != nil || filepath.Ext(name) != "" || len(name) <= len(outbox.Stamp) {
		return ""
	}
	return path.Join(t.Format("2006/01/02"), name)
}

// dayOf is a recording's day, as a ledger names it.
func dayOf(folder string) string {
	b := []byte(path.Dir(folder))
	for i := range b {
		if b[i] == '/' {
			b[i] = '-'
		}
	}
	return string(b)
}
