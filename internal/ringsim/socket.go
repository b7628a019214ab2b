package ringsim

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// socket is one WebSocket connection of a client.
type socket struct {
	sim    *Sim
	ws     *websocket.Conn
	link   *link
	cancel context.CancelFunc
	wake   chan struct{}

	// Sim.mu guards the fields below.
	unsent [][]byte
	active time.Time // of the last message, or ping of the client
	silent bool      // the connection stays, and nothing goes over it any more
}

const writeTimeout = 10 * time.Second

// errSlow says that a client doesn't read.
var errSlow = errors.New("ringsim: feed: too many messages wait")

func (s *Sim) postWSToken(rq *request) (any, *apiError) {
	sw := &s.cfg.Switches.Feed
	if sw.Off {
		return nil, refuse(http.StatusNotFound, "AGW-404", "Resource not found")
	}
	if !anyScope(rq.app, "WebSocketsSubscription", "WebSocketsSubscriptions", "WebSocket") {
		return nil, noScope("WebSocketsSubscription")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.world.gateway.issue(rq.login, sw.TokenTTL, rq.now)
	return object{"uri": "ws" + s.URL()[len("http"):] + "/ws", "ws_access_token": t.text, "expires_in": announced(sw.TokenTTL)}, nil
}

// serveSocket is GET /ws: the handshake, then the connection until its end.
func (s *Sim) serveSocket(w http.ResponseWriter, r *http.Request) {
	if !s.enterSocket() {
		return
	}
	defer s.sockets.Done()
	sw, q := &s.cfg.Switches.Feed, r.URL.Query()
	s.mu.Lock()
	l, fail := s.world.gateway.admit(q.Get("access_token"), sw.ReuseTokens, time.Now())
	s.mu.Unlock()
	if fail != nil && sw.Handshake401 {
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
		w.WriteHeader(fail.status)
		_ = json.NewEncoder(w).Encode(fail.body()) // the client has gone: its affair
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	k := &socket{sim: s, cancel: cancel, wake: make(chan struct{}, 1), active: time.Now()}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // of Origin: a browser's page may use the feed too
		OnPingReceived:     func(context.Context, []byte) bool { return k.touch() },
	})
	if err != nil {
		s.log.Warn("handshake failed", slog.Any("err", err))
		return
	}
	ws.SetReadLimit(maxBody)
	k.ws = ws
	defer ws.CloseNow() //nolint:errcheck // at the end for certain; it may be closed already
	if fail != nil {
		k.refuse(ctx, fail)
		return
	}
	s.attach(k, l, q.Get("wsc"))
	defer s.detach(k)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { k.write(ctx) })
	wg.Go(func() { k.pulse(ctx) })
	k.read(ctx)
	cancel()
}

// enterSocket counts a connection while Run is there to await it.
func (s *Sim) enterSocket() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.world.closed {
		return false
	}
	s.sockets.Add(1)
	return true
}

// closeSockets cuts all connections and awaits their goroutines.
func (s *Sim) closeSockets() {
	s.mu.Lock()
	s.world.closed = true
	for _, k := range s.world.gateway.links {
		if k.conn != nil {
			k.conn.cancel()
		}
	}
	for k := range s.world.muted {
		k.cancel()
	}
	s.mu.Unlock()
	s.sockets.Wait()
}

// refuse tells of a bad token by a message, as RingCentral was seen to do too.
func (k *socket) refuse(ctx context.Context, fail *apiError) {
	k.sim.mu.Lock()
	id := uuid(k.sim.world.gateway.mint())
	k.sim.mu.Unlock()
	b, err := frame(meta{Type: "Error", MessageID: id, Status: fail.status, Headers: requestID(id)}, fail.body())
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	if k.ws.Write(ctx, websocket.MessageText, b) == nil {
		_ = k.ws.Close(websocket.StatusPolicyViolation, fail.code)
	}
}

// attach makes a connection its link's own and sends ConnectionDetails, then what the client missed.
func (s *Sim) attach(k *socket, l *login, token string) {
	now, sw := time.Now(), &s.cfg.Switches.Feed
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &s.world.gateway
	li, state, missed := g.join(l, token, sw.scaled(recoveryTimeout), sw.NoRecovery, now)
	if li.conn != nil {
		li.conn.cancel() // the server had not noticed that it was lost
	}
	k.link, li.conn = li, k
	details := object{
		"creationTime": now.UTC().Format(restTime), "maxConnectionsPerSession": maxConnections, "recoveryBufferSize": recoveryBuffer,
		"recoveryTimeout": announced(sw.scaled(recoveryTimeout)), "idleTimeout": announced(sw.scaled(idleTimeout)),
		"absoluteTimeout": announced(sw.scaled(absoluteTimeout)), "maxActiveRequests": maxActive,
	}
	if state != "" {
		details["recoveryState"] = state
	}
	if state == "Failed" {
		details["recoveryErrorCode"] = "WSG-901"
	}
	id := uuid(g.mint())
	k.sendLocked(meta{Type: "ConnectionDetails", MessageID: id, Status: http.StatusOK, WSC: li.next(), Headers: requestID(id)}, details)
	s.repeatLocked(li, missed, now)
	s.log.Info("feed connected", slog.String("user", l.user.Number), slog.String("recovery", state), slog.Int("missed", len(missed)))
}

func (s *Sim) detach(k *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.world.muted, k)
	if k.link.conn == k {
		k.link.conn, k.link.lost = nil, time.Now()
	}
}

// frame is one text message: an array of meta and, where there is one, body.
func frame(m meta, body any) ([]byte, error) {
	if body == nil {
		return json.Marshal([]any{m})
	}
	return json.Marshal([]any{m, body})
}

// sendLocked queues a message; a client that reads none is cut.
func (k *socket) sendLocked(m meta, body any) {
	b, err := frame(m, body)
	if err != nil || len(k.unsent) >= maxUnsent {
		k.sim.log.Warn("feed cut", slog.Any("err", errors.Join(err, errSlow)))
		k.cancel()
		return
	}
	k.active = time.Now()
	k.unsent = append(k.unsent, b)
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *socket) touch() bool {
	k.sim.mu.Lock()
	defer k.sim.mu.Unlock()
	k.active = time.Now()
	return !k.silent
}

// read serves the client's messages one after the other.
func (k *socket) read(ctx context.Context) {
	for {
		kind, b, err := k.ws.Read(ctx)
		if err != nil {
			return
		}
		if !k.touch() {
			continue
		}
		if kind != websocket.MessageText {
			k.sim.violate("feed: a binary message")
			continue
		}
		k.take(b)
	}
}

// write sends what is queued, and ends the connection when its time is over.
func (k *socket) write(ctx context.Context) {
	sw := &k.sim.cfg.Switches.Feed
	idle := sw.scaled(idleTimeout)
	end, still := time.NewTimer(sw.scaled(absoluteTimeout)), time.NewTimer(idle)
	defer end.Stop()
	defer still.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
			if !k.flush(ctx) {
				k.cancel()
				return
			}
		case <-end.C:
			k.dismiss(ctx, "WSG-903", "Absolute timeout expired")
			return
		case now := <-still.C:
			k.sim.mu.Lock()
			left := idle - now.Sub(k.active)
			k.sim.mu.Unlock()
			if left <= 0 {
				k.dismiss(ctx, "WSG-902", "Idle timeout expired")
				return
			}
			still.Reset(left)
		}
	}
}

func (k *socket) flush(ctx context.Context) bool {
	k.sim.mu.Lock()
	batch, silent := k.unsent, k.silent
	k.unsent = nil
	k.sim.mu.Unlock()
	if silent {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	for _, b := range batch {
		if k.ws.Write(ctx, websocket.MessageText, b) != nil {
			return false
		}
	}
	return true
}

// dismiss tells why, then closes.
func (k *socket) dismiss(ctx context.Context, code, text string) {
	k.sim.mu.Lock()
	id := uuid(k.sim.world.gateway.mint())
	k.sendLocked(meta{Type: "Error", MessageID: id, Status: http.StatusRequestTimeout, Headers: requestID(id)}, refuse(0, code, "%s", text).body())
	k.sim.mu.Unlock()
	if k.flush(ctx) {
		_ = k.ws.Close(websocket.StatusGoingAway, code)
	}
	k.cancel()
}

// pulse pings; without a pong in time the connection is lost.
func (k *socket) pulse(ctx context.Context) {
	sw := &k.sim.cfg.Switches.Feed
	t := time.NewTicker(max(sw.scaled(pingInterval), time.Second))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		k.sim.mu.Lock()
		silent := k.silent
		k.sim.mu.Unlock()
		if silent {
			continue
		}
		wait, cancel := context.WithTimeout(ctx, max(sw.scaled(pongTimeout), time.Second))
		err := k.ws.Ping(wait)
		cancel()
		if err != nil && ctx.Err() == nil {
			k.sim.log.Info("feed lost", slog.String("reason", "no pong"))
			k.cancel()
			return
		}
	}
}
