package stream

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

var (
	errNoHookEvent = errors.New("audiohook: a message is none of version 2")
	errHookTimes   = errors.New("audiohook: times of a transcript that are none")
)

// maxEntities bounds what is read of one event.
const maxEntities = 64

// hookEntity is one of the entities of an event, as far as it is a transcript.
type hookEntity struct {
	Type string `json:"type"`
	Data struct {
		ChannelID    int    `json:"channelId"`
		IsFinal      bool   `json:"isFinal"`
		Offset       string `json:"offset"`
		Duration     string `json:"duration"`
		Alternatives []struct {
			Confidence      float64 `json:"confidence"`
			Interpretations []struct {
				Transcript string `json:"transcript"`
			} `json:"interpretations"`
		} `json:"alternatives"`
	} `json:"data"`
}

// audiohookAnswers reads the transcripts that an AudioHook server sends as entities of events: of each the first alternative, which is the best. Their times are positions of
// the stream.
func audiohookAnswers(message []byte) (all []heard, err error) {
	m, err := parseHook(message)
	if err != nil {
		return nil, errNoHookEvent
	}
	if m.Type != "event" {
		return nil, nil
	}
	var p struct {
		Entities []json.RawMessage `json:"entities"`
	}
	if json.Unmarshal(m.Parameters, &p) != nil {
		return nil, errNoHookEvent
	}
	for _, raw := range p.Entities[:min(len(p.Entities), maxEntities)] {
		var e hookEntity
		if json.Unmarshal(raw, &e) != nil || e.Type != "transcript" { // an entity's data is anything
			continue
		}
		h, ok := e.heard()
		if !ok {
			return all, errHookTimes
		}
		all = append(all, h)
	}
	return all, nil
}

// heard gives a transcript; false: its times are none.
func (e *hookEntity) heard() (h heard, ok bool) {
	h = heard{inCall: true, channel: e.Data.ChannelID, final: e.Data.IsFinal}
	if len(e.Data.Alternatives) > 0 && len(e.Data.Alternatives[0].Interpretations) > 0 {
		best := &e.Data.Alternatives[0]
		text := strings.ToValidUTF8(best.Interpretations[0].Transcript, "")
		h.confidence, h.text = best.Confidence, strings.TrimSpace(strings.ToValidUTF8(text[:min(len(text), maxHeardText)], ""))
	}
	if e.Data.Offset == "" || e.Data.Duration == "" { // it does not say when
		return h, true
	}
	from, bad := parseHookTime(e.Data.Offset)
	lasts, worse := parseHookTime(e.Data.Duration)
	h.from, h.to = from, from+max(lasts, time.Nanosecond)
	return h, bad == nil && worse == nil
}
