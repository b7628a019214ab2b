package console

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/call"
)

// pipes is a listener whose connections are in memory, so that time may be the test's.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (*pipes) Addr() net.Addr   { return &net.TCPAddr{} }
func (p *pipes) dial() net.Conn { a, b := net.Pipe(); p.conns <- b; return a }

type nothing struct{}

func (nothing) Snapshot() Snapshot { return Snapshot{} }

type nobody struct{ Backend }

// fedServer serves a feed until the test ends.
func fedServer(t *testing.T) (*Feed, *pipes) {
	feed, p := NewFeed(), &pipes{make(chan net.Conn), make(chan struct{})}
	s := newHTTP(Config{Source: nothing{}, Backend: nobody{}, Token: "t", Feed: feed, Log: slog.New(slog.DiscardHandler)})
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(p) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return feed, p
}

// client is one that reads events: frames come without what ends them.
type client struct {
	conn   net.Conn
	frames chan string
}

// watches asks for a path and reads what comes.
func watches(t *testing.T, p *pipes, path, last string) *client {
	t.Helper()
	c := &client{p.dial(), make(chan string, 2*maxFed)}
	t.Cleanup(func() { _ = c.conn.Close() })
	fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\nLast-Event-ID: %s\r\n\r\n", path, last)
	resp, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s: got %v, %v", path, resp, err)
	}
	go func() {
		defer close(c.frames)
		in := bufio.NewScanner(resp.Body)
		frame := ""
		for in.Scan() {
			if in.Text() != "" {
				frame += in.Text() + "\n"
				continue
			}
			c.frames <- frame
			frame = ""
		}
	}()
	if first := <-c.frames; first != "retry: 2000\n" {
		t.Errorf("%s: begins with %q", path, first)
	}
	return c
}

// has gives what came by now, comments left out, as "type text".
func (c *client) has() (out []string) {
	synctest.Wait()
	for {
		select {
		case f, ok := <-c.frames:
			if !ok {
				return append(out, "end")
			}
			if strings.HasPrefix(f, ":") {
				continue
			}
			_, kind, _ := strings.Cut(f, "event: ")
			kind, data, _ := strings.Cut(kind, "\n")
			_, text, _ := strings.Cut(data, `"text":"`)
			text, _, _ = strings.Cut(text, `"`)
			out = append(out, strings.TrimSpace(kind+" "+text))
		default:
			return out
		}
	}
}

// visit gives what somebody finds who looks in.
func visit(t *testing.T, p *pipes, path, last string) []string {
	t.Helper()
	c := watches(t, p, path, last)
	defer c.conn.Close() //nolint:errcheck // it has said all
	return c.has()
}

func said(id, text string, from, samples int64) call.Event {
	return call.Event{
		Type: call.EventTranscript, Call: id, Track: 1,
		Facts: map[string]any{"consumer": "asr", "from_samples": from, "samples": samples, "text": text, "final": true},
	}
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestEventsAreToldAsTheyHappen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, p := fedServer(t)
		all := watches(t, p, "/events", "")
		feed.Publish(call.Event{Type: call.EventCallStarted, Call: "a"})
		feed.Publish(call.Event{Type: call.EventDTMF, Call: "a", Facts: map[string]any{"digit": "7"}})
		feed.Publish(said("a", "hello\nevent: lie", 0, 10))
		one := watches(t, p, "/calls/a/events", "")
		feed.Publish(said("b", "other", 0, 10))
		feed.Publish(said("a", "again", 10, 10))
		want(t, "all", all.has(), "call_started", `transcript hello\nevent: lie`, "transcript other", "transcript again")
		want(t, "one, from its beginning", one.has(), "call_started", `transcript hello\nevent: lie`, "transcript again")

		time.Sleep(10 * time.Minute) // longer than any deadline of a request
		feed.Publish(said("a", "later", 20, 10))
		want(t, "all", all.has(), "transcript later")
		feed.Publish(call.Event{Type: call.EventCallEnded, Call: "a"})
		feed.Publish(said("a", "the last word", 30, 10))
		want(t, "one", one.has(), "transcript later", "call_ended", "transcript the last word")
		time.Sleep(lastWords + time.Second)
		want(t, "one has ended", one.has(), "end")
		feed.Publish(call.Event{Type: call.EventCallStarted, Call: "b"})
		want(t, "all goes on", all.has(), "call_ended", "transcript the last word", "call_started")
	})
}

func TestAClientGetsWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, p := fedServer(t)
		for i := range 5 {
			feed.Publish(said("a", fmt.Sprint(i), int64(i), 1))
		}
		want(t, "back", visit(t, p, "/events", feed.id(3)), "transcript 3", "transcript 4")
		want(t, "nothing missed", visit(t, p, "/events", feed.id(5)))
		unknown := "lost the last event that you have is another run's: what was between is not known"
		want(t, "another run's", visit(t, p, "/events?last_event_id=x-4", ""), unknown, "transcript 0", "transcript 1", "transcript 2", "transcript 3", "transcript 4")
		for _, id := range []string{"nonsense", feed.id(99), feed.born + "--1", "%"} {
			if got := visit(t, p, "/events", id); len(got) != 6 || got[0] != unknown {
				t.Errorf("Last-Event-ID %q: got %q", id, got)
			}
		}
		for i := range 2 * maxFed {
			feed.Publish(said("a", fmt.Sprint(i), int64(i), 1))
		}
		got := visit(t, p, "/events", feed.id(5))
		lost := 5 + 2*maxFed - 5 - (len(got) - 1)
		if len(got) < maxFed/2 || got[0] != "lost you are too slow, or were away for too long" || got[1] != fmt.Sprintf("transcript %d", lost) {
			t.Errorf("away too long: %d events, begins with %q, want %d lost", len(got), got[:2], lost)
		}
	})
}

func TestASlowClientLosesTheOldestAndIsToldHowMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, p := fedServer(t)
		c := &client{conn: p.dial()}
		fmt.Fprint(c.conn, "GET /events?token=t HTTP/1.1\r\nHost: x\r\n\r\n")
		synctest.Wait()
		for i := range 3 * maxFed { // and the client reads nothing
			feed.Publish(said("a", fmt.Sprint(i), int64(i), 1))
		}
		synctest.Wait()
		time.Sleep(answerTimeout / 2)
		in := bufio.NewScanner(c.conn)
		texts, lost := 0, 0
		for texts+lost < 3*maxFed && in.Scan() {
			switch {
			case strings.Contains(in.Text(), `"transcript"`):
				texts++
			case strings.Contains(in.Text(), `{"events":`):
				n := 0
				_, _ = fmt.Sscanf(in.Text(), `data: {"events":%d`, &n)
				lost += n
			}
		}
		if lost == 0 || texts+lost != 3*maxFed {
			t.Errorf("got %d, told of %d lost, want %d together", texts, lost, 3*maxFed)
		}
		_ = c.conn.Close()

		hung := p.dial()
		defer hung.Close()
		fmt.Fprint(hung, "GET /events?token=t HTTP/1.1\r\nHost: x\r\n\r\n")
		time.Sleep(answerTimeout + time.Second)
		if _, err := bufio.NewReader(hung).ReadString('\x00'); err == nil {
			t.Error("a client that reads nothing was kept")
		}
	})
}

func TestWordsThatWereTakenBackAreToldToNobodyAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		feed, p := fedServer(t)
		feed.Publish(said("a", "before", 0, 100))
		feed.Publish(said("a", "4111", 100, 100))
		feed.Publish(said("b", "other call", 100, 100))
		other := said("a", "other consumer", 100, 100)
		other.Facts["consumer"] = "b"
		feed.Publish(other)
		revoked := said("a", "", 150, 20)
		revoked.Type = call.EventTranscriptRevoked
		feed.Publish(revoked)
		want(t, "back", watches(t, p, "/events", feed.id(0)).has(), "transcript before", "transcript other call", "transcript other consumer", "transcript_revoked")
	})
}

func TestEventsAreForWhoHasTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, p := fedServer(t)
		for path, want := range map[string]int{"/events": 401, "/events?token=x": 401, "/calls/a/events?token=t": 404} {
			conn := p.dial()
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != want {
				t.Errorf("%s: got %v, %v, want %d", path, resp, err, want)
			}
			_ = conn.Close()
		}
		for range maxWatchers {
			watches(t, p, "/events", "")
		}
		conn := p.dial()
		defer conn.Close()
		fmt.Fprint(conn, "GET /events?token=t HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("one too many: got %v, %v", resp, err)
		}
	})
}
