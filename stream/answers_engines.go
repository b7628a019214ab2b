package stream

import "time"

// deepgramAnswers reads Deepgram's live results (developers.deepgram.com, "Live Audio"): type Results, start and duration in seconds, an alternative, its words.
// With multichannel each message is of one channel, channel_index[0].
func deepgramAnswers(message []byte) ([]heard, error) {
	var m struct {
		Type         string `json:"type"`
		ChannelIndex []int  `json:"channel_index"`
		Start        number `json:"start"`
		Duration     number `json:"duration"`
		IsFinal      bool   `json:"is_final"`
		Channel      struct {
			Alternatives []struct {
				Transcript string  `json:"transcript"`
				Confidence float64 `json:"confidence"`
				Words      []struct {
					Start number `json:"start"`
					End   number `json:"end"`
				} `json:"words"`
			} `json:"alternatives"`
		} `json:"channel"`
	}
	// Results has an object for channel, other messages have a list of that name: their type is looked at first.
	var kind struct {
		Type string `json:"type"`
	}
	if err := readJSON(message, &kind); err != nil || kind.Type != "Results" {
		return nil, err
	}
	if err := readJSON(message, &m); err != nil || len(m.Channel.Alternatives) == 0 {
		return nil, err
	}
	best := m.Channel.Alternatives[0]
	start, end := m.Start, m.Start+m.Duration
	if n := len(best.Words); n > 0 {
		start, end = best.Words[0].Start, best.Words[n-1].End
	}
	from, to, err := span(float64(start), float64(end))
	if err != nil {
		return nil, err
	}
	h := heard{from: from, to: to, text: best.Transcript, final: m.IsFinal, confidence: best.Confidence}
	if len(m.ChannelIndex) > 0 {
		h.channel = m.ChannelIndex[0]
	}
	return []heard{h}, nil
}

// assemblyAnswers reads AssemblyAI's universal streaming, v3 (assemblyai.com/docs): type Turn, words with times in milliseconds. With format_turns a turn ends twice,
// as it was heard and then with commas: it is kept once, as it was heard.
func assemblyAnswers() answers {
	ended := -1 // the newest turn that did
	return func(message []byte) ([]heard, error) {
		var m struct {
			Type       string `json:"type"`
			TurnOrder  int    `json:"turn_order"`
			EndOfTurn  bool   `json:"end_of_turn"`
			Transcript string `json:"transcript"`
			Words      []struct {
				Start      number  `json:"start"`
				End        number  `json:"end"`
				Confidence float64 `json:"confidence"`
			} `json:"words"`
		}
		if err := readJSON(message, &m); err != nil || m.Type != "Turn" || m.Transcript == "" || m.TurnOrder <= ended {
			return nil, err
		}
		h := heard{text: m.Transcript, final: m.EndOfTurn}
		if n := len(m.Words); n > 0 {
			var err error
			if h.from, h.to, err = span(float64(m.Words[0].Start)/1000, float64(m.Words[n-1].End)/1000); err != nil {
				return nil, err
			}
			for _, w := range m.Words {
				h.confidence += w.Confidence / float64(n)
			}
		}
		if h.final {
			ended = m.TurnOrder
		}
		return []heard{h}, nil
	}
}

// voskAnswers reads what a Vosk server says (github.com/alphacep/vosk-server): {"partial"}, or {"text","result"} with the words' times in seconds.
func voskAnswers(message []byte) ([]heard, error) {
	var m struct {
		Partial string  `json:"partial"`
		Text    *string `json:"text"`
		Result  []struct {
			Start number  `json:"start"`
			End   number  `json:"end"`
			Conf  float64 `json:"conf"`
		} `json:"result"`
	}
	if err := readJSON(message, &m); err != nil {
		return nil, err
	}
	if m.Text == nil {
		return []heard{{text: m.Partial}}, nil
	}
	h := heard{text: *m.Text, final: true}
	if n := len(m.Result); n > 0 {
		var err error
		if h.from, h.to, err = span(float64(m.Result[0].Start), float64(m.Result[n-1].End)); err != nil {
			return nil, err
		}
		for _, w := range m.Result {
			h.confidence += w.Conf / float64(n)
		}
	}
	return []heard{h}, nil
}

// whisperAnswers reads WhisperLive's segments (github.com/collabora/WhisperLive): each message repeats the newest ones. Those that are completed stay as they are; of servers
// that don't say, the last one is not.
func whisperAnswers() answers {
	var done time.Duration // the end of what was completed
	return func(message []byte) ([]heard, error) {
		var m struct {
			Segments []struct {
				Start     *number `json:"start"`
				End       *number `json:"end"`
				Text      string  `json:"text"`
				Completed *bool   `json:"completed"`
			} `json:"segments"`
		}
		if err := readJSON(message, &m); err != nil {
			return nil, err
		}
		var out []heard
		for i, s := range m.Segments {
			from, to, err := seconds(s.Start, s.End)
			if err != nil {
				return out, err
			}
			final := i < len(m.Segments)-1
			if s.Completed != nil {
				final = *s.Completed
			}
			if to <= done {
				continue
			}
			if final {
				done = to
			}
			out = append(out, heard{from: from, to: to, text: s.Text, final: final})
		}
		return out, nil
	}
}
