package house_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTestsThatSIPNamesExist: docs/sip.md says which test holds each row; a row whose test is gone holds nothing.
func TestTestsThatSIPNamesExist(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("docs", "sip.md"))
	if err != nil {
		t.Fatal(err)
	}
	defined := map[string]bool{}
	for _, f := range house(t) {
		if !f.test {
			continue
		}
		src, err := os.ReadFile(f.path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(src, -1) {
			defined[filepath.ToSlash(filepath.Dir(f.path))+" "+string(m[1])] = true
		}
	}
	named := 0
	for _, m := range regexp.MustCompile("`(?:([\\w/]+): )?((?:Test|Fuzz)\\w+)`").FindAllSubmatch(doc, -1) {
		named++
		dir := string(m[1])
		if dir == "" {
			dir = "sip"
		}
		if !defined[dir+" "+string(m[2])] {
			t.Errorf("docs/sip.md names %s of %s, which does not exist", m[2], dir)
		}
	}
	if named < strings.Count(string(doc), "Test")/2 {
		t.Errorf("%d tests found in docs/sip.md, which seems to name more", named)
	}
}
