package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	maxFileBytes = 1 << 20
	maxElements  = 1000
)

// yamlReader turns a YAML file into values by path, checking each key against the struct.
type yamlReader struct {
	file   string
	values map[string]value
	counts map[string]int
	broken map[string]bool
	bad    []error
}

func readYAML(path string, b []byte, values map[string]value, counts map[string]int, broken map[string]bool) []error {
	r := &yamlReader{file: filepath.Base(path), values: values, counts: counts, broken: broken}
	if len(b) > maxFileBytes {
		return []error{fmt.Errorf("%s: more than 1 MiB: that is no configuration", r.file)}
	}
	f, err := parser.ParseBytes(b, 0)
	if err != nil {
		return []error{fmt.Errorf("%s:%s", r.file, syntaxError(err))}
	}
	if len(f.Docs) > 1 {
		return []error{fmt.Errorf("%s: several documents: want one", r.file)}
	}
	for _, d := range f.Docs {
		if d.Body != nil {
			r.section(d.Body, reflect.TypeFor[Config](), "")
		}
	}
	return r.bad
}

// syntaxError gives "line: message" without the library's picture of the file, which might show a secret.
func syntaxError(err error) string {
	var se interface {
		GetMessage() string
		GetToken() *token.Token
	}
	if errors.As(err, &se) && se.GetToken() != nil {
		return fmt.Sprintf("%d: not YAML: %s: check indentation, colons and quotes", se.GetToken().Position.Line, se.GetMessage())
	}
	return "1: not YAML: check indentation, colons and quotes"
}

func (r *yamlReader) fail(n ast.Node, path, format string, a ...any) {
	r.bad = append(r.bad, fmt.Errorf("%s:%d: %s: %s", r.file, line(n), path, fmt.Sprintf(format, a...)))
}

func line(n ast.Node) int { return n.GetToken().Position.Line }

// section reads a mapping into the keys of t.
func (r *yamlReader) section(n ast.Node, t reflect.Type, prefix string) {
	n = unwrap(n)
	if _, ok := n.(*ast.NullNode); ok {
		return
	}
	m, ok := n.(ast.MapNode)
	if !ok && t.NumField() > 0 && t.Field(0).Tag.Get("short") != "" { // one word stands for the section's first key
		r.scalar(n, prefix, prefix+"."+t.Field(0).Tag.Get("key"))
		return
	}
	if !ok {
		r.fail(n, orRoot(prefix), "want a section of keys")
		return
	}
	for it := m.MapRange(); it.Next(); {
		key := it.Key().GetToken().Value
		path := key
		if prefix != "" {
			path = prefix + "." + key
		}
		r.key(it.Key(), it.Value(), t, key, path)
	}
}

func (r *yamlReader) key(k ast.MapKeyNode, v ast.Node, t reflect.Type, key, path string) {
	for i := range t.NumField() {
		sf := t.Field(i)
		name := sf.Tag.Get("key")
		switch {
		case name == key && isSection(sf.Type):
			r.section(v, sf.Type, path)
			return
		case name == key && sf.Type.Kind() == reflect.Slice && isSection(sf.Type.Elem()):
			r.sections(v, sf.Type.Elem(), path)
			return
		case name == key:
			r.scalar(v, path, path)
			return
		case name+"_file" == key && sf.Type == secretType:
			r.secretFile(v, path, strings.TrimSuffix(path, "_file"))
			return
		}
	}
	r.fail(k, path, "unknown key%s", suggest(path, fieldsOf(map[string]int{generic(path): 1})))
}

// sections reads a list of sections.
func (r *yamlReader) sections(n ast.Node, t reflect.Type, path string) {
	n = unwrap(n)
	if _, ok := n.(*ast.NullNode); ok {
		return
	}
	seq, ok := n.(*ast.SequenceNode)
	if !ok || len(seq.Values) > maxElements {
		r.fail(n, path, "want a list of sections, at most %d", maxElements)
		return
	}
	r.counts[path] = len(seq.Values)
	for i, e := range seq.Values {
		r.section(e, t, fmt.Sprintf("%s[%d]", path, i))
	}
}

func (r *yamlReader) scalar(n ast.Node, path, as string) {
	n = unwrap(n)
	source := fmt.Sprintf("%s:%d", r.file, line(n))
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.SequenceNode:
		v := value{isList: true, source: source}
		for _, e := range n.Values {
			s, ok := text(e)
			if !ok || len(v.list) >= maxElements {
				r.fail(e, path, "want plain values in this list, at most %d", maxElements)
				return
			}
			v.list = append(v.list, s)
		}
		r.values[as] = v
	default:
		s, ok := text(n)
		if !ok {
			r.fail(n, path, "want one value, not a section")
			return
		}
		r.values[as] = value{text: s, source: source}
	}
}

func (r *yamlReader) secretFile(n ast.Node, path, as string) {
	r.broken[as] = true
	s, ok := text(unwrap(n))
	if !ok {
		r.fail(n, path, "want the name of a file")
		return
	}
	secret, err := readSecretFile(s)
	if err != nil {
		r.fail(n, path, "%v", err)
		return
	}
	delete(r.broken, as)
	r.values[as] = value{text: secret, source: fmt.Sprintf("%s:%d", r.file, line(n))}
}

// text gives a scalar as it was written: 108 stays 108, 0108 stays 0108.
func text(n ast.Node) (string, bool) {
	switch n := unwrap(n).(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimRight(n.Value.Value, "\n"), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func unwrap(n ast.Node) ast.Node {
	for {
		switch t := n.(type) {
		case *ast.TagNode:
			n = t.Value
		case *ast.AnchorNode:
			n = t.Value
		default:
			return n
		}
	}
}

func orRoot(p string) string {
	if p == "" {
		return "the file"
	}
	return p
}
