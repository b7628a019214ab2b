package ringsim

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxBody = 64 << 10 // octets of a request body

// route is one request that the simulator knows.
type route struct {
	method, pattern string
	group           rateGroup
	scope           string // the application needs it, else 403 CMN-401
	permission      string // the user needs it, else 403 CMN-408
	open            bool   // no bearer token: the token endpoint itself
	serve           func(*Sim, *request) (any, *apiError)
}

const (
	apiPath     = "/restapi/v1.0/account/{account}"
	sessionPath = apiPath + "/telephony/sessions/{session}"
	partyPath   = sessionPath + "/parties/{party}"
)

func table() []route {
	return []route{
		{method: "POST", pattern: "/restapi/oauth/token", group: groupAuth, open: true, serve: (*Sim).postToken},
		{method: "POST", pattern: "/restapi/oauth/revoke", open: true, serve: (*Sim).postRevoke},
		{method: "POST", pattern: "/restapi/oauth/wstoken", group: groupAuth, serve: (*Sim).postWSToken},
		{method: "GET", pattern: apiPath + "/extension", group: groupMedium, scope: "ReadAccounts", permission: "ReadExtensions", serve: (*Sim).getExtensions},
		{method: "GET", pattern: apiPath + "/extension/{extension}", group: groupLight, scope: "ReadAccounts", permission: "ReadExtensions", serve: (*Sim).getExtension},
		{method: "GET", pattern: apiPath + "/call-monitoring-groups", group: groupMedium, scope: "ReadAccounts", permission: "ReadExtensions", serve: (*Sim).getGroups},
		{method: "GET", pattern: apiPath + "/call-monitoring-groups/{group}/members", group: groupMedium, scope: "ReadAccounts", permission: "ReadExtensions", serve: (*Sim).getMembers},
		{method: "GET", pattern: apiPath + "/extension/{extension}/device", group: groupLight, scope: "ReadAccounts", permission: "ReadUserDevices", serve: (*Sim).getDevices},
		{method: "GET", pattern: apiPath + "/device/{device}", group: groupLight, scope: "ReadAccounts", permission: "ReadCompanyDevices", serve: (*Sim).getDevice},
		{method: "GET", pattern: apiPath + "/device/{device}/sip-info", group: groupLight, scope: "ReadAccounts", permission: "ReadCompanyDevices", serve: (*Sim).getSIPInfo},
		{method: "GET", pattern: apiPath + "/presence", group: groupHeavy, scope: "ReadPresence", permission: "ReadPresenceStatus", serve: (*Sim).getAccountPresence},
		{method: "GET", pattern: apiPath + "/extension/{extension}/presence", group: groupLight, scope: "ReadPresence", permission: "ReadPresenceStatus", serve: (*Sim).getPresence},
		{method: "GET", pattern: apiPath + "/active-calls", group: groupHeavy, scope: "ReadCallLog", permission: "ReadCompanyCallLog", serve: (*Sim).getActiveCalls},
		{method: "GET", pattern: apiPath + "/extension/{extension}/active-calls", group: groupHeavy, scope: "ReadCallLog", permission: "ReadCallLog", serve: (*Sim).getActiveCalls},
		{method: "GET", pattern: sessionPath, group: groupLight, scope: "CallControl", serve: (*Sim).getSession},
		{method: "GET", pattern: partyPath, group: groupLight, scope: "CallControl", serve: (*Sim).getParty},
		{method: "POST", pattern: sessionPath + "/supervise", group: groupLight, scope: "CallControl", serve: (*Sim).postSupervise},
		{method: "POST", pattern: partyPath + "/supervise", group: groupLight, scope: "CallControl", serve: (*Sim).postSupervise},
		// RingCentral would drop the call for everybody: the worst that a listener could do.
		{method: "DELETE", pattern: sessionPath, group: groupLight, scope: "CallControl", serve: (*Sim).forbidden},
		{method: "DELETE", pattern: partyPath, group: groupLight, scope: "CallControl", serve: (*Sim).forbidden},
		{method: "PATCH", pattern: sessionPath, group: groupLight, scope: "CallControl", serve: (*Sim).forbidden},
		{method: "PATCH", pattern: partyPath, group: groupLight, scope: "CallControl", serve: (*Sim).forbidden},
	}
}

func (s *Sim) routes() http.Handler {
	mux := http.NewServeMux()
	for _, rt := range table() {
		mux.HandleFunc(rt.method+" "+rt.pattern, func(w http.ResponseWriter, r *http.Request) { s.handle(w, r, rt) })
	}
	unknown := route{pattern: unknownPattern, open: true, serve: (*Sim).unknown}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		u := unknown
		u.method = r.Method
		s.handle(w, r, u)
	})
	mux.HandleFunc("GET /ws", s.serveSocket)
	return mux
}

const unknownPattern = "(unknown)"

// request is one request on its way through the simulator.
type request struct {
	*http.Request
	w     http.ResponseWriter
	app   *App
	user  *Extension
	login *login
	now   time.Time
	host  string // base of the uri members
	query map[string][]string
}

// handle runs what all requests have in common: who asks, how often, may they.
func (s *Sim) handle(w http.ResponseWriter, r *http.Request, rt route) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	rq := &request{Request: r, w: w, now: time.Now(), host: s.URL(), query: r.URL.Query()}
	bad := s.restFault(r)
	if bad.instead(s, rq, rt) {
		return
	}
	var answer any
	fail := s.admit(rq, rt)
	if fail == nil {
		answer, fail = rt.serve(s, rq)
	}
	if bad.after(s, rq, rt) {
		return
	}
	status, retryAfter := http.StatusOK, time.Duration(0)
	w.Header().Set("Rcrequestid", s.mint())
	if fail != nil {
		status, retryAfter, answer = fail.status, fail.retryAfter, fail.body()
	}
	s.count(rt, status)
	s.log.Debug("request answered", slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", status))
	if fail != nil && fail.violation != "" {
		s.violate("rest: " + fail.violation)
	}
	write(w, status, retryAfter, answer)
}

// write sends an answer; nil has no body.
func write(w http.ResponseWriter, status int, retryAfter time.Duration, answer any) {
	if retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds(retryAfter)))
	}
	if answer == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the client has gone: its affair
}

func (s *Sim) mint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.world.logins.mint()
}

// admit asks for the token, takes from the purse, and looks at scope and permission, in the order of RingCentral's gateway.
func (s *Sim) admit(rq *request, rt route) *apiError {
	if !rt.open {
		if fail := s.authenticate(rq); fail != nil {
			return fail
		}
		if fail := s.spend(rq, rt.group, rq.app.purse(rq.user)); fail != nil {
			return fail
		}
	}
	if rt.scope != "" && !slices.Contains(rq.app.Scopes, rt.scope) {
		return noScope(rt.scope)
	}
	if rt.permission != "" && slices.Contains(rq.user.Denied, rt.permission) {
		return noPermission(rt.permission)
	}
	if a := rq.PathValue("account"); a != "" && a != "~" && a != s.cfg.Account.ID {
		return refuse(http.StatusNotFound, "AGW-404", "Resource not found")
	}
	return nil
}

func (s *Sim) authenticate(rq *request) *apiError {
	header := rq.Header.Get("Authorization")
	token := rq.queryValue("access_token")
	if header != "" {
		kind, value, _ := strings.Cut(header, " ")
		if !strings.EqualFold(kind, "Bearer") || value == "" {
			return refuse(http.StatusUnauthorized, "AGW-402", "Invalid Authorization header")
		}
		token = strings.TrimSpace(value)
	}
	if token == "" {
		return refuse(http.StatusUnauthorized, "AGW-401", "Authorization header is not specified")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, fail := s.world.logins.bearer(token, rq.now)
	if fail != nil {
		return fail
	}
	rq.app, rq.user, rq.login = l.app, l.user, l
	return nil
}

// queryValue reads a query parameter, never the body.
func (rq *request) queryValue(name string) string {
	if v := rq.query[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

type purseKey struct {
	who   string
	group rateGroup
}

// spend takes from a purse and writes the X-Rate-Limit headers.
func (s *Sim) spend(rq *request, group rateGroup, who string) *apiError {
	s.mu.Lock()
	info, fail := s.takeLocked(group, who, rq.now)
	s.mu.Unlock()
	for name, value := range info {
		rq.w.Header().Set(name, value)
	}
	return fail
}

// takeLocked takes from a purse and says what is left in it.
func (s *Sim) takeLocked(group rateGroup, who string, now time.Time) (map[string]string, *apiError) {
	l := &s.cfg.Limits
	if group == groupNone || l.Off {
		return nil, nil
	}
	limit := l.of(group)
	key := purseKey{who, group}
	p := s.world.purses[key]
	if p == nil {
		p = &purse{}
		s.world.purses[key] = p
	}
	remaining, wait := p.spend(l, limit, now)
	info := map[string]string{
		"X-Rate-Limit-Group": string(group), "X-Rate-Limit-Limit": strconv.Itoa(limit),
		"X-Rate-Limit-Remaining": strconv.Itoa(remaining), "X-Rate-Limit-Window": strconv.Itoa(seconds(l.Window)),
	}
	if wait == 0 {
		return info, nil
	}
	info["Retry-After"] = strconv.Itoa(seconds(wait))
	e := refuse(http.StatusTooManyRequests, "CMN-301", "Request rate exceeded")
	e.retryAfter = wait
	return info, e
}

func (s *Sim) unknown(rq *request) (any, *apiError) {
	e := refuse(http.StatusNotFound, "CMN-120", "Invalid URI")
	e.violation = fmt.Sprintf("unknown request: %s %s", rq.Method, rq.URL.Path)
	return nil, e
}

// forbidden refuses what would end or change the call of the people on it.
func (s *Sim) forbidden(rq *request) (any, *apiError) {
	e := refuse(http.StatusForbidden, "TAS-100", "The simulator lets nobody touch a call")
	e.violation = fmt.Sprintf("forbidden request: %s %s", rq.Method, rq.URL.Path)
	return nil, e
}

// RequestCount says how often a request was answered with a status. The Method of one over the event feed begins with "WS ".
type RequestCount struct {
	Method, Pattern string // Pattern has names in braces for ids; "(unknown)" for what the simulator doesn't know
	Status, Count   int
}

type requestKey struct {
	method, pattern string
	status          int
}

func (s *Sim) count(rt route, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	method := rt.method
	if rt.pattern == unknownPattern {
		method = "" // foreign text is no key
	}
	s.countLocked(requestKey{method, rt.pattern, status})
}

func (s *Sim) countLocked(k requestKey) { s.world.counts[k]++ }

// Requests counts the REST requests so far, sorted by pattern, method and status.
func (s *Sim) Requests() []RequestCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]RequestCount, 0, len(s.world.counts))
	for k, n := range s.world.counts {
		out = append(out, RequestCount{Method: k.method, Pattern: k.pattern, Status: k.status, Count: n})
	}
	slices.SortFunc(out, func(a, b RequestCount) int {
		return strings.Compare(fmt.Sprint(a.Pattern, " ", a.Method, " ", a.Status), fmt.Sprint(b.Pattern, " ", b.Method, " ", b.Status))
	})
	return out
}

// Requested sums the count of one pattern over all its statuses. It panics for a pattern that the simulator does not serve: a
// test that misspells it would count none for ever.
func (s *Sim) Requested(method, pattern string) int {
	if !slices.ContainsFunc(table(), func(r route) bool { return r.pattern == pattern && strings.HasSuffix(method, r.method) }) && pattern != unknownPattern {
		panic(fmt.Sprintf("ringsim: nobody can request %s %s here", method, pattern))
	}
	n := 0
	for _, c := range s.Requests() {
		if c.Method == method && c.Pattern == pattern {
			n += c.Count
		}
	}
	return n
}
