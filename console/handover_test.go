package console_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/console"
)

// operator is an Operator of functions.
type operator struct {
	reload   func() (console.Reloaded, error)
	handOver func(context.Context, *console.Link)
}

func (o operator) Reload(context.Context) (console.Reloaded, error) { return o.reload() }
func (operator) Drain() console.Draining                            { return console.Draining{PID: 7, Calls: 3} }
func (o operator) HandOver(ctx context.Context, l *console.Link)    { o.handOver(ctx, l) }
func operated(t *testing.T, o operator) (c *console.Control, path string, stop func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "earshot.sock")
	c, err := console.NewControl(console.ControlConfig{Socket: path, Backend: backend(nobody), Operator: o})
	if err != nil {
		t.Fatal(err)
	}
	return c, path, run(t, c.Run)
}

func TestReloadTellsWhatTookEffectAndEachMistake(t *testing.T) {
	want := console.Reloaded{Applied: []string{"supervise.agents"}, Restart: []string{"sip.domain"}}
	answer := error(nil)
	_, path, _ := operated(t, operator{reload: func() (console.Reloaded, error) { return want, answer }})
	got, err := dial(t, path).Reload(t.Context())
	if err != nil || strings.Join(got.Applied, " ") != "supervise.agents" || strings.Join(got.Restart, " ") != "sip.domain" {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	const mistakes = "earshot.yaml:3: a: want b\nearshot.yaml:4: c: want d"
	for bad, is := range map[error]bool{errors.Join(errors.New(mistakes), console.ErrBadConfig): true, errors.New(mistakes): false} {
		answer = bad
		_, err = dial(t, path).Reload(t.Context())
		if err == nil || !strings.Contains(err.Error(), mistakes) || errors.Is(err, console.ErrBadConfig) != is {
			t.Errorf("%v: got %v, bad configuration %v", bad, err, is)
		}
	}
}

func TestDrainWaitsForTheEndAndTellsItFromADeath(t *testing.T) {
	for _, dies := range []bool{false, true} {
		_, path, stop := operated(t, operator{})
		if dies { // a connection in between is cut, as the kernel does it when a process is killed
			path = cut(t, path)
		}
		begun, done := make(chan console.Draining, 1), make(chan error, 1)
		go func() { done <- dial(t, path).Drain(t.Context(), true, func(d console.Draining) { begun <- d }) }()
		if d := <-begun; d.PID != 7 || d.Calls != 3 {
			t.Errorf("got %+v, want 3 calls of process 7", d)
		}
		if !dies {
			stop()
		}
		if err := <-done; (err != nil) != dies {
			t.Errorf("dies %v: got %v", dies, err)
		}
	}
	_, path, _ := operated(t, operator{})
	if err := dial(t, path).Drain(t.Context(), false, func(console.Draining) {}); err != nil {
		t.Errorf("without waiting: %v", err)
	}
}

// cut stands before a socket and cuts each connection after the first line of JSON.
func cut(t *testing.T, path string) string {
	t.Helper()
	front := filepath.Join(t.TempDir(), "front.sock")
	l, err := net.Listen("unix", front) //nolint:noctx // opens at once
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("unix", path) //nolint:noctx // local
			if err != nil {
				_ = near.Close()
				return
			}
			wg.Go(func() { _, _ = io.Copy(far, near) })
			wg.Go(func() {
				b := make([]byte, 4096)
				for {
					n, err := far.Read(b)
					_, _ = near.Write(b[:n])
					if err != nil || strings.Contains(string(b[:n]), "}\n") {
						_, _ = near.Close(), far.Close()
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return front
}

func TestALinkCarriesLinesBothWaysUntilEitherEnds(t *testing.T) {
	ended := make(chan error, 1)
	_, path, stop := operated(t, operator{handOver: func(ctx context.Context, l *console.Link) {
		if err := l.Send(console.Line{Type: console.LineHello, PID: 7}); err != nil {
			ended <- err
			return
		}
		line, err := l.Expect(ctx, console.LineGive)
		if err == nil {
			held := []console.HeldCall{{Call: "c", Sessions: []string{"s-1", strings.Repeat("x", 100_000)}}}
			err = l.Send(console.Line{Type: console.LineGiven, Calls: held})
		}
		if err == nil {
			line, err = l.Receive(ctx) // the other end goes
		}
		if err == nil {
			err = errors.New("got " + line.Type)
		} else if ctx.Err() != nil {
			err = errors.New("the daemon's own context ended with the link")
		}
		ended <- err
	}})
	link, err := dial(t, path).TakeOver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if line, err := link.Expect(t.Context(), console.LineHello); err != nil || line.PID != 7 {
		t.Errorf("got %+v, %v", line, err)
	}
	if err := link.Send(console.Line{Type: console.LineGive}); err != nil {
		t.Error(err)
	}
	line, err := link.Receive(t.Context())
	if err != nil || len(line.Calls) != 1 || len(line.Calls[0].Sessions[1]) != 100_000 {
		t.Errorf("got %d calls, %v", len(line.Calls), err)
	}
	if err := link.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("the other side: got %v, want the end", err)
	}
	stop()
}

func TestALinkEndsWithTheDaemonAndWithTheCaller(t *testing.T) {
	_, path, stop := operated(t, operator{handOver: func(ctx context.Context, _ *console.Link) { <-ctx.Done() }})
	link, err := dial(t, path).TakeOver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close() //nolint:errcheck // of a test
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := link.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the caller's deadline", err)
	}
	other, err := dial(t, path).TakeOver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close() //nolint:errcheck // of a test
	stop()
	if _, err := other.Receive(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end of the daemon", err)
	}
}

func TestARefusalSaysWhy(t *testing.T) {
	_, path, _ := operated(t, operator{handOver: func(_ context.Context, l *console.Link) {
		if err := l.Send(console.Line{Type: console.LineNo, Why: "another process takes over already"}); err != nil {
			t.Error(err)
		}
	}})
	link, err := dial(t, path).TakeOver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close() //nolint:errcheck // of a test
	_, err = link.Expect(t.Context(), console.LineHello)
	if !errors.Is(err, console.ErrRefused) || !strings.Contains(err.Error(), "another process takes over already") {
		t.Errorf("got %v", err)
	}
	older, _ := control(t, nobody) // a daemon without an operator
	if _, err := dial(t, older).TakeOver(t.Context()); err == nil || !strings.Contains(err.Error(), "can't hand over") {
		t.Errorf("got %v", err)
	}
}

func TestASocketChangesHandsWhileItsListenersHearOn(t *testing.T) {
	more, heard := make(chan struct{}), make(chan string, 2)
	path := filepath.Join(t.TempDir(), "earshot.sock")
	first, err := console.NewControl(console.ControlConfig{Socket: path, Backend: backend(
		func(_ context.Context, _ console.ListenRequest, w io.Writer) error {
			for _, piece := range []string{"one", "two"} {
				if _, err := io.WriteString(w, piece); err != nil {
					return err
				}
				<-more
			}
			return nil
		})})
	if err != nil {
		t.Fatal(err)
	}
	stopFirst := run(t, first.Run)
	done := make(chan error, 1)
	listener := dial(t, path)
	go func() {
		done <- listener.Listen(t.Context(), console.ListenRequest{}, writer(func(b []byte) (int, error) {
			heard <- string(b)
			return len(b), nil
		}))
	}()
	<-heard
	if err := first.GiveUp(); err != nil {
		t.Fatal(err)
	}
	second, err := console.NewControl(console.ControlConfig{Socket: path, Backend: backend(nobody)})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.TakeBack(); !errors.Is(err, console.ErrRunning) {
		t.Errorf("TakeBack beside the second: %v, want ErrRunning", err)
	}
	more <- struct{}{}
	if got := <-heard; got != "two" {
		t.Errorf("heard %q after the socket was given up, want two", got)
	}
	close(more)
	if err := <-done; err != nil {
		t.Errorf("listen: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if err := first.TakeBack(); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, path).Status(t.Context()); err != nil {
		t.Errorf("status after it was taken back: %v", err)
	}
	stopFirst()
}

func TestAPortChangesHands(t *testing.T) {
	s, err := console.New(console.Config{Listen: "127.0.0.1:0", Source: empty{}})
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, s.Run)
	get := func() error {
		client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		res, err := client.Get("http://" + s.Addr().String() + "/livez") //nolint:noctx // has its timeout
		if err != nil {
			return err
		}
		return res.Body.Close()
	}
	for range 2 {
		if err := get(); err != nil {
			t.Error(err)
		}
		if err := s.GiveUp(); err != nil {
			t.Fatal(err)
		}
		if err := get(); err == nil {
			t.Error("answered although the port was given up")
		}
		if err := s.TakeBack(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.GiveUp(); err != nil {
		t.Fatal(err)
	}
	stop() // it ends without a port too
}

// empty is a Source that knows nothing.
type empty struct{}

func (empty) Snapshot() console.Snapshot { return console.Snapshot{} }
