package stream

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// lastEndOfAudio is WhisperLive's last message, the one that is binary.
const lastEndOfAudio = "END_OF_AUDIO"

// presets are WebSocket templates of what people use. A field that the user sets wins. They are written from the services' documentation; URLs that name a
// machine are the user's to give.
var presets = map[string]Consumer{ //nolint:gochecknoglobals // constant
	// developers.deepgram.com: live audio; closes after 10 s without a message.
	"deepgram": {
		URL:     "wss://api.deepgram.com/v1/listen?encoding={encoding}&sample_rate={rate}&channels={channels}&multichannel={multichannel}&interim_results=true",
		Headers: []string{"Authorization: Token {secret}"}, KeepAlive: `{"type":"KeepAlive"}`, KeepAliveEvery: 4 * time.Second, Last: `{"type":"CloseStream"}`,
		Format: FormatMulaw, Message: 100 * time.Millisecond, Answers: "deepgram",
	},
	// AssemblyAI, universal streaming v3: mono, 50 to 1000 ms a message.
	"assemblyai": {
		URL:     "wss://streaming.assemblyai.com/v3/ws?sample_rate={rate}&encoding=pcm_mulaw",
		Headers: []string{"Authorization: {secret}"}, Last: `{"type":"Terminate"}`, Format: FormatMulaw, Message: 100 * time.Millisecond,
		Answers: "assemblyai",
	},
	// Vosk server: it compares the last message as a string, the blank included.
	"vosk": {First: `{"config":{"sample_rate":{rate}}}`, Last: `{"eof" : 1}`, Format: FormatS16LE, Message: 200 * time.Millisecond, Answers: "vosk"},
	// WhisperLive: 32 bit floats at 16 kHz.
	"whisperlive": {
		First:  `{"uid":"{stream}","language":"en","task":"transcribe","model":"small","use_vad":true}`,
		Last:   lastEndOfAudio,
		Format: FormatF32LE, Rate: 16000, Message: 200 * time.Millisecond, Answers: "whisperlive",
	},
	// jambonz listen verb, mod_audio_fork: metadata first, then linear PCM.
	"jambonz": {
		First:       `{"callSid":"{call}","streamId":"{stream}","direction":"inbound","sampleRate":{rate},"mixType":"mono","track":"{role}","agent":"{agent}"}`,
		Subprotocol: "audio.drachtio.org", Format: FormatS16LE, Message: 20 * time.Millisecond,
	},
}

// preset fills what the user left away.
func (c *Consumer) preset() error {
	if c.Preset == "" {
		return nil
	}
	p, ok := presets[c.Preset]
	if !ok {
		return fmt.Errorf("preset: got %q, want %s", c.Preset, strings.Join(slices.Sorted(maps.Keys(presets)), ", "))
	}
	c.Type = or(c.Type, TypeWebSocket)
	c.Name = or(c.Name, c.Preset)
	c.URL, c.First, c.Last = or(c.URL, p.URL), or(c.First, p.First), or(c.Last, p.Last)
	c.Subprotocol, c.Format, c.Answers = or(c.Subprotocol, p.Subprotocol), or(c.Format, p.Format), or(c.Answers, p.Answers)
	if c.KeepAlive == "" {
		c.KeepAlive, c.KeepAliveEvery = p.KeepAlive, p.KeepAliveEvery
	}
	if len(c.Headers) == 0 {
		c.Headers = p.Headers
	}
	if c.Rate == 0 {
		c.Rate = p.Rate
	}
	if c.Message == 0 {
		c.Message = p.Message
	}
	return nil
}
