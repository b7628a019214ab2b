package vault

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/minio/minio-go/v7"
)

const checksumHeader = "X-Amz-Checksum-Sha256"

// put uploads a file and gives its version. The server is told the SHA-256, and refuses what does not have it.
func (v *Vault) put(ctx context.Context, e entry, o Object, local hashed, f *os.File, there bool) (string, error) {
	if local.size > v.cfg.PartBytes {
		return v.putParts(ctx, e, o, local, f, there)
	}
	opts := v.options(e, o, there)
	opts.UserMetadata[checksumHeader] = local.full()
	up, err := v.s3.PutObject(ctx, v.cfg.Bucket, o.Key, v.body(ctx, f, 0, local.size), local.size, "", local.whole, opts)
	if err != nil {
		return "", v.raced(err)
	}
	return up.VersionID, nil
}

// raced makes an upload that came second one that is tried again: it will find what the first one brought.
func (v *Vault) raced(err error) error {
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok && (r.StatusCode == http.StatusPreconditionFailed || r.StatusCode == http.StatusConflict) {
		return trouble(CauseOther, "another upload of the same recording was quicker: %w", err)
	}
	return err
}

func (v *Vault) body(ctx context.Context, f *os.File, from, size int64) io.Reader {
	return &paced{ctx, io.NewSectionReader(f, from, size), v.throttle, func(n int) { v.count.sent.Add(int64(n)) }}
}

// putParts uploads a large file in parts. What an upload that was cut brought already is not sent again.
func (v *Vault) putParts(ctx context.Context, e entry, o Object, local hashed, f *os.File, there bool) (string, error) {
	if len(local.parts) > mostParts {
		return "", trouble(CauseOther, "%s: %d parts of %d octets, S3 takes %d: that is more than 160 GB", o.Key, len(local.parts), local.each, mostParts)
	}
	id, brought, err := v.resume(ctx, o.Key, local)
	if err != nil {
		return "", err
	}
	if id == "" {
		opts := v.options(e, o, true) // the condition stands where the upload is completed
		opts.UserMetadata["X-Amz-Checksum-Algorithm"] = "SHA256"
		if id, err = v.s3.NewMultipartUpload(ctx, v.cfg.Bucket, o.Key, opts); err != nil {
			return "", err
		}
	}
	parts := make([]minio.CompletePart, len(local.parts))
	for i, sum := range local.parts {
		b64 := base64.StdEncoding.EncodeToString(sum)
		etag := brought[i+1]
		if etag == "" {
			at := int64(i) * local.each
			size := min(local.each, local.size-at)
			up, err := v.s3.PutObjectPart(ctx, v.cfg.Bucket, o.Key, id, i+1, v.body(ctx, f, at, size), size, minio.PutObjectPartOptions{
				Sha256Hex: hex.EncodeToString(sum), DisableContentSha256: true, CustomHeader: http.Header{checksumHeader: {b64}},
			})
			if err != nil {
				return "", err // what is there stays, and is gone on from
			}
			etag = up.ETag
		} else {
			v.count.resumed.Add(1)
		}
		parts[i] = minio.CompletePart{PartNumber: i + 1, ETag: etag, ChecksumSHA256: b64}
	}
	var opts minio.PutObjectOptions
	if !there {
		opts.SetMatchETagExcept("*")
	}
	up, err := v.s3.CompleteMultipartUpload(ctx, v.cfg.Bucket, o.Key, id, parts, opts)
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok && r.StatusCode >= 400 && r.StatusCode < 500 && r.StatusCode != http.StatusForbidden {
		err = errors.Join(v.raced(err), v.s3.AbortMultipartUpload(ctx, v.cfg.Bucket, o.Key, id)) // it will not do any better: begun anew
	}
	if err != nil {
		return "", err
	}
	return up.VersionID, nil
}

// resume finds an upload of this key that was cut, and what of it is what the disk has: ETags by the part's number. Where there is none, or its parts are others, a
// new one is begun; those that are left are ended.
func (v *Vault) resume(ctx context.Context, key string, local hashed) (id string, brought map[int]string, err error) {
	list, err := v.s3.ListMultipartUploads(ctx, v.cfg.Bucket, key, "", "", "", 100)
	if err != nil {
		return "", nil, err
	}
	for _, u := range list.Uploads {
		if u.Key != key {
			continue
		}
		parts, sound := map[int]string{}, id == ""
		for marker := 0; sound; {
			page, err := v.s3.ListObjectParts(ctx, v.cfg.Bucket, key, u.UploadID, marker, 1000)
			if missing(err) {
				sound = false
				break
			}
			if err != nil {
				return "", nil, err
			}
			for _, p := range page.ObjectParts {
				sound = sound && v.isPart(p, local)
				parts[p.PartNumber] = p.ETag
			}
			if !page.IsTruncated || page.NextPartNumberMarker <= marker {
				break
			}
			marker = page.NextPartNumberMarker
		}
		if sound {
			id, brought = u.UploadID, parts
			continue
		}
		if err := v.s3.AbortMultipartUpload(ctx, v.cfg.Bucket, key, u.UploadID); err != nil && !missing(err) {
			return "", nil, err
		}
	}
	return id, brought, nil
}

// isPart tells whether a part in the vault is the disk's. One without a checksum counts as another.
func (v *Vault) isPart(p minio.ObjectPart, local hashed) bool {
	if p.PartNumber < 1 || p.PartNumber > len(local.parts) {
		return false
	}
	sum, err := base64.StdEncoding.DecodeString(p.ChecksumSHA256)
	return err == nil && bytes.Equal(sum, local.parts[p.PartNumber-1])
}
