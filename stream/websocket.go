package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const (
	// maxAnswer bounds a message of a consumer's; a larger one ends the connection.
	maxAnswer = 256 << 10
	// pingEvery and pongWithin find a far side that is gone without a word.
	pingEvery  = 15 * time.Second
	pongWithin = 10 * time.Second
)

// socket is a WebSocket (RFC 6455) with what all dialects on one share: text besides audio, keep-alive, the far side's end. Its goroutines end with close.
type socket struct {
	conn *websocket.Conn
	line *throttled    // that conn is on
	left chan struct{} // closed when the reader ends
	stop context.CancelFunc
	done sync.WaitGroup
	why  atomic.Pointer[error]
	// heed is given each message of the far side's, as far as it is text, by the reader; nil: all is thrown away. The message is valid until it returns.
	heed func(message []byte)
	// limit is how long a message may take.
	limit time.Duration
	// wrote is when something was last sent, in nanoseconds since began.
	began time.Time
	wrote atomic.Int64
}

// dialect is what one of them has of its own in a WebSocket.
type dialect struct {
	keepAlive string
	heed      func(message []byte)
	sign      func(target string, head http.Header) error // adds to the request's headers; nil: nothing
}

// dialSocket opens a consumer's WebSocket. What it sends is read, for its pongs and its end are among it, and thrown away where the dialect does not heed it.
func dialSocket(ctx context.Context, l *link, d dialect) (*socket, error) {
	c := l.consumer
	secret := c.Secret.Reveal()
	target := l.about.text(c.URL, secret, inQuery)
	head := http.Header{}
	for _, h := range c.Headers {
		k, v, _ := strings.Cut(h, ":")
		head.Add(strings.TrimSpace(k), strings.TrimSpace(l.about.text(v, secret, inHeader)))
	}
	if d.sign != nil {
		if err := d.sign(target, head); err != nil {
			return nil, err
		}
	}
	var line *throttled
	dial := func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
		if line, err = c.dialSmall(ctx, network, addr); err != nil {
			return nil, err
		}
		return line, nil
	}
	o := &websocket.DialOptions{HTTPHeader: head, CompressionMode: websocket.CompressionDisabled, HTTPClient: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // headers hold secrets
		Transport: &http.Transport{
			DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: c.roots, MinVersion: tls.VersionTLS12}, Proxy: http.ProxyFromEnvironment,
			DisableKeepAlives: true, MaxResponseHeaderBytes: maxAnswer,
		},
	}}
	o.OnPingReceived = func(context.Context, []byte) bool { line.message(); return true }
	o.OnPongReceived = func(context.Context, []byte) { line.message() }
	if c.Subprotocol != "" {
		o.Subprotocols = []string{c.Subprotocol}
	}
	conn, answer, err := websocket.Dial(ctx, target, o)
	if err != nil {
		return nil, refusal(c, answer, err)
	}
	conn.SetReadLimit(maxAnswer)
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &socket{conn: conn, line: line, left: make(chan struct{}), stop: stop, began: time.Now(), limit: l.hub.pace.write, heed: l.hearing.beside(d.heed)}
	s.done.Go(func() { s.listen(life) })
	s.done.Go(func() { s.keep(life, c.KeepAliveEvery, d.keepAlive) })
	return s, nil
}

// dialSmall connects with small buffers, and is read at a bounded rate.
func (c *Consumer) dialSmall(ctx context.Context, network, addr string) (*throttled, error) {
	conn, err := plainDialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetWriteBuffer(c.sendBuffer())
	}
	return throttle(conn), nil
}

// refusal says why there is no WebSocket. The URL may hold a secret: the errors of net/http would name it.
func refusal(c *Consumer, answer *http.Response, err error) error {
	if answer == nil {
		var n net.Error
		if errors.As(err, &n) && n.Timeout() {
			return fmt.Errorf("%s: no answer within %v", c.host(), connectWithin)
		}
		return fmt.Errorf("%s: %w", c.host(), innermost(err))
	}
	text := ""
	if answer.Body != nil {
		b, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
		text = clean(b)
		_ = answer.Body.Close()
	}
	return fmt.Errorf("%s: answered %s instead of opening a WebSocket: %s", c.host(), answer.Status, text)
}

// innermost is the cause that names no URL.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
		if op := (*net.OpError)(nil); errors.As(err, &op) {
			return op
		}
	}
}

// inHeader keeps a value on one line.
func inHeader(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// listen reads to the far side's end. Where nobody heeds messages none is kept: nothing is allocated for it, however long it is.
func (s *socket) listen(ctx context.Context) {
	defer close(s.left)
	var message bytes.Buffer
	for {
		kind, r, err := s.conn.Reader(ctx)
		switch {
		case err != nil:
		case s.heed == nil || kind != websocket.MessageText:
			_, err = io.Copy(io.Discard, r)
		default:
			message.Reset()
			if _, err = message.ReadFrom(r); err == nil { // SetReadLimit bounds it
				s.heed(message.Bytes())
			}
		}
		s.line.message()
		if err != nil {
			s.because(err)
			return
		}
	}
}

// because keeps the first reason for which the socket ended.
func (s *socket) because(err error) { s.why.CompareAndSwap(nil, &err) }

// keep sends a text where nothing was sent for a while, and looks whether the far side lives.
func (s *socket) keep(ctx context.Context, every time.Duration, text string) {
	look := pingEvery
	if text != "" && every > 0 {
		look = min(look, every)
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	ping := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.left:
			return
		case now := <-tick.C:
			if text != "" && every > 0 && time.Since(s.began)-time.Duration(s.wrote.Load()) >= every {
				if err := s.send(websocket.MessageText, []byte(text)); err != nil {
					return
				}
			}
			if now.Sub(ping) < pingEvery {
				continue
			}
			ping = now
			limited, cancel := context.WithTimeout(ctx, pongWithin)
			err := s.conn.Ping(limited)
			cancel()
			if err != nil && ctx.Err() == nil {
				s.because(fmt.Errorf("no pong within %v", pongWithin))
				_ = s.conn.CloseNow()
				return
			}
		}
	}
}

// send sends one message.
func (s *socket) send(kind websocket.MessageType, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.limit)
	defer cancel()
	err := s.conn.Write(ctx, kind, b)
	s.wrote.Store(int64(time.Since(s.began)))
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return hangs(s.limit)
	}
	select { // the far side may have said why: that is read at the same time
	case <-s.left:
	case <-ctx.Done():
	}
	return s.ended(err)
}

// ended gives the far side's reason, where it told one.
func (s *socket) ended(err error) error {
	if why := s.why.Load(); why != nil {
		err = *why
	}
	if c := (websocket.CloseError{}); errors.As(err, &c) {
		return fmt.Errorf("%w: code %d %s", errLeft, c.Code, clean([]byte(c.Reason)))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return errLeft
	}
	return err
}

// end waits until the far side closes, as engines do that still answer, then closes.
func (s *socket) end(ctx context.Context) {
	select {
	case <-s.left:
	case <-ctx.Done():
		_ = s.conn.Close(websocket.StatusNormalClosure, "")
	}
	s.close()
}

func (s *socket) gone() <-chan struct{} { return s.left }

func (s *socket) close() {
	s.stop()
	_ = s.conn.CloseNow()
	s.done.Wait()
}

// template is a WebSocket that takes audio as binary messages, and texts of the user's before, between and after.
type template struct {
	*socket
	last, revoked string
}

// dialTemplate opens it, and says the first text.
func dialTemplate(ctx context.Context, l *link) (session, error) {
	c := l.consumer
	s, err := dialSocket(ctx, l, dialect{keepAlive: l.about.text(c.KeepAlive, "", inJSON)})
	if err != nil {
		return nil, err
	}
	span := l.about
	span.from = "{from}" // it is the range's there
	t := &template{s, l.about.text(c.Last, "", inJSON), span.text(c.Revoked, "", inJSON)}
	if err := s.send(websocket.MessageText, []byte(l.about.text(c.First, "", inJSON))); err != nil {
		s.close()
		return nil, err
	}
	return t, nil
}

// revoke tells what a mask took back of what was sent.
func (t *template) revoke(from, samples int64) error {
	text := strings.NewReplacer("{from}", strconv.FormatInt(from, 10), "{samples}", strconv.FormatInt(samples, 10)).Replace(t.revoked)
	return t.send(websocket.MessageText, []byte(text))
}

func (t *template) write(_ int64, b []byte) error { return t.send(websocket.MessageBinary, b) }

func (t *template) finish(ctx context.Context) error {
	kind := websocket.MessageText
	if t.last == lastEndOfAudio {
		kind = websocket.MessageBinary
	}
	err := t.send(kind, []byte(t.last))
	if err == nil {
		t.end(ctx)
	}
	return err
}
