package stream_test

import (
	"bytes"
	"testing"
	"testing/synctest"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/stream"
)

// TestReaderIsWokenWhenTheSweepIsOver: by Write where nobody tells of sweeps, else by Swept and not before.
func TestReaderIsWokenWhenTheSweepIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listener(t, stream.ListenConfig{Track: "agent"})
		var out bytes.Buffer
		done := make(chan error, 1)
		go func() {
			_, err := l.WriteTo(&out)
			done <- err
		}()
		heard := func() int {
			synctest.Wait()
			return out.Len()
		}
		feed(l, 2, 0, 100)
		first := heard()
		if first == 0 {
			t.Fatal("nobody told of sweeps, and the reader was not woken by Write")
		}
		l.Swept()
		feed(l, 2, 100, 110)
		if n := heard(); n != first {
			t.Errorf("woken within a sweep: %d bytes more", n-first)
		}
		l.Swept()
		if n := heard(); n <= first {
			t.Error("not woken once the sweep was over")
		}
		feed(l, 2, 110, 120)
		l.End(call.Cause{})
		if err := <-done; err != nil || out.Len() != 120*ptime*2 {
			t.Errorf("end: got %d bytes, %v; want all %d", out.Len(), err, 120*ptime*2)
		}
	})
}
