package stream

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

const (
	// maxUtterances bounds what is kept of words that are not final: of more the oldest are forgotten.
	maxUtterances = 32
	// maxUtterance bounds the text of one, in octets.
	maxUtterance = 16 << 10
)

// openaiNothing is the code of the answer to a last commit after which nobody had spoken.
const openaiNothing = "input_audio_buffer_commit_empty"

// utterance is what OpenAI calls an item: the audio from one commit to the next.
type utterance struct {
	id   string
	from time.Duration
	to   time.Duration // 0: it goes on
	text string        // of the pieces that came
}

// openaiAnswers reads the events of OpenAI's realtime transcription, and those that vLLM has instead. An utterance of which no times are told begins where
// the one before ended.
func openaiAnswers() answers {
	var said utterances
	return said.read
}

// utterances are those of a connection, oldest first.
type utterances struct {
	all []utterance
	end time.Duration // of the newest that has ended
}

type openaiHeard struct {
	openaiEvent
	ItemID       string `json:"item_id"`
	Delta        string `json:"delta"`
	Transcript   string `json:"transcript"`
	Text         string `json:"text"`
	AudioStartMS int64  `json:"audio_start_ms"`
	AudioEndMS   int64  `json:"audio_end_ms"`
}

func (u *utterances) read(message []byte) ([]heard, error) {
	var v openaiHeard
	if err := json.Unmarshal(message, &v); err != nil {
		return nil, fmt.Errorf("openai: %w", err)
	}
	switch v.Type {
	case "input_audio_buffer.speech_started":
		u.of(v.ItemID).from = milliseconds(v.AudioStartMS)
	case "input_audio_buffer.speech_stopped":
		s := u.of(v.ItemID)
		s.to = max(s.from, milliseconds(v.AudioEndMS))
		u.end = max(u.end, s.to)
	case "conversation.item.input_audio_transcription.delta", "transcription.delta":
		s := u.of(v.ItemID)
		s.text += v.Delta[:min(len(v.Delta), maxUtterance-len(s.text))]
		return s.heard(s.text, false), nil
	case "conversation.item.input_audio_transcription.completed", "transcription.done":
		s := *u.of(v.ItemID)
		u.forget(v.ItemID)
		return s.heard(or(v.Transcript, v.Text), true), nil
	case "conversation.item.input_audio_transcription.failed":
		u.forget(v.ItemID)
		return nil, fmt.Errorf("openai: an utterance was not transcribed: %s", v.Error.text())
	case "error":
		if v.Error.Code == openaiNothing {
			return nil, nil
		}
		return nil, fmt.Errorf("openai: %s", v.Error.text())
	}
	return nil, nil
}

// of gives an utterance; a new one begins where the last ended.
func (u *utterances) of(id string) *utterance {
	for i := range u.all {
		if u.all[i].id == id {
			return &u.all[i]
		}
	}
	if len(u.all) == maxUtterances {
		u.all = u.all[:copy(u.all, u.all[1:])]
	}
	u.all = append(u.all, utterance{id: id, from: u.end})
	return &u.all[len(u.all)-1]
}

func (u *utterances) forget(id string) {
	for i := range u.all {
		if u.all[i].id == id {
			u.all = append(u.all[:i], u.all[i+1:]...)
			return
		}
	}
}

// heard tells of an utterance, unless nothing was said.
func (s *utterance) heard(text string, final bool) []heard {
	if text = strings.TrimSpace(strings.ToValidUTF8(text, "")); text == "" {
		return nil
	}
	return []heard{{from: s.from, to: max(s.from, s.to), text: text, final: final}}
}

// maxMilliseconds is a week: no call lasts so long, and nothing overflows.
const maxMilliseconds = 7 * 24 * 3600 * 1000

func milliseconds(ms int64) time.Duration {
	return time.Duration(max(0, min(ms, maxMilliseconds))) * time.Millisecond
}
