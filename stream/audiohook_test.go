package stream_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/stream"
)

// hookServer is an AudioHook server as the protocol's reference and Genesys' reference implementation have it, which is strict: a wrong sequence number, a position that
// is not what was given and told, or audio in a pause is a fault.
type hookServer struct {
	url   string
	plays func(n int, s *hookSession, event string) // what it does of itself; called with mu held

	mu       sync.Mutex
	sessions []*hookSession
	faults   []string
}

// hookSession is a session as the server sees it.
type hookSession struct {
	header       http.Header
	target, host string
	open         hookOpen
	id           string
	seq, client  int64
	began        int64 // position of open
	spans        []hookSpan
	paused       int64 // since when; -1: it is not
	frames       int
	types        string
	close        string // its reason
	end          int64  // position of close
	conn         *websocket.Conn
	discardTo    string
	media        string // JSON of the choice; "" is the first offer
	startPaused  bool
	silent       bool // it answers no ping
}

// hookSpan is a stretch of the stream: given where octets is not nil, else told that it is not.
type hookSpan struct {
	from, to int64
	octets   []byte
}

type hookOpen struct {
	OrganizationID, ConversationID string
	Participant                    struct{ ID, Ani, AniName, Dnis string }
	Media                          []json.RawMessage
	ContinuedSessions              []struct {
		ID                   string
		Serverseq, Clientseq int64
	}
	CustomConfig map[string]string
}

func listenHook(t *testing.T) *hookServer {
	t.Helper()
	s := &hookServer{}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	s.url = "ws" + strings.TrimPrefix(server.URL, "http") + "/api/v1/audiohook?a=1"
	return s
}

func (s *hookServer) fault(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

func (s *hookServer) serve(w http.ResponseWriter, req *http.Request) {
	c, err := websocket.Accept(w, req, nil)
	if err != nil {
		return
	}
	defer c.CloseNow() //nolint:errcheck // it has ended
	k := &hookSession{header: req.Header, target: req.URL.RequestURI(), host: req.Host, paused: -1, conn: c}
	s.mu.Lock()
	s.sessions = append(s.sessions, k)
	n := len(s.sessions)
	s.mu.Unlock()
	for {
		kind, b, err := c.Read(req.Context())
		if err != nil {
			return
		}
		s.mu.Lock()
		event := "audio"
		if kind == websocket.MessageText {
			event = s.text(k, b)
		} else {
			s.binary(k, b)
		}
		if s.plays != nil {
			s.plays(n, k, event)
		}
		s.mu.Unlock()
	}
}

// samples reads a duration of the protocol's.
func (s *hookServer) samples(text string) int64 {
	if !regexp.MustCompile(`^PT(\d+|\d*\.\d+)S$`).MatchString(text) {
		s.fault("%q is no duration", text)
		return 0
	}
	seconds, err := strconv.ParseFloat(text[2:len(text)-1], 64)
	at := int64(seconds*8000 + 0.5)
	if err != nil || at < 0 {
		s.fault("%q is no duration", text)
	}
	return at
}

// at is where the stream has got to.
func (k *hookSession) at() int64 {
	if len(k.spans) == 0 {
		return k.began
	}
	return k.spans[len(k.spans)-1].to
}

func (s *hookServer) text(k *hookSession, b []byte) string {
	var m struct {
		Version, Type, ID, Position string
		Seq, Serverseq              int64
		Parameters                  struct {
			hookOpen
			Reason, Start, Discarded, Message string
			Code                              int
		}
	}
	if err := json.Unmarshal(b, &m); err != nil || m.Version != "2" || m.Seq != k.client+1 || m.Serverseq > k.seq || m.ID != k.header.Get("Audiohook-Session-Id") {
		s.fault("%v: %s", err, b)
	}
	k.client = m.Seq
	at := s.samples(m.Position)
	switch m.Type {
	case "open":
		k.open, k.began, k.id = m.Parameters.hookOpen, at, m.ID
		if s.plays != nil {
			s.plays(len(s.sessions), k, "opening")
		}
		choice := k.media
		if choice == "" {
			choice = string(k.open.Media[0])
		}
		opened := `{"media":[` + choice + `],"startPaused":` + strconv.FormatBool(k.startPaused)
		if k.discardTo != "" {
			opened += `,"discardTo":"` + k.discardTo + `"`
		}
		k.say("opened", opened+"}")
	case "ping":
		if !k.silent {
			k.say("pong", "{}")
		}
	case "paused":
		if k.paused < 0 {
			k.paused = at
		}
	case "resumed", "discarded":
		s.told(k, m.Type, s.samples(m.Parameters.Start), s.samples(m.Parameters.Discarded))
	case "close":
		k.close, k.end = m.Parameters.Reason, at
		if k.paused >= 0 {
			s.told(k, "close", k.paused, at-k.paused)
		}
		k.say("closed", "{}")
	case "error":
		s.fault("it says that %d %s", m.Parameters.Code, m.Parameters.Message)
	default:
		s.fault("%s", b)
	}
	if k.paused < 0 && at != k.at() && m.Type != "discarded" {
		s.fault("%s at %d, want %d", m.Type, at, k.at())
	}
	k.types += " " + m.Type
	return m.Type
}

// told notes what it is told that it does not get.
func (s *hookServer) told(k *hookSession, what string, start, n int64) {
	if want := k.at(); start != want && !(what == "resumed" && n == 0) {
		s.fault("%s: from %d on, want %d", what, start, want)
	}
	if n > 0 {
		k.spans = append(k.spans, hookSpan{from: start, to: start + n})
	}
	if what != "discarded" {
		k.paused = -1
	}
}

func (s *hookServer) binary(k *hookSession, b []byte) {
	channels := 1
	if choice := k.media; choice == "" && len(k.open.Media) == 3 || strings.Contains(choice, ",\"internal\"") {
		channels = 2
	}
	if k.paused >= 0 || k.close != "" || len(b) == 0 || len(b)%channels != 0 {
		s.fault("%d octets in a pause, or after the end", len(b))
	}
	k.frames++
	k.spans = append(k.spans, hookSpan{k.at(), k.at() + int64(len(b)/channels), bytes.Clone(b)})
}

func (k *hookSession) say(kind, parameters string) {
	k.seq++
	text := fmt.Sprintf(`{"version":"2","type":%q,"id":%q,"seq":%d,"clientseq":%d,"parameters":%s}`, kind, k.id, k.seq, k.client, parameters)
	_ = k.conn.Write(context.Background(), websocket.MessageText, []byte(text))
}

// do lets a test change, or look at, the server.
func (s *hookServer) do(f func(all []*hookSession)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.sessions)
}

// check compares all that was given with the call, and sees to it that the rest was told, up to the end; it gives how much that was.
func (s *hookServer) check(t *testing.T, want []byte, group int) (told int64) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		t.Error("fault: " + f)
	}
	at := int64(0)
	for n, k := range s.sessions {
		if k.began != at && len(k.spans) > 0 {
			t.Errorf("session %d begins at %d, want %d", n, k.began, at)
		}
		for _, p := range k.spans {
			switch {
			case p.from != at:
				t.Fatalf("session %d: %d to %d, want from %d on", n, p.from, p.to, at)
			case p.octets == nil:
				told += p.to - p.from
			case !bytes.Equal(p.octets, want[p.from*int64(group):p.to*int64(group)]):
				t.Fatalf("session %d: %d to %d: other audio", n, p.from, p.to)
			}
			at = p.to
		}
	}
	if at != int64(len(want)/group) {
		t.Errorf("given and told are %d samples, want %d", at, len(want)/group)
	}
	return told
}

func hookConsumer(url, per string) stream.Consumer {
	return stream.Consumer{
		Type: stream.TypeAudioHook, URL: url, Per: per, Headers: []string{"X-API-KEY: key-1", "Audiohook-Organization-Id: d7934305-0972-4844-938e-9060eef73d05"},
		Secret: "aHVudGVyMg==", Env: map[string]string{"tenant": "7"}, Buffer: time.Minute,
	}
}

func TestAudioHookGetsBothSidesAndIsSigned(t *testing.T) {
	const packets = 100
	s := listenHook(t)
	h, stop := start(t, hookConsumer(s.url, stream.PerCall))
	stream.Patient(h)
	var told record
	play(t, h, packets, 1, &told)
	stop()
	if n := s.check(t, mulaw(wanted(packets*ptime, 2, 1)), 2); n != 0 {
		t.Errorf("%d samples told as not given", n)
	}
	k := s.sessions[0]
	if k.types != " open close" || k.close != "end" || k.frames > 11 {
		t.Errorf("messages%s, closed for %s, %d frames of audio, want about one each 200 ms", k.types, k.close, k.frames)
	}
	o := k.open
	media := fmt.Sprintf("%s", o.Media)
	if o.OrganizationID != "d7934305-0972-4844-938e-9060eef73d05" || o.CustomConfig["tenant"] != "7" || o.CustomConfig["call"] != "s-1\x00x" || o.ContinuedSessions != nil ||
		media != `[{"type":"audio","format":"PCMU","channels":["external","internal"],"rate":8000} {"type":"audio","format":"PCMU","channels":["external"],"rate":8000} {"type":"audio","format":"PCMU","channels":["internal"],"rate":8000}]` {
		t.Errorf("open: %+v, media %s", o, media)
	}
	// As Genesys' reference implementation checks it.
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for name, v := range map[string]string{"session": k.id, "conversation": o.ConversationID, "participant": o.Participant.ID, "correlation": k.header.Get("Audiohook-Correlation-Id")} {
		if !uuid.MatchString(v) {
			t.Errorf("%s %q is no UUID", name, v)
		}
	}
	checkSignature(t, k, []byte("hunter2"))
}

// checkSignature makes the signature anew, from what came.
func checkSignature(t *testing.T, k *hookSession, key []byte) {
	t.Helper()
	input, ok := strings.CutPrefix(k.header.Get("Signature-Input"), "sig1=")
	golden := regexp.MustCompile(`^\("@request-target" "@authority" "audiohook-organization-id" "audiohook-session-id" "audiohook-correlation-id" "x-api-key"\);keyid="key-1";nonce="[A-Za-z0-9+/=]{22,}";alg="hmac-sha256";created=\d+;expires=\d+$`)
	if !ok || !golden.MatchString(input) {
		t.Fatalf("Signature-Input: %q", k.header.Get("Signature-Input"))
	}
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "\"@request-target\": %s\n\"@authority\": %s\n\"audiohook-organization-id\": %s\n\"audiohook-session-id\": %s\n\"audiohook-correlation-id\": %s\n\"x-api-key\": %s\n\"@signature-params\": %s",
		k.target, k.host, k.header.Get("Audiohook-Organization-Id"), k.header.Get("Audiohook-Session-Id"), k.header.Get("Audiohook-Correlation-Id"), k.header.Get("X-Api-Key"), input)
	if got, want := k.header.Get("Signature"), "sig1=:"+base64.StdEncoding.EncodeToString(mac.Sum(nil))+":"; got != want {
		t.Errorf("Signature: got %q, want %q", got, want)
	}
}

func TestAudioHookGivesTheSideThatTheServerChooses(t *testing.T) {
	const packets = 50
	s := listenHook(t)
	s.plays = func(_ int, k *hookSession, _ string) {
		k.media = `{"type":"audio","format":"PCMU","channels":["internal"],"rate":8000}`
	}
	h, stop := start(t, hookConsumer(s.url, stream.PerCall))
	stream.Patient(h)
	var told record
	play(t, h, packets, 1, &told)
	stop()
	s.check(t, mulaw(wanted(packets*ptime, 1)), 1)
}

// speaker feeds a sink of one track packets of a kind; ahead is how many.
type speaker struct {
	sink  media.Sink
	ahead int64
}

func (p *speaker) say(kind media.Kind, packets int64) {
	for range packets {
		now := zero + time.Duration(p.ahead+1)*20*time.Millisecond
		f := media.Frame{Track: 1, Kind: kind, Pos: p.ahead * ptime, Samples: ptime, Captured: now}
		if kind == media.KindReceived {
			f.PCM = make([]int16, ptime)
			for i := range f.PCM {
				f.PCM[i] = value(1, f.Pos+int64(i))
			}
		}
		p.sink.Write(&media.Batch{Zero: zero, Now: now, Tracks: tracks()[:1], Frames: []media.Frame{f}})
		p.ahead++
	}
}

// until feeds packets, one each time that it looks, until the server's session has come to something.
func (p *speaker) until(t *testing.T, s *hookServer, what string, cond func(k *hookSession) bool) {
	t.Helper()
	waitFor(t, what, func() (yes bool) {
		s.do(func(all []*hookSession) { yes = len(all) > 0 && cond(all[len(all)-1]) })
		if !yes {
			p.say(media.KindReceived, 1)
		}
		return yes
	})
}

// What the server does not want, and what a mask silences, is told, each to the sample; the rest is given.
func TestAudioHookTellsWhatItDoesNotGive(t *testing.T) {
	s := listenHook(t)
	s.plays = func(_ int, k *hookSession, event string) {
		if event == "opening" {
			k.startPaused, k.discardTo = true, "PT0.51S"
		}
	}
	h, stop := start(t, hookConsumer(s.url, stream.PerTrack))
	stream.Patient(h)
	var told record
	p := &speaker{sink: h.Open(info(), stream.Options{Notify: told.notify})}
	p.until(t, s, "it is paused from the beginning", func(k *hookSession) bool { return strings.HasSuffix(k.types, " paused") })
	s.do(func(all []*hookSession) { all[0].say("resume", "{}") })
	p.until(t, s, "it goes on", func(k *hookSession) bool { return k.frames > 2 })
	p.say(media.KindMasked, 30)
	p.until(t, s, "it goes on after the mask", func(k *hookSession) bool { return strings.Count(k.types, " resumed") == 2 && k.frames > 4 })
	s.do(func(all []*hookSession) { all[0].say("pause", "{}") })
	p.until(t, s, "it is paused again", func(k *hookSession) bool { return strings.Count(k.types, " paused") == 3 })
	p.say(media.KindMasked, 30)
	p.say(media.KindReceived, 5)
	s.do(func(all []*hookSession) { all[0].say("resume", "{}") })
	p.until(t, s, "it goes on again", func(k *hookSession) bool { return strings.Count(k.types, " resumed") == 3 })
	p.say(media.KindReceived, 50)
	p.say(media.KindMasked, 11)
	p.sink.End(call.Cause{})
	waitFor(t, "the end", func() bool { return told.reasons() == "call_ended" })
	stop()
	n := s.check(t, mulaw(wanted(p.ahead*ptime, 1)), 1)
	dropped := int64(0)
	for _, e := range told.of(call.EventStreamDropped) {
		dropped += e.Facts["samples"].(int64)
	}
	// Whether the second mask lies in the server's pause depends on when its word came.
	if masked := n - dropped; masked < (30+11)*ptime || masked > (30+30+11)*ptime || dropped <= 4080 {
		t.Errorf("the server was told of %d samples, and the call of %d: want those and what the masks silence that it wanted", n, dropped)
	}
}

// A server that dies, or asks for another connection, is told where the next session begins and which sessions it goes on from.
func TestAudioHookSessionsGoOnFromOneAnother(t *testing.T) {
	s := listenHook(t)
	s.plays = func(n int, k *hookSession, event string) {
		if event == "audio" && n < 4 && k.frames == 2 {
			k.say("reconnect", "{}")
		}
	}
	c := hookConsumer(s.url, stream.PerTrack)
	h, stop := start(t, c)
	stream.Patient(h)
	stream.RenewAfter(h, time.Hour)
	var told record
	p := &speaker{sink: h.Open(info(), stream.Options{Notify: told.notify})}
	p.until(t, s, "the fourth session is given audio", func(*hookSession) bool { return len(s.sessions) == 4 && s.sessions[3].frames > 0 })
	p.sink.End(call.Cause{})
	waitFor(t, "the end", func() bool { return strings.HasSuffix(told.reasons(), "call_ended") })
	stop()
	if n := s.check(t, mulaw(wanted(p.ahead*ptime, 1)), 1); n != 0 {
		t.Errorf("%d samples told as not given", n)
	}
	s.do(func(all []*hookSession) {
		for i, k := range all {
			if len(k.open.ContinuedSessions) != i || i < 3 && k.close != "reconnect" || i > 0 && k.open.ContinuedSessions[i-1].ID != all[i-1].id {
				t.Errorf("session %d: closed for %q, goes on from %+v", i, k.close, k.open.ContinuedSessions)
			}
		}
	})
}

// What a consumer's ring could not keep is told as discarded, by the session that comes then.
func TestAudioHookIsToldWhatTheRingLost(t *testing.T) {
	s := listenHook(t)
	var away sync.WaitGroup
	away.Add(1)
	s.plays = func(n int, _ *hookSession, event string) {
		if event == "opening" && n == 1 {
			away.Wait()
		}
	}
	c := hookConsumer(s.url, stream.PerTrack)
	c.Buffer = time.Second
	h, stop := start(t, c)
	stream.Patient(h)
	var told record
	sink := h.Open(info(), stream.Options{Notify: told.notify})
	feed(sink, 1, 0, 200)
	away.Done()
	sink.End(call.Cause{})
	waitFor(t, "the end", func() bool { return strings.HasSuffix(told.reasons(), "call_ended") })
	stop()
	if n := s.check(t, mulaw(wanted(200*ptime, 1)), 1); n != 150*ptime || h.Totals().DroppedSamples != n {
		t.Errorf("told %d samples, lost %d, want 150 packets", n, h.Totals().DroppedSamples)
	}
}

// A server that has all that it wants gets no more, and is not dialled again.
func TestAudioHookThatIsDoneIsLeftAlone(t *testing.T) {
	s := listenHook(t)
	s.plays = func(_ int, k *hookSession, event string) {
		switch {
		case event == "audio" && k.frames == 1:
			k.say("disconnect", `{"reason":"completed","info":"enough"}`)
		case event == "close":
			_ = k.conn.CloseNow()
		}
	}
	h, stop := start(t, hookConsumer(s.url, stream.PerTrack))
	stream.Patient(h)
	var told record
	p := &speaker{sink: h.Open(info(), stream.Options{Notify: told.notify})}
	p.until(t, s, "it says that it is done", func(k *hookSession) bool { return k.close == "disconnect" })
	p.say(media.KindReceived, 100)
	p.sink.End(call.Cause{})
	waitFor(t, "the end", func() bool { return told.reasons() == "call_ended" })
	stop()
	given := int64(0)
	s.do(func(all []*hookSession) {
		given = all[0].at()
		if len(all) != 1 {
			t.Errorf("%d sessions, want one", len(all))
		}
	})
	lost := told.of(call.EventStreamDropped)
	if len(lost) != 1 || lost[0].Facts["samples"] != p.ahead*ptime-given || lost[0].Pos != given {
		t.Errorf("%d of %d samples given, told %+v", given, p.ahead*ptime, lost)
	}
}
