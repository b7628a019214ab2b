package peertest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// earshot is the daemon under test, registered at Kamailio as a plain recorder.
type earshot struct {
	*process
	user, dir string
	console   string
}

// startEarshot runs the daemon as user over transport and waits until it is registered. set are further settings, as section.key=value.
func startEarshot(t *testing.T, kam registrar, user, transport string, set ...string) earshot {
	t.Helper()
	port := nextPort()
	return startEarshotWith(t, kam, user, transport, port, fmt.Sprintf("listen_ip: %s, ports: %d-%d", earshotIP, port, port+79), set...)
}

// users says which test has a user of the registrar: two at once would get each other's calls.
var users sync.Map

// startEarshotWith is startEarshot with media settings; ports from port+98 on are the daemon's own.
func startEarshotWith(t *testing.T, kam registrar, user, transport string, port int, media string, set ...string) earshot {
	t.Helper()
	if other, taken := users.LoadOrStore(user, t.Name()); taken && other != t.Name() {
		t.Fatalf("user %s is %s's, which runs at the same time", user, other)
	}
	dir := t.TempDir()
	e := earshot{user: user, dir: filepath.Join(dir, "recordings"), console: fmt.Sprintf("127.0.0.1:%d", port+99)}
	proxy, listen := kam.ip+":5060", ""
	switch transport {
	case "tls":
		proxy = cmp.Or(kam.proxy, kam.ip+":5061")
	case "udp":
		listen = fmt.Sprintf(", listen: %q", fmt.Sprintf("%s:%d", earshotIP, port+98))
	}
	config := fmt.Sprintf(`
sip: {domain: sip.test, outbound_proxy: %q, transport: %s, username: %q, password: "pw-%s", authorization_id: "auth-%s"%s, tls: {ca_file: %q}}
media: {%s}
record: {dir: %q}
console: {listen: %q}
`, proxy, transport, user, user, user, listen, filepath.Join(kam.tls, "ca.pem"), media, e.dir, e.console)
	file := filepath.Join(dir, "earshot.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"run", "-c", file}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	// No environment of the machine's: a RINGCENTRAL_JWT there would make this another test.
	e.process = start(t, dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, earshotBinary(), args...)
	eventually(t, 15*time.Second, "earshot registered over "+transport, func() bool {
		if e.ended() {
			t.Fatalf("earshot ended: %v", e.err)
		}
		return e.ready()
	})
	return e
}

func earshotBinary() string { return filepath.Join(os.Getenv(envInside), "earshot") }

func (e earshot) ready() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.console+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// stop asks the daemon to end, as systemd does, and checks its promises on the way out.
func (e earshot) stop(t *testing.T) {
	t.Helper()
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := e.wait(t, 10*time.Second); code != 0 {
		t.Errorf("exit code after SIGTERM: %d, want 0", code)
	}
	if strings.Contains(e.log.String(), "pw-"+e.user) {
		t.Error("the password is in the log")
	}
	if left := e.folders(t, ".partial"); len(left) > 0 {
		t.Errorf("not sealed: %v", left)
	}
}

// recording is a sealed folder.
type recording struct {
	folder   string
	manifest manifest
	audio    [][]int16 // nil if there is none
}

// manifest is the part of recording.json that the tests look at.
type manifest struct {
	Version  int
	State    string
	Rate     int
	Samples  int64
	Channels []string
	Call     struct {
		ID         string
		SIPCallIDs []string `json:"sip_call_ids"`
	}
	Tracks []track
}

type track struct {
	PartyID       string `json:"party_id"`
	Line, Channel int
	Codec         string
	SRTP          bool
	OffsetSamples int64 `json:"offset_samples"`
	Samples       int64
	Epochs        []struct {
		Pos             int64
		SSRC, Timestamp uint32
		Why             string
	}
	Spans  []span
	Counts struct {
		ReceivedSamples int64 `json:"received_samples"`
		Packets         int64
		LostSamples     int64 `json:"lost_samples"`
		GapSamples      int64 `json:"gap_samples"`
		Stray           int64 `json:"stray_packets"`
		AuthFailed      int64 `json:"auth_failed_packets"`
		Events          int64 `json:"event_packets"`
		Comfort         int64 `json:"comfort_packets"`
		RTCPPackets     int64 `json:"rtcp_packets"`
		RTCPRefused     int64 `json:"rtcp_refused_packets"`
		RTCPSent        int64 `json:"rtcp_sent_packets"`
	}
	Quality quality
}

type span struct {
	Kind         string
	Pos, Samples int64
}

// quality is what the manifest says of a track's way.
type quality struct {
	Expected   int64   `json:"expected_packets"`
	Received   int64   `json:"received_packets"`
	Lost       int64   `json:"lost_packets"`
	Late       int64   `json:"late_packets"`
	Duplicate  int64   `json:"duplicate_packets"`
	Reordered  int64   `json:"reordered_packets"`
	LossRuns   int64   `json:"loss_runs"`
	JitterMS   float64 `json:"jitter_ms"`
	JitterMax  float64 `json:"jitter_max_ms"`
	JitterMean float64 `json:"jitter_mean_ms"`
	LongestRun struct {
		Packets int64
		MS      float64
	} `json:"longest_run"`
	Discarded map[string]int64 `json:"discarded_packets"`
}

// folders lists the recordings whose name ends in suffix; "" means the sealed ones.
func (e earshot) folders(t *testing.T, suffix string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(e.dir, "[0-9]*", "[0-9]*", "[0-9]*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range all {
		if partial := strings.HasSuffix(f, ".partial"); partial == (suffix != "") {
			out = append(out, f)
		}
	}
	return out
}

// recordings waits for n sealed folders and reads them.
func (e earshot) recordings(t *testing.T, n int) []recording {
	t.Helper()
	eventually(t, 10*time.Second, fmt.Sprintf("%d sealed recordings", n), func() bool {
		return len(e.folders(t, "")) >= n && len(e.folders(t, ".partial")) == 0
	})
	var out []recording
	for _, f := range e.folders(t, "") {
		out = append(out, readRecording(t, f))
	}
	if len(out) != n {
		t.Fatalf("%d recordings, want %d", len(out), n)
	}
	return out
}

func readRecording(t *testing.T, folder string) recording {
	t.Helper()
	r := recording{folder: folder}
	b, err := os.ReadFile(filepath.Join(folder, "recording.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err = json.Unmarshal(b, &r.manifest); err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	if r.manifest.Version != 1 || r.manifest.Rate != 8000 {
		t.Errorf("version %d at %d Hz, want 1 at 8000", r.manifest.Version, r.manifest.Rate)
	}
	wav := filepath.Join(folder, "audio.wav")
	if !isFile(wav) {
		return r
	}
	if r.audio, err = readWAV(wav); err != nil {
		t.Fatalf("%s: %v", wav, err)
	}
	if len(r.audio) != len(r.manifest.Channels) || int64(len(r.audio[0])) != r.manifest.Samples {
		t.Errorf("audio.wav: %d channels of %d samples; manifest: %v of %d", len(r.audio), len(r.audio[0]), r.manifest.Channels, r.manifest.Samples)
	}
	return r
}

// track gives the track of an m= line.
func (r recording) track(t *testing.T, line int) track {
	t.Helper()
	for _, k := range r.manifest.Tracks {
		if k.Line == line {
			return k
		}
	}
	t.Fatalf("no track of line %d in %+v", line, r.manifest.Tracks)
	return track{}
}

// event gives the time of the first event of that type.
func (r recording) event(t *testing.T, kind string) time.Time {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.folder, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var e struct {
			Time time.Time
			Type string
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("events.jsonl: %v in %q", err, line)
		}
		if e.Type == kind {
			return e.Time
		}
	}
	t.Fatalf("no event %s", kind)
	return time.Time{}
}

// wantExact fails the test unless want stands whole in the track's channel, from pos of the track on.
func (r recording) wantExact(t *testing.T, k track, pos int64, want []int16) {
	t.Helper()
	if k.Channel < 0 || k.Channel >= len(r.audio) {
		t.Fatalf("line %d has channel %d of %d", k.Line, k.Channel, len(r.audio))
	}
	at := int(k.OffsetSamples + pos)
	runs := place(want, r.audio[k.Channel])
	if len(runs) != 1 || runs[0] != (run{at, 0, len(want)}) {
		t.Errorf("line %d: pieces %v of what was sent, want one: %v (offset %d, spans %+v)",
			k.Line, runs, run{at, 0, len(want)}, k.OffsetSamples, k.Spans)
	}
}
