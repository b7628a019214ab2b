package config

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/secret"
	"github.com/earshot/earshot/internal/webhook"
	"github.com/earshot/earshot/recorder/vault"
)

// Vault is where recordings go when they are sealed: an S3 server. Without a bucket there is none.
type Vault struct {
	Endpoint     string      `key:"endpoint" help:"S3 server, such as https://s3.eu-central-1.amazonaws.com"`
	Region       string      `key:"region" default:"us-east-1" help:"its region"`
	Bucket       string      `key:"bucket" help:"bucket for sealed recordings (docs/vault.md); default none: they stay on this disk"`
	Key          string      `key:"key" default:"{yyyy}/{mm}/{dd}/{folder}" help:"where in the bucket a recording goes; {call} can be used, too"`
	AccessKey    string      `key:"access_key" env:"AWS_ACCESS_KEY_ID" help:"access key id"`
	SecretKey    secret.Text `key:"secret_key" env:"AWS_SECRET_ACCESS_KEY" help:"secret access key"`
	SessionToken secret.Text `key:"session_token" env:"AWS_SESSION_TOKEN" help:"of temporary credentials"`
	CAFile       string      `key:"ca_file" help:"PEM file of the authorities to trust instead of the system's"`
	Lock         VaultLock   `key:"lock"`
	KeepLocal    string      `key:"keep_local" default:"forever" help:"how long after its end a recording's audio stays on this disk once the vault has it: forever, a time such as 30d, or 0, not at all (docs/vault.md)"`
	LegalHold    bool        `key:"legal_hold" default:"false" help:"put a legal hold on each object"`
	Encryption   string      `key:"encryption" default:"bucket" oneof:"bucket,s3,kms" help:"encryption at the server: as the bucket has it, SSE-S3, or SSE-KMS"`
	KMSKey       string      `key:"kms_key" help:"key for kms; default the account's"`
	Workers      int         `key:"workers" default:"2" min:"1" max:"32" help:"uploads at a time"`
	Bandwidth    string      `key:"bandwidth" help:"most that all uploads send in a second, such as 10MiB; default no limit"`
}

// keepForever is the default of Vault.KeepLocal.
const keepForever = "forever"

// VaultLock is S3's Object Lock.
type VaultLock struct {
	Mode string `key:"mode" default:"none" oneof:"none,governance,compliance" help:"Object Lock: governance, which who has the right to may lift, or compliance, which nobody may"`
	For  string `key:"for" help:"how long after the recording's end, such as 5y or 90d; needed with a mode"`
}

// Webhook is a service to be told of recordings.
type Webhook struct {
	URL    string      `key:"url" help:"where to (docs/webhooks.md)"`
	Secret secret.Text `key:"secret" help:"whsec_ and base64 of the key that messages are signed with"`
	Events []string    `key:"events" oneof:"recording.sealed,recording.vaulted,recording.failed,vault.failed" help:"what is told; default all"`
}

// VaultConfig is the vault in its own words; nil: none.
func (c Config) VaultConfig() (*vault.Config, error) {
	v := c.Record.Vault
	if v.Bucket == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	out := vault.Config{
		Dir: c.Record.Dir, Endpoint: v.Endpoint, Region: v.Region, Bucket: v.Bucket, Key: v.Key, AccessKey: v.AccessKey, SecretKey: v.SecretKey, SessionToken: v.SessionToken,
		CAFile: v.CAFile, LegalHold: v.LegalHold, KMSKey: v.KMSKey, Workers: v.Workers,
	}
	if v.Encryption != "bucket" {
		out.Encryption = v.Encryption
	}
	var err error
	if v.Lock.Mode != "none" {
		out.Lock = v.Lock.Mode
		if out.For, err = vault.ParsePeriod(v.Lock.For); err != nil {
			return nil, fmt.Errorf("lock.for: %w", err)
		}
	}
	if v.KeepLocal != keepForever {
		keep, err := vault.ParsePeriod(v.KeepLocal)
		if err != nil {
			return nil, fmt.Errorf("keep_local: %w", err)
		}
		out.KeepLocal = &keep
	}
	if v.Bandwidth != "" {
		if out.BytesPerSecond, err = parseBytes(v.Bandwidth); err != nil {
			return nil, fmt.Errorf("bandwidth: %w", err)
		}
	}
	return &out, nil
}

// WebhookConfig is the webhooks in endpoint's words.
func (c Config) WebhookConfig() []endpoint.Webhook {
	var out []endpoint.Webhook
	for _, w := range c.Webhooks {
		out = append(out, endpoint.Webhook{URL: w.URL, Secret: w.Secret, Events: w.Events})
	}
	return out
}

func (l *Loaded) checkKeep(fail func(string, string, ...any), need func(string, string, string)) {
	c, v := &l.Config, l.Config.Record.Vault
	if v.Bucket != "" {
		need("record.vault.endpoint", v.Endpoint, "set it, such as https://s3.eu-central-1.amazonaws.com")
		need("record.vault.access_key", v.AccessKey, "set it, or AWS_ACCESS_KEY_ID")
		need("record.vault.secret_key", v.SecretKey.Reveal(), "set it, or record.vault.secret_key_file, or AWS_SECRET_ACCESS_KEY")
		l.checkVault(fail)
	} else if v.Endpoint != "" || v.Lock.Mode != "none" || v.LegalHold || v.KeepLocal != keepForever {
		fail("record.vault.bucket", "missing: without a bucket there is no vault")
	}
	if len(c.Webhooks) > webhook.MaxHooks {
		fail("webhooks", "%d: want at most %d", len(c.Webhooks), webhook.MaxHooks)
	}
	seen := map[string]bool{}
	for i, w := range c.Webhooks {
		key := fmt.Sprintf("webhooks[%d].", i)
		if err := webhook.CheckURL(w.URL); err != nil {
			fail(key+"url", "%v", err)
		}
		if _, err := webhook.ParseSecret(w.Secret); err != nil {
			fail(key+"secret", "%v", err)
		}
		if seen[w.URL] {
			fail(key+"url", "named twice: want one entry with all its events")
		}
		seen[w.URL] = true
	}
}

func (l *Loaded) checkVault(fail func(string, string, ...any)) {
	v := l.Config.Record.Vault
	if u, err := url.Parse(v.Endpoint); v.Endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.User != nil) {
		fail("record.vault.endpoint", "want a URL without a path, such as https://s3.eu-central-1.amazonaws.com")
	}
	if err := vault.CheckKey(v.Key); err != nil {
		fail("record.vault.key", "%v", err)
	}
	switch {
	case l.broken["record.vault.lock.mode"]: // whether it needs a time nobody knows
	case v.Lock.Mode != "none":
		if _, err := vault.ParsePeriod(v.Lock.For); err != nil {
			fail("record.vault.lock.for", "%v", err)
		}
	case v.Lock.For != "":
		fail("record.vault.lock.mode", "none, and record.vault.lock.for is %s: want governance or compliance", v.Lock.For)
	}
	if v.KeepLocal != keepForever {
		if _, err := vault.ParsePeriod(v.KeepLocal); err != nil {
			fail("record.vault.keep_local", "%v, or %s", err, keepForever)
		}
	}
	if v.Bandwidth != "" {
		if n, err := parseBytes(v.Bandwidth); err != nil {
			fail("record.vault.bandwidth", "%v", err)
		} else if n < 16<<10 {
			fail("record.vault.bandwidth", "%s: want 16KiB or more", v.Bandwidth)
		}
	}
	checkCAFile("record.vault.ca_file", v.CAFile, fail)
}

// parseBytes reads a size such as 10MiB.
func parseBytes(s string) (int64, error) {
	bad := fmt.Errorf("%s: want a size such as 512KiB, 10MiB or 1GiB", s)
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		if num, ok := strings.CutSuffix(s, unit); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(num), 10, 32)
			if err != nil || n < 0 {
				return 0, bad
			}
			return n << (10 * (i + 1)), nil
		}
	}
	return 0, bad
}
