package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	grantJWT = "urn:ietf:params:oauth:grant-type:jwt-bearer" // RFC 7523 section 2.1
	// A token is renewed this long before its end, or after three quarters of a short life (600 s was seen).
	renewBefore = 60 * time.Second
	// defaultTokenLife is used when the answer names none; the shortest that was seen.
	defaultTokenLife = 600 * time.Second
	maxTokenLife     = 24 * time.Hour
	// A refused login is not repeated at once: the account would be locked (OAU-147).
	refusedLoginWait = time.Minute
	maxLoginWait     = 10 * time.Minute
	// loginGrace is how long the end of its caller leaves a login.
	loginGrace     = 3 * time.Second
	firstRetryWait = 2 * time.Second
	maxRetryWait   = 64 * time.Second
)

// login is the process's one token source: one login at a time, its token shared by all requests. It is safe for
// concurrent use.
type login struct {
	client *client
	turn   chan struct{} // size 1: held while logging in

	mu      sync.Mutex // guards the fields below
	token   string
	renewAt time.Time
	endsAt  time.Time
	err     error     // why the last attempt failed
	nextTry time.Time // no attempt before
	fails   int
	vain    int        // tokens in a row that did no better than the one before
	doubt   time.Time  // until then a refusal is not the token's fault
	old     []oldToken // replaced by newer ones, at most maxOldTokens
	scopes  []string   // of the newest login, as RingCentral spells them
	owner   string     // extension id of its user
}

// oldToken is a token that a newer one replaced. Requests that are under way may still use it for a while.
type oldToken struct {
	token string
	since time.Time
}

const maxOldTokens = 4

func newLogin(c *client) *login { return &login{client: c, turn: make(chan struct{}, 1)} }

// bearer gives a token that is good for a while, and logs in where there is none.
func (l *login) bearer(ctx context.Context) (string, error) {
	if t, err, ok := l.known(time.Now()); ok {
		return t, err
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return "", fmt.Errorf("login: waiting for another login: %w", context.Cause(ctx))
	}
	if t, err, ok := l.known(time.Now()); ok { // the one before us did it
		return t, err
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("login: %w", context.Cause(ctx))
	}
	// A login that is under way when the caller ends is waited for: nobody else could revoke what it was granted.
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(loginGrace, cancel) })
	defer stop()
	doc, err := l.client.login(detached)
	if err != nil && ctx.Err() != nil { // the caller's end says nothing about the login
		return "", err
	}
	return l.settle(doc, err, time.Now())
}

// known answers without a request where that is possible.
func (l *login) known(now time.Time) (token string, err error, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.token != "" && now.Before(l.renewAt):
		return l.token, nil, true
	case now.Before(l.nextTry) && l.token != "" && now.Before(l.endsAt):
		return l.token, nil, true
	case now.Before(l.nextTry):
		return "", l.err, true
	}
	return "", nil, false
}

// settle keeps the result of an attempt. While the old token lives, a failed renewal is no failure yet.
func (l *login) settle(doc tokenDoc, err error, now time.Time) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		life := doc.life()
		if l.token != "" && len(l.old) < maxOldTokens {
			l.old = append(l.old, oldToken{l.token, now})
		}
		l.token, l.err, l.fails, l.nextTry = string(doc.AccessToken), nil, 0, time.Time{}
		l.scopes, l.owner = strings.Fields(string(doc.Scope)), string(doc.Owner)
		l.endsAt = now.Add(life)
		l.renewAt = l.endsAt.Add(-min(renewBefore, life/4))
		return l.token, nil
	}
	wait := backoff(firstRetryWait, maxRetryWait, l.fails)
	if e, ok := errors.AsType[*APIError](err); ok && e.Status < 500 && e.Status != http.StatusTooManyRequests && e.Status != http.StatusRequestTimeout {
		wait = backoff(refusedLoginWait, maxLoginWait, l.fails)
	}
	if b, ok := errors.AsType[*busyError](err); ok {
		wait = b.until.Sub(now)
	}
	l.fails++
	l.nextTry = now.Add(wait)
	l.err = &loginError{err: err, until: l.nextTry}
	if l.token != "" && now.Before(l.endsAt) {
		return l.token, nil
	}
	return "", l.err
}

// loginError says that a request was not sent, because there is no login; until then no other is tried.
type loginError struct {
	err   error
	until time.Time
}

func (e *loginError) Error() string { return e.err.Error() }
func (e *loginError) Unwrap() error { return e.err }

// Again is when a login is tried anew.
func (e *loginError) Again() time.Time { return e.until }

// drop forgets a token that was refused, unless a newer one is there already, and says whether to try again with another.
// Where new tokens were refused as well it is not the token: it stays, or each request would cost a login.
func (l *login) drop(token string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.doubt) {
		return false
	}
	if l.token == token {
		if len(l.old) < maxOldTokens { // it may live, for all that is known
			l.old = append(l.old, oldToken{token, now})
		}
		l.token = ""
	}
	return true
}

// judged notes what became of a request that was repeated with another token.
func (l *login) judged(refused bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !refused {
		l.vain = 0
		return
	}
	l.doubt = now.Add(backoff(refusedLoginWait, maxLoginWait, l.vain))
	l.vain++
}

// good says whether there is a token that should work.
func (l *login) good(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.token != "" && now.Before(l.endsAt)
}

// tidy revokes tokens that were replaced: a user may have five logins per app, and where the app gets refresh tokens a
// forgotten one counts for a week. The sixth would push out another program.
func (l *login) tidy(ctx context.Context) {
	l.mu.Lock()
	var token oldToken
	if len(l.old) > 0 && time.Since(l.old[0].since) > 2*requestTimeout {
		token, l.old = l.old[0], l.old[1:]
	}
	l.mu.Unlock()
	if token.token == "" {
		return
	}
	if _, err := l.client.basic(ctx, opRevoke, revocation(token.token)); busy(err) || ctx.Err() != nil { // it may live: next time, or end, revokes it
		l.mu.Lock()
		defer l.mu.Unlock()
		l.old = append(l.old, token)
	}
}

// end revokes the login, so that restarts don't eat the five logins either.
func (l *login) end(ctx context.Context) {
	l.mu.Lock()
	tokens := []string{l.token}
	for _, o := range l.old {
		tokens = append(tokens, o.token)
	}
	l.token, l.old = "", nil
	l.mu.Unlock()
	for _, t := range tokens {
		if t != "" {
			_, _ = l.client.basicNow(ctx, opRevoke, revocation(t)) // where this fails, the token dies by itself
		}
	}
}

func revocation(token string) url.Values { return url.Values{"token": {token}} }

type tokenDoc struct {
	AccessToken text `json:"access_token"`
	ExpiresIn   text `json:"expires_in"`
	Scope       text `json:"scope"`
	Owner       text `json:"owner_id"`
}

// life is how long the token lives; life times of 600 s to 24 h were seen, so nothing is assumed.
func (d tokenDoc) life() time.Duration {
	n, err := strconv.ParseFloat(string(d.ExpiresIn), 64)
	if err != nil || !(n > 0) {
		return defaultTokenLife
	}
	return time.Duration(min(n, maxTokenLife.Seconds()) * float64(time.Second))
}

// login asks for a token with the JWT.
func (c *client) login(ctx context.Context) (tokenDoc, error) {
	body, err := c.basic(ctx, opLogin, url.Values{"grant_type": {grantJWT}, "assertion": {c.jwt.Reveal()}})
	if err != nil {
		return tokenDoc{}, err
	}
	var doc tokenDoc
	if err := json.Unmarshal(body, &doc); err != nil || doc.AccessToken == "" {
		return tokenDoc{}, fmt.Errorf("%s: answer: got no access_token", opLogin)
	}
	return doc, nil
}

// backoff doubles from first to most.
func backoff(first, most time.Duration, tries int) time.Duration {
	return min(first<<min(max(tries, 0), 20), most)
}
