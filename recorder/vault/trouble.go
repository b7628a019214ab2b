package vault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/internal/outbox"
)

// Cause is why something is not in the vault: a closed set, a metric's label.
type Cause string

// The causes. Those above CauseChecksum keep everything out of the vault, the others one recording.
const (
	CauseUnreachable Cause = "unreachable" // no connection, or none that answers in time
	CauseBusy        Cause = "busy"        // the server answers that it can't now
	CauseDenied      Cause = "denied"      // credentials, or rights
	CauseBucket      Cause = "bucket"      // there is none of this name
	CauseClock       Cause = "clock"       // ours and the server's differ
	CauseTLS         Cause = "tls"         // its certificate is not trusted
	CauseLock        Cause = "lock"        // the bucket has no Object Lock, or the server does not say that it holds
	CauseChecksum    Cause = "checksum"    // what arrived is not what was sent
	CauseLocal       Cause = "local"       // the recording is not as it was sealed, or is gone
	CauseOther       Cause = "other"
)

func causes() []Cause {
	return []Cause{
		CauseUnreachable, CauseBusy, CauseDenied, CauseBucket, CauseClock, CauseTLS, CauseLock, CauseChecksum, CauseLocal, CauseOther,
	}
}

// whole tells whether a cause keeps everything out.
func (c Cause) whole() bool {
	switch c {
	case CauseChecksum, CauseLocal, CauseOther:
		return false
	default:
		return true
	}
}

// hint is what to do.
func (c Cause) hint() string {
	switch c {
	case CauseUnreachable:
		return "look at the network and at record.vault.endpoint; recordings wait on the disk, and go up when the server is back"
	case CauseBusy:
		return "the server is overloaded or being repaired; it is tried again by itself"
	case CauseDenied:
		return "record.vault.access_key, record.vault.secret_key and record.vault.region must be this account's; the rights it needs are in docs/vault.md"
	case CauseBucket:
		return "make the bucket, or correct record.vault.bucket"
	case CauseClock:
		return "set this machine's clock (NTP): S3 refuses requests that differ by more than 15 minutes"
	case CauseTLS:
		return "name the server's certificate authority in record.vault.ca_file"
	case CauseLock:
		return "Object Lock can't be had in this bucket, or the right s3:GetObjectRetention is missing: make a bucket with Object Lock, or remove record.vault.lock (docs/vault.md)"
	case CauseChecksum:
		return "something between here and the server changes what is sent; it is sent again"
	case CauseLocal:
		return "look at it with `earshot recordings verify`"
	default:
		return "docs/vault.md"
	}
}

// troubleError is an error with its cause.
type troubleError struct {
	cause Cause
	err   error
}

func (e *troubleError) Error() string { return e.err.Error() }
func (e *troubleError) Unwrap() error { return e.err }

func trouble(c Cause, format string, a ...any) error {
	return &troubleError{c, fmt.Errorf(format, a...)}
}

// causeOf sorts an error.
func causeOf(err error) Cause {
	if t, ok := errors.AsType[*troubleError](err); ok {
		return t.cause
	}
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok {
		return causeOfAnswer(r)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return CauseTLS
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return CauseLocal
	}
	return CauseUnreachable
}

func causeOfAnswer(r minio.ErrorResponse) Cause {
	switch r.Code {
	case "RequestTimeTooSkewed":
		return CauseClock
	case minio.NoSuchBucket:
		return CauseBucket
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken": // not every server sends them with 403
		return CauseDenied
	case "BadDigest", "XAmzContentSHA256Mismatch", "InvalidDigest", "IncompleteBody", "XAmzContentChecksumMismatch":
		return CauseChecksum
	}
	switch {
	case strings.Contains(r.Code, "ObjectLock") || r.Code == "InvalidRequest" && strings.Contains(strings.ToLower(r.Message), "lock"):
		return CauseLock
	case r.StatusCode == http.StatusForbidden, r.StatusCode == http.StatusUnauthorized, strings.Contains(r.Message, "access key"), r.Code == "AuthorizationHeaderMalformed":
		return CauseDenied
	case r.StatusCode == http.StatusTooManyRequests, r.StatusCode == http.StatusRequestTimeout, r.StatusCode >= 500, r.Code == "SlowDown":
		return CauseBusy
	}
	return CauseOther
}

// Failure is what Config.Failed is told.
type Failure struct {
	Folder string // of the one recording; empty: the vault takes nothing
	Call   string
	Cause  Cause
	Text   string
	Hint   string
}

// fail counts a failure, tells of it once, and says what becomes of the item.
func (v *Vault) fail(ctx context.Context, it outbox.Item, err error) outbox.Verdict {
	if ctx.Err() != nil {
		return outbox.Verdict{State: outbox.Down, Err: context.Cause(ctx)}
	}
	c := causeOf(err)
	v.count.failed(c)
	if !c.whole() {
		v.tellOne(it, c, err)
		return outbox.Verdict{State: outbox.Later, Err: err}
	}
	v.tellWhole(c, err)
	out := outbox.Verdict{State: outbox.Down, Err: err}
	if c != CauseUnreachable && c != CauseBusy {
		out.After = v.patience() // a person must act: no use in asking each second
	}
	return out
}

// personWait is the least wait after a failure that a person must see to.
const personWait = 30 * time.Second

func (v *Vault) patience() time.Duration {
	if v.cfg.limits.retry > 0 {
		return v.cfg.limits.retry
	}
	return personWait
}

func (v *Vault) tellOne(it outbox.Item, c Cause, err error) {
	if it.Tries > 0 {
		v.log.Debug("recording not in the vault", "folder", it.Key, "cause", string(c), attr.Err(err))
		return
	}
	v.log.Error("recording not in the vault", "folder", it.Key, "cause", string(c), attr.Err(err), "hint", c.hint())
	if v.cfg.Failed != nil && c == CauseLocal {
		v.cfg.Failed(Failure{Folder: folderOf(it.Key), Call: callOf(it), Cause: c, Text: err.Error(), Hint: c.hint()})
	}
}

// tellWhole tells that nothing goes up, unless that was told.
func (v *Vault) tellWhole(c Cause, err error) {
	v.mu.Lock()
	told := v.trouble == c
	v.trouble, v.text = c, err.Error()
	if !told {
		v.since = time.Now()
	}
	v.mu.Unlock()
	if told {
		return
	}
	v.log.Error("vault takes nothing", "cause", string(c), attr.Err(err), "waiting", v.box.Stats().Length, "hint", c.hint())
	if v.cfg.Failed != nil {
		v.cfg.Failed(Failure{Cause: c, Text: err.Error(), Hint: c.hint()})
	}
}

// works notes that something went up.
func (v *Vault) works() {
	v.mu.Lock()
	was, since := v.trouble, v.since
	v.trouble, v.text, v.since = "", "", time.Time{}
	v.mu.Unlock()
	if was != "" {
		v.log.Info("vault works again", "cause", string(was), "after", time.Since(since).Round(time.Second))
	}
}
