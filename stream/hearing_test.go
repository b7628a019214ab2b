package stream_test

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/stream"
)

// placedAt is where the test's track lies in its call.
const placedAt = 4000

// said gives a sink packets of track 1, which lies at placedAt.
func said(s media.Sink, from, to int64, kind media.Kind) {
	all := tracks()[:1]
	all[0].Offset = placedAt
	for i := from; i < to; i++ {
		b := media.Batch{Zero: zero, Now: zero + time.Duration(i+1)*20*time.Millisecond, Tracks: all}
		f := media.Frame{Track: 1, Kind: kind, Pos: i * ptime, Samples: ptime, Captured: b.Now}
		if kind == media.KindReceived {
			for j := range int64(ptime) {
				f.PCM = append(f.PCM, value(1, f.Pos+j))
			}
		}
		b.Frames = []media.Frame{f}
		s.Write(&b)
	}
}

// doctor is an engine in Deepgram's form, which tells of each message of audio when it came in its own time; it ends a connection after so many.
type doctor struct {
	url  string
	each int

	mu    sync.Mutex
	first map[string]int16 // first sample by text
	conns int
}

func consult(t *testing.T, each int) *doctor {
	d := &doctor{each: each, first: map[string]int16{}}
	s := httptest.NewServer(http.HandlerFunc(d.serve))
	t.Cleanup(s.Close)
	d.url = "ws" + strings.TrimPrefix(s.URL, "http")
	return d
}

func (d *doctor) serve(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow() //nolint:errcheck // it has ended
	d.mu.Lock()
	d.conns++
	conn := d.conns
	d.mu.Unlock()
	given := 0
	for n := range d.each {
		kind, b, err := c.Read(r.Context())
		if err != nil || kind == websocket.MessageText {
			return
		}
		text := fmt.Sprintf("connection %d message %d", conn, n)
		d.mu.Lock()
		d.first[text] = int16(binary.LittleEndian.Uint16(b))
		d.mu.Unlock()
		answer := fmt.Sprintf(`{"type":"Results","channel_index":[0,1],"start":%.6f,"duration":%.6f,"is_final":true,"channel":{"alternatives":[{"transcript":%q,"confidence":0.9}]}}`,
			float64(given)/8000, float64(len(b)/2)/8000, text)
		given += len(b) / 2
		if c.Write(r.Context(), websocket.MessageText, []byte(answer)) != nil {
			return
		}
	}
}

// TestWordsLieWhereTheirAudioDoes: the ring loses audio, connections end and begin, the track lies somewhere in the call; the sample that an answer is about is the one that lies
// where the event says.
func TestWordsLieWhereTheirAudioDoes(t *testing.T) {
	d := consult(t, 4)
	h, stop := start(t, stream.Consumer{
		Name: "asr", Type: stream.TypeWebSocket, URL: d.url, Answers: "deepgram", Message: 20 * time.Millisecond, Buffer: 200 * time.Millisecond,
	})
	var told record
	ended := make(chan struct{})
	s := h.Open(info(), stream.Options{Notify: told.notify, Ended: func() { close(ended) }})
	at := int64(0)
	waitFor(t, "answers, losses and connections", func() bool {
		said(s, at, at+30, media.KindReceived) // more than the ring holds
		at += 30
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(told.of(call.EventTranscript)) > 12 && len(told.of(call.EventStreamDropped)) > 2 && d.conns > 4
	})
	s.End(call.Cause{Code: call.CodeHangup})
	<-ended
	stop()
	for _, e := range told.of(call.EventTranscript) {
		from := e.Facts["from_samples"].(int64)
		if want := d.first[e.Facts["text"].(string)]; value(1, from-placedAt) != want {
			t.Errorf("%v: at %d there is %d, the engine had %d", e.Facts["text"], from, value(1, from-placedAt), want)
		}
		if e.Facts["role"] != "agent" || e.Facts["party"] != "p-1" || e.Facts["samples"].(int64) < 160 || e.Facts["confidence"] != 0.9 || e.Track != 1 || e.Facts["final"] != true {
			t.Errorf("got %+v", e)
		}
	}
	if got := h.Totals().Answers; got.Final != int64(len(told.of(call.EventTranscript))) || got.Words != 4*got.Final {
		t.Errorf("counted %+v", got)
	}
}

// prints is a program that answers with lines, once it has read so many octets.
func prints(t *testing.T, octets int, lines ...string) stream.Consumer {
	t.Helper()
	script := fmt.Sprintf("head -c %d > /dev/null\ncat <<'EOF'\n%s\nEOF\ncat > /dev/null", octets, strings.Join(lines, "\n"))
	return stream.Consumer{Name: "asr", Command: sh(script), Answers: "json", Buffer: 10 * time.Second}
}

// texts gives what was told, finals with a dot.
func texts(told *record) string {
	var out []string
	for _, e := range told.of(call.EventTranscript) {
		text := e.Facts["text"].(string)
		if e.Facts["final"] == true {
			text += "."
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

// run gives a program a second of a call and waits for its end.
func runs(t *testing.T, c stream.Consumer, log *slog.Logger) (*record, stream.Answers) {
	t.Helper()
	h, err := stream.New(stream.Config{Consumers: []stream.Consumer{c}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	stream.Patient(h) // on a busy machine a shell takes its time
	stop := runHub(t, h)
	var told record
	ended := make(chan struct{})
	s := h.Open(info(), stream.Options{Notify: told.notify, Ended: func() { close(ended) }})
	said(s, 0, 50, media.KindReceived)
	s.End(call.Cause{Code: call.CodeHangup})
	<-ended
	stop()
	return &told, h.Totals().Answers
}

func TestAProgramsLinesAreItsAnswers(t *testing.T) {
	var log strings.Builder
	long := `{"text":"` + strings.Repeat("long ", 13_200) + `"}`
	told, n := runs(t, prints(t, 8000,
		`{"text":"hel","final":false}`, `{"text":"hello","start":0.1,"end":0.3}`, `secret`, `{"text":"secret","channel":1}`, `{"text":"secret","start":9,"end":1}`, long,
		`{"text":" and\nthen\u0007 "}`, `{"text":"  "}`, `{"text":"not yet","final":false}`,
	), slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	// What the program did not get to the end of is as final as it will ever be.
	if got, want := texts(told), "hel hello. and then. not yet not yet."; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n.Final != 3 || n.Partial != 2 || n.Malformed != 4 || n.Words != 5 {
		t.Errorf("counted %+v", n)
	}
	events := told.of(call.EventTranscript)
	if from, samples := events[1].Facts["from_samples"], events[1].Facts["samples"]; from != int64(placedAt+800) || samples != int64(1600) {
		t.Errorf("hello: got %v and %v, want %d and 1600", from, samples, placedAt+800)
	}
	if from := events[2].Facts["from_samples"]; from != int64(placedAt+2400) { // it says no time: since the last
		t.Errorf("and then: got %v, want %d", from, placedAt+2400)
	}
	if strings.Contains(log.String(), "secret") || strings.Count(log.String(), "can't be read") != 1 {
		t.Errorf("the log: %s", log.String())
	}
}

func TestAnEngineThatFloodsIsCut(t *testing.T) {
	h, err := stream.New(stream.Config{Consumers: []stream.Consumer{{
		Command: sh(`seq 1500 | sed 's/.*/{"text":"again","final":false}/'; cat > /dev/null`), Answers: "json", Buffer: 10 * time.Second,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	stream.Patient(h) // a flood is read slowly
	runHub(t, h)
	ended := make(chan struct{})
	s := h.Open(info(), stream.Options{Ended: func() { close(ended) }})
	said(s, 0, 50, media.KindReceived)
	s.End(call.Cause{Code: call.CodeHangup})
	<-ended
	if n := h.Totals().Answers; n.Refused == 0 || n.Partial > 1200 || n.Partial+n.Refused > 1500 {
		t.Errorf("counted %+v, want many refused", n)
	}
}

// TestAProgramThatFloodsIsReadSlowly: the more time passes the more may come, and no more.
func TestAProgramThatFloodsIsReadSlowly(t *testing.T) {
	h, _ := start(t, stream.Consumer{Command: sh(`yes '{"text":"again"}'`), Answers: "json"})
	s := h.Open(info(), stream.Options{})
	defer s.End(call.Cause{})
	began := time.Now()
	feed(s, 1, 0, 1)
	lines := func() int64 { n := h.Totals().Answers; return n.Final + n.Refused }
	waitFor(t, "some thousand lines", func() bool { return lines() > 8000 })
	n, quarters := lines(), int64(time.Since(began)/(250*time.Millisecond))
	if each := int64(32<<10/len("{\"text\":\"again\"}\n")) + 1; n > (quarters+3)*each {
		t.Errorf("%d lines in %d quarters of a second, want %d in each at most", n, quarters, each)
	}
}

func TestWordsAboutWhatAMaskTookBackAreNotTold(t *testing.T) {
	c := stream.Consumer{Name: "asr", Answers: "json", Buffer: 10 * time.Second, Message: 20 * time.Millisecond, Command: sh(
		`head -c 12800 > /dev/null; echo '{"text":"before","start":0,"end":0.2}'; head -c 1 > /dev/null
		echo '{"text":"secret","start":0.5,"end":0.7}'; echo '{"text":"secret guess","start":0.75,"end":0.8,"final":false}'; head -c 9599 > /dev/null; echo '{"text":"after","start":1.2,"end":1.4}'; cat > /dev/null`)}
	h, stop := start(t, c)
	var told record
	ended := make(chan struct{})
	s := h.Open(info(), stream.Options{Notify: told.notify, Ended: func() { close(ended) }})
	said(s, 0, 40, media.KindReceived)
	waitFor(t, "the first words", func() bool { return texts(&told) == "before." })
	said(s, 30, 40, media.KindMasked) // it reaches back
	said(s, 40, 80, media.KindReceived)
	s.End(call.Cause{Code: call.CodeHangup})
	<-ended
	stop()
	if got := texts(&told); got != "before. after." {
		t.Errorf("got %s, want before. after.", got)
	}
	back := told.of(call.EventTranscriptRevoked)
	if len(back) == 0 || back[0].Facts["consumer"] != "asr" || back[0].Track != 1 {
		t.Fatalf("got %+v", back)
	}
	from, samples := back[0].Facts["from_samples"].(int64), back[0].Facts["samples"].(int64)
	if from > placedAt+30*ptime || from+samples < placedAt+40*ptime || from < placedAt+1600 {
		t.Errorf("taken back: %d from %d on, want %d to %d and a little around", samples, from, placedAt+30*ptime, placedAt+40*ptime)
	}
	if n := h.Totals().Answers; n.Revoked != 2 {
		t.Errorf("counted %+v", n)
	}
}

func TestAnswersOfWhoCanGiveNone(t *testing.T) {
	for want, c := range map[string]stream.Consumer{
		`answers: got "siri", want one of assemblyai, audiohook, deepgram, json`: {Type: stream.TypeWebSocket, URL: "ws://localhost/", Answers: "siri"},
		`answers: got "vosk", want json: a program`:                              {Command: sh("cat"), Answers: "vosk"},
		`answers: a consumer of type tcp has no way`:                             {Type: stream.TypeTCP, Address: "localhost:1", Answers: "json"},
	} {
		if _, err := stream.New(stream.Config{Consumers: []stream.Consumer{c}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestNobodyIsLeftToAnswer: Ended is called however a call's consumers are left.
func TestNobodyIsLeftToAnswer(t *testing.T) {
	for what, c := range map[string][]stream.Consumer{
		"no consumer":              {},
		"none that answers":        {{Command: sh("cat > /dev/null")}},
		"one without a call":       {{Command: sh("cat > /dev/null"), Answers: "json", Per: stream.PerCall}},
		"one that cannot be begun": {{Type: stream.TypeWebSocket, URL: "ws://127.0.0.1:1/", Answers: "json"}},
	} {
		h, stop := start(t, c...)
		ended := make(chan struct{})
		s := h.Open(info(), stream.Options{Ended: func() { close(ended) }})
		if what != "one without a call" {
			said(s, 0, 5, media.KindReceived)
		}
		s.End(call.Cause{Code: call.CodeHangup})
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Errorf("%s: not told within 30 s", what)
		}
		stop()
	}
}
