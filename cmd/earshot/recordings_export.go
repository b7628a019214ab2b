package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/recorder"
)

// What is written without ffmpeg.
const (
	formatWAV  = "wav"
	formatVCon = "vcon"
	formatVTT  = "vtt"
)

type exportCmd struct {
	Track     string `placeholder:"ROLE|N|mix" help:"one party (agent, customer, ...), one track by its number, or all in one channel; default the channels as they are"`
	Channels  string `placeholder:"mono|stereo" help:"into one channel, summed up, or into two; default as the recording, or mono of a --track"`
	Identity  string `placeholder:"FILE" help:"who may read it, of an encrypted recording: a file of age identities (AGE-SECRET-KEY-1...)"`
	Align     bool   `help:"lay each track by the best estimate of offset and drift; the recording itself stays as it is"`
	From      string `placeholder:"TIME" help:"from there on: 90s, 1m30s, 1:30 or 0:01:30.5 after the recording's beginning"`
	To        string `placeholder:"TIME" help:"up to there; default the end"`
	Format    string `placeholder:"wav|flac|opus|vcon|vtt" help:"default by the name of --out, else wav; flac and opus need ffmpeg; vcon is a description, JSON; vtt is what was heard, as captions"`
	Inline    bool   `help:"with --format vcon: the audio in it, up to 64 MiB"`
	URL       string `name:"url" placeholder:"URL" help:"with --format vcon: where audio.wav can be had (https)"`
	Tags      string `default:"call" placeholder:"none|call|people" help:"what the file tells of itself (bext, LIST INFO): nothing, the call and its channels, or names and numbers too; default call"`
	Out       string `short:"o" placeholder:"FILE" help:"where to; default standard output"`
	Why       string `placeholder:"TEXT" help:"the reason, for the evidence log"`
	Recording string `arg:"" help:"a recording's folder, its name, or a call's id"`
}

// export exports.
func (k exportCmd) export(ctx context.Context, c *cli, p *process) error {
	cfg, err := k.config()
	if err != nil {
		return &usageError{err: fmt.Errorf("recordings export: %w", err)}
	}
	if k.Out == "" && k.format() != formatVCon && k.format() != formatVTT && isTerminal(p.out) {
		return &usageError{err: errors.New("recordings export: audio is not for a terminal"), hint: "--out FILE, or redirect the output"}
	}
	dir, err := k.folder(c, p)
	if err != nil {
		return err
	}
	if k.format() == formatVCon {
		k.note(ctx, c, p, dir)
		return hintMoved(dir, deliver(k.Out, p.out, func(w io.Writer) error {
			return recorder.WriteVCon(w, dir, recorder.VConConfig{URL: k.URL, Inline: k.Inline})
		}))
	}
	if cfg.Identities, err = identities(k.Identity); err != nil {
		return err
	}
	if k.format() == formatVTT {
		return k.captions(ctx, c, p, dir, cfg.Identities)
	}
	e, err := recorder.OpenExport(dir, cfg)
	if errors.Is(err, recorder.ErrEncrypted) {
		return &hinted{err, "--identity FILE names the identity of one of these recipients"}
	}
	if errors.Is(err, recorder.ErrNoAudio) {
		return &hinted{err, "earshot recordings show says why"}
	}
	if err != nil {
		return hintMoved(dir, err)
	}
	defer e.Close() //nolint:errcheck // it was only read
	if e.Cut > 0 {
		fmt.Fprintf(p.err, "earshot: %d samples (%.1f ms) lie before the recording's beginning by the estimates, and are left out\n", e.Cut, float64(e.Cut)/8)
	}
	k.note(ctx, c, p, dir)
	if k.format() == formatWAV {
		return deliver(k.Out, p.out, func(f io.Writer) error { return e.Write(f) })
	}
	err = deliverFile(k.Out, p.out, func(name string) error { return e.Encode(ctx, k.format(), name) })
	if errors.Is(err, recorder.ErrNoFFmpeg) {
		return &hinted{err, "install ffmpeg (Debian: apt-get install ffmpeg), or --format wav, which needs no other program"}
	}
	return err
}

// identities reads those that a flag names; none without it.
func identities(file string) ([]recorder.Identity, error) {
	if file == "" {
		return nil, nil
	}
	ids, err := recorder.LoadIdentities(file)
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("recordings: --%w", err), hint: "age-keygen -o FILE made it, with the recipient in its second line"}
	}
	return ids, nil
}

// note has the evidence log name the export.
func (k exportCmd) note(ctx context.Context, c *cli, p *process, dir string) {
	top, name := home(dir)
	if err := c.note(ctx, p, top, console.Act{What: "export", Folder: name, Why: k.because()}); err != nil {
		fmt.Fprintln(p.err, "earshot: warning: the evidence log does not name this export:", err)
	}
}

// because is what the evidence log says of the export: why, what of it, and where to.
func (k exportCmd) because() string {
	to := "standard output"
	if k.Out != "" {
		to = k.Out
		if abs, err := filepath.Abs(k.Out); err == nil {
			to = abs
		}
	}
	to = "to " + to
	if k.Track != "" {
		to = "track " + k.Track + " " + to
	}
	if k.Why == "" {
		return to
	}
	return k.Why + "; " + to
}

// format is what --format says, or the name of --out.
func (k exportCmd) format() string {
	if k.Format != "" {
		return k.Format
	}
	switch strings.ToLower(filepath.Ext(k.Out)) {
	case ".flac":
		return recorder.EncodeFLAC
	case ".opus":
		return recorder.EncodeOpus
	case ".vcon":
		return formatVCon
	case ".vtt":
		return formatVTT
	}
	return formatWAV
}

func (k exportCmd) config() (cfg recorder.ExportConfig, err error) {
	cfg = recorder.ExportConfig{Align: k.Align, Track: k.Track, Tags: k.Tags}
	switch k.Channels {
	case "":
	case "mono":
		cfg.Channels = 1
	case "stereo":
		cfg.Channels = 2
	default:
		return cfg, fmt.Errorf("--channels: got %q, want mono or stereo", k.Channels)
	}
	switch k.format() {
	case formatVTT:
		if k.Track+k.Channels+k.From+k.To+k.URL != "" || k.Align || k.Inline {
			return cfg, errors.New("--format vtt is all that was heard: without --track, --channels, --from, --to, --align, --inline, --url")
		}
	case formatVCon:
		if k.Track+k.Channels+k.From+k.To != "" || k.Align {
			return cfg, errors.New("--format vcon describes the whole recording: without --track, --channels, --from, --to, --align")
		}
	case formatWAV, recorder.EncodeFLAC, recorder.EncodeOpus:
		if k.Inline || k.URL != "" {
			return cfg, errors.New("--inline and --url are for --format vcon")
		}
	default:
		return cfg, fmt.Errorf("--format: got %q, want wav, flac, opus, vcon or vtt", k.Format)
	}
	if u, err := url.Parse(k.URL); k.URL != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		return cfg, fmt.Errorf("--url: got %q, want one such as https://records.example.com/audio.wav", k.URL)
	}
	if k.Inline && k.URL != "" {
		return cfg, errors.New("--inline and --url: want one of them")
	}
	switch k.Tags {
	case recorder.TagsNone, recorder.TagsCall, recorder.TagsPeople:
	default:
		return cfg, fmt.Errorf("--tags: got %q, want none, call or people", k.Tags)
	}
	if cfg.From, err = callTime(k.From); err != nil {
		return cfg, fmt.Errorf("--from: %w", err)
	}
	if cfg.To, err = callTime(k.To); err != nil {
		return cfg, fmt.Errorf("--to: %w", err)
	}
	if k.To != "" && cfg.To <= cfg.From {
		return cfg, fmt.Errorf("--to: got %s, want a time after --from", k.To)
	}
	return cfg, nil
}

// folder finds the one recording that is meant.
func (k exportCmd) folder(c *cli, p *process) (string, error) {
	dirs, err := c.recordings(p, k.Recording)
	if err != nil {
		return "", err
	}
	if len(dirs) > 1 {
		return "", &usageError{
			err:  fmt.Errorf("recordings export: %s has %d parts, each with channels of its own", k.Recording, len(dirs)),
			hint: "name one of them: " + strings.Join(dirs, ", "),
		}
	}
	return dirs[0], nil
}

// maxCallTime is longer than any recording.
const maxCallTime = 1000 * time.Hour

// callTime reads a time after a recording's beginning.
func callTime(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	bad := fmt.Errorf("got %q, want a time such as 90s, 1m30s, 1:30 or 0:01:30.5", s)
	d, err := time.ParseDuration(s)
	if err != nil {
		seconds := 0.0
		parts := strings.Split(s, ":")
		if len(parts) > 3 {
			return 0, bad
		}
		for i, part := range parts {
			v, err := strconv.ParseFloat(part, 64)
			if err != nil || !(v >= 0) || i > 0 && v >= 60 || i < len(parts)-1 && strings.ContainsAny(part, ".eExX") {
				return 0, bad
			}
			seconds = seconds*60 + v
		}
		if !(seconds <= maxCallTime.Seconds()) {
			return 0, bad
		}
		d = time.Duration(seconds * float64(time.Second)).Round(time.Microsecond)
	}
	if d < 0 || d > maxCallTime {
		return 0, bad
	}
	return d, nil
}

// deliver has a file written, or standard output.
func deliver(name string, out io.Writer, write func(io.Writer) error) error {
	if name == "" {
		return write(out)
	}
	return writeWhole(name, func(f *os.File) error {
		b := bufio.NewWriterSize(f, 1<<18)
		if err := write(b); err != nil {
			return err
		}
		return b.Flush()
	})
}

// deliverFile is deliver for a program that writes a file of that name.
func deliverFile(name string, out io.Writer, write func(name string) error) error {
	if name != "" {
		return writeWhole(name, func(f *os.File) error { return write(f.Name()) })
	}
	f, err := os.CreateTemp("", "earshot-export-*")
	if err != nil {
		return fmt.Errorf("recordings export: %w", err)
	}
	err = write(f.Name())
	if err == nil {
		_, err = io.Copy(out, f)
	}
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// writeWhole writes the file under another name first: what is there under its own is whole.
func writeWhole(name string, write func(*os.File) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp")
	if err != nil {
		return fmt.Errorf("recordings export: %w", err)
	}
	err = write(f)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
