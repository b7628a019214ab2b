package peertest

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sippCall is one run of a scenario of testdata/sipp.
type sippCall struct {
	limit          string  // sipp gives up after it; default 60s
	script         *script // instead of a scenario
	scenario, user string
	law            law
	hold           time.Duration // of <pause/>
	calls          int           // default 1, one after the other
	dir            string        // holds audio.pcap
	media          string        // address of the audio; default sippIP
}

// start runs sipp towards Kamailio.
func (c sippCall) start(t *testing.T) *process {
	t.Helper()
	scenario, err := filepath.Abs(filepath.Join("testdata", "sipp", c.scenario+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	if c.script != nil {
		scenario = c.script.file(t, c.dir)
	}
	port := nextPort()
	return start(t, c.dir, os.Environ(), "sipp", "-sf", scenario, "-s", c.user, "-i", sippIP, "-p", strconv.Itoa(port),
		"-mi", cmp.Or(c.media, sippIP), "-mp", strconv.Itoa(port+10), "-m", strconv.Itoa(max(c.calls, 1)), "-l", "1", "-nostdin",
		"-d", strconv.FormatInt(c.hold.Milliseconds(), 10), "-key", "pt", strconv.Itoa(c.law.number), "-key", "codec", c.law.name,
		"-timeout", cmp.Or(c.limit, "60s"), "-timeout_error", "-trace_err", "-error_file", "errors.txt", "-trace_msg", "-message_file", "messages.txt",
		registrarIP+":5060")
}

// run runs the scenario; every call must go as written.
func (c sippCall) run(t *testing.T) {
	t.Helper()
	c.await(t, c.start(t))
}

func (c sippCall) await(t *testing.T, p *process) {
	t.Helper()
	if code := p.wait(t, 70*time.Second); code != 0 {
		why, _ := os.ReadFile(filepath.Join(c.dir, "errors.txt"))
		messages, _ := os.ReadFile(filepath.Join(c.dir, "messages.txt"))
		t.Fatalf("sipp %s: exit code %d\n%s\n%s", c.scenario, code, tail(string(why), 1500), tail(string(messages), 8000))
	}
}

func TestSippCallIsRecordedSampleBySample(t *testing.T) {
	need(t, "sipp", "kamailio", "ip")
	t.Parallel()
	kam := kamailio(t)
	for i, tc := range []struct {
		transport, scenario string
		law                 law
	}{
		{"udp", "call", ulaw},
		{"tcp", "call", alaw},
		{"tls", "call", ulaw},
		{"udp", "late", ulaw},
		{"tcp", "late", alaw},
		{"tls", "late", ulaw},
	} {
		t.Run(tc.scenario+"/"+tc.transport+"/"+tc.law.name, func(t *testing.T) {
			t.Parallel()
			e := startEarshot(t, kam, strconv.Itoa(210+i), tc.transport)
			dir, octets := t.TempDir(), sequence(uint64(i), 200*samplesPerPacket)
			pcap(t, filepath.Join(dir, "audio.pcap"), packets(octets, tc.law, wrapsSoon))
			sippCall{scenario: tc.scenario, user: e.user, law: tc.law, hold: 5 * time.Second, dir: dir}.run(t)
			r := e.recordings(t, 1)[0]
			k := r.track(t, 0)
			if r.manifest.State != "recorded" || k.Codec != tc.law.name || k.SRTP {
				t.Errorf("state %s, codec %s, srtp %t; want recorded, %s, false", r.manifest.State, k.Codec, k.SRTP, tc.law.name)
			}
			r.wantExact(t, k, 0, tc.law.decode16(octets))
			e.stop(t)
			if n := strings.Count(kam.log.String(), "IN REGISTER"); n == 0 || !strings.Contains(kam.log.String(), "from "+tc.transport+":") {
				t.Errorf("Kamailio saw %d REGISTER, none over %s", n, tc.transport)
			}
		})
	}
}

func TestSippHoldAndResumeKeepsTheTimeline(t *testing.T) {
	need(t, "sipp", "kamailio", "ip")
	t.Parallel()
	e := startEarshot(t, kamailio(t), "220", "tls")
	dir := t.TempDir()
	const silent = 2 * 8000 // what the sender's clock says has passed while it held
	before, after := sequence(20, 100*samplesPerPacket), sequence(21, 100*samplesPerPacket)
	pcap(t, filepath.Join(dir, "audio.pcap"), packets(before, ulaw, wrapsSoon))
	pcap(t, filepath.Join(dir, "resumed.pcap"), packets(after, ulaw, wrapsSoon.after(len(before), silent)))
	sippCall{scenario: "hold", user: e.user, law: ulaw, hold: 3 * time.Second, dir: dir}.run(t)
	r := e.recordings(t, 1)[0]
	k := r.track(t, 0)
	r.wantExact(t, k, 0, ulaw.decode16(before))
	r.wantExact(t, k, int64(len(before)+silent), ulaw.decode16(after))
	e.stop(t)
}

func TestSippTwoLinesAreTwoChannels(t *testing.T) {
	need(t, "sipp", "kamailio", "ip", "sh")
	t.Parallel()
	e := startEarshot(t, kamailio(t), "221", "tcp")
	call := sippCall{scenario: "lines", user: e.user, law: ulaw, hold: 6 * time.Second, dir: t.TempDir()}
	p := call.start(t)
	var ports string
	eventually(t, 10*time.Second, "sipp has the answer's two ports", func() bool {
		b, _ := os.ReadFile(filepath.Join(call.dir, "ports"))
		ports = string(b)
		return ports != ""
	})
	var to [2]int
	if _, err := fmt.Sscan(ports, &to[0], &to[1]); err != nil {
		t.Fatalf("ports %q: %v", ports, err)
	}
	customer, agent := sequence(30, 200*samplesPerPacket), sequence(31, 200*samplesPerPacket)
	done := make(chan error, 2)
	go func() { done <- sendRTP(linesPort, to[0], packets(customer, ulaw, wrapsSoon)) }()
	go func() { done <- sendRTP(linesPort+2, to[1], packets(agent, ulaw, rtpStart{1, 1, 2})) }()
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	call.await(t, p)
	r := e.recordings(t, 1)[0]
	if len(r.audio) != 2 || r.manifest.State != "recorded" {
		t.Fatalf("%d channels, state %s; want 2, recorded", len(r.audio), r.manifest.State)
	}
	for line, want := range [][]byte{customer, agent} {
		k := r.track(t, line)
		if k.Channel != line || k.PartyID != [...]string{"p-customer", "p-agent"}[line] {
			t.Errorf("line %d: channel %d, party %q", line, k.Channel, k.PartyID)
		}
		r.wantExact(t, k, 0, ulaw.decode16(want))
	}
	// Both were sent at the same time.
	if d := r.track(t, 0).OffsetSamples - r.track(t, 1).OffsetSamples; d < -samplesPerPacket || d > samplesPerPacket {
		t.Errorf("the two parties are %d samples apart, want within a packet", d)
	}
	e.stop(t)
}

// sendRTP sends a packet each 20 ms from sipp's address to earshot's.
func sendRTP(from, to int, packets [][]byte) error {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(sippIP), Port: from})
	if err != nil {
		return err
	}
	defer c.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, p := range packets {
		if _, err := c.WriteTo(p, &net.UDPAddr{IP: net.ParseIP(earshotIP), Port: to}); err != nil {
			return err
		}
		<-tick.C
	}
	return nil
}

func TestCancelledCallLeavesNothingStuck(t *testing.T) {
	need(t, "sipp", "kamailio", "ip")
	t.Parallel()
	kam := kamailio(t)
	e := startEarshot(t, kam, "222", "udp")
	// earshot answers at once, so CANCEL races with the 200: three races must be won by the CANCEL.
	won := 0
	for tries := 0; won < 3 && tries < 12; tries++ {
		if (sippCall{scenario: "cancel", user: e.user, law: ulaw, limit: "5s", dir: t.TempDir()}).start(t).wait(t, 70*time.Second) == 0 {
			won++
		}
	}
	if won < 3 {
		t.Errorf("%d of 12 calls ended by CANCEL with 487, want 3", won)
	}
	// However each race ended, a 200 that nobody acknowledged included (32 s): nothing is left open, and each record says
	// that there was no media.
	eventually(t, 45*time.Second, "no call left", func() bool { return len(e.folders(t, ".partial")) == 0 })
	for _, f := range e.folders(t, "") {
		if r := readRecording(t, f); r.manifest.State != "no_media" || r.audio != nil {
			t.Errorf("%s: state %s, %d channels; want no_media without audio", filepath.Base(f), r.manifest.State, len(r.audio))
		}
	}
	if !e.ready() {
		t.Error("not ready after the race")
	}
	// And the next call is heard.
	n, dir, octets := len(e.folders(t, "")), t.TempDir(), sequence(40, 50*samplesPerPacket)
	pcap(t, filepath.Join(dir, "audio.pcap"), packets(octets, ulaw, wrapsSoon))
	sippCall{scenario: "call", user: e.user, law: ulaw, hold: 2 * time.Second, dir: dir}.run(t)
	var heard bool
	for _, r := range e.recordings(t, n+1) {
		if r.audio != nil {
			heard = true
			r.wantExact(t, r.track(t, 0), 0, ulaw.decode16(octets))
		}
	}
	if !heard {
		t.Error("the call after the race has no audio")
	}
	e.stop(t)
}
