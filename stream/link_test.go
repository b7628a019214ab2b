package stream_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/secret"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/stream"
	"github.com/zaf/g711"
)

// heard is what one connection of an engine's got.
type heard struct {
	query, auth, protocol string
	texts                 []string
	audio                 []byte
	// order has t for a text, b for binary.
	order string
}

// engine is a speech engine's WebSocket. more says whether a connection goes on after a message.
type engine struct {
	url  string
	more func(n int, h *heard) bool

	mu    sync.Mutex
	conns []*heard
}

// listenWS starts it.
func listenWS(t *testing.T, more func(n int, h *heard) bool) *engine {
	t.Helper()
	e := &engine{more: more}
	s := httptest.NewServer(http.HandlerFunc(e.serve))
	t.Cleanup(s.Close)
	e.url = "ws" + strings.TrimPrefix(s.URL, "http")
	return e
}

func (e *engine) serve(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"audio.drachtio.org"}})
	if err != nil {
		return
	}
	defer c.CloseNow() //nolint:errcheck // it has ended
	h := &heard{query: r.URL.RawQuery, auth: r.Header.Get("Authorization"), protocol: c.Subprotocol()}
	e.mu.Lock()
	n := len(e.conns)
	e.conns = append(e.conns, h)
	e.mu.Unlock()
	for {
		kind, b, err := c.Read(r.Context())
		if err != nil {
			return
		}
		e.mu.Lock()
		if kind == websocket.MessageText {
			h.texts, h.order = append(h.texts, string(b)), h.order+"t"
		} else {
			h.audio, h.order = append(h.audio, b...), h.order+"b"
		}
		on := e.more == nil || e.more(n, h)
		e.mu.Unlock()
		if !on {
			return
		}
	}
}

// got gives the connections.
func (e *engine) got() []heard {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []heard
	for _, h := range e.conns {
		out = append(out, *h)
	}
	return out
}

// ends is an engine that closes once it was told that the audio is over.
func ends(last string) func(int, *heard) bool {
	return func(_ int, h *heard) bool { return len(h.texts) == 0 || h.texts[len(h.texts)-1] != last }
}

func mulaw(pcm []byte) (out []byte) {
	for i := 0; i < len(pcm); i += 2 {
		out = append(out, g711.EncodeUlawFrame(int16(uint16(pcm[i])|uint16(pcm[i+1])<<8)))
	}
	return out
}

// play gives the hub a call of so many packets of both parties, and waits until all that the call was told of has ended.
func play(t *testing.T, h *stream.Hub, packets int64, outlets int, told *record) {
	t.Helper()
	s := h.Open(info(), stream.Options{Notify: told.notify})
	feed(s, 2, 0, packets)
	s.End(call.Cause{Code: call.CodeHangup})
	waitFor(t, "all have ended", func() bool { return strings.Count(told.reasons(), "call_ended") == outlets })
}

func TestWebSocketGetsTheUsersTextsAndEverySample(t *testing.T) {
	const packets = 300
	e := listenWS(t, ends(`{"type":"CloseStream"}`))
	h, stop := start(t, stream.Consumer{
		Preset: "deepgram", URL: e.url + "/v1/listen?encoding={encoding}&sample_rate={rate}&channels={channels}&multichannel={multichannel}&tag={call}",
		Secret: "hunter2", First: `{"call":"{call}","facts":{facts}}`, Per: stream.PerCall, Buffer: time.Minute,
	})
	stream.Patient(h)
	var told record
	play(t, h, packets, 1, &told)
	stop()
	got := e.got()
	if len(got) != 1 {
		t.Fatalf("%d connections", len(got))
	}
	g := got[0]
	if g.query != "encoding=mulaw&sample_rate=8000&channels=2&multichannel=true&tag=s-1%00x" || g.auth != "Token hunter2" {
		t.Errorf("query %q, authorization %q", g.query, g.auth)
	}
	if !bytes.Equal(g.audio, mulaw(wanted(packets*ptime, 2, 1))) {
		t.Errorf("%d octets of audio, want other %d", len(g.audio), 2*packets*ptime)
	}
	if len(g.texts) != 2 || strings.Trim(g.order[1:], "b") != "t" || g.order[0] != 't' || g.texts[1] != `{"type":"CloseStream"}` {
		t.Errorf("messages %q, texts %q", g.order, g.texts)
	}
	var first struct {
		Call  string
		Facts struct{ Channels []string }
	}
	if err := json.Unmarshal([]byte(g.texts[0]), &first); err != nil || first.Call != "s-1\x00x" || len(first.Facts.Channels) != 2 {
		t.Errorf("first text: %v, %+v: %s", err, first, g.texts[0])
	}
}

func TestEveryFormatIsExact(t *testing.T) {
	const packets = 50
	for _, c := range []struct {
		preset, format, last string
		want                 func(pcm []byte) []byte
	}{
		{"vosk", "", `{"eof" : 1}`, func(pcm []byte) []byte { return pcm }},
		{"", "alaw", "bye", func(pcm []byte) (out []byte) {
			for i := 0; i < len(pcm); i += 2 {
				out = append(out, g711.EncodeAlawFrame(int16(uint16(pcm[i])|uint16(pcm[i+1])<<8)))
			}
			return out
		}},
	} {
		e := listenWS(t, ends(c.last))
		h, stop := start(t, stream.Consumer{Type: stream.TypeWebSocket, Preset: c.preset, URL: e.url, Format: c.format, Last: c.last, Buffer: time.Minute})
		stream.Patient(h)
		var told record
		play(t, h, packets, 2, &told)
		stop()
		want := map[string]bool{string(c.want(wanted(packets*ptime, 1))): true, string(c.want(wanted(packets*ptime, 2))): true}
		for _, g := range e.got() {
			if !want[string(g.audio)] {
				t.Errorf("%s%s: %d octets that are no track's", c.preset, c.format, len(g.audio))
			}
			delete(want, string(g.audio))
		}
		if len(want) != 0 {
			t.Errorf("%s%s: a track is missing", c.preset, c.format)
		}
	}
}

// twilioMessage is a message as Twilio's documentation has it; numbers are strings there.
type twilioMessage struct {
	Event, SequenceNumber, StreamSid, Protocol, Version string
	Start                                               struct {
		AccountSid, CallSid, StreamSid string
		Tracks                         []string
		MediaFormat                    struct {
			Encoding             string
			SampleRate, Channels int
		}
		CustomParameters map[string]string
	}
	Media struct{ Track, Chunk, Timestamp, Payload string }
	Stop  struct{ AccountSid, CallSid string }
}

func twilioMessages(t *testing.T, texts []string) (out []twilioMessage) {
	t.Helper()
	for _, text := range texts {
		var m twilioMessage
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		out = append(out, m)
	}
	return out
}

func TestTwilioConsumersGetBothTracks(t *testing.T) {
	const packets = 100
	e := listenWS(t, func(_ int, h *heard) bool { return !strings.Contains(h.texts[len(h.texts)-1], `"event":"stop"`) })
	h, stop := start(t, stream.Consumer{Type: stream.TypeTwilio, URL: e.url, Per: stream.PerCall, Env: map[string]string{"tenant": "7"}, Buffer: time.Minute})
	stream.Patient(h)
	var told record
	play(t, h, packets, 1, &told)
	stop()
	got := e.got()
	if len(got) != 1 {
		t.Fatalf("%d connections", len(got))
	}
	all := twilioMessages(t, got[0].texts)
	if m := all[0]; m.Event != "connected" || m.Protocol != "Call" || m.Version != "1.0.0" {
		t.Errorf("first: %+v", m)
	}
	s := all[1]
	if s.Event != "start" || s.SequenceNumber != "1" || strings.Join(s.Start.Tracks, " ") != "inbound outbound" || s.Start.MediaFormat.Encoding != "audio/x-mulaw" ||
		s.Start.MediaFormat.SampleRate != 8000 || s.Start.MediaFormat.Channels != 1 || s.Start.CallSid != "s-1\x00x" || s.StreamSid == "" || s.StreamSid != s.Start.StreamSid ||
		s.Start.CustomParameters["tenant"] != "7" || s.Start.CustomParameters["agent"] != "108" {
		t.Errorf("start: %+v", s)
	}
	audio := map[string][]byte{}
	for i, m := range all[2 : len(all)-1] {
		b, err := base64.StdEncoding.DecodeString(m.Media.Payload)
		if err != nil || m.Event != "media" || len(b) != 160 || m.SequenceNumber != strconv.Itoa(i+2) || m.StreamSid != s.StreamSid {
			t.Fatalf("message %d: %v, %+v", i, err, m)
		}
		if m.Media.Timestamp != strconv.Itoa(len(audio[m.Media.Track])/8) || m.Media.Chunk != strconv.Itoa(1+len(audio[m.Media.Track])/160) {
			t.Fatalf("message %d: timestamp %s, chunk %s after %d samples", i, m.Media.Timestamp, m.Media.Chunk, len(audio[m.Media.Track]))
		}
		audio[m.Media.Track] = append(audio[m.Media.Track], b...)
	}
	if m := all[len(all)-1]; m.Event != "stop" || m.Stop.CallSid != "s-1\x00x" {
		t.Errorf("last: %+v", m)
	}
	if !bytes.Equal(audio["inbound"], mulaw(wanted(packets*ptime, 2))) || !bytes.Equal(audio["outbound"], mulaw(wanted(packets*ptime, 1))) {
		t.Errorf("%d and %d samples, want the customer inbound and the agent outbound, %d each", len(audio["inbound"]), len(audio["outbound"]), packets*ptime)
	}
}

// A consumer that dies again and again gets the rest of the call: the ring keeps what came meanwhile, the timestamps say what was on its way when it died.
func TestConsumerThatDiesOftenMissesOnlyWhatWasOnItsWay(t *testing.T) {
	const deaths = 8
	e := listenWS(t, func(n int, h *heard) bool {
		return !strings.Contains(h.texts[len(h.texts)-1], `"event":"stop"`) && (n >= deaths || len(h.texts) < 20+n)
	})
	h, _ := start(t, stream.Consumer{Type: stream.TypeTwilio, URL: e.url, Buffer: time.Minute})
	stream.Patient(h)
	var told record
	s := h.Open(info(), stream.Options{Notify: told.notify})
	given := func() (n int) {
		for _, h := range e.got() {
			n += len(h.texts)
		}
		return n
	}
	packets := int64(0)
	for len(e.got()) <= deaths {
		before := given()
		feed(s, 1, packets, packets+10)
		packets += 10
		waitFor(t, "it gets some of it", func() bool { return given() > before })
	}
	s.End(call.Cause{Code: call.CodeHangup})
	waitFor(t, "the end", func() bool { return strings.HasSuffix(told.reasons(), "call_ended") })
	want := mulaw(wanted(packets*ptime, 1))
	end, missed := int64(0), int64(0)
	for i, c := range e.got() {
		for _, m := range twilioMessages(t, c.texts) {
			if m.Event != "media" {
				continue
			}
			ms, err := strconv.ParseInt(m.Media.Timestamp, 10, 64)
			b, bad := base64.StdEncoding.DecodeString(m.Media.Payload)
			if err != nil || bad != nil {
				t.Fatal(err, bad)
			}
			at := ms * 8
			if at < end || !bytes.Equal(b, want[at:at+int64(len(b))]) {
				t.Fatalf("connection %d, at %d: not the call's audio, or given twice", i, at)
			}
			missed += at - end
			end = at + int64(len(b))
		}
	}
	if end != packets*ptime {
		t.Errorf("the last sample given is %d, want %d", end, packets*ptime)
	}
	if n := h.Totals().DroppedSamples; n > deaths*1600 || missed > deaths*int64(64<<10) { // of each connection the message that it broke at
		t.Errorf("%d samples dropped by us, %d on their way to a dead consumer", n, missed)
	}
}

// What a consumer that hangs loses is counted and told, and it is reached anew.
func TestConsumerThatHangsIsLeftAndReachedAnew(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // opens at once
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the test ends
	var mu sync.Mutex
	var open []net.Conn
	conns := func() int { mu.Lock(); defer mu.Unlock(); return len(open) }
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c) // and never read
			mu.Unlock()
		}
	}()
	h, stop := start(t, stream.Consumer{Type: stream.TypeTCP, Address: l.Addr().String(), Buffer: 10 * time.Second})
	var told record
	s := h.Open(info(), stream.Options{Notify: told.notify})
	for i, until := int64(0), time.Now().Add(30*time.Second); conns() < 3 && time.Now().Before(until); i += 50 {
		feed(s, 1, i, i+50)
	}
	if conns() < 3 || !strings.Contains(fmt.Sprint(told.of(call.EventStreamEnded)), "has read nothing for 200ms") || h.Totals().DroppedSamples == 0 {
		t.Errorf("%d connections, dropped %d, told %v", conns(), h.Totals().DroppedSamples, told.of(call.EventStreamEnded))
	}
	s.End(call.Cause{})
	stop()
	_ = l.Close()
	<-accepted
	for _, c := range open {
		_ = c.Close()
	}
}

func TestUnixSocketAndFIFOGetEverySample(t *testing.T) {
	const packets = 200
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "asr-2.sock")) //nolint:noctx // opens at once
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the test ends
	h, stop := start(t,
		stream.Consumer{Type: stream.TypeUnix, Address: filepath.Join(dir, "asr-{track}.sock"), First: "{call} {role}", Buffer: time.Minute},
		stream.Consumer{Type: stream.TypeFIFO, Address: filepath.Join(dir, "{call}-{track}.pcm"), Buffer: time.Minute},
	)
	var told record
	s := h.Open(info(), stream.Options{Notify: told.notify})
	feed(s, 2, 0, packets)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	var fifo []byte
	read := make(chan struct{})
	name := filepath.Join(dir, "s-1_x-2.pcm")
	waitFor(t, "the FIFO", func() bool { there, err := filepath.Glob(name); return err == nil && len(there) == 1 })
	go func() { defer close(read); fifo, _ = os.ReadFile(name) }()
	go s.End(call.Cause{})
	got, err := io.ReadAll(conn)
	if want := append([]byte(`s-1\u0000x customer`+"\n"), wanted(packets*ptime, 2)...); err != nil || !bytes.Equal(got, want) {
		t.Errorf("unix socket: %v, %d octets, want other %d", err, len(got), len(want))
	}
	<-read
	if want := wanted(packets*ptime, 2); !bytes.Equal(fifo, want) {
		t.Errorf("FIFO: %d octets, want other %d", len(fifo), len(want))
	}
	stop()
	if left, _ := filepath.Glob(filepath.Join(dir, "*.pcm")); left != nil {
		t.Errorf("left behind: %q", left)
	}
}

// An engine's answer may repeat what we sent.
func TestSecretsAreInNoLogAndNoEvent(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "bad token: "+r.Header.Get("X-Token")+" "+r.URL.String(), http.StatusForbidden)
	}))
	defer s.Close()
	var log bytes.Buffer
	var mu sync.Mutex
	h, err := stream.New(stream.Config{
		Log: slog.New(slog.NewTextHandler(locked{&mu, &log}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Consumers: []stream.Consumer{
			{Type: stream.TypeWebSocket, URL: "ws" + strings.TrimPrefix(s.URL, "http") + "/?k={secret}", Headers: []string{"X-Token: {secret}"}, Secret: "hunter2"},
			{Type: stream.TypeWebSocket, URL: "ws://127.0.0.1:1/?k={secret}", Secret: secret.Text("hunter2")},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	stream.Quicken(h)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	var told record
	sink := h.Open(info(), stream.Options{Notify: told.notify})
	feed(sink, 1, 0, 10)
	waitFor(t, "both were refused", func() bool {
		all := fmt.Sprint(told.of(call.EventStreamEnded))
		return strings.Contains(all, "403 Forbidden") && strings.Contains(all, "refused")
	})
	sink.End(call.Cause{})
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if all := log.String() + fmt.Sprint(told.of(call.EventStreamEnded)); strings.Contains(all, "hunter2") {
		t.Errorf("the secret is in %s", all)
	}
}

// locked is a writer that many use.
type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func TestWrongConnectionsAreToldAtOnce(t *testing.T) {
	for want, c := range map[string]stream.Consumer{
		`preset: got "dragon", want assemblyai`:                    {Preset: "dragon"},
		`url: want one that begins with wss`:                       {Preset: "vosk"},
		`url: want wss://: the secret would go`:                    {Preset: "deepgram", URL: "ws://asr.example.com", Secret: "x"},
		`secret: got none, and {secret} stands in`:                 {Preset: "deepgram"},
		`secret: got none`:                                         {Type: "websocket", URL: "wss://asr.example.com/?k={secret}"},
		`secret: got none: OpenAI wants a key`:                     {Type: "openai"},
		`tls: a consumer of type unix is on this machine`:          {Type: "unix", Address: "/run/asr.sock", TLS: true},
		`without a user in it`:                                     {Type: "websocket", URL: "wss://anna:x@asr.example.com"},
		`url: {cal}: want one of {call}`:                           {Type: "websocket", URL: "wss://asr.example.com/{cal}"},
		`first: {secret}: goes into url or headers only`:           {Type: "websocket", URL: "wss://asr.example.com", First: "{secret}"},
		`headers: "no colon": want a line`:                         {Type: "websocket", URL: "wss://asr.example.com", Headers: []string{"no colon"}},
		`keepalive_every: got 1ms`:                                 {Type: "websocket", URL: "wss://asr.example.com", KeepAlive: "x", KeepAliveEvery: time.Millisecond},
		`format: got s16le at 8000 Hz, want mulaw`:                 {Type: "twilio", URL: "wss://asr.example.com", Format: "s16le"},
		`the form of Twilio's messages is fixed`:                   {Type: "twilio", URL: "wss://asr.example.com", First: "x"},
		`address: got "asr", want host:port`:                       {Type: "tcp", Address: "asr"},
		`address: got "", want a path`:                             {Type: "unix"},
		`ca_file: open none.pem: no such file or directory`:        {Type: "tcp", Address: "asr:1", CAFile: "none.pem"},
		`type: got "pigeon", want exec, unix, tcp, fifo, websocke`: {Type: "pigeon"},
	} {
		if _, err := stream.New(stream.Config{Consumers: []stream.Consumer{c}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want ...%s...", err, want)
		}
	}
}

// A mask that reaches back is told on the connection, in the user's words, with the range that the call's record names.
func TestAWebSocketIsToldWhatWasTakenBack(t *testing.T) {
	e := listenWS(t, ends("bye"))
	h, stop := start(t, stream.Consumer{
		Type: stream.TypeWebSocket, URL: e.url, Last: "bye", Revoked: `{"type":"revoked","from":{from},"samples":{samples},"call":"{call}"}`, Buffer: time.Minute,
	})
	stream.Patient(h)
	var told record
	s := h.Open(info(), stream.Options{Notify: told.notify})
	feed(s, 1, 0, 100)
	heard := func() int {
		got := e.got()
		if len(got) == 0 {
			return 0
		}
		return len(got[0].audio)
	}
	waitFor(t, "it has all of it", func() bool { return heard() >= 2*95*ptime })
	all := tracks()[:1]
	s.Write(&media.Batch{Zero: zero, Now: zero + 2020*time.Millisecond, Tracks: all, Frames: []media.Frame{{Track: 1, Kind: media.KindMasked, Pos: 40 * ptime, Samples: 50 * ptime}}})
	feed(s, 1, 100, 120)
	s.End(call.Cause{})
	waitFor(t, "the end", func() bool { return strings.HasSuffix(told.reasons(), "call_ended") })
	stop()
	if got, want := e.got()[0].texts, `{"type":"revoked","from":6400,"samples":8000,"call":"s-1\u0000x"}`; len(got) != 2 || got[0] != want {
		t.Errorf("got %q, want %s before the last", got, want)
	}
	if r := told.of(call.EventRevoked); len(r) != 1 || r[0].Facts["from_samples"] != int64(6400) || r[0].Facts["samples"] != int64(8000) {
		t.Errorf("the record: %v", r)
	}
}
