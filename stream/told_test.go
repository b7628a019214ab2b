package stream_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/stream"
)

// slow is a consumer of any type that takes nothing until its gate is open.
type slow struct {
	gate chan struct{}

	mu  sync.Mutex
	got []byte
}

func (s *slow) take(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, b...)
}

// drain reads all that comes, once the gate is open.
func (s *slow) drain(r io.ReadCloser) {
	<-s.gate
	b, _ := io.ReadAll(r)
	s.take(b)
	_ = r.Close()
}

// webSocket answers for a server of any of the dialects, and takes the audio of their messages.
func (s *slow) webSocket(w http.ResponseWriter, req *http.Request) {
	c, err := websocket.Accept(w, req, nil)
	if err != nil {
		return
	}
	defer c.CloseNow() //nolint:errcheck // it has ended
	seq := 0
	for {
		kind, b, err := c.Read(req.Context())
		if err != nil {
			return
		}
		if kind == websocket.MessageBinary {
			<-s.gate
			s.take(b)
			continue
		}
		var m struct {
			Type, Event, ID, Audio string
			Seq                    int
			Media                  struct{ Payload string }
		}
		_ = json.Unmarshal(b, &m) // the text last is no JSON
		answer := func(text string) { _ = c.Write(req.Context(), websocket.MessageText, []byte(text)) }
		hook := func(kind, parameters string) {
			seq++
			b, _ := json.Marshal(map[string]any{"version": "2", "type": kind, "id": m.ID, "seq": seq, "clientseq": m.Seq, "parameters": json.RawMessage(parameters)})
			answer(string(b))
		}
		if audio, _ := base64.StdEncoding.DecodeString(m.Audio + m.Media.Payload); len(audio) > 0 {
			<-s.gate
			s.take(audio)
		}
		if string(b) == "last" {
			return
		}
		switch m.Type + m.Event {
		case "stop":
			return
		case "session.update":
			answer(`{"type":"session.updated"}`)
		case "input_audio_buffer.commit":
			answer(`{"type":"error","error":{"code":"input_audio_buffer_commit_empty"}}`)
		case "open":
			hook("opened", `{"media":[{"type":"audio","format":"PCMU","channels":["external"],"rate":8000}]}`)
		case "ping":
			hook("pong", "{}")
		case "close":
			hook("closed", "{}")
		}
	}
}

// What a consumer got, and what the call was told that it lost, is the call, sample for sample, in each dialect.
func TestGotAndToldAreTheCallInEachDialect(t *testing.T) {
	for name, open := range dialects(t) {
		t.Run(name, func(t *testing.T) {
			s := &slow{gate: make(chan struct{})}
			c, done := open(t, s)
			c.Buffer, c.Message = time.Second, 100*time.Millisecond
			h, stop := start(t, c)
			stream.Patient(h)
			var told record
			sink := h.Open(call.Info{ID: "c"}, stream.Options{Notify: told.notify})
			packets := int64(0)
			for h.Totals().DroppedSamples < 8000 { // the kernel keeps some, too
				feed(sink, 1, packets, packets+25)
				packets += 25
			}
			close(s.gate)
			sink.End(call.Cause{})
			waitFor(t, "the end", func() bool { return strings.HasSuffix(told.reasons(), "call_ended") })
			stop()
			done()
			want := wanted(packets*ptime, 1)
			if c.Format != "s16le" {
				want = mulaw(want)
			}
			group := int64(len(want)) / (packets * ptime)
			var left []byte
			at, lost := int64(0), int64(0)
			for _, e := range told.of(call.EventStreamDropped) {
				runs, ok := e.Facts["runs"].([][2]int64)
				if !ok {
					runs = [][2]int64{{e.Pos, e.Facts["samples"].(int64)}}
				}
				for _, r := range runs {
					left = append(left, want[at*group:r[0]*group]...)
					at, lost = r[0]+r[1], lost+r[1]
				}
			}
			left = append(left, want[at*group:]...)
			s.mu.Lock()
			defer s.mu.Unlock()
			if !bytes.Equal(s.got, left) || lost != h.Totals().DroppedSamples {
				t.Errorf("got %d octets, want the call's %d less %d samples that were told as lost, of %d", len(s.got), len(want), lost, h.Totals().DroppedSamples)
			}
		})
	}
}

// dialects opens a consumer of each type, which takes what it is given to a slow one; done waits for the last of it.
func dialects(t *testing.T) map[string]func(t *testing.T, s *slow) (c stream.Consumer, done func()) {
	t.Helper()
	socket := func(network, address string) func(t *testing.T, s *slow) (stream.Consumer, func()) {
		return func(t *testing.T, s *slow) (stream.Consumer, func()) {
			t.Helper()
			l, err := new(net.ListenConfig).Listen(t.Context(), network, strings.ReplaceAll(address, "DIR", t.TempDir()))
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				if c, err := l.Accept(); err == nil {
					s.drain(c)
				}
			})
			return stream.Consumer{Type: network, Address: l.Addr().String(), Format: "s16le"}, func() { _ = l.Close(); wg.Wait() }
		}
	}
	ws := func(c stream.Consumer) func(t *testing.T, s *slow) (stream.Consumer, func()) {
		return func(t *testing.T, s *slow) (stream.Consumer, func()) {
			t.Helper()
			server := httptest.NewServer(http.HandlerFunc(s.webSocket))
			c.URL, c.Format = "ws"+strings.TrimPrefix(server.URL, "http"), "mulaw"
			return c, server.Close
		}
	}
	return map[string]func(t *testing.T, s *slow) (stream.Consumer, func()){
		"unix": socket("unix", "DIR/asr.sock"), "tcp": socket("tcp", "127.0.0.1:0"),
		"fifo": func(t *testing.T, s *slow) (stream.Consumer, func()) {
			t.Helper()
			name := filepath.Join(t.TempDir(), "asr.pcm")
			if err := exec.CommandContext(t.Context(), "mkfifo", name).Run(); err != nil { // else the gate may open before it is there
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				<-s.gate
				if f, err := os.Open(name); err == nil {
					s.drain(f)
				}
			})
			return stream.Consumer{Type: stream.TypeFIFO, Address: name, Format: "s16le"}, wg.Wait
		},
		"exec": func(t *testing.T, s *slow) (stream.Consumer, func()) {
			t.Helper()
			dir := t.TempDir()
			var wg sync.WaitGroup
			wg.Go(func() {
				<-s.gate
				_ = os.WriteFile(filepath.Join(dir, "gate"), nil, 0o600)
			})
			return stream.Consumer{Command: sh("cd " + dir + "; until [ -e gate ]; do sleep 0.05; done; cat >out"), Format: "s16le"}, func() {
				wg.Wait()
				s.take(read(t, filepath.Join(dir, "out")))
			}
		},
		"websocket": ws(stream.Consumer{Type: stream.TypeWebSocket, Last: "last"}),
		"twilio":    ws(stream.Consumer{Type: stream.TypeTwilio}),
		"openai":    ws(stream.Consumer{Type: stream.TypeOpenAI}),
		"audiohook": ws(stream.Consumer{Type: stream.TypeAudioHook, Headers: []string{"X-API-KEY: k"}}),
	}
}
