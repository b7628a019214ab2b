package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/earshot/earshot/recorder"
)

// schemas are compiled once.
var schemas = sync.OnceValues(func() (s struct{ manifest, event, line *jsonschema.Schema }, err error) {
	var e error
	s.manifest, err = Compile(recorder.ManifestSchema())
	s.event, e = Compile(recorder.EventSchema())
	err = errors.Join(err, e)
	s.line, e = Compile(recorder.TranscriptSchema())
	return s, errors.Join(err, e)
})

// Compile reads a schema, and closes it: only keys that it names are valid, and of a text with examples only these.
func Compile(text string) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	shut(doc)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	const name = "strict.json"
	if err := c.AddResource(name, doc); err != nil {
		return nil, err
	}
	return c.Compile(name)
}

func shut(x any) {
	switch x := x.(type) {
	case map[string]any:
		_, object := x["properties"].(map[string]any)
		if _, open := x["additionalProperties"]; object && !open && x["type"] == "object" {
			x["additionalProperties"] = false
		}
		if list, ok := x["examples"].([]any); ok {
			x["enum"] = list
		}
		delete(x, "$id") // it is another schema
		for _, v := range x {
			shut(v)
		}
	case []any:
		for _, v := range x {
			shut(v)
		}
	}
}

// Manifest says what is wrong with the octets of a recording.json.
func Manifest(b []byte) error { return check(b, recorder.ManifestName) }

// Event says what is wrong with a line of events.jsonl.
func Event(line []byte) error { return check(line, recorder.EventsName) }

// check holds what stands in a file of a name against its schema.
func check(b []byte, name string) error {
	s, err := schemas()
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	x, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return err
	}
	switch name {
	case recorder.ManifestName:
		return s.manifest.Validate(x)
	case recorder.TranscriptName:
		return s.line.Validate(x)
	}
	return s.event.Validate(x)
}

// Tree holds all manifests, events and transcripts below dir against the schemas, those of live recordings too.
func Tree(t testing.TB, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() != recorder.ManifestName && d.Name() != recorder.EventsName && d.Name() != recorder.TranscriptName {
			return nil //nolint:nilerr // a folder that got its final name meanwhile
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return nil //nolint:nilerr // the same
		}
		if d.Name() == recorder.ManifestName {
			complain(t, name, Manifest(b))
			return nil
		}
		for line := range bytes.Lines(b) {
			if bytes.HasSuffix(line, []byte("\n")) { // else it is torn
				complain(t, name, check(line, d.Name()))
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func complain(t testing.TB, name string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: not as docs/format says; a key, event or cause that is not there belongs into recorder/schema, its copy in docs/format, and recording.md: %v", name, err)
	}
}
