package vault

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"github.com/earshot/earshot/recorder"
)

// bring uploads what of a recording is not in the vault, recording.json last: a recording is whole there once that is.
func (v *Vault) bring(ctx context.Context, r *record) (entry, error) {
	e := entry{
		Folder: folderOf(r.name), Call: r.manifest.Call.ID, Part: r.manifest.Part, Endpoint: v.cfg.Endpoint, Bucket: v.cfg.Bucket, Prefix: prefixOf(v.cfg.Key, r.name), Manifest: r.sum,
	}
	if v.cfg.Lock != "" {
		until := v.cfg.For.After(r.ended())
		if until.After(time.Now()) { // S3 takes no date that is past
			e.Until = &until
		}
	}
	for _, p := range r.files {
		f, err := r.open(p.name)
		if err != nil {
			return e, trouble(CauseLocal, "%s: %w", e.Folder, err)
		}
		o, err := v.object(ctx, e, p, f)
		_ = f.Close() // it was only read
		if err != nil {
			return e, err
		}
		e.Objects = append(e.Objects, o)
		e.Bytes += p.size
	}
	now := time.Now().UTC()
	e.Vaulted = &now
	return e, nil
}

// object brings one file, unless it is there already, and makes sure of it.
func (v *Vault) object(ctx context.Context, e entry, p part, f *os.File) (Object, error) {
	o := Object{Key: e.Prefix + "/" + p.name, SHA256: p.sum, Bytes: p.size}
	local, err := hash(f, v.cfg.PartBytes)
	if err != nil {
		return o, trouble(CauseLocal, "%s: %w", p.name, err)
	}
	if local.whole != p.sum || local.size != p.size {
		return o, trouble(CauseLocal, "%s/%s is not as it was sealed", e.Folder, p.name)
	}
	ctx, cancel := context.WithTimeout(ctx, v.cfg.within(p.size))
	defer cancel()
	info, err := v.stat(ctx, o.Key, "")
	there := err == nil
	if err != nil && !missing(err) {
		return o, err
	}
	if there {
		same, err := v.same(ctx, info, local)
		if err != nil {
			return o, err
		}
		if same { // a crash or a cut came between this upload and its note
			if err := v.locked(ctx, e, info); err == nil {
				o.Version = info.VersionID
				return o, nil
			}
			if info, err = v.lockIt(ctx, e, info); err != nil {
				return o, err
			}
			o.Version = info.VersionID
			return o, v.locked(ctx, e, info)
		}
		v.log.Warn("the vault has something else under a recording's key: a new version is made", "key", o.Key)
	}
	version, err := v.put(ctx, e, o, local, f, there)
	if err != nil {
		return o, err
	}
	if info, err = v.stat(ctx, o.Key, version); err != nil {
		return o, err
	}
	same, err := v.same(ctx, info, local)
	if err != nil {
		return o, err
	}
	if !same {
		return o, trouble(CauseChecksum, "%s in the vault is not what was sent", o.Key)
	}
	o.Version = info.VersionID
	return o, v.locked(ctx, e, info)
}

// within is how long a file may take, all in all: a server that crawls holds its worker for so long, and nothing else.
func (c *Config) within(size int64) time.Duration {
	least := int64(leastBytesInSec)
	if b := c.BytesPerSecond; b > 0 {
		least = min(least, b/int64(2*c.Workers))
	}
	return c.limits.grace + time.Duration(2*size/max(1, least))*time.Second
}

// hashed is a file's hash: whole, of its parts, and as S3 makes one of those.
type hashed struct {
	size  int64
	whole string   // hex
	parts [][]byte // SHA-256 of each
	each  int64    // octets
}

func hash(f *os.File, each int64) (hashed, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return hashed{}, err
	}
	h := hashed{each: each}
	whole := sha256.New()
	for {
		piece := sha256.New()
		n, err := io.Copy(io.MultiWriter(whole, piece), io.LimitReader(f, each))
		if err != nil {
			return h, err
		}
		if n == 0 {
			break
		}
		h.size += n
		h.parts = append(h.parts, piece.Sum(nil))
	}
	h.whole = hex.EncodeToString(whole.Sum(nil))
	return h, nil
}

func (h hashed) full() string {
	raw, _ := hex.DecodeString(h.whole)
	return base64.StdEncoding.EncodeToString(raw)
}

// composite is the hash of the parts' hashes: all that S3 tells of SHA-256 where a file went up in parts.
func (h hashed) composite() string {
	sum := sha256.New()
	for _, p := range h.parts {
		sum.Write(p)
	}
	return base64.StdEncoding.EncodeToString(sum.Sum(nil))
}

// stat asks for an object, its checksum, and its lock.
func (v *Vault) stat(ctx context.Context, key, version string) (minio.ObjectInfo, error) {
	return v.s3.StatObject(ctx, v.cfg.Bucket, key, minio.StatObjectOptions{VersionID: version, Checksum: true})
}

func missing(err error) bool {
	r, ok := errors.AsType[minio.ErrorResponse](err)
	return ok && (r.Code == minio.NoSuchKey || r.StatusCode == http.StatusNotFound && r.Code != minio.NoSuchBucket || r.StatusCode == http.StatusMethodNotAllowed)
}

// same tells whether the vault has what the disk has: by the server's own SHA-256, and where it tells none, by reading all of it back.
func (v *Vault) same(ctx context.Context, info minio.ObjectInfo, local hashed) (bool, error) {
	if info.Size != local.size {
		return false, nil
	}
	sum, parts, composite := strings.Cut(info.ChecksumSHA256, "-")
	switch {
	case sum == "" || composite && parts == "":
	case !composite && sum == local.full():
		return true, nil
	case sum == local.composite(): // with or without the number of parts
		return true, nil
	case !composite && info.ChecksumMode != minio.ChecksumCompositeMode.String():
		return false, nil
	}
	return v.readBack(ctx, info, local)
}

func (v *Vault) readBack(ctx context.Context, info minio.ObjectInfo, local hashed) (bool, error) {
	o := minio.GetObjectOptions{VersionID: info.VersionID}
	body, _, _, err := v.s3.GetObject(ctx, v.cfg.Bucket, info.Key, o)
	if err != nil {
		return false, err
	}
	defer body.Close() //nolint:errcheck // it was only read
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(body, local.size+1))
	if err != nil {
		return false, err
	}
	v.count.readBack.Add(n)
	return n == local.size && hex.EncodeToString(sum.Sum(nil)) == local.whole, nil
}

// options are what an object is to be.
func (v *Vault) options(e entry, o Object, there bool) minio.PutObjectOptions {
	out := minio.PutObjectOptions{
		ContentType: contentType(o.Key), DisableContentSha256: true, // the hash that we have goes instead
		UserMetadata: map[string]string{"sha256": o.SHA256},
	}
	if e.Until != nil {
		out.Mode, out.RetainUntilDate = minio.RetentionMode(strings.ToUpper(v.cfg.Lock)), *e.Until
	}
	if v.cfg.LegalHold {
		out.LegalHold = minio.LegalHoldEnabled
	}
	out.ServerSideEncryption = v.cfg.sse()
	if !there {
		out.SetMatchETagExcept("*") // who was quicker, another process for instance, has brought the same
	}
	return out
}

func (c *Config) sse() encrypt.ServerSide {
	switch c.Encryption {
	case EncryptS3:
		return encrypt.NewSSE()
	case EncryptKMS:
		if k, err := encrypt.NewSSEKMS(c.KMSKey, nil); err == nil { // without a context there is nothing to fail
			return k
		}
	}
	return nil
}

func contentType(key string) string {
	switch {
	case strings.HasSuffix(key, ".wav"):
		return "audio/wav"
	case strings.HasSuffix(key, "/"+recorder.ManifestName), strings.HasSuffix(key, ".json"):
		return "application/json"
	case strings.HasSuffix(key, ".jsonl"):
		return "application/jsonl"
	case strings.HasSuffix(key, ".txt"):
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}
