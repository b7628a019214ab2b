package peertest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zaf/g711"
)

// engineStream is a line of judge-engines.mjs: what a client sent, one of the services' own (by sdk) or earshot.
type engineStream struct {
	Event, By, Host, URL, Authorization, File, Signature string
	Texts, Types                                         []string
	Metadata                                             struct {
		CallSid, Track string
		SampleRate     int
	}
	Octets         int
	Proxy, Jambonz int
}

func engineStreams(p *process, event, by, host string) (out []engineStream) {
	for s := bufio.NewScanner(strings.NewReader(p.out.String())); s.Scan(); {
		var e engineStream
		if json.Unmarshal(s.Bytes(), &e) == nil && e.Event == event && e.By == by && e.Host == host && (event != "stream" || e.Octets > 0) { // else it was given up before it began
			out = append(out, e)
		}
	}
	return out
}

// engineHosts are the services that the judge stands for.
var engineHosts = []string{"api.deepgram.com", "streaming.assemblyai.com", "api.openai.com", "audiohook.test"}

// What earshot's presets and dialects send is what the services' own SDKs send with the same options, and the audio is the recording's, to the sample.
func TestSpeechServicesGetWhatTheirOwnSDKsSend(t *testing.T) {
	needModules(t, "openai", "@deepgram/sdk", "assemblyai", "@jambonz/sdk", "http-message-signatures", "typescript")
	need(t, "openssl")
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	names := "subjectAltName=DNS:" + strings.Join(engineHosts, ",DNS:")
	if start(t, dir, []string{"PATH=" + os.Getenv("PATH")}, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
		"-days", "2", "-subj", "/CN=judge", "-addext", names).wait(t, time.Minute) != 0 {
		t.Fatal("openssl makes no certificate")
	}
	judge := start(t, judgesDir, []string{
		"PATH=" + os.Getenv("PATH"), "OUT=" + t.TempDir(), "CERT=" + cert, "KEY=" + key, "NODE_EXTRA_CA_CERTS=" + cert,
	}, "node", "judge-engines.mjs")
	eventually(t, 2*time.Minute, "the SDKs have been heard", func() bool {
		if judge.ended() {
			t.Fatalf("the judge ended: %v\n%s", judge.err, judge.log.String())
		}
		return len(engineStreams(judge, "ready", "", "")) == 1
	})
	ready := engineStreams(judge, "ready", "", "")[0]
	_, sim := startSim(t, "--every", "4s")

	file := filepath.Join(dir, "earshot.yaml")
	config := fmt.Sprintf(`%s
record: {dir: %q}
console: {listen: off}
stream:
  - {preset: deepgram, secret: made-up, ca_file: %[3]q, buffer: 60s}
  - {preset: assemblyai, secret: made-up, ca_file: %[3]q, buffer: 60s}
  - {type: openai, secret: made-up, ca_file: %[3]q, buffer: 60s}
  - {type: audiohook, url: "wss://audiohook.test/v2?tenant=7", per: call, headers: ["X-API-KEY: key-1"], secret: aHVudGVyMg==, ca_file: %[3]q, buffer: 60s}
  - {preset: jambonz, url: "ws://127.0.0.1:%[4]d/audio", buffer: 60s}
`, sim.out.String(), filepath.Join(dir, "recordings"), cert, ready.Jambonz)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	e := earshot{dir: filepath.Join(dir, "recordings")}
	e.process = start(t, dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, fmt.Sprintf("HTTPS_PROXY=http://127.0.0.1:%d", ready.Proxy)}, earshotBinary(), "run", "-c", file)
	eventually(t, 2*time.Minute, "two calls have been streamed", func() bool {
		if e.ended() {
			t.Fatalf("earshot ended: %v\n%s", e.err, e.log.String())
		}
		return len(engineStreams(judge, "stream", "jambonz", "")) >= 3 && !slices.ContainsFunc(engineHosts, func(host string) bool {
			return len(engineStreams(judge, "stream", "earshot", host)) < 3
		})
	})
	ended := map[string][]engineStream{"jambonz": engineStreams(judge, "stream", "jambonz", "")} // those that the end of everything has not cut short
	for _, host := range engineHosts {
		ended[host] = engineStreams(judge, "stream", "earshot", host)
	}
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	e.wait(t, 30*time.Second)
	calls := readFolders(t, e)
	broken := strings.Contains(e.log.String(), "stream consumer lost") // this machine is too slow for 5 s to be enough: such a stream has pieces
	for _, host := range engineHosts[:3] {
		theirs, ours := engineStreams(judge, "stream", "sdk", host), ended[host]
		if len(theirs) != 1 {
			t.Fatalf("%s: %d streams of its SDK", host, len(theirs))
		}
		for _, s := range ours {
			if broken && len(s.Texts) < len(theirs[0].Texts)-1 { // but for KeepAlive
				continue
			}
			sameClient(t, host, theirs[0], s)
		}
		matchTracks(t, host, ours, calls, broken, mulawOf)
	}
	matchTracks(t, "jambonz", ended["jambonz"], calls, broken, s16Of)
	for _, s := range ended["jambonz"] {
		if s.Metadata.CallSid == "" || s.Metadata.SampleRate != 8000 || s.Metadata.Track == "" {
			t.Errorf("jambonz: metadata %+v", s.Metadata)
		}
	}
	for _, s := range ended["audiohook.test"] {
		if s.Signature != "true" {
			t.Errorf("http-message-signatures says of AudioHook's request: %s", s.Signature)
		}
	}
}

// sameClient compares what earshot sent with what the service's own SDK did.
func sameClient(t *testing.T, host string, theirs, ours engineStream) {
	t.Helper()
	parsed := func(s string) (string, url.Values) {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u.Path, u.Query()
	}
	path, query := parsed(theirs.URL)
	ourPath, ourQuery := parsed(ours.URL)
	if path != ourPath || !reflect.DeepEqual(query, ourQuery) || theirs.Authorization != ours.Authorization {
		t.Errorf("%s: its SDK asks for %s as %s, earshot for %s as %s", host, theirs.URL, theirs.Authorization, ours.URL, ours.Authorization)
	}
	said := func(s engineStream) (all []any) {
		for _, text := range s.Texts {
			var v any
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Errorf("%s: %v: %s", host, err, text)
			}
			if strings.Contains(text, `"KeepAlive"`) { // where nothing was sent for a while: the SDK said one
				continue
			}
			all = append(all, v)
		}
		return all
	}
	if !reflect.DeepEqual(said(theirs), said(ours)) {
		t.Errorf("%s: its SDK says %q, earshot %q", host, theirs.Texts, ours.Texts)
	}
	if len(ours.Types) > 0 {
		t.Errorf("%s: by its types: %q", host, ours.Types)
	}
}

// heardTrack is a track of a recording, as it is heard.
type heardTrack struct {
	clean bool // nothing is missing
	pcm   []int16
}

// readFolders reads the tracks of all recordings.
func readFolders(t *testing.T, e earshot) (all []heardTrack) {
	t.Helper()
	for _, folder := range e.folders(t, "") {
		b, err := os.ReadFile(filepath.Join(folder, "recording.json"))
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			Tracks []struct {
				Channel int
				Offset  int `json:"offset_samples"`
				Samples int
				Spans   []span
			}
		}
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		for _, k := range m.Tracks {
			if k.Channel < 0 || k.Samples == 0 {
				continue
			}
			audio, err := readWAV(filepath.Join(folder, "audio.wav"))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, heardTrack{len(k.Spans) == 0, audio[k.Channel][k.Offset : k.Offset+k.Samples]})
		}
	}
	return all
}

func mulawOf(pcm []int16) (out []byte) {
	for _, v := range pcm {
		out = append(out, g711.EncodeUlawFrame(v))
	}
	return out
}

func s16Of(pcm []int16) (out []byte) {
	for _, v := range pcm {
		out = binary.LittleEndian.AppendUint16(out, uint16(v))
	}
	return out
}

// matchTracks finds each stream among the clean tracks, whole, and sees to it that two or more were compared. A stream of a track of which something is missing is
// concealed there, so it is none of them.
func matchTracks(t *testing.T, who string, streams []engineStream, tracks []heardTrack, broken bool, form func([]int16) []byte) {
	t.Helper()
	compared, odd := 0, 0
	for _, k := range tracks {
		if !k.clean {
			odd++
		}
	}
	for _, s := range streams {
		got, err := os.ReadFile(s.File)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(tracks, func(k heardTrack) bool { return k.clean && bytes.Equal(got, form(k.pcm)) }) {
			compared++
		} else if odd--; odd < 0 && !broken {
			t.Errorf("%s: a stream of %d octets is no track's", who, len(got))
		}
	}
	if compared < 2 {
		t.Errorf("%s: %d of %d streams compared, want two or more", who, compared, len(streams))
	}
}
