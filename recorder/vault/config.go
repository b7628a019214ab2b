package vault

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/earshot/earshot/internal/secret"
)

// Config holds a vault's settings.
type Config struct {
	// Dir is the folder of the recordings, as recorder.Config.Dir; the vault's own lies in it. Required.
	Dir string
	// Endpoint is the server, such as https://s3.eu-central-1.amazonaws.com. Required, with Bucket.
	Endpoint string
	Region   string // default us-east-1
	Bucket   string
	// Key says where a recording goes: {yyyy}, {mm}, {dd} and {call} are filled in, {folder} must be there. Default {yyyy}/{mm}/{dd}/{folder}.
	Key string
	// The credentials; SessionToken for temporary ones.
	AccessKey    string
	SecretKey    secret.Text
	SessionToken secret.Text
	// CAFile has the authorities to trust instead of the system's, PEM.
	CAFile string
	// Lock is the mode of Object Lock: LockGovernance, LockCompliance, or empty: none. For is how long after the recording's end.
	Lock string
	For  Period
	// KeepLocal is how long after a recording's end its audio stays on this disk once the vault has it, zero not at all; nil: for ever. Who keeps the recordings sees to
	// that, see recorder.Store.MoveOut.
	KeepLocal *Period
	// LegalHold puts one on each object.
	LegalHold bool
	// Encryption at the server: EncryptS3, EncryptKMS (with KMSKey, or the account's), or empty: as the bucket has it.
	Encryption string
	KMSKey     string
	// Workers upload at the same time; default 2, at most 32.
	Workers int
	// BytesPerSecond is the most that all workers send together; 0: no limit.
	BytesPerSecond int64
	// PartBytes is the size from which a file goes up in parts, and that of each; default 16 MiB, at least 5 MiB.
	PartBytes int64
	// Vaulted is called when a recording is whole in the vault, and verified; Failed when one can't be, or when the vault takes nothing: once for
	// each trouble. Both may be called again after a crash, or while another process takes over. Neither may block for long. nil: nobody.
	Vaulted func(Vaulted)
	Failed  func(Failure)
	// Log takes what goes wrong; nil discards.
	Log *slog.Logger

	// transport stands between minio-go and the network; tests only.
	transport func(http.RoundTripper) http.RoundTripper
	limits    limits
}

// The words of Config.
const (
	LockGovernance = "governance" // who has the right to may shorten it
	LockCompliance = "compliance" // nobody may, before the date
	EncryptS3      = "s3"         // SSE-S3: the server's keys
	EncryptKMS     = "kms"        // SSE-KMS: keys of a key service
)

const (
	defaultKey      = "{yyyy}/{mm}/{dd}/{folder}"
	usualPartBytes  = 16 << 20
	leastPartBytes  = 5 << 20 // S3's own limit for all parts but the last
	mostParts       = 10_000
	usualWorkers    = 2
	mostWorkers     = 32
	leastBytesInSec = 16 << 10
)

// limits bound how long a server may take; all have defaults.
type limits struct {
	dial   time.Duration // to be connected, and for TLS
	idle   time.Duration // without an octet moved
	answer time.Duration // from the last octet sent to the first received
	grace  time.Duration // for a request, beside what its size takes at leastBytesInSec
	retry  time.Duration // see outbox.Config
}

func (c *Config) check() error {
	if c.Dir == "" {
		return errors.New("vault: dir: empty, want the folder of the recordings")
	}
	if _, _, err := c.server(); err != nil {
		return err
	}
	if c.Bucket == "" {
		return errors.New("vault: bucket: empty, want a bucket's name")
	}
	if c.AccessKey == "" || c.SecretKey == "" {
		return errors.New("vault: credentials: empty, want access_key and secret_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.Key == "" {
		c.Key = defaultKey
	}
	if err := CheckKey(c.Key); err != nil {
		return fmt.Errorf("vault: key: %w", err)
	}
	switch c.Lock {
	case "":
	case LockGovernance, LockCompliance:
		if c.For.IsZero() {
			return fmt.Errorf("vault: lock: %s without a time, want one such as 5y", c.Lock)
		}
	default:
		return fmt.Errorf("vault: lock: got %q, want governance or compliance", c.Lock)
	}
	switch c.Encryption {
	case "", EncryptS3, EncryptKMS:
	default:
		return fmt.Errorf("vault: encryption: got %q, want s3 or kms", c.Encryption)
	}
	return c.checkNumbers()
}

func (c *Config) checkNumbers() error {
	if c.Workers == 0 {
		c.Workers = usualWorkers
	}
	if c.Workers < 1 || c.Workers > mostWorkers {
		return fmt.Errorf("vault: workers: got %d, want 1 to %d", c.Workers, mostWorkers)
	}
	if c.BytesPerSecond != 0 && c.BytesPerSecond < leastBytesInSec {
		return fmt.Errorf("vault: bandwidth: got %d octets a second, want %d or more", c.BytesPerSecond, leastBytesInSec)
	}
	if c.PartBytes == 0 {
		c.PartBytes = usualPartBytes
	}
	if c.PartBytes < leastPartBytes {
		return fmt.Errorf("vault: part: got %d octets, want %d or more", c.PartBytes, leastPartBytes)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		at    *time.Duration
		usual time.Duration
	}{{&c.limits.dial, 10 * time.Second}, {&c.limits.idle, time.Minute}, {&c.limits.answer, 2 * time.Minute}, {&c.limits.grace, 5 * time.Minute}} {
		if *d.at == 0 {
			*d.at = d.usual
		}
	}
	return nil
}

// server takes Endpoint apart.
func (c *Config) server() (host string, tls bool, err error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return "", false, errors.New("vault: endpoint: want a URL without a path, such as https://s3.eu-central-1.amazonaws.com")
	}
	return u.Host, u.Scheme == "https", nil
}
