package config

import (
	"reflect"
	"slices"

	"github.com/earshot/earshot/internal/secret"
)

// Differ lists the keys whose values are not the same in two configurations, in the order of the first, then those that the
// second has besides. Of an entry of a list that only one of them has it lists the keys that are set there.
func Differ(a, b *Loaded) []string {
	before, after := a.plain(), b.plain()
	var keys []string
	for _, l := range []*Loaded{a, b} {
		for _, f := range l.keys {
			if f.isListOfSections || slices.Contains(keys, f.path) {
				continue
			}
			was, ok := before[f.path]
			if !ok {
				was = f.usual()
			}
			is, ok := after[f.path]
			if !ok {
				is = f.usual()
			}
			if !reflect.DeepEqual(was, is) {
				keys = append(keys, f.path)
			}
		}
	}
	return keys
}

// usual is the value of a key that is not set, as plain gives it.
func (f field) usual() any {
	var c Config
	at := f.target(&c)
	if f.def != "" {
		_ = f.set(at, value{text: f.def}) // every default is one that it takes
	}
	return plain(at)
}

// plain gives every value, secrets too.
func (l *Loaded) plain() map[string]any {
	out := map[string]any{}
	for _, f := range l.keys {
		if !f.isListOfSections {
			out[f.path] = plain(f.target(&l.Config))
		}
	}
	return out
}

func plain(at reflect.Value) any {
	switch x := at.Interface().(type) {
	case secret.Text:
		return x.Reveal()
	case []string:
		if len(x) == 0 {
			return []string(nil)
		}
		return x
	default:
		return x
	}
}
