package stream_test

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/stream"
)

var began = time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)

// message is one with its header.
type message struct {
	pos      int64
	captured time.Time
	audio    []byte
}

// unframe takes a stream of messages with headers apart.
func unframe(t *testing.T, b []byte) (out []message) {
	t.Helper()
	for len(b) > 0 {
		if len(b) < stream.HeaderOctets || string(b[:4]) != stream.HeaderMagic {
			t.Fatalf("after %d messages: no header: %q", len(out), b[:min(len(b), stream.HeaderOctets)])
		}
		n := int(binary.LittleEndian.Uint32(b[4:]))
		m := message{pos: int64(binary.LittleEndian.Uint64(b[8:]))}
		if ns := int64(binary.LittleEndian.Uint64(b[16:])); ns != 0 {
			m.captured = time.Unix(0, ns).UTC()
		}
		b = b[stream.HeaderOctets:]
		m.audio, b = b[:n], b[n:]
		out = append(out, m)
	}
	return out
}

// wantFramed compares messages with what feed gives: the packet with sample p came when it was complete.
func wantFramed(t *testing.T, where string, all []message, octets, samples int64) {
	t.Helper()
	at := int64(0)
	for _, m := range all {
		if m.pos != at {
			t.Fatalf("%s: a message at %d, want %d", where, m.pos, at)
		}
		if want := began.Add(time.Duration(m.pos/ptime+1) * 20 * time.Millisecond); !m.captured.Equal(want) {
			t.Errorf("%s: the message at %d was captured at %v, want %v", where, m.pos, m.captured, want)
		}
		at += int64(len(m.audio)) / octets
	}
	if at != samples {
		t.Errorf("%s: %d samples, want %d", where, at, samples)
	}
}

func startedInfo() call.Info {
	i := info()
	i.Started = began
	return i
}

func TestMessagesWithHeadersSayWhereAndWhenTheyAre(t *testing.T) {
	const packets = 200
	dir := t.TempDir()
	e := listenWS(t, ends("bye"))
	h, stop := start(t,
		stream.Consumer{Command: sh(`cat > "$OUT/$CALL_ROLE"`), Env: map[string]string{"OUT": dir}, Header: true, Buffer: time.Minute},
		stream.Consumer{Type: stream.TypeWebSocket, URL: e.url, Last: "bye", Per: stream.PerCall, Header: true, Buffer: time.Minute, Format: stream.FormatAlaw},
	)
	stream.Patient(h)
	var told record
	s := h.Open(startedInfo(), stream.Options{Notify: told.notify})
	feed(s, 2, 0, packets)
	s.End(call.Cause{})
	waitFor(t, "all have ended", func() bool { return strings.Count(told.reasons(), "call_ended") == 3 })
	stop()
	for k, role := range map[media.TrackID]string{1: "agent", 2: "customer"} {
		all := unframe(t, read(t, filepath.Join(dir, role)))
		wantFramed(t, role, all, 2, packets*ptime)
		var audio []byte
		for _, m := range all {
			audio = append(audio, m.audio...)
		}
		if !bytes.Equal(audio, wanted(packets*ptime, k)) {
			t.Errorf("%s: other audio", role)
		}
	}
	got := e.got()
	if len(got) != 1 {
		t.Fatalf("%d connections", len(got))
	}
	wantFramed(t, "websocket", unframe(t, got[0].audio), 2, packets*ptime)
	if n := strings.Count(got[0].order, "b"); n != len(unframe(t, got[0].audio)) {
		t.Errorf("%d binary messages, want a header in each", n)
	}
}

func TestTheHeaderShowsWhatAListenerLost(t *testing.T) {
	l := listener(t, stream.ListenConfig{Track: "agent", Header: true, Rate: 16000, Buffer: time.Second, Started: func() time.Time { return began }})
	feed(l, 1, 0, 1000)
	l.End(call.Cause{})
	var out bytes.Buffer
	if _, err := l.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	all := unframe(t, out.Bytes())
	if want := int64(1000*ptime - 8000); all[0].pos != want || l.DroppedSamples() != want {
		t.Errorf("begins at %d, %d dropped; want %d", all[0].pos, l.DroppedSamples(), want)
	}
	if want := began.Add(time.Duration(all[0].pos/ptime+1) * 20 * time.Millisecond); !all[0].captured.Equal(want) {
		t.Errorf("captured %v, want %v", all[0].captured, want)
	}
}

func TestWhatNoPacketBroughtHasNoCaptureTime(t *testing.T) {
	l := listener(t, stream.ListenConfig{Track: "agent", Header: true, Started: func() time.Time { return began }})
	feed(l, 1, 0, 10)
	at := zero + 220*time.Millisecond
	l.Write(&media.Batch{Zero: zero, Now: at, Tracks: tracks()[:1], Frames: []media.Frame{{Track: 1, Kind: media.KindGap, Pos: 1600, Samples: 8 * ptime, Captured: at}}})
	feed(l, 1, 18, 28)
	l.End(call.Cause{})
	var out bytes.Buffer
	if _, err := l.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	for _, m := range unframe(t, out.Bytes()) {
		if silent := m.pos >= 1600 && m.pos < 1600+8*ptime; silent != m.captured.IsZero() {
			t.Errorf("message at %d: captured %v", m.pos, m.captured)
		}
	}
}

func TestHeadersHaveNoPlaceInFixedForms(t *testing.T) {
	if _, err := stream.NewListener(stream.ListenConfig{Format: "wav", Header: true}); err == nil || !strings.Contains(err.Error(), "header") {
		t.Errorf("wav: got %v", err)
	}
	c := stream.Consumer{Type: stream.TypeTwilio, URL: "ws://127.0.0.1", Header: true}
	if err := c.Check(); err == nil || !strings.HasPrefix(err.Error(), "header: ") {
		t.Errorf("twilio: got %v", err)
	}
}

func TestHeadersCostNoAllocation(t *testing.T) {
	h, err := stream.New(stream.Config{Consumers: []stream.Consumer{{Command: []string{"cat"}, Header: true}, {Command: []string{"cat"}, Per: stream.PerCall, Header: true}}})
	if err != nil {
		t.Fatal(err)
	}
	s := h.Open(startedInfo(), stream.Options{})
	b := media.Batch{Zero: zero, Tracks: tracks(), Frames: make([]media.Frame, 2)}
	i := int64(0)
	write := func() {
		i++
		b.Now = zero + time.Duration(i)*20*time.Millisecond
		for k := range b.Frames {
			b.Frames[k] = media.Frame{Track: media.TrackID(k + 1), Kind: media.KindReceived, Pos: (i - 1) * ptime, Samples: ptime, PCM: silence[:], Captured: b.Now}
		}
		s.Write(&b)
	}
	for range 100 {
		write()
	}
	if n := testing.AllocsPerRun(500, write); n != 0 {
		t.Errorf("%v allocations a batch, want 0", n)
	}
	s.End(call.Cause{})
}
