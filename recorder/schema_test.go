package recorder_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/strict"
	"github.com/earshot/earshot/recorder"
)

func TestTheSchemasInDocsAreThose(t *testing.T) {
	for name, want := range map[string]string{"recording": recorder.ManifestSchema(), "event": recorder.EventSchema(), "transcript": recorder.TranscriptSchema()} {
		b, err := os.ReadFile("../docs/format/" + name + ".schema.json")
		must(t, err)
		if string(b) != want {
			t.Errorf("docs/format/%s.schema.json is not recorder/schema/%s.schema.json: copy it", name, name)
		}
	}
}

// schemaOf reads a schema as JSON.
func schemaOf(t *testing.T, text string) map[string]any {
	t.Helper()
	var x map[string]any
	must(t, json.Unmarshal([]byte(text), &x))
	return x
}

// at follows references, lists and the like to what has properties.
func at(root, x map[string]any) map[string]any {
	for {
		switch {
		case x == nil:
			return nil
		case x["$ref"] != nil:
			x, _ = root["$defs"].(map[string]any)[strings.TrimPrefix(x["$ref"].(string), "#/$defs/")].(map[string]any)
		case x["items"] != nil:
			x, _ = x["items"].(map[string]any)
		default:
			return x
		}
	}
}

// keys calls f for each JSON key of a type, and what the schema says of it; nil: nothing.
func keys(root, x map[string]any, typ reflect.Type, path string, f func(path string, schema map[string]any)) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	x = at(root, x)
	if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[time.Time]() {
		return
	}
	props, _ := x["properties"].(map[string]any)
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		next, _ := props[name].(map[string]any)
		f(path+name, next)
		if next != nil {
			keys(root, next, typ.Field(i).Type, path+name+".", f)
		}
	}
}

func TestEachKeyOfAManifestIsInTheSchema(t *testing.T) {
	root, n := schemaOf(t, recorder.ManifestSchema()), 0
	keys(root, root, reflect.TypeFor[recorder.Manifest](), "", func(path string, schema map[string]any) {
		n++
		if schema == nil {
			t.Errorf("recorder/schema/recording.schema.json lacks %s", path)
		}
	})
	if n < 100 {
		t.Errorf("%d keys: is that all?", n)
	}
}

// names gives all keys that a schema names.
func names(x any, out map[string]bool) {
	switch x := x.(type) {
	case map[string]any:
		if p, ok := x["properties"].(map[string]any); ok {
			for k := range p {
				out[k] = true
			}
		}
		for _, v := range x {
			names(v, out)
		}
	case []any:
		for _, v := range x {
			names(v, out)
		}
	}
}

func TestEachKeyIsInThePageOfTheFormat(t *testing.T) {
	page, err := os.ReadFile("../docs/format/recording.md")
	must(t, err)
	said := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z0-9_.]+)`").FindAllStringSubmatch(string(page), -1) {
		for part := range strings.SplitSeq(m[1], ".") {
			said[part] = true
		}
	}
	all := map[string]bool{}
	names(schemaOf(t, recorder.ManifestSchema()), all)
	names(schemaOf(t, recorder.EventSchema()), all)
	names(schemaOf(t, recorder.TranscriptSchema()), all)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if !said[k] {
			t.Errorf("docs/format/recording.md doesn't say what `%s` is", k)
		}
	}
}

func TestEachEventAndCauseIsInTheSchema(t *testing.T) {
	src, err := os.ReadFile("../call/event.go")
	must(t, err)
	said := schemaOf(t, recorder.EventSchema())["properties"].(map[string]any)["type"].(map[string]any)["examples"].([]any)
	found := regexp.MustCompile(`Event\w+\s+Type = "(\w+)"`).FindAllStringSubmatch(string(src), -1)
	for _, m := range found {
		if m[1] == string(call.EventTranscript) { // words stand in transcript.jsonl, and are told live
			if slices.Contains(said, any(m[1])) {
				t.Errorf("recorder/schema/event.schema.json has the type %s: words are no line of events.jsonl", m[1])
			}
			continue
		}
		if !slices.Contains(said, any(m[1])) {
			t.Errorf("recorder/schema/event.schema.json lacks the type %s", m[1])
		}
	}
	if len(found) < 20 {
		t.Errorf("%d types in call/event.go: is that all?", len(found))
	}
	for _, text := range []string{recorder.ManifestSchema(), recorder.EventSchema()} {
		root := schemaOf(t, text)
		codes := root["$defs"].(map[string]any)["code"].(map[string]any)["examples"].([]any)
		for _, c := range call.Codes() {
			if !slices.Contains(codes, any(string(c))) {
				t.Errorf("%v lacks the cause %s", root["title"], c)
			}
		}
	}
}

func TestAKeyThatNobodyDocumentedIsFound(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", recorder.ManifestName))
	must(t, err)
	if err := strict.Manifest(b); err != nil {
		t.Fatalf("the example: %v", err)
	}
	for _, c := range [][2]string{
		{`"version": 1`, `"version": 1, "vendor": 7`}, {`"srtp": true`, `"srtp": true, "sipid": ""`}, {`"version": 1`, `"version": 2`}, {`"kind": "lost"`, `"kind": "gone"`},
		{`"samples": 160`, `"samples": -160`}, {`"state": "recorded"`, `"state": "done"`}, {`"cause": "hangup"`, `"cause": "because"`}, {`"started": "2026`, `"started": "in 2026`},
	} {
		bad := strings.Replace(string(b), c[0], c[1], 1)
		if bad == string(b) {
			t.Errorf("the example has no %s", c[0])
		} else if strict.Manifest([]byte(bad)) == nil {
			t.Errorf("valid with %s", c[1])
		}
	}
	good := `{"time":"2026-11-23T10:15:00Z","type":"hold","call":"s-1","track":1,"pos":0}`
	if err := strict.Event([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{`"hold"`, `"held"`}, {`"pos":0`, `"pos":0,"pin":"1234"`}, {`"track":1`, `"track":0`}, {`,"pos":0`, ``}} {
		if strict.Event([]byte(strings.Replace(good, c[0], c[1], 1))) == nil {
			t.Errorf("an event is valid with %s", c[1])
		}
	}
}
