package peertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// baresip calls user through Kamailio with the samples and hangs up at their end. Its log is given back.
func baresip(t *testing.T, kam registrar, as, user, transport, mediaenc string, samples []int16) string {
	t.Helper()
	dir, port := t.TempDir(), nextPort()
	wav := filepath.Join(dir, "say.wav")
	writeWAV(t, wav, samples)
	err := fill("baresip.conf", filepath.Join(dir, "config"), struct{ Listen, TLS, Audio, RTP, Modules string }{
		fmt.Sprintf("%s:%d", baresipIP, port), kam.tls, wav, fmt.Sprintf("%d-%d", port+10, port+40), baresipModules(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	proxyPort := "5060"
	if transport == "tls" {
		proxyPort = "5061"
	}
	account := fmt.Sprintf(`<sip:%s@sip.test;transport=%s>;auth_user=auth-%s;auth_pass=pw-%s;outbound="sip:%s:%s;transport=%s";regint=600;audio_codecs=PCMU/8000/1`,
		as, transport, as, as, registrarIP, proxyPort, transport)
	if mediaenc != "" {
		account += ";mediaenc=" + mediaenc
	}
	for name, text := range map[string]string{"accounts": account + "\n", "contacts": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seconds := len(samples)/8000 + 6 // it hangs up earlier, when the audio ends
	p := start(t, dir, os.Environ(), "baresip", "-f", dir, "-e", "/dial sip:"+user+"@sip.test", "-t", strconv.Itoa(seconds))
	p.wait(t, time.Duration(seconds+10)*time.Second)
	return p.log.String()
}

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
			e := startEarshot(t, kam, strconv.Itoa(230+i), tc.transport)
			said := ulaw.decode16(sequence(uint64(50+i), 200*samplesPerPacket))
			log := baresip(t, kam, strconv.Itoa(130+i), e.user, tc.transport, tc.mediaenc, said)
			if !strings.Contains(log, "Call established") {
				t.Fatalf("no call:\n%s", log)
			}
			// Against a far side without SRTP, mediaenc=srtp goes on in clear and says nothing.
			if secure := strings.Contains(log, "SRTP is Enabled"); secure != (tc.mediaenc != "") {
				t.Errorf("baresip's SRTP enabled: %t, mediaenc %q", secure, tc.mediaenc)
			}
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
