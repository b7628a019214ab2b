package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/recorder"
)

// recordedCmd is the recordings on disk. It needs no daemon, and disturbs none.
type recordedCmd struct {
	Dir string `placeholder:"DIR" help:"the folder of recordings; default record.dir of the configuration"`

	List   listCmd   `cmd:"" help:"what lies in record.dir, newest first"`
	Show   showCmd   `cmd:"" help:"a recording's manifest in words"`
	Export exportCmd `cmd:"" help:"a recording as one WAV file of 16 bit PCM"`
	Verify verifyCmd `cmd:"" help:"whether the recordings are as they were signed, and none is missing"`

	Hold   holdCmd   `cmd:"" help:"keep a recording from being erased, whatever its time (legal hold)"`
	Unhold unholdCmd `cmd:"" help:"end a legal hold"`
	Erase  eraseCmd  `cmd:"" help:"erase a recording and every copy of it that is known; for good"`
	Prune  pruneCmd  `cmd:"" help:"erase what is past its time"`
}

type showCmd struct {
	Recording string `arg:"" help:"a recording's folder, its name, or a call's id"`
	JSON      bool   `help:"the manifests as they are, a JSON list"`
}

type exportCmd struct {
	Align     bool   `help:"lay each track by the best estimate of offset and drift; the recording itself stays as it is"`
	Out       string `short:"o" placeholder:"FILE" help:"where to; default standard output"`
	Why       string `placeholder:"TEXT" help:"the reason, for the evidence log"`
	Recording string `arg:"" help:"a recording's folder, its name, or a call's id"`
}

// Run exports.
func (k exportCmd) Run(ctx context.Context, c *cli, p *process) error {
	if k.Out == "" && isTerminal(p.out) {
		return &usageError{err: errors.New("recordings export: a WAV file is not for a terminal"), hint: "--out FILE, or redirect the output"}
	}
	dirs, err := c.recordings(p, k.Recording)
	if err != nil {
		return err
	}
	if len(dirs) > 1 {
		return &usageError{
			err:  fmt.Errorf("recordings export: %s has %d parts, each with channels of its own", k.Recording, len(dirs)),
			hint: "name one of them: " + strings.Join(dirs, ", "),
		}
	}
	e, err := recorder.OpenExport(dirs[0], k.Align)
	if errors.Is(err, recorder.ErrNoAudio) {
		return &hinted{err, "earshot recordings show says why"}
	}
	if err != nil {
		return err
	}
	defer e.Close() //nolint:errcheck // it was only read
	if e.Cut > 0 {
		fmt.Fprintf(p.err, "earshot: %d samples (%.1f ms) lie before the recording's beginning by the estimates, and are left out\n", e.Cut, float64(e.Cut)/8)
	}
	dir, name := home(dirs[0])
	if err := c.note(ctx, p, dir, console.Act{What: "export", Folder: name, Why: k.because()}); err != nil {
		fmt.Fprintln(p.err, "earshot: warning: the evidence log does not name this export:", err)
	}
	if k.Out == "" {
		return e.Write(p.out)
	}
	if err := writeWhole(k.Out, e); err != nil {
		return err
	}
	c.exported(ctx, p, dir, name, k.Out)
	return nil
}

// because is what the evidence log says of the export: why, and where to.
func (k exportCmd) because() string {
	to := "standard output"
	if k.Out != "" {
		to = k.Out
		if abs, err := filepath.Abs(k.Out); err == nil {
			to = abs
		}
	}
	if k.Why == "" {
		return "to " + to
	}
	return k.Why + "; to " + to
}

// writeWhole writes the file under another name first: what is there under its own is whole.
func writeWhole(name string, e *recorder.Export) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp")
	if err != nil {
		return fmt.Errorf("recordings export: %w", err)
	}
	b := bufio.NewWriterSize(f, 1<<18)
	err = e.Write(b)
	if err == nil {
		err = b.Flush()
	}
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

// catalog opens the folder of recordings.
func (c *cli) catalog(p *process) (*recorder.Catalog, error) {
	dir := c.Recorded.Dir
	if dir == "" {
		l, err := c.load(p)
		if err != nil {
			return nil, &usageError{err: err, hint: "recordings --dir DIR needs no configuration"}
		}
		dir = l.Config.Record.Dir
	}
	cat, err := recorder.OpenCatalog(dir)
	if err != nil {
		return nil, &hinted{err, "--dir DIR, or record.dir in earshot.yaml, names the folder of recordings"}
	}
	return cat, nil
}

// recordings finds the folders that an argument means: a folder, or a name or call id below the folder of recordings, all parts of which are
// given.
func (c *cli) recordings(p *process, name string) (dirs []string, err error) {
	if _, err := os.Stat(filepath.Join(name, recorder.ManifestName)); err == nil {
		return []string{name}, nil
	}
	cat, err := c.catalog(p)
	if err != nil {
		return nil, err
	}
	defer cat.Close() //nolint:errcheck // nothing was written
	list, err := cat.Find(name)
	if err != nil {
		return nil, err
	}
	for _, l := range list {
		dirs = append(dirs, cat.Dir(l.Folder))
	}
	if len(dirs) == 0 {
		return nil, &hinted{fmt.Errorf("recordings: no folder, and no recording in %s, is %q", cat.Dir(""), name), "earshot recordings list shows what there is"}
	}
	return dirs, nil
}

func printJSON(p *process, v any) error {
	e := json.NewEncoder(p.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// seconds is a length for people.
func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}

// plain makes text of the outside safe for a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) { // control characters, and those that turn the direction of the text
			return '?'
		}
		return r
	}, s)
}
