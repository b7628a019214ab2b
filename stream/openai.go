package stream

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/media"
)

// openai is a WebSocket that speaks OpenAI's realtime API in its form for transcription: session.update, audio in base64 in input_audio_buffer.append, and
// input_audio_buffer.commit at the end. The realtime endpoint of vLLM is close enough to it to be reached with other texts.
type openai struct {
	*socket
	*openaiEvents
	last  string
	renew time.Duration
	buf   []byte // a message being made
}

const (
	openaiURL    = "wss://api.openai.com/v1/realtime?intent=transcription"
	openaiFirst  = `{"type":"session.update","session":{"type":"transcription","audio":{"input":{"format":{audio_format},"transcription":{"model":"gpt-4o-transcribe"},"turn_detection":{"type":"server_vad"}}}}}`
	openaiLast   = `{"type":"input_audio_buffer.commit"}`
	openaiHeader = "Authorization: Bearer {secret}"
	// openaiRate is the only one of its linear audio.
	openaiRate = 3 * media.SampleRate
)

// A session ends after 60 minutes (OpenAI's guide to realtime conversations), whatever is being said: so another is begun before, from renewAfter on in a pause,
// and renewPatience later anyway.
const (
	renewAfter    = 55 * time.Minute
	renewPatience = 4 * time.Minute
)

// usualOpenAI fills what the user left away.
func (c *Consumer) usualOpenAI() {
	c.URL, c.First, c.Last, c.Format = or(c.URL, openaiURL), or(c.First, openaiFirst), or(c.Last, openaiLast), or(c.Format, FormatMulaw)
	c.Answers = or(c.Answers, TypeOpenAI)
	if len(c.Headers) == 0 && c.Secret != "" {
		c.Headers = []string{openaiHeader}
	}
	if c.Rate == 0 && c.Format == FormatS16LE {
		c.Rate = openaiRate
	}
}

// checkOpenAI sees to what the form fixes.
func (c *Consumer) checkOpenAI() error {
	var errs []error
	if c.KeepAlive != "" || c.Subprotocol != "" || c.Revoked != "" {
		errs = append(errs, errors.New("keepalive, subprotocol, revoked: OpenAI's realtime API has none"))
	}
	if c.URL == openaiURL && len(c.Headers) == 0 {
		errs = append(errs, errors.New("secret: got none: OpenAI wants a key"))
	}
	if c.Per != PerTrack {
		errs = append(errs, errors.New("per: want track: OpenAI's realtime API hears one channel"))
	}
	if c.Format == FormatF32LE || c.Format != FormatS16LE && c.Rate != media.SampleRate {
		errs = append(errs, fmt.Errorf("format: got %s at %d Hz, want mulaw or alaw at 8000, or s16le", c.Format, c.Rate))
	}
	return errors.Join(errs...)
}

// audioFormat is the form of the audio as OpenAI's session.update has it.
func audioFormat(format string, rate int) string {
	switch format {
	case FormatMulaw:
		return `{"type":"audio/pcmu"}`
	case FormatAlaw:
		return `{"type":"audio/pcma"}`
	}
	return `{"type":"audio/pcm","rate":` + strconv.Itoa(rate) + `}`
}

// dialOpenAI opens the WebSocket, says the first texts, one a line, and waits until the session is as they ask.
func dialOpenAI(ctx context.Context, l *link) (session, error) {
	c := l.consumer
	o := &openai{openaiEvents: newOpenAIEvents(l), last: l.about.text(c.Last, "", inJSON), renew: l.hub.pace.renew}
	first := l.about.text(c.First, "", inJSON)
	o.updated = !strings.Contains(first, `"session"`) // vLLM's session.update names a model only, and is not answered
	var err error
	if o.socket, err = dialSocket(ctx, l, dialect{heed: o.note}); err != nil {
		return nil, err
	}
	for line := range strings.Lines(first) {
		if err == nil {
			err = o.send(websocket.MessageText, []byte(strings.TrimSpace(line)))
		}
	}
	if err == nil {
		err = o.agree(ctx)
	}
	if err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// agree waits for the answer to session.update.
func (o *openai) agree(ctx context.Context) error {
	err := o.await(ctx, o.left, func(e *openaiEvents) bool { return e.updated || e.refused != nil })
	if refused := o.refusal(); refused != nil {
		return refused
	}
	if errors.Is(err, errLeft) {
		return o.ended(err)
	}
	return err
}

func (o *openai) write(_ int64, b []byte) error {
	m := append(o.buf[:0], `{"type":"input_audio_buffer.append","audio":"`...)
	m = base64.StdEncoding.AppendEncode(m, b)
	m = append(m, `"}`...)
	o.buf = m
	if err := o.send(websocket.MessageText, m); err != nil {
		return err
	}
	if age := time.Since(o.began); age >= o.renew+renewPatience || age >= o.renew && !o.speaks() {
		return errRenew
	}
	return nil
}

// finish commits what is left, and waits for the text of all that was committed.
func (o *openai) finish(ctx context.Context) error {
	defer o.close()
	o.mu.Lock()
	o.committing = true
	o.mu.Unlock()
	if err := o.send(websocket.MessageText, []byte(o.last)); err != nil {
		return err
	}
	_ = o.await(ctx, o.left, func(e *openaiEvents) bool { return e.done || !e.committing && e.pending == 0 })
	_ = o.conn.Close(websocket.StatusNormalClosure, "")
	return nil
}

// openaiEvents is what a session says, as far as the dialect must know. The socket's reader writes it.
type openaiEvents struct {
	tell func(err error) // of a session that goes on all the same

	// changed holds one: something below is other than it was.
	changed chan struct{}

	// mu guards the fields below.
	mu         sync.Mutex
	updated    bool  // the session is as we asked
	refused    error // or not
	told       bool
	speaking   bool
	committing bool // our last commit is not answered
	pending    int  // what was committed, and has no text
	done       bool // vLLM's: the text of all is there
}

func newOpenAIEvents(l *link) *openaiEvents {
	log := l.hub.log.With(attr.Call(l.call), attr.Track(l.track), attr.Sink(l.consumer.Name))
	return &openaiEvents{changed: make(chan struct{}, 1), tell: func(err error) { log.Warn("stream consumer errs", attr.Err(l.consumer.fit(err))) }}
}

// openaiEvent has what matters of an event of the server's.
type openaiEvent struct {
	Type  string      `json:"type"`
	Error openaiError `json:"error"`
}

// openaiError is an object with message and code; vLLM's is a text.
type openaiError struct{ Message, Code string }

// UnmarshalJSON implements json.Unmarshaler. What is neither form is an empty error.
func (e *openaiError) UnmarshalJSON(b []byte) error {
	type plain openaiError
	if json.Unmarshal(b, &e.Message) != nil {
		_ = json.Unmarshal(b, (*plain)(e))
	}
	return nil
}

func (e openaiError) text() string { return strings.TrimSpace(or(e.Message, "?") + " " + e.Code) }

// note takes an event.
func (e *openaiEvents) note(message []byte) {
	var v openaiEvent
	if json.Unmarshal(message, &v) != nil {
		return // the parser of answers tells
	}
	if tell := e.take(&v); tell != nil {
		e.tell(tell)
	}
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

// take keeps what an event says; an error is to be told of.
func (e *openaiEvents) take(v *openaiEvent) (tell error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch v.Type {
	case "session.updated":
		e.updated = true
	case "input_audio_buffer.speech_started":
		e.speaking = true
	case "input_audio_buffer.speech_stopped":
		e.speaking = false
	case "input_audio_buffer.committed":
		e.committing = false
		e.pending++
	case "conversation.item.input_audio_transcription.completed", "conversation.item.input_audio_transcription.failed":
		e.pending = max(0, e.pending-1)
	case "transcription.done":
		e.done = true
	case "error":
		err := fmt.Errorf("the consumer answered an error: %s", v.Error.text())
		switch {
		case !e.updated && e.refused == nil:
			e.refused = err
		case e.committing: // there was nothing to commit: the server had done so when the last word ended
			e.committing = false
		case !e.told:
			e.told, tell = true, err
		}
	}
	return tell
}

// await waits until the events have come to something, the far side has left, or ctx ends: an error then.
func (e *openaiEvents) await(ctx context.Context, left <-chan struct{}, cond func(*openaiEvents) bool) error {
	for {
		e.mu.Lock()
		well := cond(e)
		e.mu.Unlock()
		if well {
			return nil
		}
		select {
		case <-e.changed:
		case <-left:
			return errLeft
		case <-ctx.Done():
			return fmt.Errorf("no session.updated within %v", connectWithin)
		}
	}
}

func (e *openaiEvents) refusal() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.refused
}

func (e *openaiEvents) speaks() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.speaking
}
