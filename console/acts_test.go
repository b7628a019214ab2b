package console_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/internal/who"
)

// noter is a Backend that writes down who says what.
type noter struct {
	backend
	note func(ctx context.Context, a console.Act) error
}

func (n noter) Note(ctx context.Context, a console.Act) error { return n.note(ctx, a) }

// me is how the kernel names this process.
func me() string {
	if runtime.GOOS != "linux" {
		return "control socket"
	}
	return who.Process(uint32(os.Getuid()), int32(os.Getpid()))
}

func TestActsAreNotedUnderTheKernelsNameOfWhoAsks(t *testing.T) {
	var by string
	var got console.Act
	path := t.TempDir() + "/earshot.sock"
	c, err := console.NewControl(console.ControlConfig{Socket: path, Backend: noter{nobody, func(ctx context.Context, a console.Act) error {
		by, got = who.From(ctx), a
		if a.Folder == "full" {
			return errors.New("no space left")
		}
		return nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, c.Run)
	want := console.Act{What: "export", Folder: "2026/11/23/x", Why: "complaint 7"}
	if err := dial(t, path).Note(t.Context(), want); err != nil || got != want || by != me() {
		t.Errorf("got %+v by %q, %v; want %+v by %q", got, by, err, want, me())
	}
	if err := dial(t, path).Note(t.Context(), console.Act{What: "export", Folder: "full"}); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("a full disk: got %v", err)
	}
	for _, a := range []console.Act{{}, {What: "erase"}, {What: "export", Why: strings.Repeat("x", 2000)}} {
		got = console.Act{}
		if err := dial(t, path).Note(t.Context(), a); err == nil || got != (console.Act{}) {
			t.Errorf("%.40v: got %v, and the backend %v", a, err, got)
		}
	}
}

func TestWhoAndWhyReachTheBackend(t *testing.T) {
	told := make(chan string, 1)
	path, _ := handed(t, hand{supervise: func(ctx context.Context, _ console.SuperviseRequest, _ func(any)) (string, error) {
		told <- fmt.Sprintf("%s: %s", who.From(ctx), who.Why(ctx))
		return "s-1", nil
	}})
	if _, err := dial(t, path).Supervise(t.Context(), console.SuperviseRequest{Agent: "108", Why: "coaching"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := <-told; got != me()+": coaching" {
		t.Errorf("got %q", got)
	}
}
