package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/stream"
)

type replayCmd struct {
	Consumer string `placeholder:"NAME" help:"only to this one of the configured consumers"`
	To       string `placeholder:"stdout|URL" help:"instead: to standard output, as earshot listen, or to ws://, wss://, tcp://host:port or unix:///path"`
	Preset   string `placeholder:"NAME" help:"with --to a WebSocket: as that service knows it (deepgram, vosk, ...)"`
	Per      string `placeholder:"track|call" help:"with --to a URL: a stream per track (default), or one per call"`
	Track    string `enum:",mix,agent,customer" default:"" placeholder:"TRACK" help:"with --to stdout: whom to hear (mix, the default, agent or customer)"`
	Format   string `placeholder:"FORMAT" help:"with --to: s16le (default), mulaw, alaw, wav (stdout only) or f32le (URL only)"`
	Rate     int    `placeholder:"HZ" help:"with --to: 8000 (default), 16000 or 24000"`
	Header   bool   `help:"with --to: 24 octets before each message (docs/streaming.md)"`
	Speed    string `default:"1" placeholder:"N|max" help:"times as fast as it was spoken; max: as fast as it is taken, and nothing is dropped"`
	Identity string `placeholder:"FILE" help:"who may read it, of an encrypted recording: a file of age identities"`
	Why      string `placeholder:"TEXT" help:"the reason, for the evidence log"`
	Dir      string `placeholder:"DIR" help:"the folder of recordings; default record.dir of the configuration"`

	Recording string `arg:"" help:"a recording's folder, its name, or a call's id: then all its parts"`
}

const (
	toStdout = "stdout"
	// maxSpeed is more than a machine does.
	maxSpeed = 1000
)

// Run plays a recording to consumers, and says what they got.
func (k replayCmd) Run(ctx context.Context, c *cli, p *process) error {
	cfg, err := k.config(c, p)
	if err != nil {
		return err
	}
	ids, err := identities(k.Identity)
	if err != nil {
		return err
	}
	c.Recorded.Dir = k.Dir
	if l, _ := config.Peek(c.input(p)); l != nil && k.Dir == "" { // a replay needs no account
		c.Recorded.Dir = l.Config.Record.Dir
	}
	dirs, err := c.recordings(p, k.Recording)
	if err != nil {
		return err
	}
	parts, err := k.open(p, dirs, ids)
	defer func() {
		for _, part := range parts {
			_ = part.Close() // it was only read
		}
	}()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		top, name := home(dir)
		if err := c.note(ctx, p, top, console.Act{What: "replay", Folder: name, Why: k.because(cfg.Consumers)}); err != nil {
			fmt.Fprintln(p.err, "earshot: warning: the evidence log does not name this replay:", err)
		}
	}
	done, err := endpoint.Replay(ctx, parts, cfg)
	if ctx.Err() != nil {
		err = errStopped
	}
	return errors.Join(err, k.tell(p, done))
}

// open opens the parts that have audio, in order.
func (k replayCmd) open(p *process, dirs []string, ids []recorder.Identity) (parts []*recorder.Playback, err error) {
	for _, dir := range dirs {
		part, err := recorder.OpenPlayback(dir, ids)
		switch {
		case errors.Is(err, recorder.ErrEncrypted):
			return parts, &hinted{err, "--identity FILE names the identity of one of these recipients"}
		case errors.Is(err, recorder.ErrNoAudio) && len(dirs) > 1:
			fmt.Fprintf(p.err, "earshot: %s: %v\n", filepath.Base(dir), err)
			continue
		case errors.Is(err, recorder.ErrNoAudio):
			return parts, &hinted{fmt.Errorf("%s: %w", filepath.Base(dir), err), "earshot recordings show says why"}
		case err != nil:
			return parts, err
		}
		parts = append(parts, part)
	}
	if len(parts) > 1 && k.Format == stream.FormatWAV {
		return parts, &usageError{err: fmt.Errorf("replay: %s has %d parts, and a WAV file one beginning", k.Recording, len(parts)), hint: "name one of them, or --format s16le"}
	}
	slices.SortStableFunc(parts, func(a, b *recorder.Playback) int { return cmp.Compare(a.Info.Part, b.Info.Part) })
	return parts, nil
}

// because is what the evidence log says of it: why, and to whom.
func (k replayCmd) because(to []stream.Consumer) string {
	text := "to standard output"
	for i, c := range to {
		if i == 0 {
			text = "to " + c.Label()
			continue
		}
		text += ", " + c.Label()
	}
	if k.Why != "" {
		text = k.Why + "; " + text
	}
	return text
}

// errStopped is why a replay that somebody stopped fails.
var errStopped = errors.New("replay: stopped before its end")

// errLost is why a replay that came to its end fails.
var errLost = errors.New("replay: not all of it was taken")

// tell says what was given and lost; an error: something was lost, or somebody failed.
func (k replayCmd) tell(p *process, done endpoint.Replayed) error {
	out := p.out
	if k.toStdout() {
		out = p.err
	}
	sec := func(n int64) float64 { return float64(n) / media.SampleRate }
	fmt.Fprintf(out, "played %.2f s of audio, %.2f s lost, %.2f s silent and %.2f s masked in the recording\n",
		sec(done.Given[media.KindReceived]), sec(done.Given[media.KindLost]), sec(done.Given[media.KindGap]), sec(done.Given[media.KindMasked]))
	lost := done.Dropped
	if done.Consumers == nil {
		fmt.Fprintf(out, "standard output: %.2f s dropped\n", sec(lost))
	}
	for _, name := range slices.Sorted(maps.Keys(done.Consumers)) {
		n := done.Consumers[name]
		lost += n.DroppedSamples
		fmt.Fprintf(out, "%s: %d connections, %d octets, %.2f s dropped\n", plain(name), n.Connections, n.SentOctets, sec(n.DroppedSamples))
	}
	for _, f := range done.Failed {
		fmt.Fprintln(out, "failed:", plain(f))
	}
	switch {
	case len(done.Failed) > 0:
		return errLost
	case lost > 0:
		return &hinted{errLost, "--speed max waits for who is slow"}
	}
	return nil
}
