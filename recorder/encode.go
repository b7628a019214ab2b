package recorder

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The formats that ffmpeg makes.
const (
	EncodeFLAC = "flac" // the same samples, smaller
	EncodeOpus = "opus" // in an Ogg file; speech, 24 kbit/s a channel
)

const (
	// encodeLeast, and a quarter of the recording's length, is how long ffmpeg may take: it is some hundred times as fast as the
	// sound, on a machine that has nothing else to do.
	encodeLeast = time.Minute
	// encodeWait is how long its pipes may stay open after it has ended, or was killed.
	encodeWait = 5 * time.Second
	// maxErrorBytes is how much of what it says goes into an error.
	maxErrorBytes = 2048
)

// ErrNoFFmpeg is returned by Encode where no ffmpeg is found.
var ErrNoFFmpeg = errors.New("ffmpeg is not in PATH")

// Encode has ffmpeg write the file name, which may exist, in a format. It blocks until ffmpeg has ended.
func (e *Export) Encode(ctx context.Context, format, name string) error {
	args := []string{"-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-f", "wav", "-i", "pipe:0", "-fflags", "+bitexact", "-flags:a", "+bitexact"}
	switch format {
	case EncodeFLAC:
		args = append(args, "-c:a", "flac", "-compression_level", "8", "-f", "flac")
	case EncodeOpus:
		args = append(args, "-c:a", "libopus", "-b:a", fmt.Sprintf("%dk", 24*e.Channels), "-application", "voip", "-f", "ogg")
	default:
		return fmt.Errorf("export: format: got %q, want %s or %s", format, EncodeFLAC, EncodeOpus)
	}
	program, err := exec.LookPath("ffmpeg")
	if err != nil {
		return fmt.Errorf("export: %w", ErrNoFFmpeg)
	}
	full, err := filepath.Abs(name)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	limit := encodeLeast + length(e.Samples)/4
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %v", limit.Round(time.Second)))
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(args, "file:"+full)...) // file: a name is never taken for an option or an address
	cmd.WaitDelay = encodeWait
	said := new(tail)
	cmd.Stderr = said
	if err := e.feed(cmd); err != nil {
		return said.explain(ctx, err)
	}
	if fi, err := os.Stat(name); err != nil || fi.Size() == 0 {
		return said.explain(ctx, errors.Join(errors.New("it wrote nothing"), err))
	}
	return nil
}

// feed runs the program with the WAV file on its standard input. A pipe can't be read backwards: tags stand before the samples.
func (e *Export) feed(cmd *exec.Cmd) error {
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	b := bufio.NewWriterSize(in, 1<<16)
	wrote := e.write(b, e.tags, nil)
	if wrote == nil {
		wrote = b.Flush()
	}
	if err := in.Close(); wrote == nil {
		wrote = err
	}
	if err := cmd.Wait(); err != nil {
		return err // why it took no more
	}
	return wrote
}

// tail keeps the end of what a program says.
type tail struct{ b []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.b = append(t.b, b[max(0, len(b)-maxErrorBytes):]...)
	t.b = append(t.b[:0], t.b[max(0, len(t.b)-maxErrorBytes):]...)
	return len(b), nil
}

func (t *tail) explain(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if text := strings.Join(strings.Fields(strings.ToValidUTF8(string(t.b), "?")), " "); text != "" {
		return fmt.Errorf("export: ffmpeg: %w: %s", err, text)
	}
	return fmt.Errorf("export: ffmpeg: %w", err)
}
