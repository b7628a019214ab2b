package recorder_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/vcon"
)

// vconIn reads a folder's vCon, which must be valid.
func vconIn(t *testing.T, dir string) (v vcon.VCon) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, recorder.VConName))
	must(t, err)
	checkVCon(t, b)
	must(t, json.Unmarshal(b, &v))
	return v
}

func checkVCon(t *testing.T, b []byte) {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("vcon/testdata/vcon_json_schema.json")
	must(t, err)
	x, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	must(t, err)
	if err := schema.Validate(x); err != nil {
		t.Errorf("%v\n%s", err, b)
	}
}

func TestAVConIsSealedWithTheRecording(t *testing.T) {
	s, _ := start(t, recorder.Config{VCon: true, Sign: true, Software: "earshot 1.0.0"})
	r := open(t, s, stereoInfo("vcon"))
	customer, agent := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 0)
	b := batch(0, append(customer.speaks(50), agent.speaks(50)...), customer, agent)
	b.Events = []call.Event{
		{Time: morning, Type: call.EventTrackStarted, Call: "vcon", Track: 1},
		{Time: morning, Type: call.EventDTMF, Call: "vcon", Track: 1, Facts: map[string]any{"digit": "7"}},
	}
	r.Write(b)
	res, m := seal(t, r)
	v := vconIn(t, res.Dir)
	audio, err := os.ReadFile(filepath.Join(res.Dir, recorder.AudioName))
	must(t, err)
	sum := sha512.Sum512(audio)
	if d := v.Dialog[0]; d.ContentHash != "sha512-"+base64.RawURLEncoding.EncodeToString(sum[:]) || d.Filename != "audio.wav" || *d.Duration != 1 || len(d.PartyHistory) != 1 {
		t.Errorf("dialog: got %+v", d)
	}
	if !slices.ContainsFunc(m.Files, func(f recorder.File) bool { return f.File == recorder.VConName }) {
		t.Errorf("the manifest does not name it: %+v", m.Files)
	}
	// And without audio.
	r = open(t, s, stereoInfo("none"))
	res, _ = seal(t, r)
	if d := vconIn(t, res.Dir).Dialog[0]; d.Type != "incomplete" {
		t.Errorf("no media: got %+v", d)
	}
}

func TestARecordingThatACrashLeftGetsItsVCon(t *testing.T) {
	dir := abandoned(t, func(string) {})
	s, stop := start(t, recorder.Config{Dir: dir, VCon: true})
	eventually(t, "the repair", func() bool { return len(s.Repaired()) == 1 })
	stop()
	v := vconIn(t, s.Repaired()[0].Dir)
	if d := v.Dialog[0]; *d.Duration != 2 || d.ContentHash == "" {
		t.Errorf("got %+v", d)
	}
}

func TestAVConCanBeMadeAfterwards(t *testing.T) {
	s, _ := start(t, recorder.Config{})
	r := open(t, s, monoInfo("after"))
	k := newTalker(1, call.RoleMix, 0)
	r.Write(batch(0, k.speaks(30), k))
	res, _ := seal(t, r)
	for name, cfg := range map[string]recorder.VConConfig{"beside": {}, "inline": {Inline: true}, "elsewhere": {URL: "https://records.example.com/a.wav"}} {
		var b bytes.Buffer
		must(t, recorder.WriteVCon(&b, res.Dir, cfg))
		checkVCon(t, b.Bytes())
		var v vcon.VCon
		must(t, json.Unmarshal(b.Bytes(), &v))
		d := v.Dialog[0]
		if (d.Body != "") != cfg.Inline || (d.ContentHash != "") == cfg.Inline || d.URL != cfg.URL {
			t.Errorf("%s: got url %q, hash %q, %d octets", name, d.URL, d.ContentHash, len(d.Body))
		}
		if cfg.Inline {
			audio, err := os.ReadFile(filepath.Join(res.Dir, recorder.AudioName))
			must(t, err)
			if got, err := base64.RawURLEncoding.DecodeString(d.Body); err != nil || !bytes.Equal(got, audio) {
				t.Errorf("inline: got %d octets, %v", len(got), err)
			}
		}
	}
	if err := recorder.WriteVCon(&bytes.Buffer{}, t.TempDir(), recorder.VConConfig{}); err == nil || !strings.Contains(err.Error(), "recording.json") {
		t.Errorf("no recording: got %v", err)
	}
}

// TestAVConNamesTheTranscriptThatCameAfterTheSeal: the sealed one can't, one that is made afterwards does.
func TestAVConNamesTheTranscriptThatCameAfterTheSeal(t *testing.T) {
	s, stop := start(t, recorder.Config{VCon: true, Software: "earshot 1.0.0"})
	r := spokenCall(t, s, "c")
	r.Hear(line(0, 2000, "customer", "hello"))
	res, _ := seal(t, r)
	r.EndWords()
	stop()
	if got := vconIn(t, res.Dir).Analysis; len(got) != 0 {
		t.Errorf("sealed with %+v", got)
	}
	var b bytes.Buffer
	must(t, recorder.WriteVCon(&b, res.Dir, recorder.VConConfig{}))
	checkVCon(t, b.Bytes())
	var v vcon.VCon
	must(t, json.Unmarshal(b.Bytes(), &v))
	file, err := os.ReadFile(filepath.Join(res.Dir, recorder.TranscriptName))
	must(t, err)
	var schema struct {
		ID string `json:"$id"`
	}
	must(t, json.Unmarshal([]byte(recorder.TranscriptSchema()), &schema))
	sum := sha512.Sum512(file)
	want := []vcon.Analysis{{
		Type: "transcript", MediaType: "application/jsonl", Filename: recorder.TranscriptName, Vendor: "earshot", Product: "earshot 1.0.0", Schema: schema.ID,
		ContentHash: "sha512-" + base64.RawURLEncoding.EncodeToString(sum[:]),
	}}
	if !slices.Equal(v.Analysis, want) {
		t.Errorf("got %+v, want %+v", v.Analysis, want)
	}
}
