package console_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/earshot/earshot/console"
)

// backend is a Backend whose Listen is a function.
type backend func(ctx context.Context, req console.ListenRequest, w io.Writer) error

func (b backend) Status() any { return map[string]any{"calls": []string{"s-1"}} }
func (b backend) Listen(ctx context.Context, req console.ListenRequest, w io.Writer) error {
	return b(ctx, req, w)
}

func nobody(context.Context, console.ListenRequest, io.Writer) error { return console.ErrNoCall }

// control runs a control socket and gives its path.
func control(t *testing.T, b backend) (path string, stop func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "dir", "earshot.sock")
	c, err := console.NewControl(console.ControlConfig{Socket: path, Backend: b})
	if err != nil {
		t.Fatal(err)
	}
	return path, run(t, c.Run)
}

func dial(t *testing.T, path string) *console.Client {
	t.Helper()
	c, err := console.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestStatusComesThroughTheSocket(t *testing.T) {
	path, _ := control(t, nobody)
	got, err := dial(t, path).Status(t.Context())
	if err != nil || string(got) != `{"calls":["s-1"]}` {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestListenBringsEveryPieceAtOnce(t *testing.T) {
	want := console.ListenRequest{Call: "s-1 ö&x", Agent: "108", Track: "agent", Format: "wav", Rate: 16000}
	heard := make(chan struct{})
	path, _ := control(t, func(_ context.Context, req console.ListenRequest, w io.Writer) error {
		if req != want {
			return errors.New("another request")
		}
		for _, piece := range []string{"one", "two"} {
			if _, err := io.WriteString(w, piece); err != nil {
				return err
			}
			<-heard
		}
		return nil
	})
	pieces := writer(func(b []byte) (int, error) {
		heard <- struct{}{}
		return len(b), nil
	})
	if err := dial(t, path).Listen(t.Context(), want, pieces); err != nil {
		t.Error(err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func TestListenSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		want   string
		noCall bool
	}{
		"no call": {errors.Join(errors.New("agent 108 is on no call"), console.ErrNoCall), "agent 108 is on no call", true},
		"other":   {errors.New("format: got mp3"), "listen: format: got mp3", false},
	} {
		path, _ := control(t, func(context.Context, console.ListenRequest, io.Writer) error { return c.err })
		err := dial(t, path).Listen(t.Context(), console.ListenRequest{}, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, console.ErrNoCall) != c.noCall {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func TestABrokenListenIsNotTheEndOfACall(t *testing.T) {
	path, _ := control(t, func(_ context.Context, _ console.ListenRequest, w io.Writer) error {
		_, err := io.WriteString(w, "some")
		return errors.Join(errors.New("shard died"), err)
	})
	var got bytes.Buffer
	if err := dial(t, path).Listen(t.Context(), console.ListenRequest{}, &got); err == nil || got.String() != "some" {
		t.Errorf("got %q, %v; want some, and an error", got.String(), err)
	}
}

func TestAListenerWhoGoesEndsListen(t *testing.T) {
	ended := make(chan struct{})
	path, _ := control(t, func(ctx context.Context, _ console.ListenRequest, w io.Writer) error {
		defer close(ended)
		if _, err := io.WriteString(w, "x"); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(t.Context())
	err := dial(t, path).Listen(ctx, console.ListenRequest{}, writer(func(b []byte) (int, error) { cancel(); return len(b), nil }))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	<-ended
}

func TestTheEndOfRunEndsListenersWell(t *testing.T) {
	began := make(chan struct{})
	path, stop := control(t, func(ctx context.Context, _ console.ListenRequest, w io.Writer) error {
		_, err := io.WriteString(w, "x")
		close(began)
		<-ctx.Done()
		return err
	})
	done := make(chan error, 1)
	c := dial(t, path)
	go func() { done <- c.Listen(t.Context(), console.ListenRequest{}, io.Discard) }()
	<-began
	stop()
	if err := <-done; err != nil {
		t.Errorf("Listen: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket after Run: %v, want gone", err)
	}
	_, err := console.Dial(t.Context(), path)
	no, ok := errors.AsType[*console.NotRunningError](err)
	if !ok || err.Error() != "no earshot runs here (socket "+path+")" || no.Hint() == "" {
		t.Errorf("Dial: got %v", err)
	}
}

func TestTheSocketIsForItsUserOnly(t *testing.T) {
	path, _ := control(t, nobody)
	for p, want := range map[string]os.FileMode{path: 0o600 | os.ModeSocket, filepath.Dir(path): 0o700 | os.ModeDir, path + ".lock": 0o600} {
		info, err := os.Stat(p)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: got %v, %v; want %v", p, info.Mode(), err, want)
		}
	}
}

func TestASecondEarshotIsToldThatOneRuns(t *testing.T) {
	path, stop := control(t, nobody)
	again := func() error {
		c, err := console.NewControl(console.ControlConfig{Socket: path, Backend: backend(nobody)})
		if err == nil {
			return c.Close()
		}
		return err
	}
	if err := again(); !errors.Is(err, console.ErrRunning) || !strings.Contains(err.Error(), "another earshot runs (process ") {
		t.Errorf("got %v, want another earshot runs (process ...", err)
	}
	if _, err := dial(t, path).Status(t.Context()); err != nil {
		t.Errorf("the first one was hurt: %v", err)
	}
	stop()
	if err := again(); err != nil {
		t.Errorf("after the first one's end: %v", err)
	}
}

func TestWhatADeadProcessLeftIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false) // as after kill -9
	if err := errors.Join(l.Close(), os.WriteFile(path+".lock", []byte("1\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	hold := make(chan struct{})
	tried := make(chan error)
	for range 8 { // they all see the dead one's socket; one may have it
		wg.Go(func() {
			c, err := console.NewControl(console.ControlConfig{Socket: path, Backend: backend(nobody)})
			tried <- err
			<-hold
			if err == nil {
				won.Add(1)
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 8 {
		if err := <-tried; err != nil && !errors.Is(err, console.ErrRunning) {
			t.Errorf("got %v, want ErrRunning", err)
		}
	}
	close(hold)
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d took the socket, want 1", won.Load())
	}
}

func TestWrongSocketsAreTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		file:                              "is there and is no socket",
		"/" + strings.Repeat("long/", 30): "is 151 bytes, want 1 to 103",
		"":                                "is 0 bytes",
		filepath.Join(file, "sock"):       "not a directory",
	} {
		_, err := console.NewControl(console.ControlConfig{Socket: path, Backend: backend(nobody)})
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, console.ErrRunning) {
			t.Errorf("NewControl(%q): got %v, want ...%s...", path, err, want)
		}
	}
	if _, err := console.NewControl(console.ControlConfig{Socket: file}); err == nil {
		t.Error("no backend: got nil, want an error")
	}
}

func TestUnknownWishesAreRefused(t *testing.T) {
	path, _ := control(t, nobody)
	for query, want := range map[string]string{"colour=red": `"colour": want call`, "rate=fast": `rate: got "fast"`, "header=maybe": `header: got "maybe"`} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "GET /listen?"+query+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400") || !strings.Contains(string(answer), want) {
			t.Errorf("%s: got %s, %v", query, answer, err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}
