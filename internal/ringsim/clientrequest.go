package ringsim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// clientMeta is the first element of a client's message.
type clientMeta struct {
	Type      string `json:"type"`
	MessageID string `json:"messageId"`
	Method    string `json:"method"`
	Path      string `json:"path"`
}

const subscriptionPath = "/restapi/v1.0/subscription"

// take serves one message of the client.
func (k *socket) take(b []byte) {
	m, body, ok := parseClient(b)
	s := k.sim
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !ok:
		fail := refuse(http.StatusBadRequest, "CMN-103", "JSON can't be parsed")
		k.sendLocked(meta{Type: "Error", MessageID: m.MessageID, Status: fail.status}, fail.body())
	case m.Type == "Heartbeat":
		k.sendLocked(meta{Type: m.Type, MessageID: m.MessageID}, nil)
	case m.Type == "ClientRequest" && m.MessageID != "":
		status, answer, header := k.requestLocked(m, body)
		k.sendLocked(meta{Type: m.Type, MessageID: m.MessageID, Status: status, WSC: k.link.next(), Headers: header}, answer)
	default:
		fail := invalidParameter("type", m.Type)
		k.sendLocked(meta{Type: "Error", MessageID: m.MessageID, Status: fail.status}, fail.body())
	}
}

// parseClient reads an array of meta and body; the body may be missing.
func parseClient(b []byte) (m clientMeta, body json.RawMessage, ok bool) {
	var parts []json.RawMessage
	if json.Unmarshal(b, &parts) != nil || len(parts) < 1 || len(parts) > 2 || json.Unmarshal(parts[0], &m) != nil {
		return m, nil, false
	}
	if len(parts) > 1 {
		body = parts[1]
	}
	return m, body, true
}

// requestLocked routes a request over the socket: subscriptions only.
func (k *socket) requestLocked(m clientMeta, body json.RawMessage) (status int, answer any, header map[string]string) {
	s := k.sim
	header = requestID(uuid(s.world.gateway.mint()))
	u, err := url.Parse(m.Path)
	rest, known := "", false
	if err == nil {
		rest, known = strings.CutPrefix(u.Path, subscriptionPath)
	}
	id, verb, _ := strings.Cut(strings.Trim(rest, "/"), "/")
	if !known || rest != "" && !strings.HasPrefix(rest, "/") {
		fail := refuse(http.StatusNotFound, "CMN-120", "Invalid URI")
		return fail.status, fail.body(), header
	}
	method := strings.ToUpper(m.Method)
	group := groupMedium
	if method == http.MethodGet || verb == "renew" {
		group = groupLight
	}
	pattern := subscriptionPath
	if id != "" {
		pattern += "/{subscription}"
	}
	if verb != "" {
		pattern += "/renew"
	}
	now := time.Now()
	info, fail := s.takeLocked(group, k.link.login.app.purse(k.link.login.user), now)
	for name, value := range info {
		header[name] = value
	}
	if fail == nil {
		answer, fail = k.subscriptionLocked(method, id, verb, body, now)
	}
	status = http.StatusOK
	if fail != nil {
		status, answer = fail.status, fail.body()
	} else if answer == nil {
		status = http.StatusNoContent
	}
	s.countLocked(requestKey{"WS " + method, pattern, status})
	return status, answer, header
}

// subscriptionLocked serves POST, PUT, DELETE, GET and renew of the connection's only subscription.
func (k *socket) subscriptionLocked(method, id, verb string, body json.RawMessage, now time.Time) (any, *apiError) {
	s := k.sim
	if method == http.MethodPost && id == "" {
		sub := &subscription{id: uuid(s.world.gateway.mint()), created: now}
		if fail := s.filtersLocked(k.link.login, sub, body); fail != nil {
			return nil, fail
		}
		k.link.sub = sub // replaces the one before
		return sub.info(s.URL()), nil
	}
	if method == http.MethodGet && id == "" {
		records := []object{}
		if k.link.sub != nil {
			records = append(records, k.link.sub.info(s.URL()))
		}
		return object{"uri": s.URL() + subscriptionPath, "records": records}, nil
	}
	if k.link.sub == nil || k.link.sub.id != id {
		return nil, notFound("subscriptionId", id)
	}
	switch {
	case method == http.MethodGet && verb == "":
	case method == http.MethodPut && verb == "":
		if len(body) == 0 || string(body) == "{}" || string(body) == "null" {
			break // renews it
		}
		changed := *k.link.sub
		if fail := s.filtersLocked(k.link.login, &changed, body); fail != nil {
			return nil, fail
		}
		*k.link.sub = changed
	case method == http.MethodPost && verb == "renew":
	case method == http.MethodDelete && verb == "":
		k.link.sub = nil
		return nil, nil
	default:
		return nil, refuse(http.StatusMethodNotAllowed, "SUB-511", "Method is not allowed")
	}
	return k.link.sub.info(s.URL()), nil
}

// filtersLocked reads what a client wants: filters that it may not have are disabled, and named. None left is an error.
func (s *Sim) filtersLocked(l *login, sub *subscription, body json.RawMessage) *apiError {
	var b struct {
		EventFilters []string `json:"eventFilters"`
		DeliveryMode struct {
			TransportType string `json:"transportType"`
		} `json:"deliveryMode"`
	}
	if json.Unmarshal(body, &b) != nil {
		return refuse(http.StatusBadRequest, "CMN-103", "JSON can't be parsed")
	}
	if b.DeliveryMode.TransportType != "WebSocket" {
		return invalidParameter("transportType", b.DeliveryMode.TransportType)
	}
	if len(b.EventFilters) == 0 {
		return invalidParameter("eventFilters", "")
	}
	most := s.cfg.Switches.Feed.MaxFilters
	tooMany := refuse(http.StatusForbidden, "SUB-505", "More than %d event filters", most)
	if most > 0 && len(b.EventFilters) > most && s.cfg.Switches.Feed.RefuseFilters {
		return tooMany
	}
	sub.filters, sub.disabled = nil, nil
	var first *apiError
	for _, text := range b.EventFilters {
		f, fail := s.cfg.Account.parseFilter(text, l.app, l.user)
		if fail == nil && most > 0 && len(sub.filters) >= most {
			fail = tooMany
		}
		if fail == nil {
			sub.filters = append(sub.filters, f)
			continue
		}
		if first == nil {
			first = fail
		}
		sub.disabled = append(sub.disabled, object{"filter": text, "reason": fail.code, "message": fail.message})
	}
	if len(sub.filters) == 0 {
		return first
	}
	return nil
}

func anyScope(app *App, names ...string) bool {
	for _, have := range app.Scopes {
		for _, n := range names {
			if have == n {
				return true
			}
		}
	}
	return false
}
