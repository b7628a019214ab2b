package vcon_test

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/earshot/earshot/recorder/vcon"
)

// valid holds a vCon against the working group's schema, formats too.
func valid(t *testing.T, v *vcon.VCon) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("testdata/vcon_json_schema.json")
	if err != nil {
		t.Fatal(err)
	}
	x, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(x); err != nil {
		t.Errorf("not valid: %v\n%s", err, b)
	}
	return x.(map[string]any)
}

func example(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("../testdata/recording.json")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func build(t *testing.T, manifest []byte, events string, o vcon.Options) *vcon.VCon {
	t.Helper()
	v, err := vcon.Build(manifest, strings.NewReader(events), o)
	if err != nil {
		t.Fatal(err)
	}
	valid(t, v)
	return v
}

func TestTheExampleIsAVConOfTheWorkingGroupsSchema(t *testing.T) {
	sum := sha512.Sum512([]byte("audio"))
	v := build(t, example(t), "", vcon.Options{SHA512: sum[:], URL: "https://records.example.com/audio.wav"})
	want := []vcon.Party{
		{Tel: "tel:+16505550100", UUID: "p-customer", Role: "customer"}, {Name: "extension 108", UUID: "p-agent", Role: "agent"},
		{Name: "earshot 0.1.0", Type: "software"},
	}
	if !reflect.DeepEqual(v.Parties, want) {
		t.Errorf("parties: got %+v, want %+v", v.Parties, want)
	}
	d := v.Dialog[0]
	if d.Type != "recording" || d.MediaType != "audio/x-wav" || d.Filename != "audio.wav" || *d.Duration < 0.5 || d.InteractionID != "s-a0d7f1c2" || !reflect.DeepEqual(d.Parties, []any{0, 1}) {
		t.Errorf("dialog: got %+v", d)
	}
	if d.ContentHash != "sha512-"+base64.RawURLEncoding.EncodeToString(sum[:]) || d.URL == "" || d.Body != "" {
		t.Errorf("content: got %q at %q", d.ContentHash, d.URL)
	}
	if ms := fmt.Sprintf("%012x", time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC).UnixMilli()); !strings.HasPrefix(v.UUID, ms[:8]+"-"+ms[8:]+"-8") || !strings.ContainsAny(v.UUID[19:20], "89ab") {
		t.Errorf("uuid: got %s, want version 8, and the beginning's milliseconds %s", v.UUID, ms)
	}
	if again := build(t, example(t), "", vcon.Options{}); again.UUID != v.UUID {
		t.Errorf("uuid: got %s and %s for one recording", v.UUID, again.UUID)
	}
	other := build(t, bytes.Replace(example(t), []byte(`"part": 1`), []byte(`"part": 2`), 1), "", vcon.Options{})
	if other.UUID == v.UUID {
		t.Errorf("uuid: two parts have %s", v.UUID)
	}
	var loss struct {
		Tracks []struct{ Spans []struct{ Kind string } }
	}
	if err := json.Unmarshal(v.Attachments[0].Body, &loss); err != nil || v.Attachments[0].Party != 2 || len(loss.Tracks) != 2 || len(loss.Tracks[0].Spans) == 0 {
		t.Errorf("loss map: got %v, %s", err, v.Attachments[0].Body)
	}
	if got := string(v.Attachments[1].Body); v.Attachments[1].Purpose != "session ids" || !strings.Contains(got, `"sessions":["s-a0d7f1c2"]`) || !strings.Contains(got, "6b1f@") {
		t.Errorf("session ids: got %s", got)
	}
}

func TestTheAudioCanBeInIt(t *testing.T) {
	d := build(t, example(t), "", vcon.Options{Inline: []byte{0xFF, 0xFE, 0, 1}}).Dialog[0]
	if got, err := base64.RawURLEncoding.DecodeString(d.Body); err != nil || !bytes.Equal(got, []byte{0xFF, 0xFE, 0, 1}) || d.Encoding != "base64url" || d.ContentHash != "" || d.URL != "" {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestWhatBecameOfThePartiesIsTold(t *testing.T) {
	events := `
{"time":"2026-11-23T10:15:01Z","type":"track_started","track":1}
{"time":"2026-11-23T10:15:02Z","type":"mask_on"}
{"time":"2026-11-23T10:15:03Z","type":"track_started","track":2}
{"time":"2026-11-23T10:15:04Z","type":"hold","track":1}
{"time":"2026-11-23T10:15:04Z","type":"hold","track":1}
not a line of ours
{"time":"2026-11-23T10:15:05Z","type":"dtmf","track":1,"digit":"7"}
{"time":"2026-11-23T10:15:06Z","type":"resume","track":1}
{"time":"2026-11-23T10:15:07Z","type":"agent_holds","party_id":"p-agent"}
{"time":"2026-11-23T10:15:08Z","type":"agent_talks","party_id":"p-agent"}
{"time":"2026-11-23T10:15:09Z","type":"mask_off"}
` + `{"long":"` + strings.Repeat("x", 200_000) + `"}
{"time":"2026-11-23T10:15:10Z","type":"track_ended","track":2}
{"time":"2026-11-23T10:15:11Z","type":"track_ended","track":9}
{"time":"2026-11-23T10:15:12Z","type":"track_ended","track":1}`
	var got []string
	for _, h := range build(t, example(t), events, vcon.Options{}).Dialog[0].PartyHistory {
		got = append(got, h.Time.Format("05 ")+map[int]string{0: "customer ", 1: "agent "}[h.Party]+h.Event)
	}
	want := []string{
		"01 customer join", "02 customer mute", "03 agent join", "03 agent mute", "04 customer hold", "06 customer unhold", "07 agent hold", "08 agent unhold",
		"09 customer unmute", "09 agent unmute", "10 agent drop", // the last line is torn
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	all, _ := json.Marshal(build(t, example(t), events, vcon.Options{}))
	if bytes.Contains(all, []byte("keydown")) || bytes.Contains(all, []byte(`"digit"`)) {
		t.Error("a digit of the keypad is in the vCon")
	}
}

// edited gives the example with some of its keys changed.
func edited(t *testing.T, change func(map[string]any)) []byte {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(example(t), &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEachChannelNamesItsParties(t *testing.T) {
	silent := edited(t, func(m map[string]any) { m["tracks"] = m["tracks"].([]any)[:1] })
	if v := build(t, silent, "", vcon.Options{}); !reflect.DeepEqual(v.Dialog[0].Parties, []any{0, 1}) || v.Parties[1].Role != "agent" {
		t.Errorf("a party that was never heard: got %v of %+v", v.Dialog[0].Parties, v.Parties)
	}
	nobody := edited(t, func(m map[string]any) {
		m["tracks"] = m["tracks"].([]any)[:1]
		m["call"].(map[string]any)["expected"] = nil
	})
	if v := build(t, nobody, "", vcon.Options{}); !reflect.DeepEqual(v.Dialog[0].Parties, []any{0, nil}) {
		t.Errorf("a channel of nobody: got %v", v.Dialog[0].Parties)
	}
	transfer := edited(t, func(m map[string]any) {
		tracks := m["tracks"].([]any)
		next := map[string]any{}
		for k, v := range tracks[1].(map[string]any) {
			next[k] = v
		}
		next["id"], next["party_id"], next["name"] = 3, "p-next", "Berta"
		m["tracks"] = append(tracks, next)
	})
	if v := build(t, transfer, "", vcon.Options{}); !reflect.DeepEqual(v.Dialog[0].Parties, []any{0, []int{1, 2}}) || v.Parties[2].Name != "Berta" {
		t.Errorf("a transfer: got %v of %+v", v.Dialog[0].Parties, v.Parties)
	}
}

func TestACallWithoutMediaIsIncomplete(t *testing.T) {
	b := edited(t, func(m map[string]any) {
		m["state"], m["samples"], m["tracks"], m["audio"] = "no_media", 0, []any{}, nil
	})
	v := build(t, b, "", vcon.Options{})
	if d := v.Dialog[0]; d.Type != "incomplete" || d.Disposition != "failed" || d.Filename != "" || d.Duration != nil || len(v.Parties) != 3 {
		t.Errorf("got %+v of %+v", d, v.Parties)
	}
}

func TestTheBasisOfConsentIsAttached(t *testing.T) {
	b := edited(t, func(m map[string]any) { m["consent"] = map[string]any{"mode": "required", "basis": "announced"} })
	v := build(t, b, "", vcon.Options{})
	if n := len(v.Attachments); n != 3 || v.Attachments[2].Purpose != "lawful basis" || !strings.Contains(string(v.Attachments[2].Body), `"announced"`) {
		t.Errorf("got %+v", v.Attachments)
	}
}

func TestOnlyGlobalNumbersAreTel(t *testing.T) {
	for number, want := range map[string]string{
		"+16505550100": "tel:+16505550100", "+44 (20) 7946-0958": "tel:+442079460958", "108": "", "anonymous": "", "+": "", "+1;ext=5": "", "+1234567890123456": "",
	} {
		b := edited(t, func(m map[string]any) { m["tracks"].([]any)[0].(map[string]any)["number"] = number })
		b = bytes.Replace(b, []byte(`"+16505550100"`), []byte(`""`), map[bool]int{true: 0, false: -1}[number == "+16505550100"])
		if got := build(t, b, "", vcon.Options{}).Parties[0].Tel; got != want {
			t.Errorf("%q: got %q, want %q", number, got, want)
		}
	}
}

func TestWhatCantBeAVConIsRefused(t *testing.T) {
	for name, f := range map[string]func() error{
		"no JSON": func() error { _, err := vcon.Build([]byte("{"), nil, vcon.Options{}); return err },
		"version": func() error { _, err := vcon.Build([]byte(`{"version":2}`), nil, vcon.Options{}); return err },
		"rate":    func() error { _, err := vcon.Build([]byte(`{"version":1}`), nil, vcon.Options{}); return err },
		"hash":    func() error { _, err := vcon.Build(example(t), nil, vcon.Options{SHA512: []byte{1}}); return err },
		"hash of the transcript": func() error {
			_, err := vcon.Build(example(t), nil, vcon.Options{TranscriptSHA512: []byte{1}})
			return err
		},
		"url": func() error { _, err := vcon.Build(example(t), nil, vcon.Options{URL: "http://x/y"}); return err },
		"events break": func() error {
			_, err := vcon.Build(example(t), iotest.ErrReader(errors.New("EIO")), vcon.Options{})
			return err
		},
	} {
		if err := f(); err == nil || !strings.HasPrefix(err.Error(), "vcon: ") {
			t.Errorf("%s: got %v, want an error", name, err)
		}
	}
	if v := build(t, example(t), "", vcon.Options{Created: time.Unix(1, 0)}); v.CreatedAt.Unix() != 1 {
		t.Errorf("created: got %v", v.CreatedAt)
	}
}

// FuzzBuild: whatever a manifest and events say, there is an error or a vCon that JSON can tell.
func FuzzBuild(f *testing.F) {
	b, err := os.ReadFile("../testdata/recording.json")
	if err != nil {
		f.Fatal(err)
	}
	events, err := os.ReadFile("../testdata/events.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b, events)
	f.Add([]byte(`{"version":1,"rate":8000,"channels":["a","a"],"tracks":[{"id":1,"channel":1},{"id":1,"channel":-5}]}`), []byte("{\"time\":\"2026-01-01T00:00:00Z\",\"type\":\"track_started\",\"track\":1}\n"))
	f.Fuzz(func(t *testing.T, manifest, events []byte) {
		v, err := vcon.Build(manifest, bytes.NewReader(events), vcon.Options{})
		if err != nil {
			return
		}
		if _, err := json.Marshal(v); err != nil && v.CreatedAt.Year() < 9999 {
			t.Fatal(err)
		}
		for _, h := range v.Dialog[0].PartyHistory {
			if h.Party < 0 || h.Party >= len(v.Parties) {
				t.Fatalf("party %d of %d", h.Party, len(v.Parties))
			}
		}
	})
}
