package stream

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/media"
)

// hook is the client's side of one AudioHook session (Genesys AudioHook protocol version 2), without the connection: messages, audio and times in, messages out.
// Its positions are the stream's in call time, over all sessions of a stream. One goroutine uses it.
//
//	opening --opened--> open --close, error, disconnect--> closing --closed--> closed
//
// A session that the server has all that it wants of stays closed: it takes audio, and sends nothing.
type hook struct {
	id    string
	group int // channels of what audio is given
	// wants are those of our channels that the server chose, in its order; none: it wants no audio.
	wants    []int
	state    hookState
	seq      int64 // of our last message
	server   int64 // of its last one
	position int64 // of the next sample
	discard  int64 // before which the server wants none
	holds    uint8 // who has the stream paused
	paused   int64 // since which position
	unsent   drops // what the server did not want since that was last told
	renew    bool  // the server asks for another connection
	// pinged is the seq of the ping that is not answered, or 0.
	pinged         int64
	pingedAt, ping time.Duration
	rtt            time.Duration

	out    []hookOut
	octets []byte // of the audio in out
}

type hookState uint8

const (
	hookOpening hookState = iota
	hookOpen
	hookClosing
	hookClosed
)

// Who pauses a stream.
const (
	byServer uint8 = 1 << iota
	byMask
)

const (
	// The reference client's times: a ping 1 s after the beginning, and one each 5 s, which must be answered before the next.
	hookFirstPing = time.Second
	hookPingEvery = 5 * time.Second
	// maxHookText is what a text message may hold, in octets.
	maxHookText = 64 << 10
)

// hookOut is one message to be sent: text or audio.
type hookOut struct {
	text  []byte
	audio []byte
}

// hookMessage is one of the server's.
type hookMessage struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	Seq        int64           `json:"seq"`
	ClientSeq  int64           `json:"clientseq"`
	Parameters json.RawMessage `json:"parameters"`

	at time.Duration // when it came
}

// hookMedia is an offer, or a choice.
type hookMedia struct {
	Type     string   `json:"type"`
	Format   string   `json:"format"`
	Channels []string `json:"channels"`
	Rate     int      `json:"rate"`
}

// parseHook reads a message of the server's.
func parseHook(b []byte) (m hookMessage, err error) {
	if len(b) > maxHookText {
		return m, fmt.Errorf("audiohook: a text message of %d octets, want at most %d", len(b), maxHookText)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("audiohook: %w", err)
	}
	if m.Version != "2" || m.Type == "" || m.Seq < 1 || m.ClientSeq < 0 {
		return m, fmt.Errorf("audiohook: version %q, type %q, seq %d, clientseq %d: no message of version 2", m.Version, m.Type, m.Seq, m.ClientSeq)
	}
	return m, nil
}

// say queues a message.
func (h *hook) say(kind string, parameters any) {
	h.seq++
	b, err := json.Marshal(struct {
		Version    string `json:"version"`
		Type       string `json:"type"`
		ID         string `json:"id"`
		Seq        int64  `json:"seq"`
		ServerSeq  int64  `json:"serverseq"`
		Position   string `json:"position"`
		Parameters any    `json:"parameters"`
	}{"2", kind, h.id, h.seq, h.server, hookDuration(h.position), parameters})
	if err == nil { // strings and numbers
		h.out = append(h.out, hookOut{text: b})
	}
}

// none are the parameters of messages that have none.
var none = struct{}{} //nolint:gochecknoglobals // constant

// hookDuration is a number of samples as the protocol has times, exactly: PT1.25S.
func hookDuration(samples int64) string { return hookTime(time.Duration(samples) * sampleTime) }

func hookTime(d time.Duration) string {
	text := strconv.FormatInt(int64(d/time.Second), 10)
	if part := d % time.Second; part != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%09d", part), "0")
	}
	return "PT" + text + "S"
}

// parseHookTime reads one; a day is the most.
func parseHookTime(s string) (time.Duration, error) {
	number, ok := strings.CutPrefix(s, "PT")
	number, end := strings.CutSuffix(number, "S")
	seconds, err := strconv.ParseFloat(number, 64)
	if !ok || !end || err != nil || seconds < 0 || seconds > 24*3600 || strings.Trim(number, "0123456789.") != "" {
		return 0, fmt.Errorf("%q: want a duration such as PT1.25S", s[:min(len(s), 40)])
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// fatal ends the session with an error of ours: the server is told its code.
func (h *hook) fatal(code int, text string) error {
	h.say("error", map[string]any{"code": code, "message": text})
	h.close("error")
	return errors.New("audiohook: " + text)
}

// close asks the server to end the session.
func (h *hook) close(reason string) {
	if h.state == hookOpening || h.state == hookOpen {
		h.say("close", map[string]any{"reason": reason})
		h.state = hookClosing
	}
}

// take answers a message of the server's. After an error the session is over.
func (h *hook) take(m hookMessage) error {
	if m.ID != h.id || m.Seq != h.server+1 || m.ClientSeq > h.seq {
		return h.fatal(400, fmt.Sprintf("%q has seq %d and clientseq %d, want %d and at most %d, in this session", m.Type, m.Seq, m.ClientSeq, h.server+1, h.seq))
	}
	h.server = m.Seq
	switch m.Type {
	case "closed":
		if h.state == hookClosing {
			h.state = hookClosed
			return nil
		}
	case "disconnect":
		return h.disconnect(m)
	case "opened":
		if h.state == hookOpening {
			return h.opened(m)
		}
	case "pause", "resume", "pong", "reconnect":
		if h.state == hookOpen {
			h.control(m)
			return nil
		}
	default: // events are for the reader of answers; updated answers an update, which we never send
		return nil
	}
	if h.state == hookOpening || m.Type == "opened" || m.Type == "closed" && h.state == hookOpen {
		return h.fatal(409, fmt.Sprintf("%q is not expected now", m.Type))
	}
	return nil // it crossed our close
}

// opened takes the server's choice.
func (h *hook) opened(m hookMessage) error {
	var p struct {
		Media       []hookMedia `json:"media"`
		DiscardTo   string      `json:"discardTo"`
		StartPaused bool        `json:"startPaused"`
	}
	if err := json.Unmarshal(m.Parameters, &p); err != nil || len(p.Media) > 1 {
		return h.fatal(400, "the parameters of \"opened\" are not valid")
	}
	if len(p.Media) == 1 && !h.choose(p.Media[0]) {
		return h.fatal(400, "\"opened\" chooses media that was not offered")
	}
	h.state, h.ping = hookOpen, m.at+hookFirstPing
	if p.DiscardTo != "" {
		to, err := parseHookTime(p.DiscardTo)
		if err != nil {
			return h.fatal(400, "discardTo: "+err.Error())
		}
		h.discard = int64(to / sampleTime)
	}
	if p.StartPaused {
		h.hold(byServer, true)
	}
	return nil
}

// channelNames are those of AudioHook, as our channels lie: the customer is external, the agent internal.
var channelNames = []string{"external", "internal"} //nolint:gochecknoglobals // constant

// offers lists what the server may choose from; a stream of one channel is that of name.
func (h *hook) offers(name string) []hookMedia {
	offer := func(channels ...string) hookMedia {
		return hookMedia{Type: "audio", Format: "PCMU", Channels: channels, Rate: media.SampleRate}
	}
	if h.group == 2 {
		return []hookMedia{offer(channelNames...), offer(channelNames[0]), offer(channelNames[1])}
	}
	return []hookMedia{offer(name)}
}

func (h *hook) choose(m hookMedia) bool {
	if m.Type != "audio" || m.Format != "PCMU" || m.Rate != media.SampleRate || len(m.Channels) < 1 || len(m.Channels) > h.group {
		return false
	}
	switch {
	case h.group == 1:
		h.wants = []int{0}
	case len(m.Channels) == 2:
		h.wants = []int{0, 1}
		return slices.Equal(m.Channels, channelNames)
	default:
		c := slices.Index(channelNames, m.Channels[0])
		h.wants = []int{c}
		return c >= 0
	}
	return true
}

// disconnect takes the server's wish to end: for good, where it has all that it wants.
func (h *hook) disconnect(m hookMessage) error {
	if h.state != hookOpening && h.state != hookOpen {
		return nil
	}
	var p struct{ Reason, Info string }
	_ = json.Unmarshal(m.Parameters, &p) // then there is no reason
	h.close("disconnect")
	if p.Reason == "completed" {
		return nil
	}
	return fmt.Errorf("the consumer disconnects: %s %s", or(p.Reason, "no reason"), p.Info)
}

// control takes what changes an open session.
func (h *hook) control(m hookMessage) {
	switch m.Type {
	case "pause":
		if !h.hold(byServer, true) {
			h.say("paused", none)
		}
	case "resume":
		switch {
		case h.holds&^byServer != 0:
			h.hold(byServer, false)
			h.say("paused", none) // by a mask, all the same
		case !h.hold(byServer, false):
			h.say("resumed", hookGap{hookDuration(h.position), hookDuration(0)})
		}
	case "pong":
		if m.ClientSeq != h.pinged {
			h.say("error", map[string]any{"code": 400, "message": "a \"pong\" that answers no \"ping\""})
			return
		}
		h.pinged, h.rtt = 0, m.at-h.pingedAt
	case "reconnect":
		h.renew = true
	}
}
