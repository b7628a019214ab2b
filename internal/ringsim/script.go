package ringsim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Scenario is a story that a simulator can play: what happens in which call when, and what goes wrong. ParseScenario reads
// one from a file.
type Scenario struct {
	Name  string
	steps []step
	set   []setting
}

// Steps is how many there are.
func (sc *Scenario) Steps() int { return len(sc.steps) }

// Length is when the last step is.
func (sc *Scenario) Length() time.Duration {
	last := time.Duration(0)
	for _, st := range sc.steps {
		last = max(last, st.at, st.at+st.span)
	}
	return last
}

const (
	maxScript = 1 << 20 // octets
	maxSteps  = 10_000
)

// step is one line of the story.
type step struct {
	line int
	at   time.Duration
	span time.Duration // For, of a "say"
	do   string
	call string
	arg  map[string]string
}

// setting is one line under settings, applied to a Config.
type setting struct {
	line       int
	key, value string
}

// ScriptError is one mistake in a scenario.
type ScriptError struct {
	File string
	Line int
	Text string
}

func (e *ScriptError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text) }

// ParseScenario reads a scenario; name stands in the errors. All mistakes are told at once, joined, each a *ScriptError.
func ParseScenario(name string, src []byte) (Scenario, error) {
	r := scriptReader{file: name}
	if len(src) > maxScript {
		r.wrong(1, "%d octets, want at most %d", len(src), maxScript)
		return Scenario{}, errors.Join(r.errs...)
	}
	file, err := parser.ParseBytes(src, 0)
	if err != nil {
		line := 1
		if e := (interface {
			error
			GetToken() *token.Token
		})(nil); errors.As(err, &e) && e.GetToken() != nil && e.GetToken().Position != nil {
			line = e.GetToken().Position.Line
		}
		r.wrong(line, "not YAML: %s", firstLine(err.Error()))
		return Scenario{}, errors.Join(r.errs...)
	}
	sc := r.scenario(file)
	if len(r.errs) > 0 {
		return Scenario{}, errors.Join(r.errs...)
	}
	slices.SortStableFunc(sc.steps, func(a, b step) int { return int(min(max(a.at-b.at, -1), 1)) })
	return sc, nil
}

func firstLine(s string) string {
	for i, c := range s {
		if c == '\n' {
			return s[:i]
		}
	}
	return s
}

// scriptReader collects what is wrong with a file.
type scriptReader struct {
	file string
	errs []error
}

func (r *scriptReader) wrong(line int, format string, args ...any) {
	const most = 100
	if len(r.errs) < most {
		r.errs = append(r.errs, &ScriptError{r.file, line, fmt.Sprintf(format, args...)})
	}
}

// entry is one key of a mapping.
type entry struct {
	line  int
	key   string
	value ast.Node
}

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 1
	}
	return n.GetToken().Position.Line
}

// entries reads a mapping whose keys are words.
func (r *scriptReader) entries(n ast.Node, what string) []entry {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		r.wrong(lineOf(n), "%s: want keys with values", what)
		return nil
	}
	var out []entry
	for _, v := range values {
		key, ok := text0(v.Key)
		if !ok {
			r.wrong(lineOf(v), "%s: a key is no word", what)
			continue
		}
		if slices.ContainsFunc(out, func(e entry) bool { return e.key == key }) {
			r.wrong(lineOf(v), "%s: %s is there twice", what, key)
			continue
		}
		out = append(out, entry{lineOf(v.Key), key, v.Value})
	}
	return out
}

// text0 gives a scalar as it is written: 108 and +14085550164 stay as they are.
func text0(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	default:
		return "", false
	}
}

func (r *scriptReader) scenario(file *ast.File) Scenario {
	var sc Scenario
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		r.wrong(1, "want one document with name, settings and steps")
		return sc
	}
	for _, e := range r.entries(file.Docs[0].Body, "scenario") {
		switch e.key {
		case "name":
			name, ok := text0(e.value)
			if !ok {
				r.wrong(e.line, "name: want a text")
			}
			sc.Name = name
		case "settings":
			sc.set = r.settings(e.value)
		case "steps":
			sc.steps = r.steps(e.value)
		default:
			r.wrong(e.line, "%s: unknown; want name, settings or steps", e.key)
		}
	}
	if len(sc.steps) == 0 && len(r.errs) == 0 {
		r.wrong(1, "no steps")
	}
	return sc
}

func (r *scriptReader) settings(n ast.Node) []setting {
	var out []setting
	for _, e := range r.entries(n, "settings") {
		value, ok := text0(e.value)
		if !ok {
			r.wrong(e.line, "settings: %s: want one value", e.key)
			continue
		}
		if err := configure(&Config{}, e.key, value); err != nil {
			r.wrong(e.line, "settings: %v", err)
			continue
		}
		out = append(out, setting{e.line, e.key, value})
	}
	return out
}

func (r *scriptReader) steps(n ast.Node) []step {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		r.wrong(lineOf(n), "steps: want a list")
		return nil
	}
	if len(list.Values) > maxSteps {
		r.wrong(lineOf(n), "steps: %d, want at most %d", len(list.Values), maxSteps)
		return nil
	}
	var out []step
	for _, v := range list.Values {
		if st, ok := r.step(v); ok {
			out = append(out, st)
		}
	}
	r.order(out)
	return out
}

func (r *scriptReader) step(n ast.Node) (step, bool) {
	before := len(r.errs)
	st := step{line: lineOf(n), arg: map[string]string{}}
	for i, e := range r.entries(n, "step") {
		value, ok := text0(e.value)
		if i == 0 {
			st.line = e.line
		}
		if !ok {
			r.wrong(e.line, "%s: want one value", e.key)
			continue
		}
		st.arg[e.key] = value
	}
	if len(r.errs) > before {
		return st, false
	}
	st.do, st.call = st.arg["do"], st.arg["call"]
	v, known := verbs[st.do]
	if !known {
		r.wrong(st.line, "do: %q: unknown; want %s", st.do, verbList())
		return st, false
	}
	var err error
	if st.at, err = span(st.arg, "at"); err != nil || st.arg["at"] == "" {
		r.wrong(st.line, "at: %q: want a time such as 1500ms", st.arg["at"])
	}
	for key := range st.arg {
		if key != "at" && key != "do" && !slices.Contains(v.needs, key) && !slices.Contains(v.may, key) {
			r.wrong(st.line, "%s: does not take %q", st.do, key)
		}
	}
	for _, key := range v.needs {
		if st.arg[key] == "" {
			r.wrong(st.line, "%s: needs %q", st.do, key)
		}
	}
	if v.check != nil && len(r.errs) == before {
		if err := v.check(&st); err != nil {
			r.wrong(st.line, "%s: %v", st.do, err)
		}
	}
	return st, len(r.errs) == before
}

// order looks whether calls are begun before something happens to them, and only once.
func (r *scriptReader) order(steps []step) {
	sorted := slices.Clone(steps)
	slices.SortStableFunc(sorted, func(a, b step) int { return int(min(max(a.at-b.at, -1), 1)) })
	begun := map[string]bool{}
	begin := func(st step, name string) {
		if begun[name] {
			r.wrong(st.line, "%s: call %s is there already", st.do, name)
		}
		begun[name] = true
	}
	for _, st := range sorted {
		if st.do == "start" {
			begin(st, st.call)
		} else if st.call != "" && !begun[st.call] {
			r.wrong(st.line, "%s: call %s has not been started", st.do, st.call)
		}
		if with := st.arg["with"]; with != "" && !begun[with] {
			r.wrong(st.line, "%s: call %s has not been started", st.do, with)
		}
		if as := st.arg["as"]; as != "" {
			begin(st, as)
		}
	}
}

// span reads an optional time.
func span(arg map[string]string, key string) (time.Duration, error) {
	v := arg[key]
	if v == "" || v == "0" {
		return 0, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > 1000*time.Hour {
		return 0, fmt.Errorf("%s: %q: want a time such as 1500ms", key, v)
	}
	return d, nil
}

func number0(arg map[string]string, key string) (int, error) {
	if arg[key] == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(arg[key])
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s: %q: want a number", key, arg[key])
	}
	return n, nil
}
