package house_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	namedTest = regexp.MustCompile("`(?:[\\w/]+: )?((?:Test|Fuzz|Example)[^`]*)`")
	madeTest  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example)\w*)\(`)
)

// Every test that docs/sip.md names exists, and every row of its tables names one, but where it says why it is refused. A name after a slash is a case of it: it
// stands in a test file of the same folder or in a golden file below.
func TestEveryRowOfTheSIPDocumentHasItsTest(t *testing.T) {
	text, err := os.ReadFile("docs/sip.md")
	if err != nil {
		t.Fatal(err)
	}
	folders := testFolders(t)
	rows, tests := 0, false
	for line := range strings.Lines(string(text)) {
		switch {
		case !strings.HasPrefix(line, "|"):
			tests = false
			continue
		case strings.HasSuffix(strings.TrimSpace(line), "| test |"):
			tests = true
			continue
		case !tests, strings.HasPrefix(line, "|---"):
			continue
		}
		rows++
		found := namedTest.FindAllStringSubmatch(line, -1)
		if len(found) == 0 && !strings.Contains(line, "refused:") {
			t.Errorf("no test is named in %s", line)
		}
		for _, m := range found {
			name, of, _ := strings.Cut(m[1], "/")
			folder, ok := folders[name]
			if !ok {
				t.Errorf("%s: there is no such test", name)
			} else if of != "" && !standsIn(t, folder, of) {
				t.Errorf("%s: %q stands nowhere in %s", name, of, folder)
			}
		}
	}
	if rows < 20 {
		t.Fatalf("%d rows in docs/sip.md: has its form changed?", rows)
	}
}

// testFolders gives the folder of each test of the house.
func testFolders(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range house(t) {
		if !f.test {
			continue
		}
		src, err := os.ReadFile(filepath.FromSlash(f.path))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range madeTest.FindAllSubmatch(src, -1) {
			out[string(m[1])] = filepath.Dir(filepath.FromSlash(f.path))
		}
	}
	return out
}

// standsIn looks for the name of a case in a folder's test files and golden files.
func standsIn(t *testing.T, folder, name string) bool {
	t.Helper()
	for _, pattern := range []string{"*_test.go", "testdata/*.txtar"} {
		files, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			src, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(src), `"`+name+`"`) || strings.Contains(string(src), "-- "+name+"/") {
				return true
			}
		}
	}
	return false
}
