package endpoint_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/stream"
)

// twice is a speech engine's socket that is away for most of a call: it takes a second of the call, leaves, and is there again later.
type twice struct {
	l    net.Listener
	mu   sync.Mutex
	away bool
	got  []byte // s16le, stereo, by position
	all  sync.WaitGroup
}

func (e *twice) serve(n int) {
	for {
		c, err := e.l.Accept()
		if err != nil {
			return
		}
		e.mu.Lock()
		away := e.away
		n++
		e.mu.Unlock()
		if away {
			_ = c.Close()
			continue
		}
		e.all.Go(func() { e.hear(c, n == 1) })
	}
}

func (e *twice) hear(c net.Conn, first bool) {
	defer c.Close() //nolint:errcheck // the test ends
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	from, bad := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || bad != nil {
		return
	}
	buf := make([]byte, 800)
	for at := 4 * from; !first || at < 4*8000; {
		n, err := r.Read(buf)
		e.mu.Lock()
		if len(e.got) < at+n {
			e.got = append(e.got, make([]byte, at+n-len(e.got))...)
		}
		copy(e.got[at:], buf[:n])
		at += n
		e.away = e.away || first && at >= 4*8000
		e.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// reaches tells whether it has a position.
func (e *twice) reaches(samples int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.got) >= 4*samples
}

func (e *twice) is(away bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.away = away
}

// TestAConsumerThatWasAwayHasTheWholeCallFromItsRecording: longer than its ring, so that what it missed comes from the disk; and somebody who comes late hears the
// call from its beginning. Both have what audio.wav has in the end.
func TestAConsumerThatWasAwayHasTheWholeCallFromItsRecording(t *testing.T) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string][]string{"plain": nil, "encrypted": {id.Recipient().String()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("unix", filepath.Join(t.TempDir(), "asr.sock")) //nolint:noctx // opens at once
			if err != nil {
				t.Fatal(err)
			}
			e := &twice{l: l}
			e.all.Go(func() { e.serve(0) })
			w := newLife(t, lifeSpec{change: func(c *endpoint.Config) {
				c.Record.Recipients, c.Record.Sync = to, 200*time.Millisecond
				c.Media.ArchiveWindow = 500 * time.Millisecond
				c.Stream.Consumers = []stream.Consumer{{
					Name: "asr", Type: stream.TypeUnix, Address: l.Addr().String(), Per: stream.PerCall, First: "{from}", CatchUp: true, Buffer: time.Second, Overlap: time.Second,
				}}
			}})
			c := w.start(ringsim.CallSpec{Agent: "108"})
			w.until("it has had a second, and has left", func() bool { return e.reaches(8000) })
			w.talk(c, 4*time.Second) // longer than a plain recording's ring
			e.is(false)
			w.until("it has more than it had", func() bool { return e.reaches(4 * 8000) })
			var late bytes.Buffer
			listened := make(chan error, 1)
			go func() {
				listened <- w.ep.Listen(t.Context(), "", "", stream.ListenConfig{Since: time.Hour, Format: stream.FormatS16LE}, &late)
			}()
			w.talk(c, time.Second)
			w.hangUp(c)
			if err := <-listened; err != nil {
				t.Errorf("listen: %v", err)
			}
			_ = l.Close()
			e.all.Wait()
			dirs, err := filepath.Glob(filepath.Join(w.dir, "2*", "*", "*", "*"))
			if err != nil || len(dirs) != 1 {
				t.Fatalf("%v, recordings: %q", err, dirs)
			}
			want := stereo(t, dirs[0], id)
			compare(t, "the consumer", len(e.got)/4, len(want)/4, func(i int, _ bool) bool {
				l, r := sample(e.got, 2*i), sample(e.got, 2*i+1)
				return (l == 0 || l == sample(want, 2*i)) && (r == 0 || r == sample(want, 2*i+1))
			})
			compare(t, "the listener", late.Len()/2, len(want)/4, func(i int, live bool) bool {
				v, l, r := sample(late.Bytes(), i), sample(want, 2*i), sample(want, 2*i+1)
				sum := int16(max(-32768, min(32767, int(l)+int(r)))) //nolint:gosec // a sample
				return v == sum || live && (v == 0 || v == l || v == r)
			})
			b, err := os.ReadFile(filepath.Join(dirs[0], "events.jsonl"))
			if err != nil || strings.Contains(string(b), "stream_dropped") {
				t.Errorf("%v, something was lost: %s", err, b)
			}
		})
	}
}

// stereo gives the samples of a recording.
func stereo(t *testing.T, dir string, id recorder.Identity) []byte {
	t.Helper()
	x, err := recorder.OpenExport(dir, recorder.ExportConfig{Identities: []recorder.Identity{id}})
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close() //nolint:errcheck // only read
	var b bytes.Buffer
	if err := x.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()[bytes.Index(b.Bytes(), []byte("data"))+8:]
}

// sample is the i-th of s16le.
func sample(b []byte, i int) int16 { return int16(binary.LittleEndian.Uint16(b[2*i:])) } //nolint:gosec // a sample

// compare wants what somebody has, a group of samples at a time, to be what the recording has, from when the tracks have their places. same compares a group; live tells that it may come from what
// is live: where the machine had no time for packets, that is silence.
func compare(t *testing.T, who string, got, want int, same func(i int, live bool) bool) {
	t.Helper()
	if got < want-8000 || want < 6*8000 {
		t.Fatalf("%s: %d samples, want about %d", who, got, want)
	}
	for i := 2 * 8000; i < min(got, want); i++ {
		if !same(i, i > 4*8000) {
			t.Fatalf("%s: sample %d of %d is not the recording's", who, i, got)
		}
	}
}

// TestWithoutARecordingNobodyCatchesUp, which is told at the start.
func TestWithoutARecordingNobodyCatchesUp(t *testing.T) {
	cfg := endpoint.Config{Devices: []endpoint.Device{{}}, Stream: stream.Config{Consumers: []stream.Consumer{{Command: []string{"cat"}}, {Command: []string{"cat"}, CatchUp: true}}}}
	if _, err := endpoint.New(cfg); err == nil || !strings.Contains(err.Error(), "stream[1]: catch_up: nothing is recorded") {
		t.Errorf("got %v", err)
	}
}
