package recorder

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/earshot/earshot/recorder/evidence"
)

// The acts that tell of exports: that one was asked for and where to, and that a file was written, in sha256sum's form.
const (
	ActExport   = "export"
	ActExported = "exported"
)

// What became of a file that was exported.
const (
	ExportErased  = "erased"  // it lay there still, as it was exported
	ExportGone    = "gone"    // nothing lies there
	ExportChanged = "changed" // something else lies there, or what was exported was changed
	ExportUnknown = "unknown" // it went to a pipe, or its hash is not known: who had it must be asked
	ExportThere   = "there"   // it lies there still, and could not be removed
)

// Exported is a file that was made of a recording, as the evidence log says.
type Exported struct {
	To     string    `json:"to"`
	Who    string    `json:"who,omitempty"`
	Time   time.Time `json:"time"`
	SHA256 string    `json:"sha256,omitempty"`
	State  string    `json:"state,omitempty"` // after an erasure
	Text   string    `json:"text,omitempty"`
}

// maxExports bounds what an erasure looks at of one recording.
const maxExports = 1000

// exportsOf reads the log for what was exported of some recordings.
func exportsOf(dir string, folders map[string]bool) (map[string][]Exported, error) {
	out := map[string][]Exported{}
	err := evidence.Leaves(dir, []string{`"act":"` + ActExport}, func(l evidence.Leaf) {
		if l.Type != evidence.LeafAct || !folders[l.Folder] || len(out[l.Folder]) >= maxExports {
			return
		}
		switch l.Act {
		case ActExport:
			out[l.Folder] = append(out[l.Folder], Exported{To: whereTo(l.Why), Who: l.Who, Time: l.Time})
		case ActExported:
			sum, to, ok := strings.Cut(l.Why, "  ")
			if raw, err := hex.DecodeString(sum); !ok || err != nil || len(raw) != 32 {
				return
			}
			list := out[l.Folder]
			if n := len(list) - 1; n >= 0 && list[n].To == to && list[n].SHA256 == "" { // what was asked for
				list[n].SHA256 = sum
				return
			}
			out[l.Folder] = append(list, Exported{To: to, Who: l.Who, Time: l.Time, SHA256: sum})
		}
	})
	if err != nil {
		return nil, fmt.Errorf("exports: %w", err)
	}
	return out, nil
}

// whereTo takes the place out of what an export's leaf says, such as "complaint 7; track agent to /home/anna/x.wav".
func whereTo(why string) string {
	for _, mark := range []string{"; to ", "; track "} {
		if i := strings.LastIndex(why, mark); i >= 0 {
			why = why[i+2:]
		}
	}
	if strings.HasPrefix(why, "track ") {
		_, why, _ = strings.Cut(why, " to ")
		return why
	}
	return strings.TrimPrefix(why, "to ")
}

// erase removes the file, if it is still what was exported.
func (x *Exported) erase() {
	if x.State != "" && x.State != ExportThere {
		return
	}
	x.Text = ""
	if x.SHA256 == "" {
		x.State = ExportUnknown
		return
	}
	fi, err := os.Lstat(x.To)
	switch {
	case os.IsNotExist(err):
		x.State = ExportGone
		return
	case err == nil && !fi.Mode().IsRegular():
		x.State = ExportChanged
		return
	case err != nil:
		x.State, x.Text = ExportThere, err.Error()
		return
	}
	f, err := os.Open(x.To)
	if err != nil {
		x.State, x.Text = ExportThere, err.Error()
		return
	}
	var d digester
	sum, err := d.read(f)
	if e := f.Close(); err == nil {
		err = e
	}
	switch {
	case err != nil:
		x.State, x.Text = ExportThere, err.Error()
	case sum != x.SHA256:
		x.State = ExportChanged
	default:
		x.State = ExportErased
		if err := os.Remove(x.To); err != nil {
			x.State, x.Text = ExportThere, err.Error()
		}
	}
}
