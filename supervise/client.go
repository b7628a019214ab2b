package supervise

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/internal/secret"
)

const (
	requestTimeout = 10 * time.Second
	maxBodyBytes   = 16 << 20 // a presence page of 1000 busy extensions has about 2 MiB
	perPage        = 1000
	maxPages       = 100
)

// client is RingCentral's REST API as far as earshot uses it. It is safe for concurrent use.
type client struct {
	// Set by newClient, then constant.
	base      string
	http      *http.Client
	own       *http.Transport // the transport we made ourselves, or nil
	userAgent string
	id        string
	secret    secret.Text
	jwt       secret.Text
	limits    *limiter
	auth      *login

	requests requestCounts
	clock    clockOffset

	legacy atomic.Bool // the session form works with the field names of 2019 only

	asked func(Asked) // told of each supervise request and its answer; nil: nobody
}

func newClient(cfg Config) *client {
	c := &client{base: cfg.Server, userAgent: cfg.UserAgent, id: cfg.ClientID, secret: cfg.ClientSecret, jwt: cfg.JWT, limits: newLimiter()}
	c.auth = newLogin(c)
	h := http.Client{}
	if cfg.HTTP != nil {
		h = *cfg.HTTP
	} else {
		c.own = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: requestTimeout}).DialContext,
			TLSHandshakeTimeout: requestTimeout,
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: workers,
			IdleConnTimeout:     90 * time.Second,
		}
		h.Transport = c.own
	}
	// A redirect would carry the JWT or a supervise request to somewhere that nobody configured.
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &h
	return c
}

// close gives the connections back.
func (c *client) close() {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// request is one operation with its arguments.
type request struct {
	op       op
	ids      []string
	query    url.Values
	body     any           // JSON, for post
	share    int           // of the request budget; 0 means all
	patience time.Duration // how long it may wait for the budget
}

// do sends a request with the login's token and decodes the answer into out. A 401 means that the token died before its
// time (a sixth login pushed it out, say): it is dropped, and the request repeated once with a new one.
func (c *client) do(ctx context.Context, r request, out any) error {
	path, err := r.op.path(r.ids)
	if err != nil {
		return err
	}
	if len(r.query) > 0 {
		path += "?" + r.query.Encode()
	}
	var body []byte
	if r.body != nil {
		if body, err = json.Marshal(r.body); err != nil {
			return fmt.Errorf("%s: body: %w", r.op, err)
		}
	}
	if r.share == 0 {
		r.share = shareAll
	}
	for try := 0; ; try++ {
		token, err := c.auth.bearer(ctx)
		if err != nil {
			return err
		}
		if err := c.limits.wait(ctx, operations[r.op].group, r.share, r.patience); err != nil {
			return fmt.Errorf("%s: %w", r.op, err)
		}
		answer, err := c.send(ctx, r.op, path, body, "application/json", "Bearer "+token)
		e, ok := errors.AsType[*APIError](err)
		refused := ok && e.Status == http.StatusUnauthorized
		if try > 0 {
			c.auth.judged(refused, time.Now())
		} else if refused && c.auth.drop(token, time.Now()) {
			continue
		}
		if err != nil {
			return err
		}
		if out == nil {
			return nil
		}
		if err := json.Unmarshal(answer, out); err != nil {
			return fmt.Errorf("%s: answer of %d octets: %w", r.op, len(answer), err)
		}
		return nil
	}
}

// basic sends a form with the app's own credentials.
func (c *client) basic(ctx context.Context, o op, form url.Values) ([]byte, error) {
	if err := c.limits.wait(ctx, operations[o].group, shareAll, 0); err != nil {
		return nil, fmt.Errorf("%s: %w", o, err)
	}
	return c.basicNow(ctx, o, form)
}

// basicNow is basic for the process's last requests, after which no budget matters.
func (c *client) basicNow(ctx context.Context, o op, form url.Values) ([]byte, error) {
	path, err := o.path(nil)
	if err != nil {
		return nil, err
	}
	r, _ := http.NewRequest(http.MethodGet, "http://x", nil) // only to have the header made
	r.SetBasicAuth(c.id, c.secret.Reveal())
	return c.send(ctx, o, path, []byte(form.Encode()), "application/x-www-form-urlencoded", r.Header.Get("Authorization"))
}

// send does one HTTP exchange within the time limit and the size limit.
func (c *client) send(ctx context.Context, o op, path string, body []byte, kind, authorization string) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(limited, operations[o].verb.String(), c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o, err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Authorization", authorization)
	if operations[o].verb == post {
		req.Header.Set("Content-Type", kind)
	}
	sent := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		c.requests.note(0)
		c.limits.failed(operations[o].group, time.Now())
		return nil, fmt.Errorf("%s: %w", o, c.transportError(ctx, err))
	}
	c.requests.note(resp.StatusCode)
	c.clock.note(resp.Header, sent, time.Now())
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBodyBytes+1))
	now := time.Now()
	c.limits.note(operations[o].group, resp.StatusCode, resp.Header, now)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		e := parseAPIError(o, resp.StatusCode, answer)
		e.Message = c.redact(e.Message, authorization)
		if d, ok := retryAfter(resp.Header, now); ok {
			e.RetryAfter = d
		}
		return nil, e
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: answer: %w", o, c.transportError(ctx, err))
	case len(answer) > maxBodyBytes:
		return nil, fmt.Errorf("%s: answer: more than %d octets", o, maxBodyBytes)
	}
	return answer, nil
}

// transportError cuts the URL, which may hold ids, out of an error, and names our own time limit.
func (c *client) transportError(ctx context.Context, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("no answer from %s within %s: %w", c.base, requestTimeout, err)
	}
	return fmt.Errorf("%s: %w", c.base, err)
}

// redact hides our secrets, should the server repeat them in a message.
func (c *client) redact(s, authorization string) string {
	_, token, _ := strings.Cut(authorization, " ")
	for _, t := range []string{token, c.secret.Reveal(), c.jwt.Reveal()} {
		if len(t) >= 4 {
			s = strings.ReplaceAll(s, t, "***")
		}
	}
	return s
}

// pages reads a list page by page; each gets the page's bytes and tells whether another follows.
func (c *client) pages(ctx context.Context, r request, each func(raw json.RawMessage) (paging, error)) (int, error) {
	query := url.Values{}
	for k, v := range r.query {
		query[k] = v
	}
	for page := 1; page <= maxPages; page++ {
		query.Set("page", strconv.Itoa(page))
		query.Set("perPage", strconv.Itoa(perPage))
		r.query = query
		var raw json.RawMessage
		if err := c.do(ctx, r, &raw); err != nil {
			return page, err
		}
		p, err := each(raw)
		if err != nil {
			return page, fmt.Errorf("%s: page %d: %w", r.op, page, err)
		}
		if !p.more(page) {
			return page, nil
		}
	}
	return maxPages, fmt.Errorf("%s: more than %d pages", r.op, maxPages)
}
