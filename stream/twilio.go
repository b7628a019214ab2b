package stream

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/coder/websocket"
)

// twilio speaks the messages of Twilio Media Streams (WebSocket messages from Twilio): connected, start, media and stop as JSON, mu-law at 8000 Hz in base64, 20 ms each.
// The customer is the inbound track, the agent the outbound one. A stream of one track has one of them; of a call, both.
type twilio struct {
	*socket
	about  *about
	tracks []string // of the channels
	seq    int      // of all messages
	chunk  int      // of media messages
	rest   []byte   // less than a message, from a position on
	at     int64
	buf    []byte // a message being made
	octets []byte
}

const (
	twilioInbound  = "inbound"
	twilioOutbound = "outbound"
	// twilioSamples is what a media message holds of a track.
	twilioSamples = 160
)

// dialTwilio opens the WebSocket and says connected and start.
func dialTwilio(ctx context.Context, l *link) (session, error) {
	t := &twilio{about: &l.about, tracks: []string{twilioInbound}}
	switch {
	case l.channels == 2:
		t.tracks = []string{twilioInbound, twilioOutbound}
	case l.about.Role == "agent":
		t.tracks[0] = twilioOutbound
	}
	var err error
	if t.socket, err = dialSocket(ctx, l, dialect{}); err != nil {
		return nil, err
	}
	if err = t.say(map[string]any{"event": "connected", "protocol": "Call", "version": "1.0.0"}); err == nil {
		err = t.start(l)
	}
	if err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// start tells what comes. What Twilio has and we have not, such as an account, is ours: consumers look for the keys.
func (t *twilio) start(l *link) error {
	parameters := map[string]string{"call": t.about.Call.ID, "agent": t.about.Call.Agent, "role": t.about.Role, "party": t.about.Party}
	for k, v := range l.consumer.Env {
		parameters[k] = v
	}
	return t.say(map[string]any{
		"event": "start", "sequenceNumber": t.next(), "streamSid": t.about.Stream,
		"start": map[string]any{
			"accountSid": accountSID, "streamSid": t.about.Stream, "callSid": t.about.Call.ID, "tracks": t.tracks,
			"mediaFormat":      map[string]any{"encoding": "audio/x-mulaw", "sampleRate": l.consumer.Rate, "channels": 1},
			"customParameters": parameters,
		},
	})
}

// accountSID stands where Twilio names the account.
const accountSID = "earshot"

func (t *twilio) next() string {
	t.seq++
	return strconv.Itoa(t.seq)
}

func (t *twilio) say(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("message: %w", err)
	}
	return t.send(websocket.MessageText, b)
}

func (t *twilio) write(pos int64, b []byte) error {
	group := len(t.tracks)
	if len(t.rest) == 0 || t.at+int64(len(t.rest)/group) != pos { // the ring lost something: what is left over goes first, short
		if err := t.flush(len(t.rest) / group); err != nil {
			return err
		}
		t.at = pos
	}
	t.rest = append(t.rest, b...)
	for len(t.rest) >= twilioSamples*group {
		if err := t.flush(twilioSamples); err != nil {
			return err
		}
	}
	return nil
}

// flush sends n samples of each track.
func (t *twilio) flush(n int) error {
	if n == 0 {
		return nil
	}
	group := len(t.tracks)
	for c, name := range t.tracks {
		t.octets = t.octets[:0]
		for i := c; i < n*group; i += group {
			t.octets = append(t.octets, t.rest[i])
		}
		if c == 0 {
			t.chunk++
		}
		b := append(t.buf[:0], `{"event":"media","sequenceNumber":"`...)
		t.seq++
		b = strconv.AppendInt(b, int64(t.seq), 10)
		b = append(b, `","streamSid":"`...)
		b = append(b, t.about.Stream...) // letters, digits, - and _
		b = append(b, `","media":{"track":"`...)
		b = append(b, name...)
		b = append(b, `","chunk":"`...)
		b = strconv.AppendInt(b, int64(t.chunk), 10)
		b = append(b, `","timestamp":"`...)
		b = strconv.AppendInt(b, t.at*1000/8000, 10) // ms from the stream's start in call time
		b = append(b, `","payload":"`...)
		b = base64.StdEncoding.AppendEncode(b, t.octets)
		b = append(b, `"}}`...)
		t.buf = b
		if err := t.send(websocket.MessageText, b); err != nil {
			return err
		}
	}
	t.rest = t.rest[:copy(t.rest, t.rest[n*group:])]
	t.at += int64(n)
	return nil
}

func (t *twilio) finish(ctx context.Context) error {
	err := t.flush(len(t.rest) / len(t.tracks))
	if err == nil {
		err = t.say(map[string]any{
			"event": "stop", "sequenceNumber": t.next(), "streamSid": t.about.Stream,
			"stop": map[string]any{"accountSid": accountSID, "callSid": t.about.Call.ID},
		})
	}
	if err == nil {
		t.end(ctx)
	}
	return err
}
