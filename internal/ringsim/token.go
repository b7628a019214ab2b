package ringsim

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

const (
	accessTTL       = time.Hour
	refreshTTL      = 7 * 24 * time.Hour
	sessionsPerUser = 5 // "at most five parallel sessions per user and app": a sixth login ends the oldest
	// After a refresh the old refresh token stays good for this long once the new access token was used, ...
	refreshGrace = 10 * time.Second
	// ... and for this long while it wasn't.
	refreshUnused = time.Hour

	accessPrefix  = "U0pDMTFQMDFQ" // what RingCentral's tokens look like
	refreshPrefix = "U0pDMTFQMDFR"
)

// login is one OAuth session of a user with an application.
type login struct {
	app      *App
	user     *Extension
	id       string
	endpoint string
	serial   int
	ttl      time.Duration
	rttl     time.Duration
	pairs    []*pair // oldest first; the last is the valid one
}

// pair is an access token with its refresh token.
type pair struct {
	access, refresh string
	issued          time.Time
	accessEnds      time.Time
	refreshEnds     time.Time
	used            time.Time // first use of the access token
}

// logins keeps who is logged in; pure: the time is given, tokens come from mint.
type logins struct {
	live []*login // oldest first
	mint func() string
}

func (ls *logins) open(app *App, user *Extension, ttl, rttl time.Duration, endpoint string, now time.Time) (*login, *pair) {
	l := &login{app: app, user: user, id: "OAUTH-SESSION-" + ls.mint()[:8], endpoint: endpoint, ttl: ttl, rttl: rttl}
	same := 0
	for _, o := range ls.live {
		if o.app == app && o.user == user {
			same++
		}
	}
	if same >= sessionsPerUser {
		i := slices.IndexFunc(ls.live, func(o *login) bool { return o.app == app && o.user == user })
		ls.live = slices.Delete(ls.live, i, i+1)
	}
	ls.live = append(ls.live, l)
	return l, ls.issue(l, now)
}

func (ls *logins) issue(l *login, now time.Time) *pair {
	l.serial++
	p := &pair{access: accessPrefix + ls.mint(), issued: now, accessEnds: now.Add(l.ttl)}
	if !l.app.NoRefresh {
		p.refresh, p.refreshEnds = refreshPrefix+ls.mint(), now.Add(l.rttl)
	}
	// One predecessor is kept for the repeated refresh.
	l.pairs = append(l.pairs[max(0, len(l.pairs)-1):], p)
	return p
}

func (l *login) current() *pair { return l.pairs[len(l.pairs)-1] }

// bearer finds who uses an access token.
func (ls *logins) bearer(token string, now time.Time) (*login, *apiError) {
	for _, l := range ls.live {
		p := l.current()
		if p.access != token {
			continue
		}
		if !now.Before(p.accessEnds) {
			return nil, refuse(http.StatusUnauthorized, "OAU-128", "Access token expired.")
		}
		if p.used.IsZero() {
			p.used = now
		}
		return l, nil
	}
	if len(token) < len(accessPrefix) || token[:len(accessPrefix)] != accessPrefix {
		return nil, refuse(http.StatusUnauthorized, "OAU-149", "Unparsable access token")
	}
	return nil, refuse(http.StatusUnauthorized, "OAU-213", "Token not found")
}

// refresh takes a refresh token, which is good once: the access token before it dies at once.
func (ls *logins) refresh(app *App, token string, now time.Time) (*login, *pair, *apiError) {
	gone := refuse(http.StatusBadRequest, "OAU-213", "Token not found").withOAuth("invalid_grant")
	for _, l := range ls.live {
		if l.app != app {
			continue
		}
		cur := l.current()
		if cur.refresh != "" && cur.refresh == token {
			if !now.Before(cur.refreshEnds) {
				return nil, nil, gone
			}
			return l, ls.issue(l, now), nil
		}
		if len(l.pairs) < 2 || l.pairs[0].refresh != token || token == "" {
			continue
		}
		if cur.used.IsZero() && now.Sub(cur.issued) < refreshUnused || !cur.used.IsZero() && now.Sub(cur.used) < refreshGrace {
			return l, cur, nil
		}
		return nil, nil, gone
	}
	return nil, nil, gone
}

// revoke ends the whole session of an access or refresh token.
func (ls *logins) revoke(token string) {
	ls.live = slices.DeleteFunc(ls.live, func(l *login) bool { return l.has(token) })
}

func (l *login) has(token string) bool {
	return slices.ContainsFunc(l.pairs, func(p *pair) bool { return token != "" && (p.access == token || p.refresh == token) })
}

func (l *login) body(p *pair, now time.Time) object {
	b := object{
		"access_token": p.access, "token_type": "bearer", "expires_in": seconds(p.accessEnds.Sub(now)),
		"scope": joinScopes(l.app.Scopes), "owner_id": l.user.ID, "endpoint_id": l.endpoint,
	}
	if p.refresh != "" {
		b["refresh_token"] = p.refresh
		b["refresh_token_expires_in"] = seconds(p.refreshEnds.Sub(now))
	}
	return b
}

func joinScopes(s []string) string {
	out := ""
	for i, x := range s {
		if i > 0 {
			out += " "
		}
		out += x
	}
	return out
}

func seconds(d time.Duration) int { return int((d + time.Second/2) / time.Second) }

// ttlField reads access_token_ttl and refresh_token_ttl: seconds, never more than the default.
func ttlField(name, value string, most time.Duration) (time.Duration, *apiError) {
	if value == "" {
		return most, nil
	}
	var n int
	if _, err := fmt.Sscanf(value, "%d", &n); err != nil || n < 1 {
		return 0, invalidParameter(name, value).withOAuth("invalid_request")
	}
	return min(time.Duration(n)*time.Second, most), nil
}
