package supervise

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeFeed is the WebSocket side of RingCentral as the documents tell it, without sockets.
type fakeFeed struct {
	t  *testing.T
	mu sync.Mutex // guards all below

	tokens    map[string]bool // single use
	nextToken int
	conns     []*fakeConn // open ones
	all       int         // connections so far
	requests  []string    // "METHOD path filters"
	places    map[string]*fakePlace
	nextPlace int
	subs      int

	recovery, idle, absolute time.Duration
	refuse                   func(filter string) bool // filters that are disabled
	reason                   string                   // why; default SUB-406
	deaf                     bool                     // accepts and tells nothing
	mute                     bool                     // no pongs
	noRecover                bool
	denyChange               bool // a PUT is answered 403
	reject                   int  // handshakes that are answered 401
}

// fakePlace is what survives a lost connection: the subscription and what was missed.
type fakePlace struct {
	id      string // of the subscription
	filters []string
	missed  [][]byte
	lostAt  time.Time
	lost    bool
}

type fakeConn struct {
	feed  *fakeFeed
	place *fakePlace
	token string
	out   chan []byte
	over  chan struct{}
	once  sync.Once
	seq   int
	born  time.Time
	heard time.Time
	ended string // why the server closed
}

func newFakeFeed(t *testing.T) *fakeFeed {
	return &fakeFeed{t: t, tokens: map[string]bool{}, places: map[string]*fakePlace{}, recovery: 180 * time.Second, idle: 1800 * time.Second, absolute: 24 * time.Hour}
}

func (f *fakeRC) feedToken(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	ok := f.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	f.mu.Unlock()
	switch {
	case !ok:
		refuse(w, 401, "OAU-213", "Token not found", "", "")
	case f.feed == nil:
		refuse(w, 404, "AGW-404", "Resource not found", "", "")
	default:
		f.feed.mu.Lock()
		defer f.feed.mu.Unlock()
		f.feed.nextToken++
		token := fmt.Sprintf("ws-made-up-%d", f.feed.nextToken)
		f.feed.tokens[token] = true
		fmt.Fprintf(w, `{"uri":"wss://ws.example/ws","ws_access_token":%q,"expires_in":30}`, token)
	}
}

// dial is the socket of a fakeFeed.
func (f *fakeFeed) dial(_ context.Context, address string) (socket, error) {
	u, err := url.Parse(address)
	f.mu.Lock()
	defer f.mu.Unlock()
	q := u.Query()
	if err != nil || u.Host != "ws.example" || !f.tokens[q.Get("access_token")] {
		return nil, &handshakeError{401}
	}
	delete(f.tokens, q.Get("access_token"))
	if f.reject > 0 {
		f.reject--
		return nil, &handshakeError{401}
	}
	now := time.Now()
	c := &fakeConn{feed: f, out: make(chan []byte, 4096), over: make(chan struct{}), born: now, heard: now}
	f.conns = append(f.conns, c)
	f.all++
	state := ""
	if wsc := q.Get("wsc"); wsc != "" {
		state = `"recoveryState":"Failed","recoveryErrorCode":"WSG-1",`
		if p := f.places[wsc]; p != nil && p.lost && now.Sub(p.lostAt) < f.recovery && !f.noRecover {
			state = `"recoveryState":"Successful",`
			c.place, p.lost = p, false
			delete(f.places, wsc)
		}
	}
	f.nextPlace++
	c.token = fmt.Sprintf("wsc-%d", f.nextPlace)
	if c.place == nil {
		c.place = &fakePlace{}
	}
	f.places[c.token] = c.place
	c.send(frameDetails, "", fmt.Sprintf(`{%s"recoveryBufferSize":100,"recoveryTimeout":%d,"idleTimeout":%d,"absoluteTimeout":%d}`, state,
		int(f.recovery.Seconds()), int(f.idle.Seconds()), int(f.absolute.Seconds())))
	for _, m := range c.place.missed {
		c.send(frameEvent, "", string(m))
	}
	c.place.missed = nil
	return c, nil
}

// send queues a message of the server.
func (c *fakeConn) send(kind, id, body string) {
	c.seq++
	m := fmt.Sprintf(`[{"type":%q,"messageId":%q,"status":200,"wsc":{"token":%q,"sequence":%d}},%s]`, kind, id, c.token, c.seq, body)
	select {
	case c.out <- []byte(m):
	default:
		c.feed.t.Error("fake feed: a connection is not read")
	}
}

func (c *fakeConn) Read(ctx context.Context) ([]byte, error) {
	select { // what was sent before the end is read first
	case m := <-c.out:
		return m, nil
	default:
	}
	select {
	case m := <-c.out:
		return m, nil
	case <-c.over:
		return nil, errors.New("feed: read: closed: " + c.ended)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *fakeConn) Write(_ context.Context, b []byte) error {
	var m []json.RawMessage
	var meta struct{ Type, MessageID, Method, Path string }
	var body struct {
		EventFilters []string
		DeliveryMode struct{ TransportType string }
	}
	if json.Unmarshal(b, &m) != nil || json.Unmarshal(m[0], &meta) != nil || meta.MessageID == "" {
		c.feed.t.Errorf("fake feed: got %s", b)
	}
	f := c.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	c.heard = time.Now()
	if meta.Type == frameHeartbeat {
		c.send(frameHeartbeat, meta.MessageID, "null")
		return nil
	}
	json.Unmarshal(m[1], &body)
	f.requests = append(f.requests, meta.Method+" "+meta.Path+" "+strings.Join(body.EventFilters, ","))
	switch {
	case meta.Type != frameRequest || body.DeliveryMode.TransportType != "WebSocket":
		f.t.Errorf("fake feed: got %s", b)
	case meta.Method == "POST" && strings.TrimSuffix(meta.Path, "/") == subscribePath:
		f.subs++
		c.place.id = fmt.Sprintf("sub-%d", f.subs)
	case meta.Method == "PUT" && f.denyChange:
		c.seq++
		c.out <- fmt.Appendf(nil, `[{"type":"ClientRequest","messageId":%q,"status":403},{"errorCode":"SUB-406","message":"not permitted"}]`, meta.MessageID)
		return nil
	case meta.Method == "PUT" && c.place.id != "" && meta.Path == subscribePath+"/"+c.place.id:
	case meta.Method == "PUT":
		c.seq++
		c.out <- fmt.Appendf(nil, `[{"type":"ClientRequest","messageId":%q,"status":404},{"errorCode":"SUB-507","message":"expired"}]`, meta.MessageID)
		return nil
	default:
		f.t.Errorf("fake feed: %s %s is no request of a subscription", meta.Method, meta.Path)
	}
	c.place.filters = nil
	disabled := []string{}
	for _, filter := range body.EventFilters {
		if f.refuse != nil && f.refuse(filter) {
			disabled = append(disabled, fmt.Sprintf(`{"filter":%q,"reason":%q,"message":"not permitted"}`, filter, cmp.Or(f.reason, "SUB-406")))
			continue
		}
		c.place.filters = append(c.place.filters, filter)
	}
	c.send(frameRequest, meta.MessageID, fmt.Sprintf(`{"id":%q,"status":"Active","disabledFilters":[%s]}`, c.place.id, strings.Join(disabled, ",")))
	return nil
}

func (c *fakeConn) Ping(ctx context.Context) error {
	c.feed.mu.Lock()
	mute := c.feed.mute
	if !mute {
		c.heard = time.Now()
	}
	c.feed.mu.Unlock()
	if mute {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (c *fakeConn) Close() error {
	c.feed.mu.Lock()
	defer c.feed.mu.Unlock()
	c.end("by the client")
	return nil
}

// end closes a connection; its place lives on for a while. The caller holds the feed's mu.
func (c *fakeConn) end(why string) {
	c.once.Do(func() {
		c.ended = why
		c.place.lost, c.place.lostAt = true, time.Now()
		close(c.over)
		f := c.feed
		for i, o := range f.conns {
			if o == c {
				f.conns = append(f.conns[:i:i], f.conns[i+1:]...)
				break
			}
		}
	})
}

// cut breaks all connections.
func (f *fakeFeed) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.conns) > 0 {
		f.conns[0].end("cut")
	}
}

// limits closes what is older or idler than the server allows.
func (f *fakeFeed) limits() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for _, c := range append([]*fakeConn(nil), f.conns...) {
		switch {
		case now.Sub(c.born) >= f.absolute:
			c.out <- []byte(`[{"type":"Error","messageId":"x","status":408},{"errorCode":"WSG-903","message":"Absolute timeout expired"}]`)
			c.end("absolute")
		case now.Sub(c.heard) >= f.idle:
			c.out <- []byte(`[{"type":"Error","messageId":"x","status":408},{"errorCode":"WSG-902","message":"Idle timeout expired"}]`)
			c.end("idle")
		}
	}
}

// tell sends an event to all that subscribed to the extension, or to the account; those who lost their connection get it
// later.
func (f *fakeFeed) tell(ext, event string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deaf {
		return
	}
	fits := func(p *fakePlace) bool {
		for _, filter := range p.filters {
			if strings.HasSuffix(filter, "~/telephony/sessions") || (ext != "" && strings.Contains(filter, "/extension/"+ext+"/")) {
				return true
			}
		}
		return false
	}
	for _, c := range f.conns {
		if fits(c.place) {
			c.send(frameEvent, "", event)
		}
	}
	for _, p := range f.places {
		if p.lost && fits(p) && time.Since(p.lostAt) < f.recovery {
			if p.missed = append(p.missed, []byte(event)); len(p.missed) > recoveryBuffer {
				p.missed = p.missed[1:]
			}
		}
	}
}

// eventOf is a notification's body.
func eventOf(session string, seq int, party, ext, direction, status string, more ...string) string {
	return fmt.Sprintf(`{"uuid":"1","event":"/restapi/v1.0/account/809646016/extension/%s/telephony/sessions","body":{"sequence":%d,"sessionId":"42",
		"telephonySessionId":%q,"eventTime":"2026-11-23T10:16:29.590Z","parties":[{"accountId":"809646016","extensionId":%q,"id":%q,"direction":%q,
		"from":{"phoneNumber":"+14085550164"},"to":{"phoneNumber":"+12055550173"},"status":{"code":%q%s},"queueCall":false}],"origin":{"type":"Call"}}}`,
		ext, seq, session, ext, party, direction, status, strings.Join(more, ""))
}

func (f *fakeFeed) count() (open, all, subs int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns), f.all, f.subs
}
