package supervise

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/secret"
)

const (
	testClient = "app-id"
	testSecret = "app-secret-made-up"
	testJWT    = "jwt-made-up-eyJraWQ"
	agentExt   = "62295327016"
	ownExt     = "62226587016"
	deviceID   = "802636634016"
	sess1      = "s-a0d7bc131844fz196cfb6059dz833984b0000"
	custParty  = "p-a0d7bc131844fz196cfb6059dz833984b0000-1"
	agentParty = "p-a0d7bc131844fz196cfb6059dz833984b0000-4"
)

// fakeParty is a participant in the fake RingCentral.
type fakeParty struct{ id, ext, direction, status, reason, number, name string }

type fakeSession struct {
	agent   string // the extension that presence shows
	status  string // presence's telephonyStatus
	party   string
	parties []fakeParty
}

// fakeRC is the REST side of RingCentral as the documents tell it, served without sockets.
type fakeRC struct {
	t  *testing.T
	mu sync.Mutex // guards all below

	tokens    map[string]bool // true: valid
	logins    int
	expiresIn any
	lines     []string // "METHOD path" of all requests
	bodies    []map[string]any
	sessions  map[string]*fakeSession
	numberIDs bool
	nextParty int
	// hook sees each request first, without the lock; true means that it was answered.
	hook func(w http.ResponseWriter, r *http.Request, body string) bool
	// supervised is called before a granted POST is answered, without the lock.
	supervised func(session, party, own string)
	hidden     bool        // presence does not show the supervisor's parties
	feed       *fakeFeed   // nil: this server has none
	sup        *Supervisor // set before Run
}

func newFake(t *testing.T) *fakeRC {
	return &fakeRC{t: t, tokens: map[string]bool{}, sessions: map[string]*fakeSession{}, expiresIn: 3600, nextParty: 5}
}

// twoParty is the plain inbound call through an IVR: the agent is -4.
func twoParty() *fakeSession {
	return &fakeSession{agent: agentExt, status: "CallConnected", party: agentParty, parties: []fakeParty{
		{custParty, "", "Outbound", "Answered", "", "+14085550164", "CUSTOMER A"},
		{sess1 + "-2", "500", "Inbound", "Disconnected", "", "+12055550173", "IVR"},
		{agentParty, agentExt, "Inbound", "Answered", "", "+12055550173", "Bob Brown"},
	}}
}

func (f *fakeRC) config() Config {
	return Config{Server: "http://rc.example", ClientID: testClient, ClientSecret: secret.Text(testSecret), JWT: secret.Text(testJWT),
		Agents: []string{"108"}, HTTP: &http.Client{Transport: f}}
}

// RoundTrip serves the request at once.
func (f *fakeRC) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.ServeHTTP(w, r)
	}()
	<-done
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func (f *fakeRC) requests(pattern string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	re := regexp.MustCompile(pattern)
	n := 0
	for _, l := range f.lines {
		if re.MatchString(l) {
			n++
		}
	}
	return n
}

func (f *fakeRC) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func refuse(w http.ResponseWriter, status int, code, message, parameter, permission string) {
	e := map[string]any{"errorCode": code, "message": message}
	if parameter != "" {
		e["parameterName"] = parameter
	}
	if permission != "" {
		e["permissionName"] = permission
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"errorCode": code, "message": message, "errors": []any{e}})
}

func (f *fakeRC) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.lines = append(f.lines, r.Method+" "+r.URL.Path)
	hook := f.hook
	f.mu.Unlock()
	if hook != nil && hook(w, r, string(raw)) {
		return
	}
	path := r.URL.Path
	for o := op(0); o < opCount; o++ {
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(operations[o].path), `\{\}`, "[^/]+") + "$"
		if ok, _ := regexp.MatchString(pattern, path); ok && r.Method == operations[o].verb.String() {
			w.Header().Set("X-Rate-Limit-Group", operations[o].group.String())
			w.Header().Set("X-Rate-Limit-Limit", fmt.Sprint(documentedLimits[operations[o].group]))
			w.Header().Set("X-Rate-Limit-Window", "60")
		}
	}
	switch {
	case path == "/restapi/oauth/token", path == "/restapi/oauth/revoke":
		f.oauth(w, r, string(raw))
		return
	case path == "/restapi/oauth/wstoken":
		f.feedToken(w, r)
		return
	}
	f.mu.Lock()
	ok := f.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	f.mu.Unlock()
	if !ok {
		refuse(w, 401, "OAU-213", "Token not found", "", "")
		return
	}
	switch rest := strings.TrimPrefix(path, account); {
	case r.Method == "POST" && strings.HasSuffix(rest, "/supervise"):
		f.superviseCall(w, rest, raw)
	case r.Method != "GET":
		f.t.Errorf("request %s %s is not allowed", r.Method, path)
	case rest == "presence":
		f.presence(w, r)
	case strings.HasPrefix(rest, "telephony/sessions/"):
		f.session(w, strings.TrimPrefix(rest, "telephony/sessions/"))
	case rest == "extension":
		fmt.Fprintf(w, `{"records":[{"id":62295327016,"extensionNumber":"108","name":"Bob Brown","permissions":{"admin":{"enabled":false}}},
			{"id":62226587016,"extensionNumber":"101","name":"Supervisor ABC"}],"paging":{"page":1,"totalPages":1},"navigation":{}}`)
	case rest == "extension/~":
		fmt.Fprint(w, `{"id":62226587016,"extensionNumber":"101","name":"Supervisor ABC","permissions":{"admin":{"enabled":false}}}`)
	case rest == "extension/~/device":
		fmt.Fprintf(w, `{"records":[{"id":%q,"type":"OtherPhone","name":"Supervisor Existing Phone","status":"Online",
			"extension":{"id":62226587016,"extensionNumber":"101"}},{"id":"52959004","type":"SoftPhone","status":"Offline"}]}`, deviceID)
	case rest == "device/"+deviceID+"/sip-info":
		fmt.Fprint(w, `{"domain":"sip.ringcentral.com:5061","outboundProxies":[{"region":"NA","proxy":"sip20.ringcentral.com:5090",
			"proxyTLS":"sip20.ringcentral.com:5096"}],"userName":"12055550101","password":"made-up-pw","authorizationId":"802636634016"}`)
	case rest == "call-monitoring-groups":
		fmt.Fprint(w, `{"records":[{"id":"8121017","name":"Demo Supervisor"}]}`)
	case rest == "call-monitoring-groups/8121017/members":
		fmt.Fprint(w, `{"records":[{"id":"62226587016","extensionNumber":"101","permissions":["Monitoring"]},
			{"id":"62295327016","extensionNumber":"108","permissions":["Monitoring","Monitored - User"]}]}`)
	default:
		f.t.Errorf("request %s %s is not known", r.Method, path)
		refuse(w, 404, "CMN-120", "Invalid URI", "", "")
	}
}

func (f *fakeRC) oauth(w http.ResponseWriter, r *http.Request, body string) {
	id, pw, _ := r.BasicAuth()
	form, _ := url.ParseQuery(body)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case id != testClient || pw != testSecret:
		refuse(w, 401, "OAU-146", "Invalid client credentials", "", "")
	case r.URL.Path == "/restapi/oauth/revoke":
		delete(f.tokens, form.Get("token"))
	case form.Get("grant_type") != grantJWT || form.Get("assertion") != testJWT:
		w.WriteHeader(400)
		fmt.Fprint(w, `{"error":"invalid_grant","error_description":"bad JWT","errors":[{"errorCode":"OAU-140","message":"bad"}]}`)
	default:
		f.logins++
		token := fmt.Sprintf("token-made-up-%d", f.logins)
		f.tokens[token] = true
		json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "bearer", "expires_in": f.expiresIn, "owner_id": f.id(ownExt), "surprise": []int{1}})
	}
}

func (f *fakeRC) id(s string) any {
	if f.numberIDs {
		return json.Number(s)
	}
	return s
}

func (f *fakeRC) presence(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("detailedTelephonyState") != "true" || r.URL.Query().Get("sipData") != "true" || r.URL.Query().Get("perPage") != "1000" {
		f.t.Errorf("presence query: got %s", r.URL.RawQuery)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	calls, own := []any{}, []any{}
	for id, s := range f.sessions {
		if s.status != "" {
			calls = append(calls, map[string]any{"direction": "Inbound", "from": "+14085550164", "fromName": "CUSTOMER A", "telephonyStatus": s.status,
				"startTime": "2026-11-23T10:16:29.629+0000", "partyId": s.party, "telephonySessionId": id, "sessionId": json.Number("183851523016")})
		}
		for _, p := range s.parties {
			if p.reason == "Supervising" && p.status == "Answered" && !f.hidden {
				own = append(own, map[string]any{"direction": "Outbound", "telephonyStatus": "CallConnected", "partyId": p.id, "telephonySessionId": id})
			}
		}
	}
	json.NewEncoder(w).Encode(map[string]any{"records": []any{
		map[string]any{"extension": map[string]any{"id": f.id(agentExt), "extensionNumber": f.id("108")}, "telephonyStatus": "NoCall", "activeCalls": calls},
		map[string]any{"extension": map[string]any{"id": f.id(ownExt), "extensionNumber": "101"}, "activeCalls": own},
		map[string]any{"extension": map[string]any{"id": f.id("62295328016"), "extensionNumber": "109"}, "presenceStatus": "Available"},
	}})
}

func (f *fakeRC) session(w http.ResponseWriter, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sessions[id]
	if s == nil {
		refuse(w, 404, "CMN-102", "Resource for parameter [telephonySessionId] is not found", "telephonySessionId", "")
		return
	}
	parties := []any{}
	for _, p := range s.parties {
		self := map[string]any{"phoneNumber": p.number, "name": p.name}
		doc := map[string]any{"id": p.id, "direction": p.direction, "from": self, "to": map[string]any{}, "status": map[string]any{"code": p.status, "reason": p.reason}}
		if p.direction == "Inbound" {
			doc["from"], doc["to"] = doc["to"], self
		}
		if p.ext != "" {
			doc["owner"] = map[string]any{"accountId": f.id("809646016"), "extensionId": f.id(p.ext)}
		}
		parties = append(parties, doc)
	}
	json.NewEncoder(w).Encode(map[string]any{"id": id, "creationTime": "2026-11-23T10:16:21Z", "parties": parties})
}

func (f *fakeRC) superviseCall(w http.ResponseWriter, rest string, raw []byte) {
	var body map[string]any
	json.Unmarshal(raw, &body)
	parts := strings.Split(strings.TrimSuffix(strings.TrimPrefix(rest, "telephony/sessions/"), "/supervise"), "/parties/")
	f.mu.Lock()
	f.bodies = append(f.bodies, body)
	s := f.sessions[parts[0]]
	if s == nil {
		f.mu.Unlock()
		refuse(w, 404, "CMN-102", "Resource for parameter [telephonySessionId] is not found", "telephonySessionId", "")
		return
	}
	for _, want := range []struct{ field, value string }{{"mode", "Listen"}, {"supervisorDeviceId", deviceID}, {"agentExtensionId", agentExt}} {
		if body[want.field] != want.value {
			f.mu.Unlock()
			refuse(w, 400, "CMN-101", "Parameter ["+want.field+"] value is invalid", want.field, "")
			return
		}
	}
	own := fmt.Sprintf("party-%d", f.nextParty)
	f.nextParty++
	s.parties = append(s.parties, fakeParty{own, ownExt, "Outbound", "Answered", "Supervising", "101", "Supervisor ABC"})
	supervised := f.supervised
	f.mu.Unlock()
	party := ""
	if len(parts) == 2 {
		party = parts[1]
	}
	if supervised != nil {
		supervised(parts[0], party, own)
	}
	fmt.Fprintf(w, `{"direction":"Outbound","id":%q,"owner":{"extensionId":%q},"status":{"code":"Answered","reason":"Supervising"}}`, own, ownExt)
}

// watcher is a Handler that remembers.
type watcher struct {
	mu     sync.Mutex
	wanted []Call
	failed []call.Cause
	errs   []error
	gone   []string

	excused, moved []string
}

func (h *watcher) Excused(c Call, rule string) {
	h.mu.Lock()
	h.excused = append(h.excused, c.Session+" "+rule)
	h.mu.Unlock()
}

func (h *watcher) Moved(from, to string) {
	h.mu.Lock()
	h.moved = append(h.moved, from+" "+to)
	h.mu.Unlock()
}

func (h *watcher) Wanted(c Call) { h.mu.Lock(); h.wanted = append(h.wanted, c); h.mu.Unlock() }
func (h *watcher) Gone(s string) { h.mu.Lock(); h.gone = append(h.gone, s); h.mu.Unlock() }
func (h *watcher) Failed(_ string, c call.Cause, err error) {
	h.mu.Lock()
	h.failed, h.errs = append(h.failed, c), append(h.errs, err)
	h.mu.Unlock()
}

func (h *watcher) counts() (wanted, failed, gone int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.wanted), len(h.failed), len(h.gone)
}

func mustNew(t *testing.T, cfg Config) *Supervisor {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// eventually waits, in fake or real time, until cond holds.
func eventually(t *testing.T, most time.Duration, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(most)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, most)
		}
		<-tick.C
	}
}
