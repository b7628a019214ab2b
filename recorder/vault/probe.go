package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// The marks of a Finding.
const (
	MarkOK   = "ok"
	MarkWarn = "warn"
	MarkFail = "FAIL"
)

// Finding is one thing that was looked at.
type Finding struct{ Mark, Found, Do string }

const (
	// probeName is the object that a probe writes; where the bucket locks all that comes, its versions stay.
	probeName = "earshot-probe"
	// probeWithin bounds a probe.
	probeWithin = 30 * time.Second
	// mostSkew is from where clocks are told of; S3 refuses from 15 minutes on.
	mostSkew = time.Minute
)

// Probe asks the server for all that is needed: the bucket, versions, locks, the clock, and an object written and read back. It needs no Vault, and touches nothing in Config.Dir.
func Probe(ctx context.Context, cfg Config) ([]Finding, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s3, clock, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	defer clock.close()
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	p := &probe{cfg: cfg, s3: s3}
	ok, err := s3.BucketExists(ctx, cfg.Bucket)
	if err == nil && !ok {
		err = trouble(CauseBucket, "there is none of this name")
	}
	if err != nil {
		p.fail(err, "bucket %s at %s", cfg.Bucket, cfg.Endpoint)
		return p.out, nil
	}
	p.add(MarkOK, "", "bucket %s at %s is reached", cfg.Bucket, cfg.Endpoint)
	if _, secure, _ := cfg.server(); !secure {
		p.add(MarkWarn, "name an https:// endpoint: recordings cross the network in clear", "endpoint is http://")
	}
	p.clock(clock)
	p.versions(ctx)
	p.lock(ctx)
	p.object(ctx)
	return p.out, nil
}

type probe struct {
	cfg Config
	s3  *minio.Core
	out []Finding
}

func (p *probe) add(mark, do, format string, a ...any) {
	p.out = append(p.out, Finding{mark, fmt.Sprintf(format, a...), do})
}

func (p *probe) fail(err error, format string, a ...any) {
	c := causeOf(err)
	p.add(MarkFail, c.hint(), "%s: %s: %v", fmt.Sprintf(format, a...), c, err)
}

func (p *probe) clock(c *clock) {
	skew := time.Duration(c.skew.Load())
	switch {
	case !c.told.Load():
	case skew.Abs() > mostSkew:
		p.add(MarkWarn, CauseClock.hint(), "the server's clock differs from ours by %v", skew.Round(time.Second))
	default:
		p.add(MarkOK, "", "the clocks agree within %v", mostSkew)
	}
}

func (p *probe) versions(ctx context.Context) {
	c, err := p.s3.GetBucketVersioning(ctx, p.cfg.Bucket)
	switch {
	case err != nil:
		p.add(MarkWarn, "allow s3:GetBucketVersioning", "whether the bucket keeps versions can't be read: %v", err)
	case c.Enabled():
		p.add(MarkOK, "", "the bucket keeps versions")
	default:
		p.add(MarkWarn, "turn versioning on: else whoever may write may replace a recording", "the bucket keeps no versions")
	}
}

func (p *probe) lock(ctx context.Context) {
	c := p.cfg
	state, _, _, _, err := p.s3.GetObjectLockConfig(ctx, c.Bucket)
	on := err == nil && state == "Enabled"
	wanted := c.Lock != "" || c.LegalHold
	switch {
	case on && c.Lock != "":
		p.add(MarkOK, "", "Object Lock is on: recordings are locked (%s) for %s", c.Lock, c.For)
	case on && c.LegalHold:
		p.add(MarkOK, "", "Object Lock is on: recordings are on legal hold")
	case on:
		p.add(MarkWarn, "set record.vault.lock, unless the bucket's own default is meant", "Object Lock is on, and no lock is configured")
	case wanted && err == nil, wanted && strings.Contains(minio.ToErrorResponse(err).Code, "ObjectLockConfigurationNotFound"):
		p.add(MarkFail, CauseLock.hint(), "the bucket has no Object Lock, and record.vault wants it")
	case wanted:
		p.add(MarkWarn, "allow s3:GetBucketObjectLockConfiguration", "whether the bucket has Object Lock can't be read: %v", err)
	}
}

// object writes an object, reads it, and removes it.
func (p *probe) object(ctx context.Context) {
	body := []byte("earshot's probe " + rand.Text() + "\n")
	sum := sumOf(body)
	up, err := p.s3.PutObject(ctx, p.cfg.Bucket, probeName, bytes.NewReader(body), int64(len(body)), "", sum, minio.PutObjectOptions{
		DisableContentSha256: true, ServerSideEncryption: p.cfg.sse(),
	})
	if err != nil {
		p.fail(err, "an object was not written")
		return
	}
	r, _, _, err := p.s3.GetObject(ctx, p.cfg.Bucket, probeName, minio.GetObjectOptions{VersionID: up.VersionID})
	if err != nil {
		p.fail(err, "the object that was written is not read")
		return
	}
	back, err := io.ReadAll(io.LimitReader(r, int64(len(body))+1))
	_ = r.Close() // it was only read
	switch {
	case err != nil:
		p.fail(err, "the object that was written is not read")
		return
	case !bytes.Equal(back, body):
		p.fail(trouble(CauseChecksum, "other octets came back"), "the object that was written")
		return
	}
	p.add(MarkOK, "", "an object was written and read")
	if err := p.s3.RemoveObject(ctx, p.cfg.Bucket, probeName, minio.RemoveObjectOptions{VersionID: up.VersionID}); err != nil {
		p.add(MarkWarn, "allow s3:DeleteObjectVersion if recordings are to be erased; under the bucket's default lock the probe stays until that ends",
			"the probe object was not removed: %v", err)
	}
}
