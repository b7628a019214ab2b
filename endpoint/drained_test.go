package endpoint_test

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/stream"
)

// TestADrainedProcessEndsWhenItsConsumersHaveWhatTheyMissed: a speech engine that is away until the last call is over still gets all of it.
func TestADrainedProcessEndsWhenItsConsumersHaveWhatTheyMissed(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "asr.sock")) //nolint:noctx // opens at once
	if err != nil {
		t.Fatal(err)
	}
	e := &twice{l: l, away: true}
	e.all.Go(func() { e.serve(1) })
	dir := t.TempDir()
	sim := world(t)
	w := workAs(t, sim, dir, false, func(c *endpoint.Config) {
		c.Record.Sync = 200 * time.Millisecond
		c.Stream.Consumers = []stream.Consumer{{
			Name: "asr", Type: stream.TypeUnix, Address: l.Addr().String(), Per: stream.PerCall, First: "{from}", CatchUp: true, Buffer: time.Second, MaxRestarts: 1 << 20,
		}}
	})
	c := ring(t, sim, "108", ringsim.FormTwoDialogs)
	said(t, c)
	said(t, c)
	w.Drain()
	c.Hangup()
	<-c.Done()
	oracle.Eventually(t, 10*time.Second, "the call has ended", func() bool { _, calls := w.Draining(); return calls == 0 })
	select {
	case err := <-w.done:
		t.Fatalf("ended before its consumer had anything: %v", err)
	case <-time.After(4 * time.Second): // longer than consumers have when everything is to end
	}
	if text := draining(w); text != "no new calls; the end comes when consumers have what they missed of the last ones: 1 left" {
		t.Errorf("status: %q", text)
	}
	e.is(false)
	w.ends("its consumer has all")
	_ = l.Close()
	e.all.Wait()
	p := parts(t, dir, c)
	if len(p) != 1 {
		t.Fatalf("%d parts, want 1", len(p))
	}
	want := stereo(t, p[0].Dir, nil)
	if len(e.got) != len(want) {
		t.Fatalf("it has %d octets, want %d", len(e.got), len(want))
	}
	for i := range len(want) / 2 {
		if g, v := sample(e.got, i), sample(want, i); g != v {
			t.Fatalf("sample %d is %d, want %d", i, g, v)
		}
	}
}

// draining is what the status says of it.
func draining(w *worker) string {
	for _, c := range w.Status().Checks {
		if c.Name == "draining" {
			return c.Text
		}
	}
	return ""
}
