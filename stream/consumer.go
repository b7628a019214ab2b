package stream

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/earshot/earshot/internal/secret"
)

// What a consumer is started for.
const (
	PerTrack = "track" // one program per party's track, mono
	PerCall  = "call"  // one program per call: interleaved stereo (customer left, agent right) or the mix
)

// When a program that ended is started again while its call lives.
const (
	RestartNever     = "never"
	RestartOnFailure = "on-failure"
	RestartAlways    = "always"
)

// Formats of samples.
const (
	FormatS16LE = "s16le"
	FormatMulaw = "mulaw"
	FormatAlaw  = "alaw"
	FormatF32LE = "f32le" // -1 to 1, little-endian
	FormatWAV   = "wav"   // listeners only: a header for pipes, then s16le
)

// Types of consumers.
const (
	TypeExec      = "exec"      // a program that reads audio from its standard input
	TypeUnix      = "unix"      // a unix socket that we connect to
	TypeTCP       = "tcp"       // a TCP port that we connect to, with TLS or without
	TypeFIFO      = "fifo"      // a named pipe
	TypeWebSocket = "websocket" // a WebSocket that we connect to: audio in binary messages, texts of the user's around it
	TypeTwilio    = "twilio"    // a WebSocket that speaks Twilio Media Streams
	TypeOpenAI    = "openai"    // a WebSocket that speaks OpenAI's realtime transcription
	TypeAudioHook = "audiohook" // a WebSocket that speaks Genesys AudioHook v2
)

// defaultMaxRestarts is how often in a row a program is started again.
const defaultMaxRestarts = 5

// Consumer is one configured consumer.
type Consumer struct {
	// Type is TypeExec, the default, or another of the types.
	Type string
	// Name names it in logs and events; default: the base name of the program, or the host or address.
	Name string
	// Command is the program and its arguments; no shell is between.
	Command []string
	// Address is host:port of TypeTCP, or the path of TypeUnix and TypeFIFO, which may hold {call}, {track} and others.
	Address string
	// URL is that of TypeWebSocket and what is built on it: ws or wss.
	URL string
	// Preset fills what is empty of a WebSocket: deepgram, assemblyai, vosk, whisperlive or jambonz.
	Preset string
	// TLS puts TLS on TypeTCP. CAFile has the authorities to trust instead of the system's, there and with wss.
	TLS    bool
	CAFile string
	// Headers are lines such as "Authorization: Bearer {secret}". Secret fills {secret} in them and in URL, and is never shown.
	Headers     []string
	Secret      secret.Text
	Subprotocol string
	// First and Last are texts before and after the audio, KeepAlive one that is sent when nothing was for KeepAliveEvery.
	First, Last, KeepAlive string
	KeepAliveEvery         time.Duration
	// Revoked is a text that is sent when a mask takes back what the consumer has, with {from} and {samples} of its stream at 8000 Hz; of TypeWebSocket.
	Revoked string
	// Answers names whose messages are read as a transcript: deepgram, assemblyai, vosk, whisperlive, json, or others that we know; of a program only json, lines of its
	// standard output. Empty: what the consumer says is thrown away. A preset sets it.
	Answers string
	// Agents and Groups choose whose calls it gets: by extension number or id, and by call monitoring group, id or name; both empty: all calls. One of either
	// is enough. Roles chooses whose tracks: agent, customer, other; empty: all; with PerTrack only.
	Agents, Groups, Roles []string
	// Per is PerTrack, the default, or PerCall.
	Per string
	// Format is FormatS16LE, the default, FormatMulaw, FormatAlaw or FormatF32LE.
	Format string
	// Rate is 8000 Hz, the default, 16000 Hz or 24000 Hz.
	Rate int
	// Header puts a header of HeaderOctets before each message; not with TypeTwilio, TypeOpenAI and TypeAudioHook.
	Header bool
	// Env is added to the program's environment; the names CALL_... are taken.
	Env map[string]string
	// Restart is RestartOnFailure, the default, RestartNever or RestartAlways.
	Restart string
	// MaxRestarts in a row, default 5, negative none; a program that held a minute begins anew.
	MaxRestarts int
	// Buffer is the ring's length, 100 ms to 60 s, default 5 s.
	Buffer time.Duration
	// CatchUp has a consumer that was away, or was too slow, given what it missed from the call's recording, faster than it was spoken, before it goes on live. The ring is as
	// long as it takes for that, whatever Buffer says.
	CatchUp bool
	// Overlap, with CatchUp, is how much of what a connection that broke was given last the next one is given again: nobody knows what of it was read. Default: what the kernel
	// may have held of it; negative none, at most 5 min.
	Overlap time.Duration
	// Message is how much audio the consumer is given at a time, if it keeps up: 20 ms to 200 ms, default 100 ms, at most Buffer.
	Message time.Duration

	// Set by check.
	dial  dialer // nil: a program
	roots *x509.CertPool

	// Set by the hub, then constant.
	tally *tally
}

// Label is the name that logs, status and metrics know it by; of a consumer that Check finds in order.
func (c Consumer) Label() string {
	_ = c.check() // a copy
	return c.Name
}

// Check tells all that is wrong with the consumer: an error for each, which begins with the key and a colon.
func (c Consumer) Check() error { return c.check() }

// check completes the consumer, and tells all that is wrong with it.
func (c *Consumer) check() error {
	if err := c.preset(); err != nil {
		return err // what it would have filled is not to be asked for
	}
	var errs []error
	c.Type = or(c.Type, TypeExec)
	c.Per = or(c.Per, PerTrack)
	c.usual()
	if c.Per != PerTrack && c.Per != PerCall {
		errs = append(errs, fmt.Errorf("per: got %q, want %s or %s", c.Per, PerTrack, PerCall))
	}
	c.Restart = or(c.Restart, RestartOnFailure)
	switch c.Restart {
	case RestartNever, RestartOnFailure, RestartAlways:
	default:
		errs = append(errs, fmt.Errorf("restart: got %q, want %s, %s or %s", c.Restart, RestartNever, RestartOnFailure, RestartAlways))
	}
	if c.MaxRestarts == 0 {
		c.MaxRestarts = defaultMaxRestarts
	}
	errs = append(errs, checkForm(&c.Format, &c.Rate, FormatS16LE, FormatMulaw, FormatAlaw, FormatF32LE), checkBuffer(&c.Buffer), c.checkCatchUp())
	errs = append(errs, checkMessage(&c.Message, programMessage, c.Buffer), c.checkWay(), c.checkAnswers(), c.checkChoice())
	for k, v := range c.Env {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.ContainsRune(v, 0) || strings.HasPrefix(k, "CALL_") {
			errs = append(errs, fmt.Errorf("env: %q: want a name without =, other than CALL_..., and no NUL", k))
		}
	}
	return errors.Join(errs...)
}

// usual fills what a type has of its own where the user left it away.
func (c *Consumer) usual() {
	switch c.Type {
	case TypeTwilio:
		c.Format = or(c.Format, FormatMulaw)
	case TypeOpenAI:
		c.usualOpenAI()
	case TypeAudioHook:
		c.usualAudioHook()
	}
}

// checkCommand looks whether the program is there: a call is a bad moment to find out.
func (c *Consumer) checkCommand() error {
	if len(c.Command) == 0 || c.Command[0] == "" {
		return errors.New("command: got none, want a list: the program and its arguments")
	}
	for _, a := range c.Command {
		if strings.ContainsRune(a, 0) {
			return fmt.Errorf("command: %q: want no NUL", a)
		}
	}
	path, err := exec.LookPath(c.Command[0])
	if err != nil {
		return fmt.Errorf("command: %w", err)
	}
	c.Name = or(c.Name, filepath.Base(path))
	return nil
}

func checkBuffer(d *time.Duration) error {
	if *d == 0 {
		*d = defaultBuffer
	}
	if *d < minBuffer || *d > maxBuffer {
		return fmt.Errorf("buffer: got %v, want %v to %v", *d, minBuffer, maxBuffer)
	}
	return nil
}

// or gives s, or what stands for an empty one.
func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
