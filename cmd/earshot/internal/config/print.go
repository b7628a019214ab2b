package config

import (
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
)

// Entry is one setting as `earshot config` shows it.
type Entry struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// Entries lists every setting with its value and source; secrets show as ***, also those that a URL holds.
func (l *Loaded) Entries() []Entry {
	var out []Entry
	for _, f := range l.keys {
		if f.isListOfSections {
			continue
		}
		out = append(out, Entry{Key: f.path, Value: show(f.target(&l.Config)), Source: l.Source(f.path)})
	}
	return out
}

func show(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case fmt.Stringer: // secrets, durations
		return x.String()
	case Ports:
		return fmt.Sprintf("%d-%d", x.Min, x.Max)
	case []string:
		return "[" + strings.Join(x, ", ") + "]"
	case string:
		return hideInURL(x)
	}
	return fmt.Sprint(v.Interface())
}

var (
	passwordInURL = regexp.MustCompile(`(://[^/?#:@]*):[^/?#]*@`)
	valueInQuery  = regexp.MustCompile(`=[^&#]+`)
)

// hideInURL hides what a URL may hold of secrets, its password and the values of its query; {call} and its like are none.
func hideInURL(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	s = passwordInURL.ReplaceAllString(s, "$1:***@")
	before, query, ok := strings.Cut(s, "?")
	if !ok {
		return s
	}
	return before + "?" + valueInQuery.ReplaceAllStringFunc(query, func(v string) string {
		if strings.HasPrefix(v, "={") && strings.HasSuffix(v, "}") {
			return v
		}
		return "=***"
	})
}

// Markdown writes docs/configuration.md's table of all keys.
func Markdown(w io.Writer) error {
	if _, err := fmt.Fprint(w, "| key | default | what it is | variables |\n| --- | --- | --- | --- |\n"); err != nil {
		return err
	}
	for _, f := range fieldsOf(map[string]int{"stream": 1, "webhooks": 1, "record.retention.classes": 1, "supervise.supervisors": 1, "supervise.supervisors[0].devices": 1}) {
		if f.isListOfSections {
			continue
		}
		help := f.help
		if len(f.oneof) > 0 {
			help += " (" + orList(f.oneof) + ")"
		}
		vars := f.variables()
		if f.secret() {
			help += "; also as " + lastOf(f.path) + "_file"
		}
		path := strings.ReplaceAll(f.path, "[0]", "[]")
		if path != f.path {
			vars = nil
		}
		if _, err := fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", path, code(f.def), help, code(vars...)); err != nil {
			return err
		}
	}
	return nil
}

func lastOf(path string) string { _, k := splitPath(path); return k }

func code(s ...string) string {
	var out []string
	for _, x := range s {
		if x != "" {
			out = append(out, "`"+x+"`")
		}
	}
	return strings.Join(out, " ")
}
