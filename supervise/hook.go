package supervise

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os/exec"
	"strings"
	"time"
)

const (
	hookWorkers  = 4
	maxHookBytes = 4096
	hookKillWait = time.Second
	hookPath     = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// decision is what a hook says of a call.
type decision struct {
	join   bool
	masked bool // joined, and the audio held back
	// consented: it was asked for elsewhere, such as by an announcement, and given; basis says how.
	consented bool
	basis     string
}

// askHook gets the hook's decision; a failure gives the configured one.
func (s *Supervisor) askHook(ctx context.Context, h Hook, c HookCall) decision {
	limited, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	body, err := json.Marshal(c)
	var said []byte
	switch {
	case err != nil:
	case h.URL != "":
		said, err = postHook(limited, s.logins[0].client.http, h.URL, body)
	default:
		said, err = runHook(limited, h, body)
	}
	var a decision
	if err == nil {
		a, err = parseHook(said)
	}
	if err != nil {
		if limited.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("no answer within %s", h.Timeout)
		}
		if ctx.Err() == nil {
			s.log.say(slog.LevelWarn, "hook", "hook failed", slog.String("call", c.Session), slog.String("err", err.Error()), slog.Bool("join", h.Default))
		}
		return decision{join: h.Default}
	}
	return a
}

// parseHook reads yes, no, masked, or {"join":true,"masked":true,"consent":true,"basis":"..."}. A masked that is neither true nor false counts as true: what
// can't be read must not open the valve.
func parseHook(b []byte) (decision, error) {
	word := strings.ToLower(strings.TrimSpace(string(b)))
	switch word {
	case "yes", "true":
		return decision{join: true}, nil
	case "no", "false":
		return decision{}, nil
	case "masked":
		return decision{join: true, masked: true}, nil
	}
	var d struct {
		Join    *bool
		Masked  json.RawMessage
		Consent bool
		Basis   string
	}
	if err := json.Unmarshal(b, &d); err == nil && d.Join != nil {
		open := len(d.Masked) == 0 || string(d.Masked) == "null" || string(d.Masked) == "false"
		return decision{join: *d.Join, masked: *d.Join && !open, consented: *d.Join && d.Consent, basis: clean(d.Basis)}, nil
	}
	return decision{}, fmt.Errorf("hook: answer: got %.40q, want yes, no, masked or {\"join\":true,\"masked\":true}", clean(string(b)))
}

// bounded keeps the first octets that are written to it.
type bounded struct{ bytes.Buffer }

// Write never fails, so the program does not see that nobody listens.
func (b *bounded) Write(p []byte) (int, error) {
	if room := maxHookBytes - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

func runHook(ctx context.Context, h Hook, body []byte) ([]byte, error) {
	var out bounded
	cmd := exec.CommandContext(ctx, h.Command[0], h.Command[1:]...) //nolint:gosec // the command is the configuration's
	cmd.Stdin, cmd.Stdout = bytes.NewReader(body), &out
	// Not our own environment: it may hold the account's secrets.
	cmd.Env = append([]string{hookPath}, h.Env...)
	cmd.WaitDelay = hookKillWait
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("hook: %w", err)
	}
	return out.Bytes(), nil
}

func postHook(ctx context.Context, like *http.Client, address string, body []byte) ([]byte, error) {
	// A transport of its own: a proxy or test transport for RingCentral is not the hook's.
	client := http.Client{CheckRedirect: like.CheckRedirect, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("hook: URL can't be used")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("hook: no answer: %w", errors.Unwrap(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("hook: got %d, want 200", resp.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxHookBytes))
	if err != nil {
		return nil, fmt.Errorf("hook: answer: %w", err)
	}
	return answer, nil
}
