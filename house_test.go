// Package house_test holds the rules of the house: who may import whom, how long a file may be, what no package does.
package house_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/earshot/earshot"

// leaves import the standard library only, and may be imported by all.
var leaves = []string{"internal/attr", "internal/secret", "internal/memnet", "internal/powercut", "internal/who"}

// arrows are the packages of ours that a room's own code may import, besides call and the leaves. A room that is not named
// has no right to any; "..." ends a prefix. Tests may import what they test with.
var arrows = map[string][]string{
	"call":                 {},
	"internal/attr":        {},
	"internal/secret":      {},
	"internal/who":         {},
	"internal/memnet":      {},
	"internal/outbox":      {},
	"internal/webhook":     {"internal/outbox"},
	"internal/powercut":    {},
	"internal/oracle":      {"internal/ringsim/..."},
	"internal/strict":      {"recorder"},
	"internal/needs":       {},
	"internal/ringsim/...": {"internal/ringsim/..."},
	"supervise":            {},
	"sip":                  {"sip/offer"},
	"sip/offer":            {},
	"media":                {},
	"recorder":             {"media", "recorder/evidence", "recorder/vcon"},
	"recorder/vcon":        {},
	"recorder/evidence":    {},
	"recorder/catalog":     {"recorder"},
	"recorder/vault":       {"recorder", "internal/outbox"},
	"stream":               {"media"},
	"endpoint":             {"supervise", "sip", "sip/offer", "recorder", "recorder/evidence", "recorder/vault", "internal/outbox", "internal/webhook", "stream", "media"},
	"console":              {"endpoint", "supervise", "sip", "sip/offer", "recorder", "stream", "media"},
	"cmd/earshot/...":      {"cmd/earshot/...", "console", "endpoint", "supervise", "sip", "sip/offer", "recorder", "recorder/evidence", "recorder/catalog", "recorder/vault", "internal/webhook", "stream", "media", "internal/ringsim/...", "internal/bench"},
	"internal/bench":       {"recorder", "stream", "media"},
	"examples/...":         {"stream", "media"},
	"peertest":             {},
	"acceptance":           {},
}

// The limits of a file, in lines.
const (
	maxLines     = 500
	maxTestLines = 800
	maxMainLines = 40
)

// file is a Go file of the house.
type file struct {
	path    string // from the root, with slashes
	test    bool
	lines   int
	syntax  *ast.File
	set     *token.FileSet
	imports []string
}

func (f file) dir() string { return path.Dir(f.path) }

func (f file) at(p token.Pos) int { return f.set.Position(p).Line }

// house reads every Go file.
func house(t *testing.T) []file {
	t.Helper()
	var files []file
	err := fs.WalkDir(os.DirFS("."), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return fs.SkipDir
		case !strings.HasSuffix(p, ".go"):
			return nil
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f := file{path: p, test: strings.HasSuffix(p, "_test.go"), lines: bytes.Count(src, []byte("\n")), set: token.NewFileSet()}
		if f.syntax, err = parser.ParseFile(f.set, p, src, parser.ParseComments|parser.SkipObjectResolution); err != nil {
			return err
		}
		for _, i := range f.syntax.Imports {
			f.imports = append(f.imports, strings.Trim(i.Path.Value, `"`))
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("%d Go files: is this the root?", len(files))
	}
	return files
}

func matches(pattern, dir string) bool {
	prefix, tree := strings.CutSuffix(pattern, "/...")
	return dir == prefix || tree && strings.HasPrefix(dir, prefix+"/")
}

func TestImportsFollowTheArrows(t *testing.T) {
	for _, f := range house(t) {
		if f.dir() == "." {
			continue
		}
		allowed, known := []string(nil), false
		for pattern, list := range arrows {
			if matches(pattern, f.dir()) {
				allowed, known = list, true
			}
		}
		if !known {
			t.Errorf("%s: the room %s has no line in arrows", f.path, f.dir())
			continue
		}
		simulator := matches("internal/ringsim/...", f.dir())
		leaf := slices.Contains(leaves, f.dir()) || f.dir() == "call"
		for _, i := range f.imports {
			if simulator && (strings.HasPrefix(i, "github.com/emiago/") || strings.HasPrefix(i, "github.com/pion/")) {
				t.Errorf("%s imports %s, which what it tests is made of", f.path, i)
			}
			if leaf && !f.test && strings.Contains(i, ".") && !strings.HasPrefix(i, module) {
				t.Errorf("%s imports %s: a leaf has the standard library only", f.path, i)
			}
			to, ours := strings.CutPrefix(i, module+"/")
			if !ours || f.test && !simulator {
				continue
			}
			if !simulator && !leaf && (to == "call" || slices.Contains(leaves, to)) {
				continue
			}
			if f.dir() == "call" && slices.Contains(leaves, to) {
				continue
			}
			if !slices.ContainsFunc(allowed, func(p string) bool { return matches(p, to) }) {
				t.Errorf("%s imports %s: no arrow goes there", f.path, to)
			}
		}
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, f := range house(t) {
		limit := maxLines
		switch {
		case f.test:
			limit = maxTestLines
		case path.Base(f.path) == "main.go":
			limit = maxMainLines + 1
		}
		if f.lines >= limit {
			t.Errorf("%s: %d lines, want fewer than %d", f.path, f.lines, limit)
		}
	}
}

func TestEachPackageHasItsDoc(t *testing.T) {
	headings := []string{"# Usage", "# Concurrency", "# Limits", "# Standards", "# Testing"}
	docs, dirs := map[string]*ast.CommentGroup{}, map[string]bool{}
	for _, f := range house(t) {
		if path.Base(f.path) == "doc.go" {
			docs[f.dir()] = f.syntax.Doc
		} else if f.syntax.Doc != nil && f.dir() != "." && !f.test {
			t.Errorf("%s: the package comment belongs into doc.go", f.path)
		}
		if f.dir() != "." {
			dirs[f.dir()] = true
		}
	}
	for dir := range dirs {
		doc := docs[dir]
		if doc == nil {
			t.Errorf("%s has no doc.go with a package comment", dir)
			continue
		}
		if slices.Contains(leaves, dir) || dir == "call" || strings.Contains(dir, "/internal/") {
			continue // too small for headings
		}
		for _, h := range headings {
			if !strings.Contains(doc.Text(), h+"\n") {
				t.Errorf("%s/doc.go lacks the heading %q", dir, h)
			}
		}
	}
}

// TestNoPackageReachesForGlobals: what a package does is decided by its Config.
func TestNoPackageReachesForGlobals(t *testing.T) {
	for _, f := range house(t) {
		cmd := matches("cmd/...", f.dir())
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s:%d: func init", f.path, f.at(fn.Pos()))
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			name := pkg.Name + "." + sel.Sel.Name
			switch {
			case f.test && name == "time.Sleep" && !slices.Contains(f.imports, "testing/synctest"):
				t.Errorf("%s:%d: %s in a test without synctest: wait for what is to come true", f.path, f.at(n.Pos()), name)
			case f.test || cmd || f.dir() == "internal/needs": // tests have no Config
			case strings.HasPrefix(name, "fmt.Print"), name == "os.Getenv", name == "os.LookupEnv", name == "os.Environ",
				name == "os.Exit", name == "slog.Default":
				t.Errorf("%s:%d: %s outside cmd", f.path, f.at(n.Pos()), name)
			}
			return true
		})
	}
}

func TestEachModuleHasItsReason(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	decisions := readAll(t, "docs/decisions")
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1) {
		if !strings.Contains(decisions, m[1]) {
			t.Errorf("go.mod: %s has no line in docs/decisions", m[1])
		}
	}
}

func readAll(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		src, err := os.ReadFile(path.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(src)
	}
	return b.String()
}

// TestEachMetricIsExplained compares the names in the code with docs/metrics.md, both ways.
func TestEachMetricIsExplained(t *testing.T) {
	page, err := os.ReadFile("docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`earshot_[a-z0-9_]+`)
	code, docs := map[string]string{}, map[string]bool{}
	for _, f := range house(t) {
		if f.test || matches("internal/ringsim/...", f.dir()) {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if s, ok := n.(*ast.BasicLit); ok && s.Kind == token.STRING {
				if v := strings.Trim(s.Value, "`\""); name.FindString(v) == v && v != "" {
					code[v] = f.path
				}
			}
			return true
		})
	}
	for _, m := range name.FindAllString(string(page), -1) {
		docs[m] = true
		if _, ok := code[m]; !ok {
			t.Errorf("docs/metrics.md explains %s, which is not in the code", m)
		}
	}
	for m, where := range code {
		if !docs[m] {
			t.Errorf("%s: %s is not in docs/metrics.md", where, m)
		}
	}
}

// TestLinksInDocsLeadSomewhere follows the relative ones.
func TestLinksInDocsLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)]*)?\)`)
	err := fs.WalkDir(os.DirFS("."), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".md") {
			return nil
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(src), -1) {
			if _, err := os.Stat(path.Join(path.Dir(p), m[1])); err != nil {
				t.Errorf("%s: link to %s: %v", p, m[1], err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
