package acceptance

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// taker is a consumer's side of a unix socket.
type taker struct {
	path  string
	taken atomic.Int64 // connections
}

// takes has every connection to a socket served by do, whose context ends with the test.
func takes(t *testing.T, name string, do func(context.Context, net.Conn)) *taker {
	t.Helper()
	k := &taker{path: filepath.Join(folder(t), name)}
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", k.path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			k.taken.Add(1)
			work.Go(func() {
				free := context.AfterFunc(ctx, func() { _ = conn.Close() })
				defer free()
				defer conn.Close() //nolint:errcheck // whatever is left of it
				do(ctx, conn)
			})
		}
	})
	t.Cleanup(func() {
		stop()
		_ = l.Close()
		work.Wait()
	})
	return k
}

// kept is what good consumers got, by the line that each was told first.
type kept struct {
	mu  sync.Mutex
	all map[string][]byte
}

func (k *kept) take(_ context.Context, conn net.Conn) {
	r := bufio.NewReader(conn)
	name, err := r.ReadString('\n')
	if err != nil {
		return
	}
	b, _ := io.ReadAll(r) // what there is
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all[strings.TrimSuffix(name, "\n")] = append(k.all[strings.TrimSuffix(name, "\n")], b...)
}

func (k *kept) of(name string) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all[name]
}

// Those who are no good consumers.
func hang(ctx context.Context, _ net.Conn) { <-ctx.Done() }

func crawl(ctx context.Context, conn net.Conn) {
	for b := make([]byte, 500); pass(ctx, 250*time.Millisecond); {
		if _, err := conn.Read(b); err != nil {
			return
		}
	}
}

func reset(_ context.Context, conn net.Conn) { _, _ = conn.Read(make([]byte, 100)) }

func flood(ctx context.Context, conn net.Conn) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var sending sync.WaitGroup
	sending.Go(func() {
		for b := make([]byte, 64<<10); ctx.Err() == nil; {
			if _, err := conn.Write(b); err != nil {
				return
			}
		}
	})
	_, _ = io.Copy(io.Discard, conn)
	_ = conn.Close()
	sending.Wait()
}

// memoryOfACrowd is what a daemon may grow by with a few calls, whatever their consumers do: rings of 5 s are 80 kB each.
const memoryOfACrowd = 64 << 20

// TestConsumersThatHangCrawlResetOrFloodHurtNobody: a good consumer beside them has every sample, the recordings too, and memory is bounded.
func TestConsumersThatHangCrawlResetOrFloodHurtNobody(t *testing.T) {
	t.Parallel()
	n := 4
	sim := ringCentral(t, n)
	good := kept{all: map[string][]byte{}}
	yaml := string(sim.YAML("tls")) + fmt.Sprintf("stream:\n  - {type: unix, address: %q, first: \"{call} {track}\", message: 20ms}\n", takes(t, "good.sock", good.take).path)
	var bad []*taker
	for name, do := range map[string]func(context.Context, net.Conn){"hang": hang, "crawl": crawl, "reset": reset, "flood": flood} {
		k := takes(t, name+".sock", do)
		yaml += fmt.Sprintf("  - {type: unix, address: %q, buffer: 1s}\n", k.path)
		bad = append(bad, k)
	}
	d := write(t, yaml).runReady(t, quick)
	_, page := d.get("/metrics")
	before := metric(page, "process_resident_memory_bytes")
	calls := begin(t, sim, n, func(i int) ringsim.CallSpec { return ringsim.CallSpec{Law: law(i)} })
	said(t, calls, 8*time.Second)
	_, page = d.get("/metrics")
	if after := metric(page, "process_resident_memory_bytes"); before <= 0 || after <= 0 || after-before > memoryOfACrowd {
		t.Errorf("resident memory: %d MiB before, %d with the crowd, want at most %d more", before>>20, after>>20, memoryOfACrowd>>20)
	}
	oracle.Eventually(t, 30*time.Second, "samples dropped that two of the consumers don't take", func() bool {
		_, page := d.get("/metrics")
		return metric(page, "earshot_stream_dropped_samples_total") > 0
	})
	hangUp(t, calls)
	d.sealed(t, n, 20*time.Second)
	compareAll(t, d, calls)
	for _, k := range bad {
		if k.taken.Load() < int64(2*n) {
			t.Errorf("%s: connected %d times, want once for each track at least", filepath.Base(k.path), k.taken.Load())
		}
	}
	rec := oracle.ByCall(t, d.dir)
	for _, c := range calls {
		for _, s := range c.Streams() {
			wholeAt(t, &good, rec[c.SessionID()], s)
		}
	}
	d.terminate(t)
}

// wholeAt wants a track's samples at its good consumer, from the first to the last.
func wholeAt(t *testing.T, good *kept, r oracle.Recording, s ringsim.Stream) {
	t.Helper()
	sent := s.Sent()
	i := slices.IndexFunc(r.Tracks, func(k oracle.Track) bool { return k.Epochs[0].SSRC == sent[0].SSRC })
	if i < 0 {
		t.Errorf("call %s: no track of %s", r.Call.ID, s.Role)
		return
	}
	name := fmt.Sprintf("%s %d", r.Call.ID, r.Tracks[i].ID)
	oracle.Eventually(t, 30*time.Second, "the end of "+name, func() bool { return len(good.of(name)) > 0 })
	pcm := oracle.S16LE(good.of(name))
	short := oracle.CompareAt(t, "consumer of "+name, pcm, sent[0].Pos, s, time.Now(), time.Now())
	if want := int(sent[len(sent)-1].Pos-sent[0].Pos) + sent[len(sent)-1].Octets; short > 0 || len(pcm) < want {
		t.Errorf("consumer of %s: %d samples, want %d; lacks %v", name, len(pcm), want, short)
	}
}

// TestBenchSetsHostileConsumersBesideGoodOnes is the short form of what docs/performance.md measures. How quick it is says nothing here.
func TestBenchSetsHostileConsumersBesideGoodOnes(t *testing.T) {
	t.Parallel()
	code, out, errs := finish(t, folder(t), 2*time.Minute, "bench", "--delay", "--hostile=3s", "--loss=2", "--calls=8", "--for=2s", "--warm=500ms", "--no-floor", "--json")
	if code != 0 {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	var r struct {
		Steps []struct {
			Lost    int64 `json:"lost_samples"`
			Wrong   int64 `json:"wrong_samples"`
			Streams struct {
				Lost    int64 `json:"lost_samples"`
				Wrong   int64 `json:"wrong_samples"`
				InOrder struct {
					Packets int64
					P99     int64 `json:"p99_ns"`
				} `json:"in_order"`
				Hostile struct {
					Attacks   map[string]int64
					Flooded   int64 `json:"flooded_bytes"`
					RSSBefore int64 `json:"rss_before_bytes"`
					RSSMost   int64 `json:"rss_most_bytes"`
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Steps) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	s := r.Steps[0]
	if x := s.Streams; s.Lost != 0 || s.Wrong != 0 || x.Lost != 0 || x.Wrong != 0 || x.InOrder.Packets == 0 || x.InOrder.P99 <= 0 || len(x.Hostile.Attacks) != 4 {
		t.Errorf("lost, wrong, or not measured: %s", out)
	}
	if h := s.Streams.Hostile; h.Flooded <= 0 || h.Flooded > 64<<20 { // read without a bound, it is gigabytes
		t.Errorf("%d MiB were taken from those who flood, want some, at 256 KiB a second from each of four", h.Flooded>>20)
	}
	if h := s.Streams.Hostile; h.RSSBefore <= 0 || h.RSSMost-h.RSSBefore > memoryOfACrowd {
		t.Errorf("resident memory: %d MiB before, %d at most, want at most %d more", h.RSSBefore>>20, h.RSSMost>>20, memoryOfACrowd>>20)
	}
}
