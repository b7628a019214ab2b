package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/earshot/earshot/recorder"
)

// Placed implements recorder.Placer: it tells where a recording is, after it compared each file here with what was sealed, and asked the server whether it has the same.
func (v *Vault) Placed(ctx context.Context, folder string) (*recorder.Place, error) {
	name, err := nameOf(folder)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	if v.box.Has(name) {
		return nil, fmt.Errorf("vault: %s waits for its upload: %w", folder, fs.ErrNotExist)
	}
	last, err := v.last(name)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	if last.Vaulted == nil {
		return nil, fmt.Errorf("vault: %s is not there: %w", folder, fs.ErrNotExist)
	}
	if err := v.cfg.sameBucket(last.Endpoint, last.Bucket); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	place, err := v.placed(ctx, name, last)
	if err == nil {
		return place, nil
	}
	if ctx.Err() != nil || causeOf(err).whole() {
		return nil, fmt.Errorf("vault: %w: %w", recorder.ErrAway, err)
	}
	return nil, fmt.Errorf("vault: %w", err)
}

func (v *Vault) placed(ctx context.Context, name string, last entry) (*recorder.Place, error) {
	rec, err := v.load(name)
	if err != nil {
		return nil, err
	}
	defer rec.close()
	if rec.sum != last.Manifest {
		return nil, trouble(CauseLocal, "%s is not the recording that was brought to the vault", folderOf(name))
	}
	objects := map[string]Object{}
	for _, o := range last.Objects {
		objects[path.Base(o.Key)] = o
	}
	place := &recorder.Place{Endpoint: last.Endpoint, Bucket: last.Bucket, Prefix: last.Prefix}
	for _, p := range rec.files {
		o, ok := objects[p.name]
		if !ok || o.SHA256 != p.sum || o.Bytes != p.size {
			return nil, trouble(CauseLocal, "%s/%s was not brought to the vault as it was sealed", folderOf(name), p.name)
		}
		if err := v.stillThere(ctx, rec, p, o, last.Until); err != nil {
			return nil, err
		}
		place.Objects = append(place.Objects, recorder.PlacedFile{File: p.name, Key: o.Key, Version: o.Version, SHA256: p.sum, Bytes: p.size})
	}
	return place, nil
}

// stillThere makes sure that the server has a file's version yet, with its octets, and holds it for as long as it was told to.
func (v *Vault) stillThere(ctx context.Context, rec *record, p part, o Object, until *time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, v.cfg.within(p.size))
	defer cancel()
	info, err := v.stat(ctx, o.Key, o.Version)
	if missing(err) {
		return trouble(CauseOther, "%s: the vault has it no more", o.Key)
	}
	if err != nil {
		return err
	}
	if until != nil && heldBy(info).until.Before(until.Truncate(time.Second)) {
		return trouble(CauseOther, "%s: the vault does not hold it until %s, as it was told to", o.Key, day(*until))
	}
	f, err := rec.open(p.name)
	if errors.Is(err, fs.ErrNotExist) && info.Size == p.size { // it was moved, and a crash came before all of the recording was
		return nil
	}
	if err != nil {
		return trouble(CauseLocal, "%w", err)
	}
	local, err := hash(f, v.cfg.PartBytes)
	_ = f.Close() // it was only read
	if err != nil {
		return trouble(CauseLocal, "%w", err)
	}
	if local.whole != p.sum {
		return trouble(CauseLocal, "%s/%s is not as it was sealed", folderOf(rec.name), p.name)
	}
	same, err := v.same(ctx, info, local)
	if err == nil && !same {
		err = trouble(CauseChecksum, "%s: the vault has other octets", o.Key)
	}
	return err
}

// sameBucket tells whether something lies in the bucket that is configured; empty words are of before they were noted.
func (c *Config) sameBucket(endpoint, bucket string) error {
	if bucket != "" && bucket != c.Bucket || endpoint != "" && endpoint != c.Endpoint {
		return fmt.Errorf("it lies in bucket %s at %s, and record.vault names %s at %s", bucket, endpoint, c.Bucket, c.Endpoint)
	}
	return nil
}
