package stream_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // RFC 6455 section 4.2.2
	"encoding/base64"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/earshot/earshot/stream"
)

// diary is a log.
type diary struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.Write(p)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.b.String()
}

// echoing answers each connection with what it was sent, in a status line of a megabyte.
func echoing(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r, err := http.ReadRequest(bufio.NewReader(c))
			if err == nil {
				_, _ = c.Write([]byte("HTTP/1.1 401 not " + r.Header.Get("Authorization") + " " + r.URL.RawQuery + strings.Repeat("y", 100_000) + "\r\nContent-Length: 0\r\n\r\n"))
			}
			_ = c.Close()
		}
	}()
	return "ws://" + l.Addr().String()
}

// pinging opens each WebSocket by hand and sends nothing but pings, as fast as they are taken; it counts the answers' octets.
func pinging(t *testing.T, answers *atomic.Int64) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()                                                                                  //nolint:errcheck // of a test
		key := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // RFC 6455 section 1.3
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
			base64.StdEncoding.EncodeToString(key[:])+"\r\n\r\n")
		over := make(chan struct{})
		go func() {
			defer close(over)
			for b := make([]byte, 4096); ; {
				n, err := conn.Read(b)
				answers.Add(int64(n))
				if err != nil {
					return
				}
			}
		}()
		for pings := bytes.Repeat([]byte{0x89, 0}, 4096); err == nil; { // FIN and opcode 9, no payload: RFC 6455 section 5.2
			_, err = conn.Write(pings)
		}
		_ = conn.Close()
		<-over
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// A ping is two octets, and wants an answer: a hundred thousand of them a second find place in what octets alone would allow.
func TestAFloodOfPingsIsAnsweredAtABoundedRate(t *testing.T) {
	var answers atomic.Int64
	h, stop := start(t, stream.Consumer{Type: stream.TypeWebSocket, URL: pinging(t, &answers), Per: stream.PerCall})
	began := time.Now()
	feed(h.Open(info(), stream.Options{}), 2, 0, 50)
	waitFor(t, "pings are answered for two seconds", func() bool { return answers.Load() > 0 && time.Since(began) > 2*time.Second })
	const pong, rate, buffered = 6, 1024, 3 * 2048 // octets, a second, in what is read at a time
	if n, took := answers.Load()/pong, time.Since(began); n > buffered+int64(2*rate*took.Seconds()) {
		t.Errorf("%d pings answered in %v, want some %d a second", n, took, rate)
	}
	stop()
}

// What a consumer says stands in logs and records: not with the secret that it was sent, and not at any length.
func TestAConsumersWordsAreToldWithoutTheSecretAndShort(t *testing.T) {
	closing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := websocket.Accept(w, r, nil); err == nil {
			_ = c.Close(4001, "not "+r.Header.Get("Authorization")+" "+r.URL.RawQuery)
		}
	}))
	defer closing.Close()
	for name, url := range map[string]string{"in its status": echoing(t), "as it closes": "ws" + strings.TrimPrefix(closing.URL, "http")} {
		t.Run(name, func(t *testing.T) {
			var log diary
			h, err := stream.New(stream.Config{Log: slog.New(slog.NewTextHandler(&log, nil)), Consumers: []stream.Consumer{{
				Type: stream.TypeWebSocket, URL: url + "/?key={secret}", Secret: "hunter2 &c", Headers: []string{"Authorization: Bearer {secret}"}, Per: stream.PerCall,
			}}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- h.Run(ctx) }()
			var told record
			feed(h.Open(info(), stream.Options{Notify: told.notify}), 2, 0, 50)
			waitFor(t, "it is told", func() bool { return strings.Contains(log.String(), "stream consumer lost") })
			stop()
			<-ended
			for what, text := range map[string]string{"log": log.String(), "record": told.reasons()} {
				if strings.Contains(text, "hunter2") || len(text) > 3000 {
					t.Errorf("%s: %d octets: %.300s", what, len(text), text)
				}
			}
			if !strings.Contains(log.String(), "not Bearer ***") {
				t.Errorf("what it said is not told: %.300s", log.String())
			}
		})
	}
}
