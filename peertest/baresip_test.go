package peertest

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// baresipCall is a call of baresip through Kamailio to a user.
type baresipCall struct {
	as, user, transport, mediaenc string
	law                           law // default ulaw
	mux                           bool
	samples                       []int16 // it hangs up at their end
}

// run makes the call. baresip's log is given back.
func (c baresipCall) run(t *testing.T, kam registrar) string {
	t.Helper()
	return c.await(t, c.start(t, kam))
}

func (c baresipCall) start(t *testing.T, kam registrar) *process {
	t.Helper()
	dir, port := t.TempDir(), nextPort()
	wav := filepath.Join(dir, "say.wav")
	writeWAV(t, wav, c.samples)
	mux := "no"
	if c.mux {
		mux = "yes"
	}
	err := fill("baresip.conf", filepath.Join(dir, "config"), struct{ Listen, TLS, Audio, RTP, Modules, Mux string }{
		fmt.Sprintf("%s:%d", baresipIP, port), kam.tls, wav, fmt.Sprintf("%d-%d", port+10, port+40), baresipModules(t), mux,
	})
	if err != nil {
		t.Fatal(err)
	}
	proxyPort := "5060"
	if c.transport == "tls" {
		proxyPort = "5061"
	}
	account := fmt.Sprintf(`<sip:%s@sip.test;transport=%s>;auth_user=auth-%s;auth_pass=pw-%s;outbound="sip:%s:%s;transport=%s";regint=600;audio_codecs=%s/8000/1`,
		c.as, c.transport, c.as, c.as, registrarIP, proxyPort, c.transport, cmp.Or(c.law.name, ulaw.name))
	if c.mediaenc != "" {
		account += ";mediaenc=" + c.mediaenc
	}
	for name, text := range map[string]string{"accounts": account + "\n", "contacts": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return start(t, dir, os.Environ(), "baresip", "-s", "-f", dir, "-e", "/dial sip:"+c.user+"@sip.test", "-t", strconv.Itoa(c.seconds()))
}

// seconds is when it gives up: it hangs up earlier, when the audio ends.
func (c baresipCall) seconds() int { return len(c.samples)/8000 + 6 }

func (c baresipCall) await(t *testing.T, p *process) string {
	t.Helper()
	// Its last word on a call is what RTCP said.
	eventually(t, time.Duration(c.seconds()+10)*time.Second, "baresip's call is over", func() bool {
		return p.ended() || summaryLine.MatchString(p.log.String())
	})
	log := p.log.String()
	if !strings.Contains(log, "Call established") {
		t.Fatalf("no call:\n%s", log)
	}
	// Against a far side without SRTP, mediaenc=srtp goes on in clear and says nothing.
	if secure := strings.Contains(log, "SRTP is Enabled"); secure != (c.mediaenc != "") {
		t.Errorf("baresip's SRTP enabled: %t, mediaenc %q", secure, c.mediaenc)
	}
	return log
}

// summaryLine has packets lost and jitter in ms, of what it received and of what it sent; the latter is what we told it.
var summaryLine = regexp.MustCompile(`EX=BareSip;CS=.*;PL=\d+,(-?\d+);.*;JI=[\d.]+,([\d.]+);`)

func baresipModules(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"/usr/lib/*/baresip/modules/g711.so", "/usr/lib/baresip/modules/g711.so", "/usr/local/lib/baresip/modules/g711.so"} {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return filepath.Dir(found[0])
		}
	}
	t.Fatal("baresip has no g711.so")
	return ""
}

func TestBaresipCallIsRecorded(t *testing.T) {
	need(t, "baresip", "kamailio", "ip")
	t.Parallel()
	kam := kamailio(t)
	for i, tc := range []struct{ transport, mediaenc string }{
		{"udp", ""}, {"tcp", ""}, {"tls", ""}, {"tls", "srtp"}, {"tls", "srtp-mand"}, {"tls", "srtp-mandf"},
	} {
		t.Run(tc.transport+"/"+tc.mediaenc, func(t *testing.T) {
			t.Parallel()
			e := startEarshot(t, kam, strconv.Itoa(270+i), tc.transport)
			said := ulaw.decode16(sequence(uint64(50+i), 200*samplesPerPacket))
			baresipCall{as: strconv.Itoa(130 + i), user: e.user, transport: tc.transport, mediaenc: tc.mediaenc, samples: said}.run(t, kam)
			r := e.recordings(t, 1)[0]
			k := r.track(t, 0)
			if r.manifest.State != "recorded" || k.SRTP != (tc.mediaenc != "") {
				t.Errorf("state %s, srtp %t; want recorded, %t", r.manifest.State, k.SRTP, tc.mediaenc != "")
			}
			checkSaid(t, r, k, said)
			// It sends some RTCP in clear before it has keys: that is refused.
			if c := k.Counts; c.RTCPPackets == 0 || c.RTCPSent == 0 || c.RTCPRefused > 0 && !k.SRTP {
				t.Errorf("RTCP: %+v; want some each way, and none refused that is plain", c)
			}
			e.stop(t)
		})
	}
}

// checkSaid wants what baresip said in one piece. It may swallow some of the end, as it hangs up when its file has been
// read, not when it has been sent.
func checkSaid(t *testing.T, r recording, k track, said []int16) {
	t.Helper()
	if k.Channel < 0 || k.Channel >= len(r.audio) {
		t.Fatalf("channel %d of %d", k.Channel, len(r.audio))
	}
	const lastSamples = 8000
	runs := place(said, r.audio[k.Channel])
	if len(runs) != 1 || runs[0].from != 0 || runs[0].samples < len(said)-lastSamples {
		t.Errorf("pieces %v of %d samples, want one from the first on (spans %+v)", runs, len(said), k.Spans)
	}
}
