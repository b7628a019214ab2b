package stream

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// realtimeScript is a session as OpenAI's reference of server events has it: two utterances, of which the second is said before the first is written down.
const realtimeScript = `{"type":"session.created","event_id":"e0","session":{"type":"transcription","id":"sess_1"}}
{"type":"input_audio_buffer.speech_started","event_id":"e1","audio_start_ms":1000,"item_id":"item_1"}
{"type":"conversation.item.input_audio_transcription.delta","event_id":"e2","item_id":"item_1","content_index":0,"delta":"Hel"}
{"type":"input_audio_buffer.speech_stopped","event_id":"e3","audio_end_ms":2000,"item_id":"item_1"}
{"type":"input_audio_buffer.committed","event_id":"e4","previous_item_id":null,"item_id":"item_1"}
{"type":"input_audio_buffer.speech_started","event_id":"e5","audio_start_ms":3600,"item_id":"item_2"}
{"type":"conversation.item.input_audio_transcription.delta","event_id":"e6","item_id":"item_1","content_index":0,"delta":"lo?"}
{"type":"conversation.item.input_audio_transcription.delta","event_id":"e7","item_id":"item_2","content_index":0,"delta":"No"}
{"type":"conversation.item.input_audio_transcription.completed","event_id":"e8","item_id":"item_1","content_index":0,"transcript":"Hello?","usage":{"type":"duration","seconds":1}}
{"type":"input_audio_buffer.speech_stopped","event_id":"e9","audio_end_ms":4000,"item_id":"item_2"}
{"type":"conversation.item.input_audio_transcription.completed","event_id":"ea","item_id":"item_2","content_index":0,"transcript":"No.","usage":{"type":"duration","seconds":1}}
{"type":"error","event_id":"eb","error":{"type":"invalid_request_error","code":"input_audio_buffer_commit_empty","message":"buffer too small","param":null,"event_id":null}}`

func hearScript(t *testing.T, read answers, script string) (all []heard) {
	t.Helper()
	for line := range strings.Lines(script) {
		h, err := read([]byte(line))
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
		all = append(all, h...)
	}
	return all
}

func TestOpenAIAnswersHaveTheTimesOfWhatWasSaid(t *testing.T) {
	got := hearScript(t, openaiAnswers(), realtimeScript)
	ms := time.Millisecond
	want := []heard{
		{from: 1000 * ms, text: "Hel"},
		{from: 1000 * ms, to: 2000 * ms, text: "Hello?"},
		{from: 3600 * ms, text: "No"},
		{from: 1000 * ms, to: 2000 * ms, text: "Hello?", final: true},
		{from: 3600 * ms, to: 4000 * ms, text: "No.", final: true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	vllm := hearScript(t, openaiAnswers(), `{"type":"transcription.delta","delta":"Hel"}
{"type":"transcription.delta","delta":"lo"}
{"type":"transcription.done","text":"Hello","usage":{}}`)
	if !reflect.DeepEqual(vllm, []heard{{text: "Hel"}, {text: "Hello"}, {text: "Hello", final: true}}) {
		t.Errorf("vLLM's: got %+v", vllm)
	}
	for message, want := range map[string]error{
		`{"type":"conversation.item.input_audio_transcription.delta","item_id":"` + strings.Repeat("x", maxItemID+1) + `","delta":"a"}`: errNoUtterance,
		`{`: errNoEvent,
		`{"type":"input_audio_buffer.speech_started","audio_start_ms":-1}`:                                         errNoUtterance,
		`{"type":"conversation.item.input_audio_transcription.failed","item_id":"i","error":{"message":"Hello?"}}`: errUnwritten,
	} {
		if _, err := openaiAnswers()([]byte(message)); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", message, err, want)
		}
	}
}

// FuzzOpenAIAnswers: whatever a server says, what is kept is bounded, times are in order, and texts are text.
func FuzzOpenAIAnswers(f *testing.F) {
	f.Add(realtimeScript)
	f.Add(`{"type":"transcription.delta","delta":"` + strings.Repeat("x", maxHeardText+1) + `"}`)
	f.Add(`{"type":"input_audio_buffer.speech_started","audio_start_ms":9223372036854775807}` + "\n" + `{"type":"transcription.delta","delta":"\ud800 x"}`)
	f.Fuzz(func(t *testing.T, script string) {
		var said utterances
		events := openaiEvents{changed: make(chan struct{}, 1), tell: func(error) {}}
		for line := range strings.Lines(script) {
			events.note([]byte(line))
			all, _ := said.read([]byte(line))
			for _, h := range all {
				if h.from < 0 || h.to != 0 && h.to < h.from || h.to > maxMilliseconds*time.Millisecond || !utf8.ValidString(h.text) {
					t.Errorf("%s: %+v", line, h)
				}
			}
			kept := 0
			for _, u := range said {
				kept += len(u.text)
			}
			if len(said) > maxUtterances || kept > maxUtterances*maxHeardText {
				t.Errorf("%d utterances of %d octets are kept", len(said), kept)
			}
		}
		if events.pending < 0 {
			t.Errorf("%d pending", events.pending)
		}
	})
}
