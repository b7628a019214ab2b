package stream_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/needs"
	"github.com/earshot/earshot/stream"
)

// TestTheReaderOfTheManualReadsHeaders runs the program of docs/streaming.md on a listener that lost something.
func TestTheReaderOfTheManualReadsHeaders(t *testing.T) {
	needs.Programs(t, "python3")
	page, err := os.ReadFile("../docs/streaming.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```python\n")
	program, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("docs/streaming.md has no program")
	}
	l := listener(t, stream.ListenConfig{Track: "agent", Header: true, Buffer: time.Second, Message: 200 * time.Millisecond, Started: func() time.Time { return began }})
	var out bytes.Buffer
	done := make(chan error, 1)
	first := make(chan struct{})
	resume := make(chan struct{})
	go func() {
		_, err := l.WriteTo(writer(func(b []byte) (int, error) {
			if out.Len() == 0 {
				close(first)
				<-resume // it hangs with its first message
			}
			return out.Write(b)
		}))
		done <- err
	}()
	feed(l, 1, 0, 10)
	<-first
	feed(l, 1, 10, 100)
	close(resume)
	l.End(call.Cause{})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "python3", "-c", program)
	cmd.Stdin = &out
	got, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	// 200 ms were read, 1 s of the rest fits into the buffer: 800 ms are lost.
	at := func(packet int) float64 {
		return float64(began.Add(time.Duration(packet+1)*20*time.Millisecond).UnixNano()) / 1e9
	}
	want := fmt.Sprintf("0 3200 %v\nlost 6400 samples at 1600\n8000 3200 %v\n9600 3200 %v\n", pyFloat(at(0)), pyFloat(at(50)), pyFloat(at(60)))
	if !strings.HasPrefix(string(got), want) || strings.Count(string(got), "\n") != 7 {
		t.Errorf("got:\n%swant:\n%s...", got, want)
	}
}

// pyFloat writes a number as Python does.
func pyFloat(f float64) string { return strings.TrimSuffix(fmt.Sprintf("%.2f", f), "0") }

// writer is a function that is written to.
type writer func(b []byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
