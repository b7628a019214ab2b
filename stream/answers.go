package stream

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// heard is what an engine says that it heard. Times are of the audio that this connection was given, from its first sample on; to is 0 where it does not say when.
type heard struct {
	inCall     bool // times are the stream's instead, in call time
	from, to   time.Duration
	channel    int
	text       string
	final      bool    // it stays so; else it is a guess, which the next message about the same words takes the place of
	confidence float64 // 0 to 1; 0: not told
}

// answers reads an engine's messages; one per connection, called by one goroutine. A message that is sound and tells of no words gives none. An error tells what is wrong
// with a message, and repeats nothing of it: words go into no log. What is final and has no text ends a guess.
type answers func(message []byte) ([]heard, error)

const (
	// answersJSON is the form for programs of one's own.
	answersJSON = "json"
	// maxHeard bounds what one message may tell.
	maxHeard = 64
	// maxHeardText bounds the text of one utterance, in octets: several minutes of speech.
	maxHeardText = 4 << 10
	// maxHeardTime is longer than any call.
	maxHeardTime = 1000 * time.Hour
)

// answersOf are the engines whose answers we can read: a reader for each connection.
var answersOf = map[string]func() answers{ //nolint:gochecknoglobals // constant
	answersJSON:   func() answers { return jsonAnswers },
	"deepgram":    func() answers { return deepgramAnswers },
	"assemblyai":  assemblyAnswers,
	"vosk":        func() answers { return voskAnswers },
	"whisperlive": whisperAnswers,
	TypeOpenAI:    openaiAnswers,
	TypeAudioHook: func() answers { return audiohookAnswers },
}

// checkAnswers looks at whose answers are to be read.
func (c *Consumer) checkAnswers() error {
	switch _, ok := answersOf[c.Answers]; {
	case c.Answers == "":
		return nil
	case !ok:
		return fmt.Errorf("answers: got %q, want one of %s", c.Answers, strings.Join(slices.Sorted(maps.Keys(answersOf)), ", "))
	case c.Type == TypeExec && c.Answers != answersJSON:
		return fmt.Errorf("answers: got %q, want %s: a program prints a line of JSON for what it heard", c.Answers, answersJSON)
	case c.Type == TypeUnix, c.Type == TypeTCP, c.Type == TypeFIFO, c.Type == TypeTwilio:
		return fmt.Errorf("answers: a consumer of type %s has no way to answer: want exec or websocket", c.Type)
	}
	return nil
}

// errNotJSON and the others are what is wrong with answers; they repeat nothing of what was said.
var (
	errNotJSON = errors.New("it is no JSON object of the form that the engine documents")
	errTimes   = errors.New("its times are no times: want seconds from the first sample on, start before end")
	errNoText  = errors.New("it has no text")
	errChannel = errors.New("it names a channel that the stream does not have")
	errLong    = errors.New("a line is too long")
)

// readJSON reads a message. Its error is ours: those of encoding/json repeat what they read.
func readJSON(message []byte, into any) error {
	if err := json.Unmarshal(message, into); err != nil {
		return errNotJSON
	}
	return nil
}

// number is a number, or one in a string, as some engines write times.
type number float64

// UnmarshalJSON takes both forms, of finite numbers.
func (n *number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return errTimes
	}
	*n = number(v)
	return nil
}

// seconds turns two numbers of seconds into times; without an end it is not known when.
func seconds(start, end *number) (from, to time.Duration, err error) {
	if start == nil || end == nil {
		return 0, 0, nil
	}
	return span(float64(*start), float64(*end))
}

func span(start, end float64) (from, to time.Duration, err error) {
	if most := maxHeardTime.Seconds(); !(start >= 0) || !(end >= start) || end > most {
		return 0, 0, errTimes
	}
	return time.Duration(start * float64(time.Second)), time.Duration(end * float64(time.Second)), nil
}

// jsonAnswers reads {"text":"..","start":1.25,"end":2.5,"final":true,"channel":0,"confidence":0.9}, of which only text is required; without final it is final.
func jsonAnswers(message []byte) ([]heard, error) {
	var m struct {
		Text       *string `json:"text"`
		Start      *number `json:"start"`
		End        *number `json:"end"`
		Final      *bool   `json:"final"`
		Channel    int     `json:"channel"`
		Confidence float64 `json:"confidence"`
	}
	if err := readJSON(message, &m); err != nil {
		return nil, err
	}
	if m.Text == nil {
		return nil, errNoText
	}
	from, to, err := seconds(m.Start, m.End)
	if err != nil {
		return nil, err
	}
	return []heard{{from: from, to: to, channel: m.Channel, text: *m.Text, final: m.Final == nil || *m.Final, confidence: m.Confidence}}, nil
}

// cleanWords makes text of an engine's fit to be kept and shown: one line, no control characters, none that turn the direction of what stands beside it, and bounded.
func cleanWords(s string) string {
	s = strings.ToValidUTF8(s[:min(len(s), 4*maxHeardText)], "\uFFFD")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
	}), " ")
	if len(s) <= maxHeardText {
		return s
	}
	cut := maxHeardText
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strings.TrimSpace(s[:cut])
}
