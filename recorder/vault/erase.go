package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/earshot/earshot/recorder"
)

// LockedError says that a recording can't be taken out of the vault yet.
type LockedError struct {
	Folder string
	Mode   string    // LockGovernance or LockCompliance; empty: only the hold
	Until  time.Time // the last of its objects
	Hold   bool      // a legal hold, which has no date
}

// Error names until when.
func (e *LockedError) Error() string {
	switch {
	case e.Hold && e.Until.IsZero():
		return fmt.Sprintf("vault: %s is on legal hold: it can be erased when that is taken off", e.Folder)
	case e.Hold:
		return fmt.Sprintf("vault: %s is on legal hold, and locked (%s) until %s: it can't be erased before both have ended", e.Folder, e.Mode, day(e.Until))
	}
	return fmt.Sprintf("vault: %s is locked (%s) until %s: it can't be erased before", e.Folder, e.Mode, day(e.Until))
}

// eraseWithin bounds an erasure.
const eraseWithin = 10 * time.Minute

// Erase takes a recording out of the vault, with all versions, and keeps it from going there. A *LockedError: the vault holds it, and nothing of it was
// removed. It may be called again. Folder is below the folder of recordings.
func (v *Vault) Erase(ctx context.Context, folder string) error {
	name, err := nameOf(folder)
	if err != nil {
		return fmt.Errorf("vault: erase %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, eraseWithin)
	defer cancel()
	if err := v.halt(ctx, name); err != nil {
		return err
	}
	last, err := v.last(name)
	if err == nil {
		err = v.erase(ctx, name, last)
	}
	v.mu.Lock()
	delete(v.erasing, name) // from here on the ledger says so
	v.mu.Unlock()
	if err != nil {
		if last.Vaulted == nil && last.Erased == nil && v.here(name) {
			v.enqueue(name) // it goes on as it was; what is noted as erased by now is not brought again
		}
		return err
	}
	v.count.erased.Add(1)
	return nil
}

// here tells whether a recording is on the disk still. Where it was erased there is nothing to bring: who erases asks again.
func (v *Vault) here(name string) bool {
	_, err := os.Lstat(filepath.Join(v.cfg.Dir, filepath.FromSlash(folderOf(name))))
	return !errors.Is(err, fs.ErrNotExist)
}

// decided tells whether a recording's erasure is decided and not done: by a command while no daemon ran, say, or before a crash.
func (v *Vault) decided(name string) bool {
	c, err := recorder.OpenCatalog(v.cfg.Dir)
	if err != nil {
		return false
	}
	defer c.Close()        //nolint:errcheck // it was only read
	list, _ := c.Erasing() // of one that can't be read nothing is known
	return slices.ContainsFunc(list, func(e recorder.Erasure) bool { return e.Folder == folderOf(name) })
}

// halt ends an upload that is under way, and takes the item from the queue.
func (v *Vault) halt(ctx context.Context, name string) error {
	v.mu.Lock()
	v.erasing[name] = true
	u := v.work[name]
	v.mu.Unlock()
	if u != nil {
		u.cancel(errErased)
		select {
		case <-u.ended:
		case <-ctx.Done():
			return fmt.Errorf("vault: erase %s: its upload did not end: %w", name, context.Cause(ctx))
		}
	}
	return v.box.Remove(name)
}

func (v *Vault) erase(ctx context.Context, name string, last entry) error {
	prefix := prefixOf(v.cfg.Key, name)
	if last.Prefix != "" {
		prefix = last.Prefix // it was brought under another template
	}
	if err := v.cfg.sameBucket(last.Endpoint, last.Bucket); err != nil {
		return fmt.Errorf("vault: erase %s: %w: erase it there, or configure that one", folderOf(name), err)
	}
	list, err := v.versions(ctx, prefix+"/")
	if err != nil {
		return fmt.Errorf("vault: erase %s: %w", folderOf(name), err)
	}
	if err := v.free(ctx, folderOf(name), list); err != nil {
		return err
	}
	now := time.Now().UTC()
	if err := v.done.Add(dayOf(name), entry{Folder: folderOf(name), Erased: &now, Endpoint: v.cfg.Endpoint, Bucket: v.cfg.Bucket, Prefix: prefix}); err != nil {
		return fmt.Errorf("vault: erase %s: %w", folderOf(name), err)
	}
	for _, o := range list {
		if err := v.s3.RemoveObject(ctx, v.cfg.Bucket, o.Key, minio.RemoveObjectOptions{VersionID: o.VersionID}); err != nil && !missing(err) {
			return fmt.Errorf("vault: erase %s: %w", o.Key, err)
		}
	}
	if err := v.dropUploads(ctx, prefix+"/"); err != nil {
		return fmt.Errorf("vault: erase %s: %w", folderOf(name), err)
	}
	return nil
}

// maxVersions bounds what is taken for one recording.
const maxVersions = 100_000

// versions lists all there is of a recording, delete markers too.
func (v *Vault) versions(ctx context.Context, prefix string) (list []minio.ObjectInfo, err error) {
	for o := range v.s3.ListObjectsIter(ctx, v.cfg.Bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			return nil, o.Err
		}
		if !strings.HasPrefix(o.Key, prefix) {
			return nil, fmt.Errorf("the server lists %.80q below %s", o.Key, prefix)
		}
		if list = append(list, o); len(list) > maxVersions {
			return nil, fmt.Errorf("more than %d versions below %s", maxVersions, prefix)
		}
	}
	return list, nil
}

// free tells whether nothing of a recording is held: all of it goes, or nothing.
func (v *Vault) free(ctx context.Context, folder string, list []minio.ObjectInfo) error {
	out := &LockedError{Folder: folder}
	for _, o := range list {
		if o.IsDeleteMarker {
			continue
		}
		info, err := v.stat(ctx, o.Key, o.VersionID)
		if missing(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("vault: erase %s: %w", folder, err)
		}
		h := heldBy(info)
		out.Hold = out.Hold || h.hold
		if h.until.After(time.Now()) && h.until.After(out.Until) {
			out.Mode, out.Until = h.mode, h.until
		}
	}
	if out.Hold || !out.Until.IsZero() {
		return out
	}
	return nil
}

// dropUploads ends what was begun in parts, and never completed.
func (v *Vault) dropUploads(ctx context.Context, prefix string) error {
	list, err := v.s3.ListMultipartUploads(ctx, v.cfg.Bucket, prefix, "", "", "", 1000)
	var errs error
	for _, u := range list.Uploads {
		if e := v.s3.AbortMultipartUpload(ctx, v.cfg.Bucket, u.Key, u.UploadID); !missing(e) {
			errs = errors.Join(errs, e)
		}
	}
	return errors.Join(err, errs)
}
