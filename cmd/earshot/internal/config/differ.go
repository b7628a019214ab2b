package config

import (
	"reflect"
	"slices"

	"github.com/earshot/earshot/internal/secret"
)

// Differ lists the keys whose values are not the same in two configurations, in the order of the first, then those that the
// second has besides.
func Differ(a, b *Loaded) []string {
	before, after := a.plain(), b.plain()
	var keys []string
	for _, l := range []*Loaded{a, b} {
		for _, f := range l.keys {
			was, old := before[f.path]
			is, now := after[f.path]
			if !f.isListOfSections && (old != now || !reflect.DeepEqual(was, is)) && !slices.Contains(keys, f.path) {
				keys = append(keys, f.path)
			}
		}
	}
	return keys
}

// plain gives every value, secrets too.
func (l *Loaded) plain() map[string]any {
	out := map[string]any{}
	for _, f := range l.keys {
		if f.isListOfSections {
			continue
		}
		v := f.target(&l.Config).Interface()
		switch x := v.(type) {
		case secret.Text:
			v = x.Reveal()
		case []string:
			if len(x) == 0 {
				v = []string(nil)
			}
		}
		out[f.path] = v
	}
	return out
}
