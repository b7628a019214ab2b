package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/earshot/earshot/console"
)

// hand is a Backend that does what a user says by hand.
type hand struct {
	backend
	supervise func(ctx context.Context, req console.SuperviseRequest, show func(any)) (string, error)
	release   func(req console.ReleaseRequest) (any, error)
}

func (h hand) Supervise(ctx context.Context, req console.SuperviseRequest, show func(any)) (string, error) {
	return h.supervise(ctx, req, show)
}

func (h hand) Release(_ context.Context, req console.ReleaseRequest) (any, error) {
	return h.release(req)
}

// handed runs a control socket with that backend.
func handed(t *testing.T, h hand) (path string, stop func()) {
	t.Helper()
	h.backend = nobody
	path = filepath.Join(t.TempDir(), "earshot.sock")
	c, err := console.NewControl(console.ControlConfig{Socket: path, Backend: h})
	if err != nil {
		t.Fatal(err)
	}
	return path, run(t, c.Run)
}

// hintedError is an error with a hint.
type hintedError struct{ text, hint string }

func (e *hintedError) Error() string { return e.text }
func (e *hintedError) Hint() string  { return e.hint }

func TestSuperviseBringsEachStepAtOnceAndTheOutcomeLast(t *testing.T) {
	want := console.SuperviseRequest{Agent: "108", Mode: "session", Wait: true}
	seen := make(chan struct{})
	path, _ := handed(t, hand{supervise: func(_ context.Context, req console.SuperviseRequest, show func(any)) (string, error) {
		if req != want {
			return "", errors.New("another request")
		}
		for i := range 3 {
			show(map[string]int{"step": i})
			<-seen
		}
		return "s-1", nil
	}})
	n := 0
	out, err := dial(t, path).Supervise(t.Context(), want, func(line json.RawMessage) error {
		if got := string(line); got != fmt.Sprintf(`{"step":%d}`, n) {
			t.Errorf("line %d: got %s", n, got)
		}
		n++
		seen <- struct{}{}
		return nil
	})
	if err != nil || n != 3 || out != (console.Outcome{End: true, Call: "s-1"}) {
		t.Errorf("got %d steps, %+v, %v", n, out, err)
	}
}

func TestSuperviseSaysWhyACallIsNotHeard(t *testing.T) {
	path, _ := handed(t, hand{supervise: func(context.Context, console.SuperviseRequest, func(any)) (string, error) {
		return "s-1", fmt.Errorf("wrapped: %w", &hintedError{"404 TAS-120: Can't find registered deviceId", "look at the device"})
	}})
	_, err := dial(t, path).Supervise(t.Context(), console.SuperviseRequest{Agent: "108"}, func(json.RawMessage) error { return nil })
	var h interface{ Hint() string }
	if err == nil || err.Error() != "supervise: wrapped: 404 TAS-120: Can't find registered deviceId" || !errors.As(err, &h) || h.Hint() != "look at the device" {
		t.Errorf("got %v, want the daemon's words and its hint", err)
	}
}

func TestACutOffSuperviseIsNoSuccess(t *testing.T) {
	began := make(chan struct{})
	path, stop := handed(t, hand{supervise: func(ctx context.Context, _ console.SuperviseRequest, show func(any)) (string, error) {
		show(map[string]int{"step": 1})
		close(began)
		<-ctx.Done()
		panic(http.ErrAbortHandler) // as if the process had died
	}})
	c := dial(t, path)
	done := make(chan error, 1)
	go func() {
		_, err := c.Supervise(t.Context(), console.SuperviseRequest{Agent: "108"}, func(json.RawMessage) error { return nil })
		done <- err
	}()
	<-began
	stop()
	if err := <-done; err == nil {
		t.Error("got no error, want that the daemon ended")
	}
}

func TestReleaseGoesThroughTheSocket(t *testing.T) {
	path, _ := handed(t, hand{release: func(req console.ReleaseRequest) (any, error) {
		if req.Agent != "" {
			return nil, fmt.Errorf("agent %s: %w", req.Agent, console.ErrNoCall)
		}
		return []string{req.Call}, nil
	}})
	c := dial(t, path)
	if got, err := c.Release(t.Context(), console.ReleaseRequest{Call: "s-1"}); err != nil || string(got) != `["s-1"]` {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := c.Release(t.Context(), console.ReleaseRequest{Agent: "108"}); !errors.Is(err, console.ErrNoCall) || err.Error() != "release: agent 108: no such call" {
		t.Errorf("got %v, want ErrNoCall", err)
	}
	if _, err := c.Release(t.Context(), console.ReleaseRequest{}); err == nil || !strings.Contains(err.Error(), "want a call or an agent") {
		t.Errorf("neither: got %v", err)
	}
	if _, err := c.Release(t.Context(), console.ReleaseRequest{Call: "s-1", Agent: "108"}); err == nil || !strings.Contains(err.Error(), "want a call or an agent") {
		t.Errorf("both: got %v", err)
	}
}

// What is not a request of ours is refused before the backend is asked, which here would panic.
func TestByHandRefusesWhatItDoesNotKnow(t *testing.T) {
	path, _ := handed(t, hand{})
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/supervise", `{}`, http.StatusBadRequest},
		{"POST", "/supervise", `{"agent":"108","loud":true}`, http.StatusBadRequest},
		{"POST", "/supervise", `agent=108`, http.StatusBadRequest},
		{"POST", "/supervise", `{"agent":"` + strings.Repeat("1", 8<<10) + `"}`, http.StatusBadRequest},
		{"POST", "/release", `[]`, http.StatusBadRequest},
		{"GET", "/supervise", ``, http.StatusMethodNotAllowed},
		{"GET", "/release", ``, http.StatusMethodNotAllowed},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, "http://earshot"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s %s %.40s: got %d %s, want %d", c.method, c.path, c.body, res.StatusCode, text, c.want)
		}
	}
}
