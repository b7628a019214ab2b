package ringsim

import (
	"mime"
	"net/http"
	"strings"
)

const (
	jwtGrant     = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	refreshGrant = "refresh_token"
)

// client reads the application's credentials: Basic, as RingCentral's SDKs send them.
func (s *Sim) client(rq *request) (*App, *apiError) {
	id, secret, ok := rq.BasicAuth()
	if !ok {
		return nil, refuse(http.StatusUnauthorized, "OAU-123", "Invalid Authorization header value").withOAuth("invalid_client")
	}
	app := s.cfg.Account.app(id)
	if app == nil || app.ClientSecret != secret {
		return nil, refuse(http.StatusUnauthorized, "OAU-146", "Invalid client credentials").withOAuth("invalid_client")
	}
	return app, nil
}

// form parses an application/x-www-form-urlencoded body.
func form(rq *request) *apiError {
	kind, _, err := mime.ParseMediaType(rq.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return refuse(http.StatusBadRequest, "CMN-104", "Cannot parse request: want application/x-www-form-urlencoded").withOAuth("invalid_request")
	}
	if err := rq.ParseForm(); err != nil {
		return refuse(http.StatusBadRequest, "CMN-104", "Cannot parse request").withOAuth("invalid_request")
	}
	return nil
}

func (s *Sim) postToken(rq *request) (any, *apiError) {
	app, fail := s.client(rq)
	if fail != nil {
		return nil, fail
	}
	if fail := form(rq); fail != nil {
		return nil, fail
	}
	if id := rq.PostForm.Get("client_id"); id != "" && id != app.ClientID {
		return nil, refuse(http.StatusUnauthorized, "OAU-120", "Wrong application").withOAuth("invalid_client")
	}
	ttl, fail := ttlField("access_token_ttl", rq.PostForm.Get("access_token_ttl"), s.cfg.Switches.AccessTTL)
	if fail != nil {
		return nil, fail
	}
	rttl, fail := ttlField("refresh_token_ttl", rq.PostForm.Get("refresh_token_ttl"), refreshTTL)
	if fail != nil {
		return nil, fail
	}
	switch grant := rq.PostForm.Get("grant_type"); grant {
	case jwtGrant:
		user := s.cfg.Account.byJWT(rq.PostForm.Get("assertion"))
		who := app.purse(user)
		if fail := s.spend(rq, groupAuth, who); fail != nil {
			return nil, fail
		}
		if user == nil {
			return nil, refuse(http.StatusBadRequest, "OAU-140", "Invalid resource owner credentials").withOAuth("invalid_grant")
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		endpoint := rq.PostForm.Get("endpoint_id")
		if endpoint == "" {
			endpoint = s.world.logins.mint()[:22]
		}
		l, p := s.world.logins.open(app, user, ttl, rttl, endpoint, rq.now)
		return l.body(p, rq.now), nil
	case refreshGrant:
		if fail := s.spend(rq, groupAuth, s.owner(app, rq.PostForm.Get("refresh_token"))); fail != nil {
			return nil, fail
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		l, p, fail := s.world.logins.refresh(app, rq.PostForm.Get("refresh_token"), rq.now)
		if fail != nil {
			return nil, fail
		}
		return l.body(p, rq.now), nil
	case "":
		return nil, invalidParameter("grant_type", "").withOAuth("invalid_request")
	default:
		return nil, refuse(http.StatusUnauthorized, "OAU-125", "Grant type is not allowed for application").withOAuth("unauthorized_client")
	}
}

// postRevoke ends the session of a token; an unknown one is no error (RFC 7009 section 2.2).
func (s *Sim) postRevoke(rq *request) (any, *apiError) {
	app, fail := s.client(rq)
	if fail != nil {
		return nil, fail
	}
	if fail := form(rq); fail != nil {
		return nil, fail
	}
	token := rq.PostForm.Get("token")
	if token == "" {
		token = rq.queryValue("token")
	}
	// Whether it counts with the logins is not known: here it has a purse of its own.
	if fail := s.spend(rq, groupAuth, s.owner(app, strings.TrimSpace(token))+" revoke"); fail != nil {
		return nil, fail
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.logins.revoke(strings.TrimSpace(token))
	return nil, nil
}

// purse names whose requests are counted together: those of a user with an application.
func (a *App) purse(user *Extension) string {
	if user == nil {
		return a.ClientID + " ?"
	}
	return a.ClientID + " " + user.ID
}

// owner names the purse of a token's user.
func (s *Sim) owner(app *App, token string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.world.logins.live {
		if l.app == app && l.has(token) {
			return app.purse(l.user)
		}
	}
	return app.purse(nil)
}
