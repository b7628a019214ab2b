package peertest

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The examples' own tests: what needs no engine, which is fetched by `make demo-transcribe` only.
func TestExamplesInNode(t *testing.T) {
	need(t, "node")
	t.Parallel()
	tests, err := filepath.Glob("../examples/*/*.test.mjs")
	if err != nil || len(tests) < 3 {
		t.Fatalf("%d tests of examples, %v", len(tests), err)
	}
	p := start(t, ".", []string{"PATH=" + os.Getenv("PATH")}, "node", append([]string{"--test"}, tests...)...)
	if code := p.wait(t, 2*time.Minute); code != 0 {
		t.Errorf("exit code %d\n%s", code, tail(p.log.String(), 6000))
	}
}
