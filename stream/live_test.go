package stream_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/stream"
)

func TestALiveConsumersLagAndLossAreShown(t *testing.T) {
	hang := filepath.Join(t.TempDir(), "go")
	h, _ := start(t, stream.Consumer{
		Name: "slow", Command: sh(`until [ -e "$GO" ]; do sleep 0.01; done; cat >/dev/null`), Env: map[string]string{"GO": hang}, Per: stream.PerCall, Buffer: time.Second,
	})
	stream.Patient(h)
	before := time.Now()
	s := h.Open(info(), stream.Options{})
	if n := len(h.Live()); n != 0 {
		t.Errorf("%d consumers before the first sample", n)
	}
	feed(s, 2, 0, 5)
	waitFor(t, "it runs", func() bool { l := h.Live(); return len(l) == 1 && l[0].State == stream.StateConnected })
	feed(s, 2, 5, 1000)
	l := h.Live()[0]
	if l.Call != info().ID || l.Consumer != "slow" || l.Role != "customer,agent" || l.Since.Before(before) || l.Error != "" {
		t.Errorf("got %+v", l)
	}
	// What its pipe took besides is neither waiting nor lost: 64 KiB, and a message on its way.
	told := l.DroppedSamples + int64(l.Lag/time.Millisecond)*8
	if l.Lag > time.Second || told < 1000*ptime-16384-2*1600 || told > 1000*ptime {
		t.Errorf("lag %v, dropped %d of %d", l.Lag, l.DroppedSamples, 1000*ptime)
	}
	n := h.Consumers()["slow"]
	if n.Connected != 1 || n.Connections != 1 || n.Reconnects != 0 || n.Lag > time.Second || n.DroppedSamples != l.DroppedSamples || h.Totals().DroppedSamples != l.DroppedSamples {
		t.Errorf("got %+v", n)
	}
	if err := os.WriteFile(hang, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "it caught up", func() bool { return h.Live()[0].Lag < 200*time.Millisecond })
	s.End(call.Cause{})
	waitFor(t, "it is gone", func() bool { return len(h.Live()) == 0 })
	n = h.Consumers()["slow"]
	if n.Connected != 0 || n.SentOctets != 4*(1000*ptime-n.DroppedSamples) {
		t.Errorf("got %+v after the call, want %d octets", n, 4*(1000*ptime-n.DroppedSamples))
	}
}

func TestAConsumerThatIsAwayIsShownWaitingAndWhy(t *testing.T) {
	addr := filepath.Join(t.TempDir(), "asr.sock")
	h, _ := start(t, stream.Consumer{Type: stream.TypeUnix, Address: addr, Per: stream.PerCall})
	s := h.Open(info(), stream.Options{})
	feed(s, 2, 0, 5)
	waitFor(t, "it is told why", func() bool { l := h.Live(); return len(l) == 1 && l[0].Error != "" })
	if l := h.Live()[0]; l.State != stream.StateWaiting || l.Reconnects != 0 {
		t.Errorf("got %+v", l)
	}
	accept := func() net.Conn {
		l, err := new(net.ListenConfig).Listen(t.Context(), "unix", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := accept()
	waitFor(t, "it is connected", func() bool { return h.Live()[0].State == stream.StateConnected })
	_ = c.Close()
	waitFor(t, "it is away", func() bool { feed(s, 2, 5, 10); return h.Live()[0].State == stream.StateWaiting })
	c = accept()
	waitFor(t, "it is back", func() bool { l := h.Live()[0]; return l.State == stream.StateConnected && l.Reconnects == 1 })
	if n := h.Consumers()["asr.sock"]; n.Connections != 2 || n.Reconnects != 1 {
		t.Errorf("got %+v", n)
	}
	_ = c.Close()
	s.End(call.Cause{})
}

func TestAConsumerThatWasGivenUpIsShownWhileTheCallLives(t *testing.T) {
	h, _ := start(t, stream.Consumer{Name: "broken", Command: sh("exit 3"), Per: stream.PerCall, MaxRestarts: 1})
	s := h.Open(info(), stream.Options{})
	feed(s, 2, 0, 5)
	waitFor(t, "it is given up", func() bool { l := h.Live(); return len(l) == 1 && l[0].State == stream.StateGivenUp })
	if l := h.Live()[0]; l.Error != "exit status 3" || l.Lag != 0 || l.Reconnects != 1 {
		t.Errorf("got %+v", l)
	}
	s.End(call.Cause{})
	waitFor(t, "it is gone", func() bool { return len(h.Live()) == 0 })
}

func TestCountersAreBoundedInNumber(t *testing.T) {
	h, err := stream.New(stream.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := h.Reload([]stream.Consumer{{Name: string(rune('A' + i)), Command: []string{"cat"}}}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(h.Consumers()); n != 49 {
		t.Errorf("%d names, want 48 and the others", n)
	}
}
