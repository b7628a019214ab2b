package recorder

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The contract's keys, by object: others may be added, none of these may go.
var contractKeys = map[string][]string{
	"":     {"version", "software", "call", "part", "state", "cause", "started", "ended", "rate", "samples", "channels", "tracks"},
	"call": {"id", "sessions", "sip_call_ids"},
	"tracks": {
		"id", "party_id", "role", "identified_by", "channel", "codec", "offset_samples", "offset_method", "drift_ppm", "epochs", "counts", "spans",
	},
	"spans": {"kind", "pos", "samples"},
}

func TestAManifestHasTheContractsKeysEvenIfEmpty(t *testing.T) {
	m := &Manifest{Version: 1, State: StatePartial, Tracks: []Track{{Spans: []Span{{}}}}}
	b, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	var top map[string]any
	if err := json.Unmarshal(b, &top); err != nil {
		t.Fatal(err)
	}
	track := top["tracks"].([]any)[0].(map[string]any)
	for where, obj := range map[string]map[string]any{
		"": top, "call": top["call"].(map[string]any), "tracks": track, "spans": track["spans"].([]any)[0].(map[string]any),
	} {
		for _, key := range contractKeys[where] {
			if _, ok := obj[key]; !ok {
				t.Errorf("%s: no key %q", where, key)
			}
		}
	}
	for _, list := range []any{top["channels"], track["epochs"], top["call"].(map[string]any)["sessions"]} {
		if reflect.TypeOf(list) == nil {
			t.Error("an empty list is null")
		}
	}
}

// The example of the format's page reads, and is written again octet for octet.
func TestTheExampleManifestIsReadAndWrittenAlike(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "recording.json"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := ReadManifest("testdata")
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(b), string(got)); d != "" {
		t.Error(d)
	}
}

func TestAWrongManifestIsRefusedWithTheReason(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "unexpected end of JSON input"},
		{"{}", "version: got 0, want 1"},
		{`{"version":2}`, "version: got 2, want 1"},
		{`{"version":1,"state":"lost"}`, `state: got "lost"`},
		{`{"version":1,"state":"partial","samples":-1}`, "samples or part: negative"},
		{`{"version":1,"state":"partial","tracks":[{"id":3,"offset_samples":-5}]}`, "track 3: offset or samples: negative"},
		{`{"version":1,"state":"partial","tracks":[{"id":3,"offset_samples":9223372036854775807,"samples":1}]}`, "track 3: offset or samples"},
		{`{"version":1,"state":"partial","tracks":[{"id":3,"spans":[{"pos":5,"samples":-5}]}]}`, "track 3: span at 5"},
		{`{"version":1,"state":"partial","tracks":[{"role":"boss"}]}`, `role: got "boss"`},
	} {
		if _, err := ParseManifest([]byte(c.in)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.in, err, c.want)
		}
	}
}

// FuzzParseManifest: what is read is written again and read alike.
func FuzzParseManifest(f *testing.F) {
	b, err := os.ReadFile(filepath.Join("testdata", "recording.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"version":1,"state":"no_media","ended":null,"tracks":[null,{"role":"agent"}],"x":[{}]}`))
	f.Add([]byte(`{"version":1,"state":"partial","tracks":[{"offset_samples":1e18,"spans":[{"pos":1,"samples":2}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseManifest(b)
		if err != nil {
			return
		}
		once, err := m.encode()
		if err != nil {
			t.Skip(err) // a year that RFC 3339 can't write
		}
		again, err := ParseManifest(once)
		if err != nil {
			t.Fatalf("what we wrote is refused: %v\n%s", err, once)
		}
		if twice, err := again.encode(); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("written anew: %v\n%s\n%s", err, once, twice)
		}
	})
}
