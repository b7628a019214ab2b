package stream

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// show makes utterances readable.
func show(list []heard) string {
	var out []string
	for _, h := range list {
		kind := "guess"
		if h.final {
			kind = "final"
		}
		out = append(out, fmt.Sprintf("%s %v-%v ch%d %.2f %q", kind, h.from, h.to, h.channel, h.confidence, h.text))
	}
	return strings.Join(out, "; ")
}

// TestEnginesAnswersAreRead has golden messages: built from the services' documentation.
func TestEnginesAnswersAreRead(t *testing.T) {
	for _, c := range []struct {
		engine   string
		messages []string
		want     []string
	}{
		{"json", []string{
			`{"text":"hello","start":1.25,"end":2.5,"final":true,"channel":1,"confidence":0.9}`, `{"text":"hel","final":false}`, `{"text":"ok","extra":{"a":[1]}}`,
		}, []string{`final 1.25s-2.5s ch1 0.90 "hello"`, `guess 0s-0s ch0 0.00 "hel"`, `final 0s-0s ch0 0.00 "ok"`}},
		{"deepgram", []string{
			`{"type":"Metadata","request_id":"x","channels":2}`,
			`{"type":"SpeechStarted","channel":[0,1],"timestamp":9.54}`,
			`{"type":"Results","channel_index":[0,2],"duration":1.0,"start":2.0,"is_final":false,"channel":{"alternatives":[{"transcript":"my card","confidence":0.5,"words":[]}]}}`,
			`{"type":"Results","channel_index":[1,2],"duration":2.0,"start":2.0,"is_final":true,"speech_final":true,"channel":{"alternatives":[{"transcript":"my card is","confidence":0.98,"words":[{"word":"my","start":2.1,"end":2.3,"confidence":0.9},{"word":"card","start":2.3,"end":2.9,"confidence":0.9},{"word":"is","start":3,"end":3.25,"confidence":0.9}]}]}}`,
			`{"type":"Results","channel_index":[0,2],"duration":1.0,"start":2.0,"is_final":true,"channel":{"alternatives":[{"transcript":"","confidence":0}]}}`,
		}, []string{"", "", `guess 2s-3s ch0 0.50 "my card"`, `final 2.1s-3.25s ch1 0.98 "my card is"`, `final 2s-3s ch0 0.00 ""`}},
		{"assemblyai", []string{
			`{"type":"Begin","id":"x","expires_at":1}`,
			`{"type":"Turn","turn_order":0,"turn_is_formatted":false,"end_of_turn":false,"transcript":"hi","words":[{"start":1024,"end":1280,"text":"hi","confidence":0.5,"word_is_final":true}]}`,
			`{"type":"Turn","turn_order":0,"turn_is_formatted":false,"end_of_turn":true,"transcript":"hi there","words":[{"start":1024,"end":1280,"text":"hi","confidence":0.5},{"start":1280,"end":1500,"text":"there","confidence":1}]}`,
			`{"type":"Turn","turn_order":0,"turn_is_formatted":true,"end_of_turn":true,"transcript":"Hi there.","words":[{"start":1024,"end":1280},{"start":1280,"end":1500}]}`,
			`{"type":"Termination","audio_duration_seconds":3}`,
		}, []string{"", `guess 1.024s-1.28s ch0 0.50 "hi"`, `final 1.024s-1.5s ch0 0.75 "hi there"`, "", ""}},
		{"vosk", []string{
			`{"partial" : ""}`, `{"partial" : "one two"}`,
			`{"result":[{"conf":1.0,"end":1.5,"start":0.9,"word":"one"},{"conf":0.5,"end":2.0,"start":1.5,"word":"two"}],"text":"one two"}`, `{"text" : ""}`,
		}, []string{`guess 0s-0s ch0 0.00 ""`, `guess 0s-0s ch0 0.00 "one two"`, `final 900ms-2s ch0 0.75 "one two"`, `final 0s-0s ch0 0.00 ""`}},
		{"whisperlive", []string{
			`{"uid":"u","message":"SERVER_READY","backend":"faster_whisper"}`,
			`{"uid":"u","segments":[{"start":"0.000","end":"2.000","text":" Hello","completed":true},{"start":"2.000","end":"3.500","text":" who","completed":false}]}`,
			`{"uid":"u","segments":[{"start":"0.000","end":"2.000","text":" Hello","completed":true},{"start":"2.000","end":"4.000","text":" who is it","completed":true}]}`,
			`{"uid":"u","segments":[{"start":4,"end":5,"text":" me"},{"start":5,"end":6,"text":" again"}]}`,
		}, []string{"", `final 0s-2s ch0 0.00 " Hello"; guess 2s-3.5s ch0 0.00 " who"`, `final 2s-4s ch0 0.00 " who is it"`, `final 4s-5s ch0 0.00 " me"; guess 5s-6s ch0 0.00 " again"`}},
	} {
		read := answersOf[c.engine]()
		for i, m := range c.messages {
			got, err := read([]byte(m))
			if err != nil || show(got) != c.want[i] {
				t.Errorf("%s: %s: got %s, %v, want %s", c.engine, m, show(got), err, c.want[i])
			}
		}
	}
}

func TestWhatIsNoAnswerIsAnErrorThatRepeatsNothing(t *testing.T) {
	for engine, messages := range map[string][]string{
		"json":        {`secret words`, `["secret"]`, `{"text":7}`, `{"start":1}`, `{"text":"secret","start":2,"end":1}`, `{"text":"secret","start":-1,"end":1}`, `{"text":"secret","start":1,"end":1e300}`, `{"text":"secret","start":"secret","end":2}`},
		"deepgram":    {`secret`, `{"type":"Results","channel":"secret"}`, `{"type":"Results","start":5,"duration":-1,"channel":{"alternatives":[{"transcript":"secret"}]}}`},
		"assemblyai":  {`secret`, `{"type":"Turn","transcript":"secret","words":[{"start":2,"end":1}]}`},
		"vosk":        {`secret`, `{"text":"secret","result":[{"start":2,"end":1}]}`},
		"whisperlive": {`secret`, `{"segments":[{"start":"secret","end":"1","text":"secret"}]}`, `{"segments":{"secret":1}}`},
	} {
		for _, m := range messages {
			got, err := answersOf[engine]()([]byte(m))
			if err == nil || len(got) > 0 || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %s: got %s, %v, want an error without the text", engine, m, show(got), err)
			}
		}
	}
}

// FuzzAnswers: whatever an engine says, times are times and what is kept of a text is short, valid and on one line.
func FuzzAnswers(f *testing.F) {
	f.Add("json", `{"text":"hello","start":1.25,"end":2.5,"final":true,"channel":1,"confidence":0.9}`)
	f.Add("deepgram", `{"type":"Results","channel_index":[1,2],"duration":2.0,"start":2.0,"is_final":true,"channel":{"alternatives":[{"transcript":"my","confidence":0.98,"words":[{"start":2.1,"end":2.3}]}]}}`)
	f.Add("assemblyai", `{"type":"Turn","turn_order":0,"end_of_turn":true,"transcript":"hi","words":[{"start":1024,"end":1280,"confidence":0.5}]}`)
	f.Add("vosk", `{"result":[{"conf":1.0,"end":1.5,"start":0.9,"word":"one"}],"text":"one\u202e \u2028two"}`)
	f.Add("whisperlive", `{"segments":[{"start":"0.000","end":"2.000","text":" Hello","completed":true},{"start":2,"end":3,"text":"x"}]}`)
	f.Fuzz(func(t *testing.T, engine, message string) {
		make, ok := answersOf[engine]
		if !ok {
			return
		}
		read := make()
		for range 2 { // some remember
			list, _ := read([]byte(message))
			for _, h := range list {
				if h.from < 0 || h.to < h.from || h.to > maxHeardTime {
					t.Errorf("%s: times %v to %v", engine, h.from, h.to)
				}
				text := cleanWords(h.text)
				if len(text) > maxHeardText || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) || strings.ContainsAny(text, "\u202e\u2028") || text != cleanWords(text) {
					t.Errorf("%s: text %q", engine, text)
				}
			}
		}
	})
}

// TestClockPlacesEverySample holds the clock against the list of where each sample lies.
func TestClockPlacesEverySample(t *testing.T) {
	var c clock
	var lies []int64
	pos := int64(5000)
	for i := range int64(300) {
		n := 1 + i*7%400
		if i%5 == 3 {
			pos += 800 + i // the ring lost something
		}
		c.give(pos, n)
		for k := range n {
			lies = append(lies, pos+k)
		}
		pos += n
	}
	for at, want := range lies {
		if got := c.place(int64(at)); got != want {
			t.Fatalf("place(%d): got %d, want %d", at, got, want)
		}
	}
	for from := 0; from < len(lies); from += 997 {
		to := min(len(lies), from+1999)
		pos, n := c.span(time.Duration(from)*sampleTime, time.Duration(to)*sampleTime)
		if pos != lies[from] || pos+n != lies[to-1]+1 {
			t.Fatalf("span(%d, %d): got %d and %d, want %d and %d", from, to, pos, n, lies[from], lies[to-1]+1-lies[from])
		}
	}
	if pos, n := c.span(time.Hour, 2*time.Hour); pos != lies[len(lies)-1]+1 || n != 0 {
		t.Errorf("of what was not given: got %d and %d, want the end", pos, n)
	}
	for i := range int64(10 * maxJumps) {
		c.give(pos+i*1000, 10)
	}
	if len(c.jumps) > maxJumps {
		t.Errorf("%d jumps, want at most %d", len(c.jumps), maxJumps)
	}
	if got, want := c.place(c.given-1), pos+(10*maxJumps-1)*1000+9; got != want {
		t.Errorf("the newest: got %d, want %d", got, want)
	}
}
