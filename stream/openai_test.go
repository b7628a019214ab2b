package stream_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/zaf/g711"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/stream"
)

// realtime is a server of OpenAI's realtime API, as far as its documentation tells of transcription.
type realtime struct {
	url    string
	refuse bool // session.update
	dies   int  // after so many messages; 0: never

	mu    sync.Mutex
	conns []*realtimeConn
}

type realtimeConn struct {
	auth, query string
	first       string // session.update
	audio       []byte
	commits     int
	texts       int
	closed      websocket.StatusCode
}

func listenRealtime(t *testing.T) *realtime {
	t.Helper()
	r := &realtime{}
	s := httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(s.Close)
	r.url = "ws" + strings.TrimPrefix(s.URL, "http")
	return r
}

func (r *realtime) serve(w http.ResponseWriter, req *http.Request) {
	c, err := websocket.Accept(w, req, nil)
	if err != nil {
		return
	}
	defer c.CloseNow() //nolint:errcheck // it has ended
	k := &realtimeConn{auth: req.Header.Get("Authorization"), query: req.URL.RawQuery}
	r.mu.Lock()
	r.conns = append(r.conns, k)
	n := len(r.conns)
	r.mu.Unlock()
	say := func(text string) { _ = c.Write(req.Context(), websocket.MessageText, []byte(text)) }
	say(`{"type":"session.created","event_id":"e1","session":{"type":"transcription"}}`)
	for {
		_, b, err := c.Read(req.Context())
		if err != nil {
			r.mu.Lock()
			k.closed = websocket.CloseStatus(err)
			r.mu.Unlock()
			return
		}
		var m struct{ Type, Audio string }
		bad := json.Unmarshal(b, &m)
		audio, err := base64.StdEncoding.DecodeString(m.Audio)
		r.mu.Lock()
		k.texts++
		dies := r.dies > 0 && n == 1 && k.texts >= r.dies
		switch {
		case bad != nil || err != nil:
			k.first += " and " + string(b)
		case m.Type == "session.update":
			k.first += string(b)
		case m.Type == "input_audio_buffer.append":
			k.audio = append(k.audio, audio...)
		case m.Type == "input_audio_buffer.commit":
			k.commits++
		}
		r.mu.Unlock()
		switch {
		case dies:
			return
		case m.Type == "session.update" && r.refuse:
			say(`{"type":"error","event_id":"e2","error":{"type":"invalid_request_error","code":"model_not_found","message":"there is no such model"}}`)
		case m.Type == "session.update":
			say(`{"type":"session.updated","event_id":"e2","session":{"type":"transcription"}}`)
		case m.Type == "input_audio_buffer.commit":
			say(`{"type":"input_audio_buffer.committed","event_id":"e3","item_id":"item_1"}`)
			say(`{"type":"conversation.item.input_audio_transcription.completed","event_id":"e4","item_id":"item_1","content_index":0,"transcript":"hello"}`)
		}
	}
}

func (r *realtime) got() (out []realtimeConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.conns {
		out = append(out, *k)
	}
	return out
}

func TestOpenAIGetsEverySampleInTheFormAskedFor(t *testing.T) {
	const packets = 100
	pcm := wanted(packets*ptime, 1)
	for format, want := range map[string]string{
		"":      `{"type":"audio/pcmu"}`,
		"alaw":  `{"type":"audio/pcma"}`,
		"s16le": `{"type":"audio/pcm","rate":24000}`,
	} {
		r := listenRealtime(t)
		h, stop := start(t, stream.Consumer{Type: stream.TypeOpenAI, URL: r.url + "/v1/realtime?intent=transcription", Secret: "hunter2", Format: format, Buffer: time.Minute})
		stream.Patient(h)
		var told record
		s := h.Open(info(), stream.Options{Notify: told.notify})
		feed(s, 1, 0, packets)
		s.End(call.Cause{})
		waitFor(t, "the end", func() bool { return told.reasons() == "call_ended" && len(r.got()) > 0 && r.got()[0].closed != 0 })
		stop()
		all := r.got()
		if len(all) != 1 {
			t.Fatalf("%s: %d connections: %v", format, len(all), told.of(call.EventStreamEnded))
		}
		k := all[0]
		golden := `{"type":"session.update","session":{"type":"transcription","audio":{"input":{"format":` + want +
			`,"transcription":{"model":"gpt-4o-transcribe"},"turn_detection":{"type":"server_vad"}}}}}`
		if k.auth != "Bearer hunter2" || k.query != "intent=transcription" || k.first != golden || k.commits != 1 || k.closed != websocket.StatusNormalClosure {
			t.Errorf("%s: authorization %q, query %q, %d commits, closed with %d, first\n%s\nwant\n%s", format, k.auth, k.query, k.commits, k.closed, k.first, golden)
		}
		checkForm(t, format, k.audio, pcm)
	}
}

// checkForm compares audio in a format with what it was made of; at 24000 Hz each third sample is one of those.
func checkForm(t *testing.T, format string, got, pcm []byte) {
	t.Helper()
	var want []byte
	switch format {
	case "":
		want = mulaw(pcm)
	case "alaw":
		for i := 0; i < len(pcm); i += 2 {
			want = append(want, g711.EncodeAlawFrame(int16(uint16(pcm[i])|uint16(pcm[i+1])<<8)))
		}
	default:
		want = pcm
		if len(got) != 3*len(pcm) {
			t.Errorf("%s: %d octets, want three times %d", format, len(got), len(pcm))
		}
		var third []byte
		for i := 0; i+2 <= len(got); i += 6 {
			third = append(third, got[i:i+2]...)
		}
		got = third
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %d octets of audio, want other %d", format, len(got), len(want))
	}
}

// A session may last an hour: the next one takes over from sample to sample, and the text of the one before is still waited for.
func TestOpenAISessionsFollowOneAnotherWithoutALostSample(t *testing.T) {
	for format, octets := range map[string]int{"": 1, "s16le": 6} { // of a sample at 8000 Hz
		r := listenRealtime(t)
		h, stop := start(t, stream.Consumer{Type: stream.TypeOpenAI, URL: r.url, Format: format, Message: 20 * time.Millisecond, Buffer: time.Minute})
		stream.Patient(h)
		stream.RenewAfter(h, 20*time.Millisecond)
		var told record
		s := h.Open(info(), stream.Options{Notify: told.notify})
		packets := int64(0)
		for len(r.got()) < 5 {
			feed(s, 1, packets, packets+1)
			packets++
			waitFor(t, "it is given out", func() bool {
				n := 0
				for _, k := range r.got() {
					n += len(k.audio)
				}
				return n >= int(packets-2)*ptime*octets
			})
		}
		s.End(call.Cause{})
		waitFor(t, "the end", func() bool { return strings.HasSuffix(told.reasons(), "call_ended") })
		stop()
		var audio []byte
		for i, k := range r.got() {
			audio = append(audio, k.audio...)
			if k.commits != 1 {
				t.Errorf("session %d: %d commits, want 1", i, k.commits)
			}
		}
		checkForm(t, format, audio, wanted(packets*ptime, 1))
		if !strings.HasPrefix(told.reasons(), "renewed renewed renewed renewed") || h.Totals().DroppedSamples != 0 || len(told.of(call.EventStreamDropped)) != 0 {
			t.Errorf("%s: told %q, dropped %d", format, told.reasons(), h.Totals().DroppedSamples)
		}
	}
}

func TestOpenAIRefusalIsToldAndCostsNoAudio(t *testing.T) {
	r := listenRealtime(t)
	r.refuse = true
	h, _ := start(t, stream.Consumer{Type: stream.TypeOpenAI, URL: r.url, Buffer: time.Minute})
	stream.Patient(h)
	var told record
	s := h.Open(info(), stream.Options{Notify: told.notify})
	feed(s, 1, 0, 50)
	waitFor(t, "it is told", func() bool {
		return strings.Contains(fmt.Sprint(told.of(call.EventStreamEnded)), "there is no such model model_not_found")
	})
	for _, k := range r.got() {
		if len(k.audio) != 0 {
			t.Errorf("a session that is not as asked got %d octets", len(k.audio))
		}
	}
	s.End(call.Cause{})
}

// vLLM's endpoint has a session.update that is not answered, a commit to begin with and another at the end, and texts without items.
func TestRealtimeOfVLLMIsReachedWithOtherTexts(t *testing.T) {
	var mu sync.Mutex
	var texts []string
	var audio []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c, err := websocket.Accept(w, req, nil)
		if err != nil {
			return
		}
		defer c.CloseNow() //nolint:errcheck // it has ended
		_ = c.Write(req.Context(), websocket.MessageText, []byte(`{"type":"session.created","id":"s"}`))
		for {
			_, b, err := c.Read(req.Context())
			if err != nil {
				return
			}
			var m struct {
				Type, Audio string
				Final       bool
			}
			_ = json.Unmarshal(b, &m)
			part, _ := base64.StdEncoding.DecodeString(m.Audio)
			mu.Lock()
			if audio = append(audio, part...); part == nil || len(part) == 0 {
				texts = append(texts, string(b))
			}
			mu.Unlock()
			if m.Final {
				_ = c.Write(req.Context(), websocket.MessageText, []byte(`{"type":"transcription.done","text":"hello","usage":{}}`))
			}
		}
	}))
	defer server.Close()
	h, stop := start(t, stream.Consumer{
		Type: stream.TypeOpenAI, URL: "ws" + strings.TrimPrefix(server.URL, "http") + "/v1/realtime", Format: "s16le", Rate: 16000, Buffer: time.Minute,
		First: `{"type":"session.update","model":"m"}` + "\n" + `{"type":"input_audio_buffer.commit"}`, Last: `{"type":"input_audio_buffer.commit","final":true}`,
	})
	stream.Patient(h)
	var told record
	s := h.Open(info(), stream.Options{Notify: told.notify})
	feed(s, 1, 0, 50)
	s.End(call.Cause{})
	waitFor(t, "the end", func() bool { return told.reasons() == "call_ended" })
	stop()
	mu.Lock()
	defer mu.Unlock()
	if len(audio) != 50*ptime*4 || len(texts) != 3 || !strings.Contains(texts[2], "final") {
		t.Errorf("%d octets, texts %q", len(audio), texts)
	}
}

func TestWrongDialectsAreToldAtOnce(t *testing.T) {
	hook := func(change func(c *stream.Consumer)) stream.Consumer {
		c := hookConsumer("wss://hook.example.com", stream.PerCall)
		change(&c)
		return c
	}
	for want, c := range map[string]stream.Consumer{
		`per: want track: OpenAI's`:                           {Type: stream.TypeOpenAI, Per: stream.PerCall},
		`format: got f32le at 8000 Hz, want mulaw or alaw`:    {Type: stream.TypeOpenAI, Format: "f32le"},
		`format: got mulaw at 16000 Hz, want mulaw or alaw`:   {Type: stream.TypeOpenAI, Rate: 16000},
		`keepalive, subprotocol, revoked: OpenAI's`:           {Type: stream.TypeOpenAI, KeepAlive: "x"},
		`url: want wss://: the secret would`:                  {Type: stream.TypeOpenAI, URL: "ws://asr.example.com", Secret: "x"},
		`headers: want "X-API-KEY: ..."`:                      hook(func(c *stream.Consumer) { c.Headers = nil }),
		`headers: Audiohook-Organization-Id: want a UUID`:     hook(func(c *stream.Consumer) { c.Headers[1] = "audiohook-organization-id: 7" }),
		`secret: want the client secret, in base64`:           hook(func(c *stream.Consumer) { c.Secret = "no base64" }),
		`format: got s16le at 8000 Hz, want mulaw at 8000`:    hook(func(c *stream.Consumer) { c.Format = "s16le" }),
		`first, last, keepalive, subprotocol, revoked: the f`: hook(func(c *stream.Consumer) { c.Revoked = "x" }),
	} {
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want ...%s...", err, want)
		}
	}
	for _, c := range []stream.Consumer{
		{Type: stream.TypeOpenAI, Secret: "x"}, {Type: stream.TypeOpenAI, URL: "ws://127.0.0.1:8000/v1/realtime", Format: "s16le", Rate: 16000}, hook(func(*stream.Consumer) {}),
		hook(func(c *stream.Consumer) { c.Headers, c.Secret = []string{"X-API-KEY: {secret}"}, "no base64" }),
	} {
		if err := c.Check(); err != nil {
			t.Error(err)
		}
	}
}
