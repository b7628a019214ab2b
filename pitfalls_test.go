package house_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestThePitfallsPageNamesRealTests: a test that is renamed or dropped must not leave its promise behind.
func TestThePitfallsPageNamesRealTests(t *testing.T) {
	page, err := os.ReadFile("docs/media-pitfalls.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, f := range house(t) {
		if !strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		src, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(src, -1) {
			known[string(m[1])] = true
		}
	}
	names := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllSubmatch(page, -1)
	if len(names) < 50 {
		t.Errorf("%d names of tests on the page: is it read?", len(names))
	}
	for _, m := range names {
		if !known[string(m[1])] {
			t.Errorf("docs/media-pitfalls.md: there is no %s", m[1])
		}
	}
}
