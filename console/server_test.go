package console_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/console"
)

type source console.Snapshot

func (s source) Snapshot() console.Snapshot { return console.Snapshot(s) }

// serve runs a console and gives its address.
func serve(t *testing.T, s console.Snapshot) string {
	t.Helper()
	c, err := console.New(console.Config{Listen: "127.0.0.1:0", Source: source(s), Version: "v1.2.3", Revision: "abc"})
	if err != nil {
		t.Fatal(err)
	}
	run(t, c.Run)
	return c.Addr().String()
}

func get(t *testing.T, addr, path string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestHealthSaysWhyNot(t *testing.T) {
	well := console.Check{Name: "registered", OK: true, Text: "sip.example:5061"}
	for name, c := range map[string]struct {
		snapshot console.Snapshot
		path     string
		code     int
		body     string
	}{
		"ready":     {console.Snapshot{Checks: []console.Check{well, {Name: "disk", OK: true}}}, "/readyz", 200, "ok registered: sip.example:5061\nok disk\n"},
		"not ready": {console.Snapshot{Checks: []console.Check{well, {Name: "logged in", Text: "401: invalid\njwt"}}}, "/readyz", 503, "ok registered: sip.example:5061\nFAIL logged in: 401: invalid jwt\n"},
		"beginning": {console.Snapshot{}, "/readyz", 503, "FAIL starting: nothing is known yet\n"},
		"alive":     {console.Snapshot{SweepAge: 20 * time.Millisecond}, "/livez", 200, "ok sweep: 20ms ago\n"},
		"idle":      {console.Snapshot{SweepAge: -1}, "/livez", 200, "ok sweep: not yet\n"},
		"hung":      {console.Snapshot{SweepAge: 7 * time.Second}, "/livez", 503, "FAIL sweep: 7s ago\n"},
		"root":      {console.Snapshot{}, "/", 200, "earshot: /livez /readyz /metrics; with the token of console.auth: /status /events /calls/any/audio.wav\n"},
		"elsewhere": {console.Snapshot{}, "/etc/passwd", 404, "404 page not found\n"},
	} {
		t.Run(name, func(t *testing.T) {
			code, body := get(t, serve(t, c.snapshot), c.path)
			if code != c.code || body != c.body {
				t.Errorf("%s: got %d %q, want %d %q", c.path, code, body, c.code, c.body)
			}
		})
	}
}

// golden is the contract with whoever draws graphs.
const golden = `earshot_build_info{go="GO",revision="abc",version="v1.2.3"} 1
earshot_calls_ended_total{cause="hangup"} 7
earshot_calls_ended_total{cause="no_media"} 1
earshot_calls_masked{by="pci"} 1
earshot_calls{state="held"} 1
earshot_calls{state="live"} 3
earshot_masks_total{by="pci"} 3
earshot_media_drops_total{reason="stray"} 4
earshot_media_samples_total{kind="lost"} 160
earshot_media_samples_total{kind="received"} 800000
earshot_media_sweep_age_seconds 0.02
earshot_media_tracks 6
earshot_media_tracks_quality{quality="best"} 5
earshot_media_tracks_quality{quality="poor"} 1
earshot_recorder_disk_fault 1
earshot_recorder_disk_free_bytes 1e+09
earshot_recorder_disk_level 1
earshot_recorder_erasures_oldest_seconds 3600
earshot_recorder_erasures_waiting 1
earshot_recorder_errors_total 2
earshot_recorder_lost_lines_total 2
earshot_recorder_moved_total 2
earshot_recorder_open_recordings 3
earshot_recorder_repaired_total 5
earshot_recorder_sync_seconds 0.25
earshot_recorder_unwritten_samples_total 80
earshot_sip_accounts 2
earshot_sip_events_total{event="register_sent"} 12
earshot_sip_registered 1
earshot_stream_answers_total{what="final"} 12
earshot_stream_answers_total{what="malformed"} 1
earshot_stream_consumer_caught_up_samples_total{consumer="asr"} 4000
earshot_stream_consumer_connected{consumer="asr"} 1
earshot_stream_consumer_connections_total{consumer="asr"} 3
earshot_stream_consumer_dropped_samples_total{consumer="asr"} 7000
earshot_stream_consumer_lag_seconds{consumer="asr"} 0.5
earshot_stream_consumer_reconnects_total{consumer="asr"} 2
earshot_stream_consumer_sent_octets_total{consumer="asr"} 64000
earshot_stream_dropped_samples_total 8000
earshot_stream_given_up_total 1
earshot_stream_late_samples_total 320
earshot_stream_programs 4
earshot_stream_refused_total 6
earshot_stream_restarts_total 9
earshot_stream_revoked_samples_total 80
earshot_supervise_logged_in 1
earshot_supervise_requests_total{class="2xx"} 30
earshot_supervise_requests_total{class="429"} 1
earshot_supervise_waiting_calls 8
earshot_unmasks_total{by="pci"} 2
earshot_vault_failures_total{cause="denied"} 4
earshot_vault_oldest_seconds 90
earshot_vault_queue_recordings 3
earshot_vault_recordings_total 7
earshot_vault_sent_bytes_total 5000
earshot_vault_stopped 1
earshot_webhooks_delivered_total 9
earshot_webhooks_failures_total{what="tries"} 2
earshot_webhooks_waiting 1
`

func TestMetricsHaveTheirNames(t *testing.T) {
	addr := serve(t, console.Snapshot{
		SweepAge: 20 * time.Millisecond, Registered: 1, Accounts: 2, Calls: map[string]int64{"live": 3, "held": 1},
		CallsEnded: map[string]int64{"hangup": 7, "no_media": 1}, SIP: map[string]int64{"register_sent": 12},
		MediaSamples: map[string]int64{"received": 800000, "lost": 160}, MediaDrops: map[string]int64{"stray": 4}, Tracks: 6, MediaQuality: map[string]int64{"best": 5, "poor": 1},
		DiskFreeBytes: 1e9, RecorderErrors: 2, Recordings: 3, DiskLevel: 1, DiskFault: true, UnwrittenSamples: 80, LastSync: 250 * time.Millisecond, Repaired: 5, Moved: 2, ErasuresWaiting: 1, ErasuresOldest: time.Hour,
		StreamDroppedSamples: 8000, StreamLateSamples: 320, StreamRevokedSamples: 80, CallsMasked: map[string]int64{"pci": 1}, Masks: map[string]int64{"pci": 3}, Unmasks: map[string]int64{"pci": 2}, StreamPrograms: 4, StreamRestarts: 9, StreamGivenUp: 1, StreamRefused: 6,
		StreamAnswers: map[string]int64{"final": 12, "malformed": 1}, LostLines: 2,
		StreamConsumers: map[string]console.Consumer{"asr": {Connected: 1, Connections: 3, Reconnects: 2, DroppedSamples: 7000, CaughtUpSamples: 4000, SentOctets: 64000, Lag: 500 * time.Millisecond}},
		VaultQueued:     3, VaultOldest: 90 * time.Second, VaultRecordings: 7, VaultSentBytes: 5000, VaultFailures: map[string]int64{"denied": 4}, VaultTrouble: true,
		WebhooksWaiting: 1, WebhooksDelivered: 9, WebhooksFailed: map[string]int64{"tries": 2},
		SuperviseRequests: map[string]int64{"2xx": 30, "429": 1}, SuperviseWaiting: 8, LoggedIn: true,
	})
	code, body := get(t, addr, "/metrics")
	if code != 200 {
		t.Fatalf("got %d: %s", code, body)
	}
	var ours []string
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "earshot_") {
			ours = append(ours, strings.ReplaceAll(line, runtime.Version(), "GO"))
		}
	}
	slices.Sort(ours)
	if got := strings.Join(ours, ""); got != golden {
		t.Errorf("got\n%swant\n%s", got, golden)
	}
	for _, want := range []string{"go_goroutines ", "process_open_fds ", "# TYPE earshot_calls_ended_total counter", "# TYPE earshot_calls gauge"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
	name := regexp.MustCompile(`(?m)^earshot_(\w+)`)
	for _, m := range name.FindAllStringSubmatch(golden, -1) {
		if !strings.Contains(body, "# HELP earshot_"+m[1]+" ") {
			t.Errorf("%s has no help", m[0])
		}
	}
}

func TestLabelsStayBounded(t *testing.T) {
	many := map[string]int64{"bad\xff": 1}
	for i := range 1000 {
		many[strings.Repeat("x", i+1)] = 1
	}
	_, body := get(t, serve(t, console.Snapshot{MediaDrops: many}), "/metrics")
	if got := strings.Count(body, "earshot_media_drops_total{"); got != 65 {
		t.Errorf("%d series, want 64 and other", got)
	}
	if !strings.Contains(body, `earshot_media_drops_total{reason="other"} 937`) {
		t.Error("the rest is not counted as other")
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	addr := serve(t, console.Snapshot{})
	dial := func() net.Conn {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	var conns []net.Conn
	for range 64 {
		conns = append(conns, dial())
	}
	c := dial()
	if err := conns[0].SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := conns[0].Read(make([]byte, 1)); n != 0 || isTimeout(err) {
		t.Errorf("connection 1 of 65: read %d, %v; want it closed", n, err)
	}
	for _, c := range append(conns, c) {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "places are free again", func() bool {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Do(r)
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil
	})
}

func isTimeout(err error) bool {
	t, ok := err.(net.Error) //nolint:errorlint // as it comes from the conn
	return ok && t.Timeout()
}

func TestAPortInUseIsToldAtOnce(t *testing.T) {
	addr := serve(t, console.Snapshot{})
	_, err := console.New(console.Config{Listen: addr, Source: source{}})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v, want address already in use", err)
	}
	if _, err := console.New(console.Config{Listen: addr}); err == nil {
		t.Error("no source: got nil, want an error")
	}
}

func TestCloseWithoutRunFreesThePort(t *testing.T) {
	c, err := console.New(console.Config{Listen: "127.0.0.1:0", Source: source{}})
	if err != nil {
		t.Fatal(err)
	}
	addr := c.Addr().String()
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	c, err = console.New(console.Config{Listen: addr, Source: source{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Run(ctx); err != nil {
		t.Errorf("Run with an ended context: %v", err)
	}
}

func TestWhoOnlyConnectsKeepsNobodyOut(t *testing.T) {
	url := heardAt(t, player{}, token)
	for i := range 200 {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		defer c.Close()
	}
	for range 5 {
		resp, _, err := fetch(t, url+"/livez", "")
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK {
			t.Errorf("got %s", resp.Status)
		}
	}
}

func TestWhoListensKeepsTheirPlace(t *testing.T) {
	on, goOn := make(chan struct{}), make(chan struct{})
	url := heardAt(t, player{func(_ context.Context, _ console.ListenRequest, w io.Writer) error {
		close(on)
		<-goOn
		_, err := io.WriteString(w, "audio")
		return err
	}}, token)
	heard := make(chan string, 1)
	go func() {
		_, body, err := fetch(t, url+"/calls/any/audio.wav", token)
		heard <- fmt.Sprint(body, err)
	}()
	<-on
	for range 100 {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if _, _, err := fetch(t, url+"/livez", ""); err != nil { // all before it were accepted
		t.Fatal(err)
	}
	close(goOn)
	if got := <-heard; got != "audio<nil>" {
		t.Errorf("got %s", got)
	}
}
