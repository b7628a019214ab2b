package ringsim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The documented numbers of the event feed; [Feed].Speed divides them.
const (
	recoveryTimeout = 180 * time.Second
	idleTimeout     = 1800 * time.Second
	absoluteTimeout = 86400 * time.Second
	pingInterval    = 30 * time.Second
	pongTimeout     = 10 * time.Second

	recoveryBuffer = 100 // messages kept for a client that comes back; the newest win
	maxConnections = 50  // of one login
	maxActive      = 10  // announced; requests are answered one after the other
	wsTokenTTL     = 30 * time.Second
	maxWSTokens    = 1000
	maxUnsent      = 10_000 // messages that wait for a slow client
)

// Feed turns the event feed's switches. The zero value is a feed that loses and swaps nothing.
type Feed struct {
	// Off means that there is none: a wstoken is answered 404, and clients poll.
	Off bool
	// Speed is how many times faster than documented the clocks of a connection run (idle 30 min, absolute 24 h, recovery
	// 180 s; pings and pongs no faster than a second); default 1.
	Speed float64
	// TokenTTL is a wstoken's life; default 30 s.
	TokenTTL time.Duration
	// ReuseTokens lets a wstoken be used again while it lives; default once only, as documented.
	ReuseTokens bool
	// Handshake401 refuses a bad wstoken at the handshake; default lets the connection come about and sends a message of type
	// Error. Sources contradict each other; RingCentral's own SDK (npm @rc-ex/ws 1.4) decides: it comes back with the token that
	// it has used, for 80 % of the token's life, waits for an Error then, and a 401 at the handshake would end its process.
	Handshake401 bool
	// NoRecovery answers each attempt to recover with "Failed".
	NoRecovery bool
	// MaxFilters is how many filters a subscription may have, those beyond are disabled; default 0: unlimited.
	MaxFilters int
	// RefuseFilters refuses a subscription with more filters than MaxFilters as a whole.
	RefuseFilters bool
	// Delay of an event; default 50 to 120 ms at random, negative means none.
	Delay time.Duration
	// Reorder, Duplicate and Loss are probabilities per event, 0 to 1. A reordered one is overtaken for up to 250 ms, by later
	// ones.
	Reorder, Duplicate, Loss float64
	// Overlap delivers an event once for each filter that lets it through; default once for each subscription.
	Overlap bool
	// Seed of what befalls the events; default Config.Seed.
	Seed uint64
}

func (f *Feed) check() error {
	if f.Speed == 0 {
		f.Speed = 1
	}
	if f.TokenTTL == 0 {
		f.TokenTTL = wsTokenTTL
	}
	for _, p := range []float64{f.Reorder, f.Duplicate, f.Loss} {
		if p < 0 || p > 1 {
			return fmt.Errorf("config: Feed: probability %g, want 0 to 1", p)
		}
	}
	if f.Speed < 0 || f.TokenTTL < 0 || f.MaxFilters < 0 {
		return fmt.Errorf("config: Feed: Speed %g, TokenTTL %s, MaxFilters %d: want none negative", f.Speed, f.TokenTTL, f.MaxFilters)
	}
	return nil
}

// scaled is a documented time at the feed's speed.
func (f *Feed) scaled(d time.Duration) time.Duration { return time.Duration(float64(d) / f.Speed) }

// announced gives a time as ConnectionDetails do: whole seconds, but for what is shorter.
func announced(d time.Duration) any {
	if d < time.Second {
		return d.Seconds()
	}
	return int(d / time.Second)
}

// gateway is what the feed's server knows; guarded by Sim.mu. Its methods take the time and read no clock.
type gateway struct {
	mint    func() string
	random  *rand.Rand
	tokens  []*wsToken // oldest first
	links   []*link
	waiting []delivery // on their way, in order of due
	last    map[*link]time.Time
}

// wsToken is good for one connection.
type wsToken struct {
	text  string
	login *login
	ends  time.Time
	used  bool
}

// link is a client's feed: it lives on over connections while they are recovered.
type link struct {
	id    string
	login *login
	sub   *subscription
	conn  *socket // nil while the connection is lost
	lost  time.Time
	count uint64    // messages ever
	base  uint64    // of them, before this connection
	kept  []message // the newest notifications, at most recoveryBuffer
}

// subscription is what a client wants to be told. One per connection.
type subscription struct {
	id       string
	created  time.Time
	filters  []filter
	disabled []object
}

// message is a notification with its number among the link's messages.
type message struct {
	n    uint64
	id   string
	body json.RawMessage
}

// meta is the first element of each message.
type meta struct {
	Type      string            `json:"type"`
	MessageID string            `json:"messageId"`
	Status    int               `json:"status,omitempty"`
	WSC       *wsc              `json:"wsc,omitempty"`
	Headers   map[string]string `json:"headers,omitempty"`
}

// wsc is what a client shows to recover.
type wsc struct {
	Token    string `json:"token"`
	Sequence uint64 `json:"sequence"`
}

func (g *gateway) issue(l *login, ttl time.Duration, now time.Time) *wsToken {
	g.tokens = slices.DeleteFunc(g.tokens, func(t *wsToken) bool { return now.Sub(t.ends) > time.Minute })
	if len(g.tokens) >= maxWSTokens {
		g.tokens = g.tokens[1:]
	}
	t := &wsToken{text: "U0pDMDFQMDdQ" + g.mint(), login: l, ends: now.Add(ttl)}
	g.tokens = append(g.tokens, t)
	return t
}

// admit takes a wstoken, which is good once.
func (g *gateway) admit(token string, reuse bool, now time.Time) (*login, *apiError) {
	i := slices.IndexFunc(g.tokens, func(t *wsToken) bool { return t.text == token })
	switch {
	case i < 0 || g.tokens[i].used && !reuse:
		return nil, refuse(http.StatusUnauthorized, "OAU-213", "Token not found")
	case !now.Before(g.tokens[i].ends):
		return nil, refuse(http.StatusUnauthorized, "OAU-128", "Access token expired.")
	}
	g.tokens[i].used = true
	l := g.tokens[i].login
	n := 0
	for _, k := range g.links {
		if k.login == l && k.conn != nil {
			n++
		}
	}
	if n >= maxConnections {
		return nil, refuse(http.StatusTooManyRequests, "CMN-301", "Request rate exceeded")
	}
	return l, nil
}

// join gives the link of a new connection: the one that its wsc names, with what it missed, or a new one.
func (g *gateway) join(l *login, token string, limit time.Duration, refuseAll bool, now time.Time) (k *link, state string, missed []message) {
	g.links = slices.DeleteFunc(g.links, func(k *link) bool { return k.conn == nil && now.Sub(k.lost) > limit })
	if token != "" {
		state = "Failed"
		id, n := readWSC(token)
		i := slices.IndexFunc(g.links, func(k *link) bool { return k.id == id && k.login.user == l.user && k.login.app == l.app })
		if i >= 0 && !refuseAll && n <= g.links[i].count {
			k = g.links[i]
			for _, m := range k.kept {
				if m.n > n {
					missed = append(missed, m)
				}
			}
			k.login, k.kept, k.base = l, nil, k.count
			return k, "Successful", missed
		}
	}
	k = &link{id: g.mint()[:16], login: l}
	g.links = append(g.links, k)
	return k, state, nil
}

// next numbers one more message. A recovered connection counts from 1 again, so only the token tells what is newest.
func (k *link) next() *wsc {
	k.count++
	return &wsc{Token: wscPrefix + k.id + "_" + strconv.FormatUint(k.count, 36), Sequence: k.count - k.base}
}

const wscPrefix = "RTFhRG5nfE_"

func readWSC(token string) (id string, n uint64) {
	id, count, _ := strings.Cut(strings.TrimPrefix(token, wscPrefix), "_")
	n, err := strconv.ParseUint(count, 36, 64)
	if err != nil {
		return "", 0
	}
	return id, n
}

// notify gives a link's client one event, now or when it comes back.
func (k *link) notify(m message) {
	w := k.next()
	m.n = k.count
	k.kept = append(k.kept[max(0, len(k.kept)-recoveryBuffer+1):], m)
	if k.conn != nil {
		k.conn.sendLocked(meta{Type: "ServerNotification", MessageID: m.id, Status: http.StatusOK, WSC: w, Headers: requestID(m.id)}, m.body)
	}
}

func requestID(id string) map[string]string { return map[string]string{"RCRequestId": id} }

func uuid(hex string) string {
	return hex[:8] + "-" + hex[8:12] + "-4" + hex[13:16] + "-8" + hex[17:20] + "-" + hex[20:32]
}

// info is a subscription as its answers show it.
func (s *subscription) info(base string) object {
	filters := make([]string, 0, len(s.filters))
	for _, f := range s.filters {
		filters = append(filters, f.text)
	}
	const life = 899 * time.Second // to be ignored: it lives as long as its connection
	o := object{
		"uri": base + "/restapi/v1.0/subscription/" + s.id, "id": s.id, "creationTime": s.created.UTC().Format(isoTime), "status": "Active",
		"eventFilters": filters, "expirationTime": s.created.Add(life).UTC().Format(isoTime), "expiresIn": seconds(life),
		"deliveryMode": object{"transportType": "WebSocket", "encryption": false},
	}
	if len(s.disabled) > 0 {
		o["disabledFilters"] = s.disabled
	}
	return o
}
