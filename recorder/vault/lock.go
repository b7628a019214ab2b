package vault

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

// The headers in which S3 tells of an object's lock. GetObjectRetention is not asked: versitygw answers it with another element than minio-go expects.
const (
	headerMode  = "X-Amz-Object-Lock-Mode"
	headerUntil = "X-Amz-Object-Lock-Retain-Until-Date"
	headerHold  = "X-Amz-Object-Lock-Legal-Hold"
)

// held is what keeps a version from being removed.
type held struct {
	mode  string
	until time.Time
	hold  bool
}

func heldBy(info minio.ObjectInfo) held {
	get := func(name string) string {
		if s := info.Headers.Get(name); s != "" {
			return s
		}
		return http.Header(info.Metadata).Get(name)
	}
	h := held{mode: strings.ToLower(get(headerMode)), hold: strings.EqualFold(get(headerHold), "ON")}
	h.until, _ = time.Parse(time.RFC3339, get(headerUntil))
	return h
}

// locked makes sure that an object is held as it is to be.
func (v *Vault) locked(_ context.Context, e entry, info minio.ObjectInfo) error {
	h := heldBy(info)
	if e.Until != nil {
		want := e.Until.Truncate(time.Second)
		if h.until.Before(want) || h.mode != v.cfg.Lock && h.mode != LockCompliance {
			return trouble(CauseLock, "%s: the server says %s until %s, want %s until %s", info.Key, orNone(h.mode), day(h.until), v.cfg.Lock, day(want))
		}
	}
	if v.cfg.LegalHold && !h.hold {
		return trouble(CauseLock, "%s: the server does not say that it is on legal hold", info.Key)
	}
	return nil
}

// lockIt locks an object that is there already without: a later configuration, or an older process, brought it.
func (v *Vault) lockIt(ctx context.Context, e entry, info minio.ObjectInfo) (minio.ObjectInfo, error) {
	if h := heldBy(info); e.Until != nil && h.until.Before(e.Until.Truncate(time.Second)) {
		mode := minio.RetentionMode(strings.ToUpper(v.cfg.Lock))
		err := v.s3.PutObjectRetention(ctx, v.cfg.Bucket, info.Key, minio.PutObjectRetentionOptions{Mode: &mode, RetainUntilDate: e.Until, VersionID: info.VersionID})
		if err != nil {
			return info, err
		}
	}
	if v.cfg.LegalHold {
		on := minio.LegalHoldEnabled
		if err := v.s3.PutObjectLegalHold(ctx, v.cfg.Bucket, info.Key, minio.PutObjectLegalHoldOptions{Status: &on, VersionID: info.VersionID}); err != nil {
			return info, err
		}
	}
	return v.stat(ctx, info.Key, info.VersionID)
}

func orNone(s string) string {
	if s == "" {
		return "no lock"
	}
	return s
}

func day(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}
