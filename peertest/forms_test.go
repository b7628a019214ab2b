package peertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sdpWith is sdpPlain with other m= lines.
func sdpWith(media string) string {
	head, _, _ := strings.Cut(sdpPlain, "m=")
	return head + media
}

const (
	sippKey      = "inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw"
	sippOtherKey = "inline:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0"
)

func sippSRTP(key string) string {
	return sdpWith("m=audio [auto_media_port] RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 " + key + "\n")
}

// What sipp sends as a caller, through Kamailio, and what must come back. Each form is a call of its own.
var sippForms = map[string]func() *script{
	"100rel is required": func() *script {
		return new(script).invite("Require: 100rel\nSupported: 100rel", sdpPlain).answered("Contact: <sip:").ack().bye("")
	},
	"late offer without an answer": func() *script {
		return new(script).invite("", "").answered("m=audio [0-9]+ RTP/AVP 0 8 101").ack().hears("BYE", "")
	},
	"late offer": func() *script {
		return new(script).invite("", "").answered("m=audio [0-9]+ RTP/AVP 0 8 101").in("ACK", "", sdpPlain).bye("")
	},
	"the same INVITE by another way": func() *script {
		const other = "z9hG4bKmerged[call_number]"
		s := new(script).invite("", sdpPlain)
		s.xml(`  <recv response="100" optional="true"/>`)
		s.xml(`  <recv response="200" rrs="true"><action><ereg regexp="tag=([^;[:space:]]+)" search_in="hdr" header="To:" check_it="true" assign_to="found,tag"/></action></recv>`)
		s.ack()
		s.message(` retrans="500"`, "INVITE sip:[service]@sip.test", "<sip:[service]@sip.test>", "1 INVITE", other, "", sdpPlain)
		s.xml(`  <recv response="100" optional="true"/>`)
		s.xml(`  <recv response="482"/>`)
		s.message("", "ACK sip:[service]@sip.test", "[last_To:]", "1 ACK", other, "", "")
		s.message(` retrans="500"`, "BYE [next_url]", "<sip:[service]@sip.test>;tag=[$tag]", "2 BYE", "[branch]", "[routes]", "")
		return s.recv(200, "")
	},
	"the ACK comes late": func() *script { // sipp passes over the copies of our 200 that come meanwhile
		return new(script).invite("", sdpPlain).answered("").pause(2 * time.Second).ack().bye("")
	},
	"requests of the dialog": func() *script {
		s := new(script).invite("", sdpPlain).answered("").ack()
		s.in("OPTIONS", "", "").recv(200, "Supported: timer")
		s.in("INFO", "Content-Type: application/dtmf-relay", "Signal=5\nDuration=160\n").recv(200, "")
		s.in("INFO", "Info-Package: foo\nContent-Type: text/plain", "x\n").recv(469, "Recv-Info: nil")
		s.in("NOTIFY", "Event: talk\nSubscription-State: active", "").recv(200, "")
		s.in("NOTIFY", "Event: foo\nSubscription-State: active", "").recv(489, "Allow-Events")
		s.in("MESSAGE", "Content-Type: text/plain", "hello\n").recv(405, "Allow: INVITE")
		s.in("REFER", "Refer-To: <sip:elsewhere@sip.test>", "").recv(603, "")
		s.in("SUBSCRIBE", "Event: dialog\nExpires: 60", "").recv(489, "")
		s.in("PRACK", "RAck: 1 1 INVITE", "").recv(405, "")
		s.in("UPDATE", "", "").recv(200, "Contact: <sip:")
		s.in("FOO", "", "").recv(501, "Allow: INVITE")
		return s.bye("Reason: Q.850;cause=16;text=\"normal\"")
	},
	"re-INVITE to another port, back, and an UPDATE": func() *script {
		s := new(script).invite("", sdpPlain).answered("o=- [0-9]+ 1 ").ack()
		s.in("INVITE", "", sdpWith("m=audio 40000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\n")).answered("o=- [0-9]+ 1 ").ack()
		s.in("INVITE", "", sdpPlain).answered("o=- [0-9]+ 1 ").ack()
		s.in("UPDATE", "", sdpWith("m=audio 40002 RTP/AVP 8\n")).recv(200, "o=- [0-9]+ 2 ")
		return s.bye("")
	},
	"re-INVITE without SDP": func() *script {
		s := new(script).invite("", sdpPlain).answered("").ack()
		return s.in("INVITE", "", "").answered("o=- [0-9]+ 1 ").in("ACK", "", sdpPlain).bye("")
	},
	"re-INVITE that can't be served leaves the call": func() *script {
		s := new(script).invite("", sdpPlain).answered("").ack()
		s.in("INVITE", "", sdpWith("m=audio 40000 RTP/AVP 9\n")).xml(`  <recv response="100" optional="true"/>`)
		s.recv(488, "Warning: 304")
		s.message("", "ACK [next_url]", "<sip:[service]@sip.test>[peer_tag_param]", s.last+" ACK", "[branch-1]", "[routes]", "")
		return s.in("OPTIONS", "", "").recv(200, "").bye("")
	},
	"re-key": func() *script {
		s := new(script).invite("", sippSRTP(sippKey)).answered("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:").ack()
		s.in("INVITE", "", sippSRTP(sippKey)).answered("o=- [0-9]+ 1 ").ack()
		s.in("INVITE", "", sippSRTP(sippOtherKey)).answered("o=- [0-9]+ 2 ").ack()
		return s.bye("")
	},
	"several lines, one of each kind": func() *script {
		return new(script).invite("", sdpWith("m=audio 40000 RTP/AVP 0\nm=image 40002 udptl t38\nm=audio 40004 RTP/AVP 8\nm=video 0 RTP/AVP 96\nm=audio 40006 RTP/AVP 0\na=inactive\n")).
			answered("m=image 0 udptl t38").ack().bye("")
	},
	"SDP within a multipart": func() *script {
		body := "--b1\nContent-Type: application/sdp\n\n" + sdpPlain + "--b1\nContent-Type: text/plain\n\nhello\n--b1--\n"
		return new(script).invite("Content-Type: multipart/mixed;boundary=b1", body).answered("m=audio [0-9]+ RTP/AVP 0 101").ack().bye("")
	},
	"session timer, their turn": func() *script {
		const timer = "Supported: timer\nSession-Expires: 90;refresher=uac"
		s := new(script).invite(timer, sdpPlain).answered("Session-Expires: 90;refresher=uac").ack()
		s.in("UPDATE", timer, "").recv(200, "Session-Expires: 90;refresher=uac")
		return s.in("INVITE", timer, sdpPlain).answered("Session-Expires: 90;refresher=uac").ack().bye("")
	},
	"session interval too small": func() *script {
		return new(script).invite("Supported: timer\nSession-Expires: 60", sdpPlain).refused(422, "Min-SE: 90")
	},
	"what is required is not known": func() *script {
		return new(script).invite("Require: siprec", sdpPlain).refused(420, "Unsupported: siprec")
	},
	"no codec in common": func() *script {
		return new(script).invite("", sdpWith("m=audio 40000 RTP/AVP 9\n")).refused(488, "Warning: 304")
	},
	"DTLS only": func() *script {
		return new(script).invite("", sdpWith("m=audio 40000 UDP/TLS/RTP/SAVPF 0\na=fingerprint:sha-256 AA:BB\na=setup:actpass\n")).refused(488, "")
	},
	"a body that is no SDP": func() *script {
		return new(script).invite("Content-Type: text/plain", "hello\n").refused(415, "Accept: application/sdp")
	},
	"SDP that is none": func() *script { return new(script).invite("", "hello\n").refused(400, "") },
	"Replaces of nobody": func() *script {
		return new(script).invite("Replaces: nobody;to-tag=a;from-tag=b", sdpPlain).refused(481, "")
	},
	"a person is wanted": func() *script {
		return new(script).invite("Answer-Mode: Manual;require", sdpPlain).refused(403, "")
	},
	"nobody asks for auto-answer": func() *script { return new(script).invite("", sdpPlain).answered("").ack().bye("") },
}

func TestSippFormsOfInviteAndDialog(t *testing.T) {
	need(t, "sipp", "kamailio", "ip")
	t.Parallel()
	kam := kamailio(t)
	e := startEarshot(t, kam, "230", "udp")
	t.Run("forms", func(t *testing.T) {
		for name, form := range sippForms {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				sippCall{script: form(), user: e.user, law: ulaw, limit: "20s", dir: t.TempDir()}.run(t)
			})
		}
	})
	eventually(t, 15*time.Second, "no call left", func() bool { return len(e.folders(t, ".partial")) == 0 })
	e.stop(t)
}

// Each form of auto-answer, where policy answers only who asks for it.
func TestSippAutoAnswerIsAskedForInEveryForm(t *testing.T) {
	need(t, "sipp", "kamailio", "ip")
	t.Parallel()
	e := startEarshot(t, kamailio(t), "231", "tls", "sip.answer=asked")
	for i, header := range []string{
		"Alert-Info: Auto Answer", "Alert-Info: <http://pbx.test>;info=alert-autoanswer;delay=0", "Alert-Info: Ring Answer",
		"Call-Info: <sip:pbx.test>;answer-after=0", "Call-Info: <KyOAG0RTd5fP..>;purpose=info;Answer-After=0", "Answer-Mode: Auto", "Priv-Answer-Mode: Auto;require",
	} {
		s := new(script).invite(header, sdpPlain)
		if i >= 5 {
			s.answered("Answer-Mode: Auto").ack().bye("")
		} else {
			s.answered("").ack().bye("")
		}
		sippCall{script: s, user: e.user, law: ulaw, limit: "20s", dir: t.TempDir()}.run(t)
	}
	for _, header := range []string{"Subject: hello", "Alert-Info: <http://pbx.test/ring.wav>", "Answer-Mode: Manual"} {
		sippCall{script: new(script).invite(header, sdpPlain).refused(480, ""), user: e.user, law: ulaw, limit: "20s", dir: t.TempDir()}.run(t)
	}
	e.recordings(t, 7)
	e.stop(t)
}

func TestSippCallsBeyondMaxCallsAreBusy(t *testing.T) {
	need(t, "sipp", "kamailio", "ip")
	t.Parallel()
	e := startEarshot(t, kamailio(t), "232", "tcp", "sip.max_calls=1")
	dir := t.TempDir()
	first := sippCall{script: new(script).invite("", sdpPlain).answered("").ack().pause(3 * time.Second).bye(""), user: e.user, law: ulaw, limit: "20s", dir: dir}
	p := first.start(t)
	eventually(t, 10*time.Second, "the first call is up", func() bool { return len(e.folders(t, ".partial")) == 1 })
	sippCall{script: new(script).invite("", sdpPlain).refused(486, ""), user: e.user, law: ulaw, limit: "20s", dir: t.TempDir()}.run(t)
	first.await(t, p)
	e.recordings(t, 1)
	sippCall{script: new(script).invite("", sdpPlain).answered("").ack().bye(""), user: e.user, law: ulaw, limit: "20s", dir: t.TempDir()}.run(t)
	e.recordings(t, 2)
	e.stop(t)
}

// A transfer with Replaces: one call, one folder, the old dialog gets its BYE.
func TestSippReplacesGoesOnInTheSameRecording(t *testing.T) {
	need(t, "sipp", "kamailio", "ip", "sh")
	t.Parallel()
	e := startEarshot(t, kamailio(t), "233", "tls")
	old := new(script).invite("", sdpPlain)
	old.xml(`  <recv response="100" optional="true"/>`)
	old.xml(`  <recv response="200" rrs="true"><action>
    <ereg regexp="tag=([^;[:space:]]+)" search_in="hdr" header="To:" check_it="true" assign_to="found,totag"/>
    <ereg regexp="tag=([^;[:space:]]+)" search_in="hdr" header="From:" check_it="true" assign_to="found,fromtag"/>
    <ereg regexp="[^[:space:]]+$" search_in="hdr" header="Call-ID:" check_it="true" assign_to="id"/>
    <exec command="echo '[$id];to-tag=[$totag];from-tag=[$fromtag]' > replaces.tmp && mv replaces.tmp replaces"/>
  </action></recv>`)
	old.ack().hears("BYE", "")
	first := sippCall{script: old, user: e.user, law: ulaw, limit: "20s", dir: t.TempDir()}
	p := first.start(t)
	var replaces string
	eventually(t, 10*time.Second, "the first call has told its dialog", func() bool {
		b, _ := os.ReadFile(filepath.Join(first.dir, "replaces"))
		replaces = strings.TrimSpace(string(b))
		return replaces != "" && len(e.folders(t, ".partial")) == 1
	})
	dir, octets := t.TempDir(), sequence(70, 50*samplesPerPacket)
	pcap(t, filepath.Join(dir, "audio.pcap"), packets(octets, ulaw, wrapsSoon))
	next := new(script).invite("Replaces: "+replaces+"\nP-Asserted-Identity: <sip:+12055550101@sip.test>", sdpPlain).answered("").ack()
	next.xml(`  <nop><action><exec play_pcap_audio="audio.pcap"/></action></nop>`)
	sippCall{script: next.pause(2 * time.Second).bye(""), user: e.user, law: ulaw, limit: "20s", dir: dir}.run(t)
	first.await(t, p)
	r := e.recordings(t, 1)[0]
	if len(r.manifest.Call.SIPCallIDs) != 2 {
		t.Errorf("dialogs of the recording: %q, want both", r.manifest.Call.SIPCallIDs)
	}
	for _, k := range r.manifest.Tracks {
		if k.Counts.ReceivedSamples > 0 {
			r.wantExact(t, k, 0, ulaw.decode16(octets))
		}
	}
	events := r.events(t)
	id, _, _ := strings.Cut(replaces, ";")
	for _, want := range []string{fmt.Sprintf(`"replaces":%q`, id), `"cause":"replaced"`, `"asserted":["\u003csip:+12055550101@sip.test\u003e"]`} {
		if !strings.Contains(events, want) {
			t.Errorf("no %s in\n%s", want, events)
		}
	}
	e.stop(t)
}

func TestSippKeysInClearAreTold(t *testing.T) {
	need(t, "sipp", "kamailio", "ip")
	t.Parallel()
	kam := kamailio(t)
	for i, transport := range []string{"udp", "tls"} {
		e := startEarshot(t, kam, fmt.Sprint(234+i), transport)
		s := new(script).invite("", sippSRTP(sippKey)).answered("").ack().pause(time.Second).bye("") // a BYE that overtakes the ACK ends what was no call
		sippCall{script: s, user: e.user, law: ulaw, limit: "20s", dir: t.TempDir()}.run(t)
		events := e.recordings(t, 1)[0].events(t)
		if told := strings.Contains(events, `"keys_in_clear":true`); told != (transport == "udp") {
			t.Errorf("%s: told that the keys came in clear: %t", transport, told)
		}
		e.stop(t)
	}
}

// The far side acknowledges and is never heard again, nor does it hear: its session of 90 s ends without its refresh, ours
// reaches nobody, and the record says so.
func TestSippDeadCallIsFoundAndItsRecordingSealed(t *testing.T) {
	need(t, "sipp", "kamailio", "ip")
	t.Parallel()
	e := startEarshot(t, kamailio(t), "236", "tls")
	s := new(script).invite("Supported: timer\nSession-Expires: 90;refresher=uac", sdpPlain).answered("Session-Expires: 90;refresher=uac").ack()
	sippCall{script: s, user: e.user, law: ulaw, limit: "20s", dir: t.TempDir()}.run(t)
	if n := len(e.folders(t, ".partial")); n != 1 {
		t.Fatalf("%d calls are up, want 1", n)
	}
	eventually(t, 110*time.Second, "the recording is sealed", func() bool { return len(e.folders(t, ".partial")) == 0 })
	r := e.recordings(t, 1)[0]
	if events := r.events(t); !strings.Contains(events, `"cause":"session_expired"`) {
		t.Errorf("no cause session_expired in\n%s", events)
	}
	e.stop(t)
}

// events gives the recording's events.jsonl.
func (r recording) events(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.folder, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
