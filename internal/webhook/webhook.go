package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/internal/outbox"
	"github.com/earshot/earshot/internal/secret"
)

// Hook is a service to be told.
type Hook struct {
	URL    string
	Secret secret.Text // as ParseSecret takes it
	Events []string    // types to be told; empty: all
}

// Config holds the settings.
type Config struct {
	// Dir is where the queues lie, a folder for each hook. Required.
	Dir   string
	Hooks []Hook
	// Agent is the User-Agent.
	Agent string
	// Timeout is how long a service may take to answer; default 15 s, what the specification asks for at least.
	Timeout time.Duration
	// Log takes what goes wrong; nil discards.
	Log *slog.Logger
	// Transport carries the requests; nil: the network.
	Transport http.RoundTripper
}

const (
	// MaxHooks bounds the hooks.
	MaxHooks = 16
	// maxBody is the largest message: the specification's advice is 20 kB.
	maxBody = 20 << 10
	// keepFor is how long a message is tried.
	keepFor = 5 * 24 * time.Hour
	// downMost is the longest that a service which is not there is left alone.
	downMost = 10 * time.Minute
)

// schedule is how long a message waits after each try, as the specification suggests; the last one until keepFor is over.
func schedule() []time.Duration {
	return []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

// Hooks tells services. Its methods are safe for concurrent use.
type Hooks struct {
	cfg    Config
	client *http.Client
	hooks  []*hook
}

type hook struct {
	h    *Hooks
	url  string
	name string // for logs and people: the host
	key  []byte
	want []string
	box  *outbox.Box

	gone      atomic.Bool // it answered 410
	told      atomic.Bool // that it fails
	delivered atomic.Int64
	failed    atomic.Int64 // tries
	givenUp   atomic.Int64 // messages
}

// New checks the settings and opens the queues. It does not ask the services.
func New(cfg Config) (*Hooks, error) {
	if len(cfg.Hooks) > MaxHooks {
		return nil, fmt.Errorf("webhooks: %d, want at most %d", len(cfg.Hooks), MaxHooks)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 15 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	h := &Hooks{cfg: cfg}
	base := cfg.Transport
	if base == nil {
		base = &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, TLSHandshakeTimeout: 10 * time.Second,
			ResponseHeaderTimeout: cfg.Timeout, MaxResponseHeaderBytes: 64 << 10, MaxConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
		}
	}
	h.client = &http.Client{
		Transport: base, Timeout: cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a signed message goes to whom it was meant for
	}
	for _, c := range cfg.Hooks {
		k, err := h.open(c)
		if err != nil {
			return nil, errors.Join(err, h.Close())
		}
		h.hooks = append(h.hooks, k)
	}
	return h, nil
}

// CheckURL tells what is wrong with a hook's URL.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Fragment != "" {
		return errors.New("want a URL such as https://example.com/hooks/earshot")
	}
	return nil
}

func (h *Hooks) open(c Hook) (*hook, error) {
	if err := CheckURL(c.URL); err != nil {
		return nil, fmt.Errorf("webhooks: url: %w", err)
	}
	key, err := ParseSecret(c.Secret)
	if err != nil {
		return nil, fmt.Errorf("webhooks: secret: %w", err)
	}
	u, _ := url.Parse(c.URL) // CheckURL has looked
	k := &hook{h: h, url: c.URL, name: u.Host, key: key, want: c.Events}
	sum := sha256.Sum256([]byte(c.URL))
	k.box, err = outbox.New(outbox.Config{
		Dir: filepath.Join(h.cfg.Dir, hex.EncodeToString(sum[:6])), Schedule: schedule(), Down: 5 * time.Second, DownMax: downMost, Log: h.cfg.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	return k, nil
}

// Close gives back what New opened, after Run has ended; until then Tell works.
func (h *Hooks) Close() error {
	var errs error
	for _, k := range h.hooks {
		errs = errors.Join(errs, k.box.Close())
	}
	return errs
}

// envelope is a message's body.
type envelope struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      any       `json:"data"`
}

// Tell has all hooks that want this type told of data, as JSON: when it returns without an error, the message is in their queues on the disk. At is when it happened, and what
// tells such an event from all others: the same type, time and what give the same id, so telling it again after a crash doubles nothing for a service that looks at ids.
func (h *Hooks) Tell(kind string, at time.Time, what string, data any) error {
	body, err := json.Marshal(envelope{kind, at.UTC(), data})
	if err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	if len(body) > maxBody {
		return fmt.Errorf("webhooks: %s: %d octets, want at most %d", kind, len(body), maxBody)
	}
	key := messageKey(kind, at, what)
	var errs error
	for _, k := range h.hooks {
		if len(k.want) > 0 && !slices.Contains(k.want, kind) || k.gone.Load() {
			continue
		}
		if _, err := k.box.Put(key, body); err != nil {
			errs = errors.Join(errs, fmt.Errorf("webhooks: %w", err))
		}
	}
	return errs
}

// messageKey names a message in the queue; what stands behind the first underscore is its id.
func messageKey(kind string, at time.Time, what string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + at.UTC().Format(time.RFC3339Nano) + "\x00" + what))
	return at.UTC().Format(outbox.Stamp) + "_msg_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

func messageID(key string) string {
	_, id, _ := strings.Cut(key, "_")
	return id
}

// Run delivers until ctx ends.
func (h *Hooks) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(h.hooks))
	for i, k := range h.hooks {
		wg.Go(func() { errs[i] = k.box.Run(ctx, k.deliver) })
	}
	wg.Wait()
	h.client.CloseIdleConnections()
	return errors.Join(errs...)
}

// deliver sends one message.
func (k *hook) deliver(ctx context.Context, it outbox.Item) outbox.Verdict {
	log := k.h.cfg.Log
	if k.gone.Load() {
		k.givenUp.Add(1)
		return outbox.Verdict{}
	}
	status, after, err := k.post(ctx, it)
	if ctx.Err() != nil {
		return outbox.Verdict{State: outbox.Down, Err: ctx.Err()}
	}
	switch {
	case err == nil && status/100 == 2:
		k.delivered.Add(1)
		if k.told.Swap(false) {
			log.Info("webhooks are taken again", "host", k.name)
		}
		return outbox.Verdict{}
	case status == http.StatusGone:
		k.gone.Store(true)
		k.givenUp.Add(1)
		log.Error("webhook given up: its service says that it is gone", "host", k.name, "hint", "remove it from webhooks, or name its new url; until the next start nothing is sent there")
		return outbox.Verdict{}
	case err == nil:
		err = fmt.Errorf("answer %d", status)
		if status/100 == 3 {
			err = fmt.Errorf("answer %d: redirects are not followed: name the new url in webhooks", status)
		}
	}
	k.failed.Add(1)
	if !k.told.Swap(true) {
		log.Warn("webhook not taken, tried again for five days", "host", k.name, attr.Err(err), "hint", "the service must answer 2xx within "+k.h.cfg.Timeout.String())
	}
	if time.Since(it.Queued) > keepFor {
		k.givenUp.Add(1)
		log.Error("webhook given up after five days", "host", k.name, "id", messageID(it.Key), attr.Err(err))
		return outbox.Verdict{}
	}
	if status == 0 || status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout {
		return outbox.Verdict{State: outbox.Down, Err: err, After: after}
	}
	return outbox.Verdict{State: outbox.Later, Err: err, After: after}
}

// post sends a message. Status 0: there was no answer.
func (k *hook) post(ctx context.Context, it outbox.Item) (status int, after time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url, bytes.NewReader(it.Body))
	if err != nil {
		return 0, 0, errors.New("request not made") // the URL may hold a secret
	}
	now, id := time.Now(), messageID(it.Key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", k.h.cfg.Agent)
	req.Header.Set(headerID, id)
	req.Header.Set(headerTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(headerSignature, sign(k.key, id, now, it.Body))
	resp, err := k.h.client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the URL
		}
		return 0, 0, err
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again; what it says is nobody's concern
	_ = resp.Body.Close()
	if n, e := strconv.Atoi(resp.Header.Get("Retry-After")); e == nil && n > 0 {
		after = time.Duration(min(n, 86_400)) * time.Second // outbox bounds it further
	}
	return resp.StatusCode, after, nil
}

// Status is a hook at a glance.
type Status struct {
	Host      string    `json:"host"`
	Waiting   int       `json:"waiting"`
	Oldest    time.Time `json:"oldest,omitzero"`
	Delivered int64     `json:"delivered"`
	Failed    int64     `json:"failed_tries"`
	GivenUp   int64     `json:"given_up"`
	Gone      bool      `json:"gone,omitempty"` // it answered 410
	Down      string    `json:"down,omitempty"`
}

// Status gives each hook's, in the order of Config.
func (h *Hooks) Status() []Status {
	var out []Status
	for _, k := range h.hooks {
		q := k.box.Stats()
		s := Status{
			Host: k.name, Waiting: q.Length, Oldest: q.Oldest, Delivered: k.delivered.Load(), Failed: k.failed.Load(), GivenUp: k.givenUp.Load(),
			Gone: k.gone.Load(),
		}
		if q.Down != nil {
			s.Down = q.Down.Error()
		}
		out = append(out, s)
	}
	return out
}
