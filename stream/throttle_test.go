package stream

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAFloodIsReadAtABoundedRate: and what an engine says in the normal way is read at once.
func TestAFloodIsReadAtABoundedRate(t *testing.T) {
	for name, c := range map[string]struct {
		writes, octets int
		least, most    time.Duration
	}{
		"answers":             {writes: 200, octets: 300, most: 0},
		"a flood":             {writes: 64, octets: 64 << 10, least: 15 * time.Second, most: 16 * time.Second},
		"single octets":       {writes: 10_000, octets: 1, least: 9 * time.Second, most: 10 * time.Second},
		"a long answer again": {writes: 1, octets: answerBurst, most: 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				far, near := net.Pipe()
				conn := throttle(near)
				defer conn.Close() //nolint:errcheck // a pipe
				go func() {
					for range c.writes {
						_, _ = far.Write(make([]byte, c.octets))
					}
					_ = far.Close()
				}()
				began := time.Now()
				n, err := io.Copy(io.Discard, conn)
				if took := time.Since(began); err != nil || n != int64(c.writes*c.octets) || took < c.least || took > c.most {
					t.Errorf("got %d octets in %v, %v; want %d in %v to %v", n, took, err, c.writes*c.octets, c.least, c.most)
				}
			})
		})
	}
}

// TestASocketIsThrottled: that WebSockets are shows in what a flood of pings is answered.
func TestASocketIsThrottled(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // of the test
	s, err := dialRaw(t.Context(), &link{outlook: outlook{hub: &Hub{}, consumer: &Consumer{Type: TypeTCP, Address: l.Addr().String()}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if conn := s.(*raw).conn; fmt.Sprintf("%T", conn) != "*stream.throttled" {
		t.Errorf("it is a %T", conn)
	}
}

// TestCloseFreesAReadThatWaits: a session's end does not wait for a flood to be paid for.
func TestCloseFreesAReadThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far, near := net.Pipe()
		conn := throttle(near)
		go func() {
			_, _ = io.Copy(far, bytes.NewReader(make([]byte, 16<<20)))
		}()
		over := make(chan struct{})
		go func() { defer close(over); _, _ = io.Copy(io.Discard, conn) }()
		synctest.Wait()
		began := time.Now()
		_ = conn.Close()
		<-over
		_ = far.Close()
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v, want nothing", took)
		}
	})
}

// TestAProgramsFloodIsReadAtABoundedRate: one of lines no faster than such a one of octets, and nothing is owed for long: the end of the program waits for it.
func TestAProgramsFloodIsReadAtABoundedRate(t *testing.T) {
	for name, c := range map[string]struct {
		of          string
		writes      int
		least, most time.Duration
	}{
		"answers":        {of: "{\"text\":\"a word\"}\n", writes: 200},
		"one long line":  {of: strings.Repeat("x", 32<<10), writes: 128, least: 15 * time.Second, most: 16 * time.Second},
		"lines":          {of: strings.Repeat("\n", 32<<10), writes: 41, least: 10 * time.Second, most: 10 * time.Second},
		"a last outpour": {of: strings.Repeat("\n", 32<<10), writes: 3, least: 500 * time.Millisecond, most: 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got bytes.Buffer
				p := slowly(&got)
				began := time.Now()
				for range c.writes {
					if n, err := io.WriteString(p, c.of); n != len(c.of) || err != nil {
						t.Fatalf("Write: %d, %v", n, err)
					}
				}
				if took := time.Since(began); took < c.least || took > c.most {
					t.Errorf("it took %v, want %v to %v", took, c.least, c.most)
				}
				if want := strings.Repeat(c.of, c.writes); got.String() != want {
					t.Errorf("%d octets came, want %d", got.Len(), len(want))
				}
			})
		})
	}
}
