package ringsim_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/earshot/earshot/internal/ringsim"
)

const manual = "../../docs/simulator-scenarios.md"

func TestTheManualNamesEverySettingStepAndFault(t *testing.T) {
	b, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, m := range regexp.MustCompile("`([a-z_-]+)`").FindAllStringSubmatch(string(b), -1) {
		named = append(named, m[1])
	}
	for _, word := range slices.Concat(ringsim.SettingNames(), ringsim.VerbNames(), ringsim.FaultNames()) {
		if !slices.Contains(named, word) {
			t.Errorf("%s does not name %q", manual, word)
		}
	}
}

func TestTheManualsStoriesCanBePlayed(t *testing.T) {
	b, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	stories := strings.Split(string(b), "```yaml\n")[1:]
	if len(stories) < 2 {
		t.Fatalf("%d stories in %s, want at least two", len(stories), manual)
	}
	for _, s := range stories {
		src, _, _ := strings.Cut(s, "```")
		sc, err := ringsim.ParseScenario("manual", []byte(src))
		if err != nil {
			t.Error(err)
			continue
		}
		if err := sc.Configure(&ringsim.Config{}); err != nil {
			t.Error(err)
		}
	}
}
