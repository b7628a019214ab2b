package acceptance

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/earshot/earshot/internal/strict"
)

// earshot is the path of the binary, built by TestMain.
var earshot string //nolint:gochecknoglobals // set once, before any test

// parallel is how many tests run side by side: they wait more than they work.
const parallel = "8"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if err := flag.Set("test.parallel", parallel); err != nil {
		return tell(err)
	}
	dir, err := os.MkdirTemp("", "acceptance")
	if err != nil {
		return tell(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	earshot = filepath.Join(dir, "earshot")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", earshot, "../cmd/earshot")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return tell(fmt.Errorf("build earshot: %w\n%s", err, out))
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			return tell(err)
		}
	}
	return code
}

func tell(err error) int {
	_, _ = fmt.Fprintln(os.Stderr, "acceptance:", err)
	return 1
}

// ci says whether a missing program is a failure.
func ci() bool { return os.Getenv("CI") == "true" }

// folder is a temporary folder with a short path: a unix socket's has room for 103 octets.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "acc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		strict.Tree(t, dir)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
