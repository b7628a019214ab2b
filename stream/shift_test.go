package stream_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/stream"
)

const (
	kills = 20
	// minePackets is what a call has in these tests: 24 s, of which the ring holds one.
	minePackets = 1200
)

// tape is the recording of a call of feed's, as far as it was fed.
type tape struct {
	mu      sync.Mutex
	packets int64
	masked  int64 // samples from 0 on; they are silence
	reads   int
	given   int64 // samples
}

func (a *tape) Open(v stream.Voice) stream.Shelf { return &tapeShelf{a, v} }
func (*tape) Behind() time.Duration              { return time.Second }

type tapeShelf struct {
	*tape
	voice stream.Voice
}

func (*tapeShelf) Close() {}

// Read has what was fed but for the newest 20 packets.
func (s *tapeShelf) Read(pos int64, pcm []int16) (n, gone int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	of := []media.TrackID{s.voice.Track}
	if s.voice.Channels == 2 {
		of = []media.TrackID{2, 1}
	}
	n = int(min(int64(len(pcm)/len(of)), max(0, s.packets-20)*ptime-pos))
	for i := range max(0, n) {
		for c, k := range of {
			pcm[i*len(of)+c] = value(k, pos+int64(i))
			if pos+int64(i) < s.masked {
				pcm[i*len(of)+c] = 0
			}
		}
	}
	s.given += int64(max(0, n))
	return max(0, n), 0
}

// speakOn feeds a call of minePackets, as fast as it may be, with a sweep of half a second at a time, and ends it.
func (a *tape) speakOn(s media.Sink, each time.Duration, until func() bool) {
	tick := time.NewTicker(each)
	defer tick.Stop()
	for i := int64(0); i < minePackets && !until(); i += 25 {
		feed(s, 2, i, i+25)
		a.mu.Lock()
		a.packets = i + 25
		a.mu.Unlock()
		<-tick.C
	}
	s.End(call.Cause{Code: call.CodeHangup})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.packets += 20 // it is sealed
}

// book is what a consumer that is killed again and again has of a call, as it keeps it: each piece at the position that it was told.
type book struct {
	mu    sync.Mutex
	got   map[string][]byte // by track
	have  map[string][]bool
	conns int
	wrong string
}

// put notes octets of a track from a position on, in octets.
func (b *book) put(track string, at int64, octets []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.got == nil {
		b.got, b.have = map[string][]byte{}, map[string][]bool{}
	}
	for int64(len(b.got[track])) < at+int64(len(octets)) {
		b.got[track], b.have[track] = append(b.got[track], 0), append(b.have[track], false)
	}
	for i, o := range octets {
		j := at + int64(i)
		if b.have[track][j] && b.got[track][j] != o && b.wrong == "" {
			b.wrong = fmt.Sprintf("%s: octet %d was %d, then %d", track, j, b.got[track][j], o)
		}
		b.got[track][j], b.have[track][j] = o, true
	}
}

// conn numbers a new connection, from 0.
func (b *book) conn() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conns++
	return b.conns - 1
}

func (b *book) conned() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.conns
}

// check compares what it has of a track with all that there was.
func (b *book) check(t *testing.T, track string, want []byte) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wrong != "" {
		t.Error(b.wrong)
	}
	for i, h := range b.have[track] {
		if !h {
			t.Fatalf("%s: octet %d is missing", track, i)
		}
	}
	if !bytes.Equal(b.got[track], want) {
		t.Errorf("%s: %d octets that are not the call's %d", track, len(b.got[track]), len(want))
	}
}

// shifted plays a call to a consumer that catches up.
func shifted(t *testing.T, c stream.Consumer, killed func() bool, outlets int) {
	t.Helper()
	c.CatchUp, c.Buffer = true, time.Second
	h, stop := start(t, c)
	stream.Calm(h)
	told := new(record)
	a := new(tape)
	s := h.Open(info(), stream.Options{Notify: told.notify, Archive: a})
	a.speakOn(s, 20*time.Millisecond, func() bool { return false })
	eventuallyAll(t, "the consumer has died often enough, and has the rest", func() bool {
		return killed() && strings.Count(told.reasons(), "call_ended") == outlets
	})
	stop()
	for name, c := range h.Consumers() {
		if c.CaughtUpSamples != a.given {
			t.Errorf("%s: counted %d samples from the recording, want %d", name, c.CaughtUpSamples, a.given)
		}
	}
	if n := h.Totals().DroppedSamples; n != 0 || a.reads == 0 {
		t.Errorf("%d samples lost, the archive was read %d times", n, a.reads)
	}
}

// eventuallyAll waits long: a catching up is bounded in its pace, and the machine may be busy.
func eventuallyAll(t *testing.T, what string, cond func() bool) {
	t.Helper()
	waitWithin(t, 4*time.Minute, what, cond)
}

// TestAProgramThatIsKilledTwentyTimesHasEverySample: it keeps what it reads at the position that it was told, kills itself in the midst of what it was given,
// and is started anew.
func TestAProgramThatIsKilledTwentyTimesHasEverySample(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var b book
	// What a process wrote is in OUT/N.FROM; it has read some more by then, and that is lost with it.
	script := `n=$(ls "$OUT" | wc -l); f="$OUT/$n.$CALL_FROM_SAMPLES"; : > "$f"; if [ "$n" -lt ` + strconv.Itoa(kills) + ` ]; then head -c 9000 > "$f"; sleep 0.01; kill -9 $$; fi; exec cat > "$f"`
	shifted(t, stream.Consumer{Command: sh(script), Per: stream.PerCall, Env: map[string]string{"OUT": dir}, MaxRestarts: 2 * kills, Overlap: 2 * time.Second}, func() bool { return true }, 1)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != kills+1 {
		t.Fatalf("%v, %d processes, want %d", err, len(files), kills+1)
	}
	for _, f := range files {
		_, from, _ := strings.Cut(f.Name(), ".")
		at, err := strconv.ParseInt(from, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		b.put("call", 4*at, read(t, filepath.Join(dir, f.Name())))
	}
	b.check(t, "call", wanted(minePackets*ptime, 2, 1))
}

// TestASocketThatIsCutTwentyTimesHasEverySample, of a unix socket and of TCP: the first line tells where the audio begins. What stands in the kernel when it is cut was never read.
func TestASocketThatIsCutTwentyTimesHasEverySample(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			at := map[string]string{"unix": filepath.Join(t.TempDir(), "asr.sock"), "tcp": "127.0.0.1:0"}[network]
			l, err := net.Listen(network, at) //nolint:noctx // opens at once
			if err != nil {
				t.Fatal(err)
			}
			var b book
			var all sync.WaitGroup
			all.Go(func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					all.Go(func() { hear(c, &b, b.conn()) })
				}
			})
			shifted(t, stream.Consumer{Type: network, Address: l.Addr().String(), Per: stream.PerCall, First: "{from}"}, func() bool { return b.conned() > kills }, 1)
			_ = l.Close()
			all.Wait()
			b.check(t, "call", wanted(minePackets*ptime, 2, 1))
		})
	}
}

// hear notes what a connection brings; the first of them leave after some of it, with what they had read ahead.
func hear(c net.Conn, b *book, n int) {
	defer c.Close() //nolint:errcheck // the test ends
	r := bufio.NewReaderSize(c, 8<<10)
	line, err := r.ReadString('\n')
	from, bad := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil || bad != nil {
		return
	}
	buf := make([]byte, 4000)
	for i := int64(0); n >= kills || i < 5; i++ {
		m, err := io.ReadFull(r, buf)
		b.put("call", 4*from+4000*i, buf[:m])
		if err != nil {
			return
		}
	}
}

func TestAWebSocketThatIsCutTwentyTimesHasEverySample(t *testing.T) {
	t.Parallel()
	e := listenWS(t, func(n int, h *heard) bool {
		return (n >= kills || len(h.audio) < 20000) && (len(h.texts) == 0 || h.texts[len(h.texts)-1] != "bye")
	})
	shifted(t, stream.Consumer{
		Type: stream.TypeWebSocket, URL: e.url + "?from={from}", First: `{"from":{from}}`, Last: "bye", Format: stream.FormatMulaw, Per: stream.PerCall,
	}, func() bool { return len(e.got()) > kills }, 1)
	var b book
	for _, h := range e.got() {
		if len(h.texts) == 0 {
			continue // it was cut before that
		}
		from, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(h.texts[0], `{"from":`), "}"), 10, 64)
		if err != nil || h.query != "from="+strconv.FormatInt(from, 10) {
			t.Fatalf("%v, query %q, text %q", err, h.query, h.texts[0])
		}
		b.put("call", 2*from, h.audio)
	}
	b.check(t, "call", mulaw(wanted(minePackets*ptime, 2, 1)))
}

func TestATwilioConsumerThatIsCutTwentyTimesHasEverySample(t *testing.T) {
	t.Parallel()
	e := listenWS(t, func(n int, h *heard) bool {
		return (n >= kills || len(h.texts) < 200) && !strings.Contains(h.texts[len(h.texts)-1], `"event":"stop"`)
	})
	shifted(t, stream.Consumer{Type: stream.TypeTwilio, URL: e.url, Per: stream.PerCall}, func() bool { return len(e.got()) > kills }, 1)
	var b book
	for _, h := range e.got() {
		for _, m := range twilioMessages(t, h.texts) {
			if m.Event != "media" {
				continue
			}
			ms, err := strconv.ParseInt(m.Media.Timestamp, 10, 64)
			octets, bad := base64.StdEncoding.DecodeString(m.Media.Payload)
			if err != nil || bad != nil {
				t.Fatal(err, bad)
			}
			b.put(m.Media.Track, ms*8, octets)
		}
	}
	b.check(t, "inbound", mulaw(wanted(minePackets*ptime, 2)))
	b.check(t, "outbound", mulaw(wanted(minePackets*ptime, 1)))
}

// TestAConsumerThatCrawlsHasAllOfTheCallInItsTime: it reads slower than is spoken, loses nothing, and the call's end does not cut it off.
func TestAConsumerThatCrawlsHasAllOfTheCallInItsTime(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "slow")
	script := `for i in 1 2 3 4 5 6 7 8 9 10; do head -c 40000 >> "$OUT"; sleep 0.2; done; cat >> "$OUT"`
	shifted(t, stream.Consumer{Command: sh(script), Per: stream.PerCall, Env: map[string]string{"OUT": file}}, func() bool { return true }, 1)
	if got := read(t, file); !bytes.Equal(got, wanted(minePackets*ptime, 2, 1)) {
		t.Errorf("%d octets that are not the call's %d", len(got), 4*minePackets*ptime)
	}
}

// TestTheExampleOfTheDocsHasEachSampleOnce: the program of docs/streaming.md is killed up to 20 times.
func TestTheExampleOfTheDocsHasEachSampleOnce(t *testing.T) {
	t.Parallel()
	page := string(read(t, "../docs/streaming.md"))
	_, rest, _ := strings.Cut(page, "[sh, -c, 'exec dd")
	command, _, ok := strings.Cut(rest, "']")
	if !ok {
		t.Fatal("the page has no such example")
	}
	dir := t.TempDir()
	command = "exec dd" + strings.ReplaceAll(command, "/var/asr/$CALL_ID", dir+"/call")
	// Some die early, some when they are in the midst of it.
	killer := `echo >> "$OUT"; n=$(wc -l < "$OUT"); if [ "$n" -le ` + strconv.Itoa(kills) + ` ]; then (sleep 0.0$((n % 7)); kill -9 $$) & fi; `
	shifted(t, stream.Consumer{
		Command: sh(killer + command), Per: stream.PerCall, Env: map[string]string{"OUT": filepath.Join(dir, "starts")}, MaxRestarts: 2 * kills,
	}, func() bool { return true }, 1)
	if n := len(read(t, filepath.Join(dir, "starts"))); n < 3 { // one that has all may end before its killer wakes
		t.Errorf("%d processes: it was not killed", n)
	}
	if got := read(t, filepath.Join(dir, "call.raw")); !bytes.Equal(got, wanted(minePackets*ptime, 2, 1)) {
		t.Errorf("%d octets that are not the call's %d", len(got), 4*minePackets*ptime)
	}
}
