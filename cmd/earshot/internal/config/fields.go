package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/earshot/earshot/internal/secret"
)

// field is one key of the configuration, with its path such as sip.tls.ca_file or stream[0].command.
type field struct {
	path             string
	typ              reflect.Type
	index            []step
	def, help        string
	min, max         string
	env, oneof       []string
	isListOfSections bool
}

// step leads from a struct to a field, or into an element of a slice.
type step struct {
	field   int
	element int // -1: not a slice
}

var secretType = reflect.TypeFor[secret.Text]()

func (f field) secret() bool { return f.typ == secretType }

// variables are the names of all environment variables that set the field.
func (f field) variables() []string {
	names := append([]string{envName(f.path)}, f.env...)
	if f.secret() {
		for _, n := range slices.Clone(names) {
			names = append(names, n+"_FILE")
		}
	}
	return names
}

// fieldsOf lists all keys; counts tells how many elements the lists of sections have.
func fieldsOf(counts map[string]int) []field {
	var out []field
	walk(reflect.TypeFor[Config](), "", nil, counts, &out)
	return out
}

func walk(t reflect.Type, prefix string, at []step, counts map[string]int, out *[]field) {
	for i := range t.NumField() {
		sf := t.Field(i)
		key := sf.Tag.Get("key")
		path := key
		if prefix != "" {
			path = prefix + "." + key
		}
		here := append(slices.Clone(at), step{field: i, element: -1})
		f := field{
			path: path, typ: sf.Type, index: here, def: sf.Tag.Get("default"), help: sf.Tag.Get("help"),
			min: sf.Tag.Get("min"), max: sf.Tag.Get("max"), env: words(sf.Tag.Get("env")), oneof: words(sf.Tag.Get("oneof")),
		}
		switch {
		case isSection(sf.Type):
			walk(sf.Type, path, here, counts, out)
		case sf.Type.Kind() == reflect.Slice && isSection(sf.Type.Elem()):
			f.isListOfSections = true
			*out = append(*out, f)
			for n := range counts[path] {
				in := slices.Clone(here)
				in[len(in)-1].element = n
				walk(sf.Type.Elem(), fmt.Sprintf("%s[%d]", path, n), in, counts, out)
			}
		default:
			*out = append(*out, f)
		}
	}
}

func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() > 0 && t.Field(0).Tag.Get("key") != ""
}

func words(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func findField(fs []field, path string) (field, bool) {
	i := slices.IndexFunc(fs, func(f field) bool { return f.path == path })
	if i < 0 {
		return field{}, false
	}
	return fs[i], true
}

// target finds the field's place in c, making slices long enough.
func (f field) target(c *Config) reflect.Value {
	v := reflect.ValueOf(c).Elem()
	for _, s := range f.index {
		v = v.Field(s.field)
		if s.element >= 0 {
			for v.Len() <= s.element {
				v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
			}
			v = v.Index(s.element)
		}
	}
	return v
}

// suggest names the nearest known key, for a typing error.
func suggest(path string, fs []field) string {
	parent, last := splitPath(path)
	best, bestAt := "", 3
	for _, f := range fs {
		for p, k := splitPath(f.path); k != ""; p, k = splitPath(p) { // sections are keys too
			if d := distance(last, k); generic(p) == generic(parent) && d < bestAt {
				best, bestAt = k, d
			}
		}
	}
	if best != "" {
		return ", did you mean " + strconv.Quote(best) + "?"
	}
	return ": `earshot config` lists all keys"
}

func splitPath(p string) (parent, last string) {
	if i := strings.LastIndexByte(p, '.'); i >= 0 {
		return p[:i], p[i+1:]
	}
	return "", p
}

// generic cuts element numbers: stream[3] is stream[].
func generic(p string) string {
	var b strings.Builder
	in := false
	for _, r := range p {
		if r == ']' {
			in = false
		}
		if !in {
			b.WriteRune(r)
		}
		if r == '[' {
			in = true
		}
	}
	return b.String()
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			prev, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, prev+cost)
		}
	}
	return row[len(b)]
}
