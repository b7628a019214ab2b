package vault

import (
	"context"
	"fmt"
	"io"
	"io/fs"

	"github.com/minio/minio-go/v7"

	"github.com/earshot/earshot/recorder"
)

// Reader reads what lies in a vault, and changes nothing there or here. Its methods are safe for concurrent use.
type Reader struct {
	cfg   Config
	s3    *minio.Core
	clock *clock
}

// OpenReader makes a reader. Of Config only what names the server is used.
func OpenReader(cfg Config) (*Reader, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s3, clock, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	return &Reader{cfg, s3, clock}, nil
}

// Close ends its connections.
func (r *Reader) Close() error {
	r.clock.close()
	return nil
}

// Open implements recorder.Fetcher.
func (r *Reader) Open(ctx context.Context, place recorder.Place, f recorder.PlacedFile) (io.ReadCloser, error) {
	return open(ctx, &r.cfg, r.s3, place, f)
}

// Open implements recorder.Fetcher.
func (v *Vault) Open(ctx context.Context, place recorder.Place, f recorder.PlacedFile) (io.ReadCloser, error) {
	return open(ctx, &v.cfg, v.s3, place, f)
}

// body is an object that is being read, which has its time for that.
type body struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close ends the reading.
func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.cancel()
	return err
}

func open(ctx context.Context, c *Config, s3 *minio.Core, place recorder.Place, f recorder.PlacedFile) (io.ReadCloser, error) {
	if err := c.sameBucket(place.Endpoint, place.Bucket); err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.within(f.Bytes))
	r, _, _, err := s3.GetObject(ctx, c.Bucket, f.Key, minio.GetObjectOptions{VersionID: f.Version})
	if err != nil {
		cancel()
		cause := causeOf(err)
		if missing(err) {
			return nil, fmt.Errorf("vault: %s: it is there no more: %w", f.Key, fs.ErrNotExist)
		}
		return nil, fmt.Errorf("vault: %s: %s: %w; %s", f.Key, cause, err, cause.hint())
	}
	return &body{r, cancel}, nil
}
