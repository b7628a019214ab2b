package stream_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/stream"
)

func listener(t *testing.T, cfg stream.ListenConfig) *stream.Listener {
	t.Helper()
	l, err := stream.NewListener(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestListenerHearsOneSideOrBoth(t *testing.T) {
	const packets = 200
	for track, want := range map[string][]byte{
		stream.HearAgent: wanted(packets*ptime, 1), stream.HearCustomer: wanted(packets*ptime, 2), "": nil,
	} {
		l := listener(t, stream.ListenConfig{Track: track})
		feed(l, 2, 0, packets)
		l.End(call.Cause{})
		var out bytes.Buffer
		n, err := l.WriteTo(&out)
		if err != nil || n != int64(out.Len()) {
			t.Errorf("%s: WriteTo: %d, %v; wrote %d", track, n, err, out.Len())
		}
		if want == nil { // the mix
			for p := range int64(packets * ptime) {
				v := value(1, p) + value(2, p)
				want = append(want, byte(v), byte(v>>8))
			}
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%q: got %d bytes, want other %d", track, out.Len(), len(want))
		}
	}
}

func TestListenerWAVIsForPipes(t *testing.T) {
	l := listener(t, stream.ListenConfig{Track: "agent", Format: "wav", Rate: 16000})
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := l.WriteTo(w)
		done <- errors.Join(err, w.Close())
	}()
	head := make([]byte, 44)
	if _, err := io.ReadFull(r, head); err != nil || !strings.HasPrefix(string(head), "RIFF\xff\xff\xff\xffWAVE") {
		t.Errorf("header before any audio: %q, %v", head, err)
	}
	feed(l, 2, 0, 10)
	l.End(call.Cause{})
	body, err := io.ReadAll(r)
	if err != nil || len(body) != 10*ptime*4 {
		t.Errorf("%d bytes, %v; want %d", len(body), err, 10*ptime*4)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSlowListenerLosesTheOldest(t *testing.T) {
	l := listener(t, stream.ListenConfig{Track: "agent"})
	feed(l, 1, 0, 1000)
	l.End(call.Cause{})
	var out bytes.Buffer
	if _, err := l.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	if want := wanted(1000*ptime, 1)[2*(1000*ptime-40000):]; !bytes.Equal(out.Bytes(), want) {
		t.Errorf("got %d bytes, want the last 5 s", out.Len())
	}
	if got := l.DroppedSamples(); got != 1000*ptime-40000 {
		t.Errorf("dropped %d, want %d", got, 1000*ptime-40000)
	}
}

func TestCloseEndsAListenerThatHearsNothing(t *testing.T) {
	l := listener(t, stream.ListenConfig{})
	done := make(chan error, 1)
	go func() {
		_, err := l.WriteTo(io.Discard)
		done <- err
	}()
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Errorf("WriteTo: %v", err)
	}
	feed(l, 2, 0, 1000)
	l.End(call.Cause{})
	if got := l.DroppedSamples(); got != 0 {
		t.Errorf("dropped %d after Close, want none counted", got)
	}
	if _, err := l.WriteTo(io.Discard); err == nil {
		t.Error("WriteTo a second time: got nil, want an error")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestListenerEndsWithItsReader(t *testing.T) {
	l := listener(t, stream.ListenConfig{})
	feed(l, 2, 0, 10)
	if _, err := l.WriteTo(broken{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want closed pipe", err)
	}
	feed(l, 2, 10, 20)
	l.End(call.Cause{})
}

func TestWrongListenersAreToldWhatIsWrong(t *testing.T) {
	_, err := stream.NewListener(stream.ListenConfig{Track: "both", Format: "mp3", Rate: 48000, Buffer: 1, Wait: time.Hour})
	for _, want := range []string{
		`track: got "both", want mix, agent or customer`, `format: got "mp3", want one of [s16le mulaw alaw wav]`, `rate: got 48000`, `buffer: got 1ns`, `wait: got 1h0m0s, want up to 1s`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want ...%s...", err, want)
		}
	}
}

var _ media.Sink = (*stream.Listener)(nil)
