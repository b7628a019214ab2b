package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/earshot/earshot/recorder"
)

// recordedCmd is the recordings on disk. It needs no daemon, and disturbs none.
type recordedCmd struct {
	Dir string `placeholder:"DIR" help:"the folder of recordings; default record.dir of the configuration"`

	List   listCmd   `cmd:"" help:"what lies in record.dir, newest first"`
	Show   showCmd   `cmd:"" help:"a recording's manifest in words"`
	Export exportCmd `cmd:"" help:"a recording, or part of one, as WAV, FLAC or Opus"`
	Schema schemaCmd `cmd:"" help:"the JSON Schema of recording.json, or of a line of events.jsonl"`
	Verify verifyCmd `cmd:"" help:"whether the recordings are as they were signed, and none is missing"`

	Fetch  fetchCmd  `cmd:"" help:"bring audio back that was moved to the vault"`
	Hold   holdCmd   `cmd:"" help:"keep a recording from being erased, whatever its time (legal hold)"`
	Unhold unholdCmd `cmd:"" help:"end a legal hold"`
	Erase  eraseCmd  `cmd:"" help:"erase a recording and every copy of it that is known; for good"`
	Prune  pruneCmd  `cmd:"" help:"erase what is past its time"`
}

type showCmd struct {
	Recording string `arg:"" help:"a recording's folder, its name, or a call's id"`
	JSON      bool   `help:"the manifests as they are, a JSON list"`
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
