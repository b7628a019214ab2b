package peertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zaf/g711"
)

// twilioEvent is a line of judge-twilio.mjs.
type twilioEvent struct {
	Event, Name string
	Port        int
	Message     struct {
		StreamSid string
		Start     struct {
			CustomParameters struct{ Call, Party, Role string }
		}
	}
}

func twilioEvents(p *process, event string) (out []twilioEvent) {
	for s := bufio.NewScanner(strings.NewReader(p.out.String())); s.Scan(); {
		var e twilioEvent
		if json.Unmarshal(s.Bytes(), &e) == nil && e.Event == event {
			out = append(out, e)
		}
	}
	return out
}

// OpenAI's adapter for Twilio Media Streams takes our streams for Twilio's: what it sends on to OpenAI is each party's track, to the sample.
func TestConsumersOfTwilioMediaStreamsWorkUnchanged(t *testing.T) {
	needModules(t, "@openai/agents", "@openai/agents-extensions", "ws")
	t.Parallel()
	heard := t.TempDir()
	judge := start(t, judgesDir, []string{"PATH=" + os.Getenv("PATH"), "OUT=" + heard}, "node", "judge-twilio.mjs")
	eventually(t, 20*time.Second, "the adapter listens", func() bool { return len(twilioEvents(judge, "listening")) == 1 })
	_, sim := startSim(t, "--every", "4s")

	dir := t.TempDir()
	file := filepath.Join(dir, "earshot.yaml")
	config := fmt.Sprintf("%s\nrecord: {dir: %q}\nconsole: {listen: off}\nstream: [{type: twilio, url: \"ws://127.0.0.1:%d/media\"}]\n",
		sim.out.String(), filepath.Join(dir, "recordings"), twilioEvents(judge, "listening")[0].Port)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	e := earshot{dir: filepath.Join(dir, "recordings")}
	e.process = start(t, dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, earshotBinary(), "run", "-c", file)
	eventually(t, time.Minute, "six streams have ended", func() bool {
		if e.ended() {
			t.Fatalf("earshot ended: %v\n%s", e.err, e.log.String())
		}
		return len(twilioEvents(judge, "stop")) >= 6
	})
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	e.wait(t, 15*time.Second)
	compared := 0
	for _, s := range twilioEvents(judge, "start") {
		who := s.Message.Start.CustomParameters
		for _, f := range e.folders(t, "") {
			if samePartyHeard(t, f, who.Call, who.Party, filepath.Join(heard, s.Name+".ulaw")) {
				compared++
			}
		}
	}
	if compared < 6 || strings.Contains(judge.log.String(), "adapter:") {
		t.Errorf("%d streams compared, want 6 or more\n%s", compared, judge.log.String())
	}
}

// samePartyHeard compares what the adapter got with a party's track in a recording; false: that is another call's, or the file is not whole.
func samePartyHeard(t *testing.T, folder, call, party, file string) bool {
	t.Helper()
	got, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	b, err := os.ReadFile(filepath.Join(folder, "recording.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Call   struct{ ID string }
		Tracks []struct {
			PartyID string `json:"party_id"`
			Channel int
			Offset  int `json:"offset_samples"`
			Samples int
			Spans   []span
		}
	}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	if m.Call.ID != call {
		return false
	}
	for _, k := range m.Tracks {
		if k.PartyID != party || k.Channel < 0 {
			continue
		}
		audio, err := readWAV(filepath.Join(folder, "audio.wav"))
		if err != nil {
			t.Fatal(err)
		}
		want := make([]byte, 0, k.Samples)
		for _, v := range audio[k.Channel][k.Offset : k.Offset+k.Samples] {
			want = append(want, g711.EncodeUlawFrame(v))
		}
		if len(k.Spans) == 0 && !bytes.Equal(got, want) {
			t.Errorf("call %s, party %s: the adapter got %d samples, the recording has %d, or others", call, party, len(got), len(want))
		}
		return len(k.Spans) == 0
	}
	return false
}
