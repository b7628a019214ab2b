package needs

import (
	"os"
	"os/exec"
	"testing"
)

// Programs skips the test where one of the programs is missing, and fails it in CI.
func Programs(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("CI=true: %v", err)
			}
			t.Skip(err)
		}
	}
}
