package stream

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// maxUtterances bounds what is kept of words that are not final: of more the oldest are forgotten.
const maxUtterances = 32

// maxItemID bounds their names, in octets: OpenAI's have 25.
const maxItemID = 256

var (
	errNoEvent     = errors.New("openai: a message is no event")
	errUnwritten   = errors.New("openai: an utterance was not transcribed")
	errNoUtterance = errors.New("openai: times or a name of an utterance that are none")
)

// utterance is what OpenAI calls an item: the audio from one commit to the next.
type utterance struct {
	id       string
	from, to time.Duration // to is 0 until it has ended
	text     string        // of the pieces that came
}

// openaiAnswers reads the events of OpenAI's realtime transcription, and those that vLLM has instead, which tell no times. Errors of the session are told by the
// dialect, which knows them.
func openaiAnswers() answers {
	var said utterances
	return said.read
}

// utterances are those of a connection that are not final, oldest first.
type utterances []utterance

type openaiHeard struct {
	Type         string `json:"type"`
	ItemID       string `json:"item_id"`
	Delta        string `json:"delta"`
	Transcript   string `json:"transcript"`
	Text         string `json:"text"`
	AudioStartMS int64  `json:"audio_start_ms"`
	AudioEndMS   int64  `json:"audio_end_ms"`
}

func (u *utterances) read(message []byte) ([]heard, error) {
	var v openaiHeard
	if json.Unmarshal(message, &v) != nil {
		return nil, errNoEvent
	}
	if len(v.ItemID) > maxItemID || v.AudioStartMS < 0 || v.AudioEndMS < 0 || v.AudioStartMS > maxMilliseconds || v.AudioEndMS > maxMilliseconds {
		return nil, errNoUtterance
	}
	switch v.Type {
	case "input_audio_buffer.speech_started":
		u.of(v.ItemID).from = time.Duration(v.AudioStartMS) * time.Millisecond
	case "input_audio_buffer.speech_stopped":
		s := u.of(v.ItemID)
		s.to = max(s.from, time.Duration(v.AudioEndMS)*time.Millisecond)
	case "conversation.item.input_audio_transcription.delta", "transcription.delta":
		s := u.of(v.ItemID)
		s.text += v.Delta[:min(len(v.Delta), maxHeardText-len(s.text))]
		return []heard{s.heard(s.text, false)}, nil
	case "conversation.item.input_audio_transcription.completed", "transcription.done":
		s := *u.of(v.ItemID)
		u.forget(v.ItemID)
		return []heard{s.heard(or(v.Transcript, v.Text), true)}, nil
	case "conversation.item.input_audio_transcription.failed":
		u.forget(v.ItemID)
		return nil, errUnwritten
	}
	return nil, nil
}

// of gives an utterance.
func (u *utterances) of(id string) *utterance {
	i := slices.IndexFunc(*u, func(s utterance) bool { return s.id == id })
	if i >= 0 {
		return &(*u)[i]
	}
	if len(*u) == maxUtterances {
		*u = slices.Delete(*u, 0, 1)
	}
	*u = append(*u, utterance{id: id})
	return &(*u)[len(*u)-1]
}

func (u *utterances) forget(id string) {
	*u = slices.DeleteFunc(*u, func(s utterance) bool { return s.id == id })
}

func (s *utterance) heard(text string, final bool) heard {
	return heard{from: s.from, to: s.to, text: strings.TrimSpace(strings.ToValidUTF8(text, "")), final: final}
}

// maxMilliseconds is a week: no call lasts so long, and nothing overflows.
const maxMilliseconds = 7 * 24 * 3600 * 1000
