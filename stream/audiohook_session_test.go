package stream

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// transcriptEntities are those of Genesys' reference implementation.
const transcriptEntities = `{"entities":[
	{"type":"transcript","data":{"id":"7b9b6d52-2b1c-4f0e-8d4a-6a1d0a0c0b0a","channelId":1,"isFinal":true,"offset":"PT1.5S","duration":"PT0.75S","alternatives":[
		{"confidence":0.9,"languages":["en-US"],"interpretations":[{"type":"display","transcript":" Hello. ","tokens":[{"type":"word","value":"Hello.","confidence":0.9,"offset":"PT1.5S","duration":"PT0.75S"}]}]},
		{"confidence":0.1,"interpretations":[{"type":"display","transcript":"Yellow."}]}]}},
	{"type":"com.example.mood","data":["fair"]},
	{"type":"transcript","data":{"id":"x","channelId":0,"isFinal":false,"alternatives":[{"confidence":0.5,"interpretations":[{"type":"display","transcript":"Good"}]}]}}]}`

func TestAudioHookTranscriptsAreRead(t *testing.T) {
	message := `{"version":"2","type":"event","id":"i","seq":7,"clientseq":2,"parameters":` + transcriptEntities + `}`
	got, err := audiohookAnswers([]byte(message))
	want := []heard{
		{inCall: true, from: 1500 * time.Millisecond, to: 2250 * time.Millisecond, channel: 1, text: "Hello.", final: true, confidence: 0.9},
		{inCall: true, text: "Good", confidence: 0.5},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: got %+v, want %+v", err, got, want)
	}
	for message, want := range map[string]error{
		`{"version":"1"}`: errNoHookEvent,
		`{"version":"2","type":"event","id":"i","seq":7,"clientseq":2,"parameters":{"entities":[{"type":"transcript","data":{"offset":"now","duration":"PT1S"}}]}}`: errHookTimes,
	} {
		if _, err := audiohookAnswers([]byte(message)); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", message, err, want)
		}
	}
}

// FuzzAudioHookServer: whatever a server says, what the client answers is well-formed, in sequence, and its positions never go back; once it has failed it gives no audio.
func FuzzAudioHookServer(f *testing.F) {
	message := func(kind string, seq int, parameters string) string {
		b, _ := json.Marshal(map[string]any{"version": "2", "id": "i", "type": kind, "seq": seq, "clientseq": 0, "parameters": json.RawMessage(parameters)})
		return string(b) + "\n"
	}
	opened := message("opened", 1, `{"media":[{"type":"audio","format":"PCMU","channels":["external","internal"],"rate":8000}],"startPaused":true,"discardTo":"PT0.5S"}`)
	f.Add(opened + message("pause", 2, "{}") + message("resume", 3, "{}") + message("pong", 4, "{}"))
	f.Add(opened + message("disconnect", 2, `{"reason":"completed"}`) + message("closed", 3, "{}"))
	f.Add(message("opened", 1, `{"media":[]}`) + message("reconnect", 2, "{}") + message("event", 3, `{"entities":[]}`))
	f.Add(message("event", 1, transcriptEntities))
	f.Add(message("closed", 1, "{}") + "{\n")
	f.Fuzz(func(t *testing.T, script string) {
		h := &hook{id: "i", group: 2}
		h.say("open", none)
		var failed error
		sent := 0
		check := func() {
			for _, m := range h.out {
				switch {
				case m.text != nil:
					sent++
					checkSaid(t, m.text, sent)
				case failed != nil || h.state != hookOpen || len(m.audio) == 0:
					t.Errorf("audio in state %d after %v", h.state, failed)
				}
			}
			h.out = h.out[:0]
		}
		check()
		for line := range strings.Lines(script) {
			said, _ := audiohookAnswers([]byte(line))
			for _, w := range said {
				if w.from < 0 || w.to < 0 || w.to != 0 && w.to <= w.from || !w.inCall || len(w.text) > maxHeardText || !utf8.ValidString(w.text) {
					t.Errorf("%s: %+v", line, w)
				}
			}
			m, err := parseHook([]byte(line))
			if err != nil {
				continue
			}
			before := h.position
			if failed == nil {
				failed = h.take(m)
			}
			check()
			if failed == nil {
				h.audio(h.position+7, make([]byte, 2*160), []stretch{{h.position + 20, h.position + 60}})
				check()
				failed = h.look(time.Duration(sent) * time.Second)
			}
			check()
			if h.position < before || h.takeUnsent(true).samples < 0 {
				t.Errorf("position %d after %d", h.position, before)
			}
		}
	})
}

// checkSaid looks at a message of the client's.
func checkSaid(t *testing.T, text []byte, seq int) {
	t.Helper()
	var m struct {
		Version, Type, ID, Position string
		Seq                         int
	}
	if err := json.Unmarshal(text, &m); err != nil || m.Version != "2" || m.ID != "i" || m.Seq != seq {
		t.Errorf("%v: %s, want seq %d", err, text, seq)
	}
	if _, err := parseHookTime(m.Position); err != nil {
		t.Error(err)
	}
}

func TestAudioHookTimesAreExact(t *testing.T) {
	for samples, want := range map[int64]string{0: "PT0S", 1: "PT0.000125S", 8000: "PT1S", 4080: "PT0.51S", 24*3600*8000 - 1: "PT86399.999875S"} {
		got := hookDuration(samples)
		back, err := parseHookTime(got)
		if got != want || err != nil || int64((back+sampleTime/2)/sampleTime) != samples {
			t.Errorf("%d samples: got %s, want %s; back: %v, %v", samples, got, want, back, err)
		}
	}
	for _, bad := range []string{"", "PT", "PTS", "PT-1S", "PT1e3S", "PT1M", "PTNaNS", "PTInfS", "PT9999999S", "1S"} {
		if d, err := parseHookTime(bad); err == nil {
			t.Errorf("%q: got %v, want an error", bad, d)
		}
	}
}

// A ping that is not answered before the next, and a message out of turn, end the session: the server is told why.
func TestAudioHookServersFaultsEndTheSession(t *testing.T) {
	opened := hookMessage{Version: "2", ID: "i", Type: "opened", Seq: 1, ClientSeq: 1, Parameters: json.RawMessage(`{"media":[{"type":"audio","format":"PCMU","channels":["external"],"rate":8000}]}`)}
	for want, do := range map[string]func(h *hook) error{
		`"code":408`: func(h *hook) error {
			if err := h.look(2 * time.Second); err != nil || !strings.Contains(string(h.out[0].text), `"type":"ping"`) {
				t.Errorf("the first ping: %v, %s", err, h.out)
			}
			return h.look(8 * time.Second)
		},
		`"code":400`: func(h *hook) error { return h.take(hookMessage{ID: "i", Type: "pause", Seq: 3}) },
		`"code":409`: func(h *hook) error { return h.take(hookMessage{ID: "i", Type: "closed", Seq: 2}) },
	} {
		h := &hook{id: "i", group: 1, seq: 1}
		if err := h.take(opened); err != nil || h.state != hookOpen {
			t.Fatal(err)
		}
		err := do(h)
		n := len(h.out)
		if err == nil || n < 2 || !strings.Contains(string(h.out[n-2].text), want) || !strings.Contains(string(h.out[n-1].text), `"reason":"error"`) {
			t.Errorf("%s: got %v, said %d messages", want, err, n)
		}
	}
}

// TestWhatAServerWillNotWantIsLostWhenItIsSaid: it asks for an hour to be discarded, and the call ends before: what never was is not lost. A mask in it is a mask.
func TestWhatAServerWillNotWantIsLostWhenItIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		discardTo string
		unsent    int64
		runs      []stretch
		given     int64
	}{
		"an hour":       {discardTo: "PT3600S", unsent: 1500, runs: []stretch{{0, 500}, {600, 1600}}},
		"some of it":    {discardTo: "PT0.1S", unsent: 700, runs: []stretch{{0, 500}, {600, 800}}, given: 800},
		"what has been": {discardTo: "PT0S", given: 1500},
	} {
		t.Run(name, func(t *testing.T) {
			h := &hook{id: "i", group: 1, seq: 1}
			err := h.take(hookMessage{Version: "2", ID: "i", Type: "opened", Seq: 1, ClientSeq: 1, Parameters: json.RawMessage(
				`{"media":[{"type":"audio","format":"PCMU","channels":["external"],"rate":8000}],"discardTo":"` + c.discardTo + `"}`)})
			if err != nil || h.position != 0 || h.unsent.samples != 0 {
				t.Fatalf("opened: %v, at %d, %d samples lost", err, h.position, h.unsent.samples)
			}
			var told []drops
			at, given := int64(0), int64(0)
			for range 10 {
				h.audio(at, make([]byte, 160), []stretch{{500, 600}})
				at += 160
				for _, m := range h.out {
					given += int64(len(m.audio))
				}
				h.out = h.out[:0]
				if d := h.takeUnsent(false); d.samples > 0 {
					told = append(told, d)
				}
			}
			if d := h.takeUnsent(true); d.samples > 0 {
				told = append(told, d)
			}
			if h.position != at || given != c.given || c.unsent > 0 != (len(told) == 1) {
				t.Fatalf("at %d, given %d, told %+v, want %d, %d, and %d told at once", h.position, given, told, at, c.given, c.unsent)
			}
			if len(told) == 1 && (told[0].samples != c.unsent || !slices.Equal(told[0].runs, c.runs)) {
				t.Errorf("told %+v, want %d in %v", told[0], c.unsent, c.runs)
			}
		})
	}
}

// TestMasksThatAConsumerIsStillToGetAreKeptApart: what was said between two of them is not masked; and for who is given them again.
func TestMasksThatAConsumerIsStillToGetAreKeptApart(t *testing.T) {
	var l link
	var want []stretch
	for i := range int64(maxMasked + 20) {
		want = append(want, stretch{1000 * i, 1000*i + 300})
		l.silenced(1000*i, 160)
		l.silenced(1000*i+160, 140)
	}
	want = want[20:]
	for _, c := range []struct{ pos, skip int64 }{{0, 0}, {want[50].from + 300, 51}, {want[50].from + 299, 50}, {1 << 40, maxMasked}, {0, 0}} {
		if got := l.masksFrom(nil, c.pos); !slices.Equal(got, want[c.skip:]) {
			t.Errorf("from %d on: got %d masks, want %d, from %v on", c.pos, len(got), maxMasked-c.skip, want[c.skip:])
		}
	}
}
