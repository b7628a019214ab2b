package sip

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// note adds a message of a call.
func note(l *ladders, id, start, more string) {
	l.note([]byte(start+"\r\nCall-ID: "+id+"\r\n"+more+"\r\n"), Step{Peer: "192.0.2.1:5060", Net: "UDP"})
}

func TestLadderKeepsTheFirstMessagesAndTheNewest(t *testing.T) {
	var l ladders
	for i := range 100 {
		note(&l, "x", fmt.Sprintf("INFO sip:%d SIP/2.0", i), "")
	}
	got, ok := l.get("x")
	if !ok || len(got.Steps) != maxSteps || got.Omitted != 100-maxSteps {
		t.Fatalf("%d steps, %d omitted", len(got.Steps), got.Omitted)
	}
	if first, kept, next := got.Steps[0].Start(), got.Steps[keepSteps-1].Start(), got.Steps[keepSteps].Start(); first != "INFO sip:0 SIP/2.0" ||
		kept != "INFO sip:15 SIP/2.0" || next != "INFO sip:68 SIP/2.0" {
		t.Errorf("kept %s ... %s, %s ...", first, kept, next)
	}
}

func TestRepeatedMessageIsOneStep(t *testing.T) {
	var l ladders
	for range 11 {
		note(&l, "x", "INVITE sip:a SIP/2.0", "")
	}
	note(&l, "x", "ACK sip:a SIP/2.0", "")
	got, _ := l.get("x")
	if len(got.Steps) != 2 || got.Steps[0].Again != 10 || got.Steps[0].Last.Before(got.Steps[0].At) {
		t.Errorf("got %+v", got.Steps)
	}
	if text := got.String(); !strings.Contains(text, "10 times more") {
		t.Errorf("got %s", text)
	}
}

func TestLaddersAreBoundedAndThoseOfLiveCallsStay(t *testing.T) {
	var l ladders
	l.pin("live")
	note(&l, "live", "INVITE sip:a SIP/2.0", "")
	for i := range 3 * maxLadders {
		note(&l, fmt.Sprint("loose", i), "INVITE sip:a SIP/2.0", "")
	}
	if n := len(l.ids()); n != maxLadders+1 {
		t.Errorf("%d ladders, want %d", n, maxLadders+1)
	}
	if got, ok := l.get("live"); !ok || len(got.Steps) != 1 || !got.Live {
		t.Errorf("the live call's: %v %+v", ok, got)
	}
	if _, ok := l.get("loose0"); ok {
		t.Error("the oldest is still there")
	}
	l.unpin("live")
	for i := range maxLadders {
		note(&l, fmt.Sprint("later", i), "INVITE sip:a SIP/2.0", "")
	}
	if _, ok := l.get("live"); ok {
		t.Error("a call that is over is kept for ever")
	}
}

func TestTextOfLaddersIsBounded(t *testing.T) {
	var l ladders
	big := "X: " + strings.Repeat("a", 1000) + "\r\n"
	for i := range 100 {
		id := fmt.Sprint("live", i)
		l.pin(id)
		for j := range maxSteps {
			note(&l, id, fmt.Sprintf("INFO sip:%d SIP/2.0", j), strings.Repeat(big, 9))
		}
	}
	sum := 0
	for _, id := range l.ids() {
		r, _ := l.get(id)
		for _, s := range r.Steps {
			sum += len(s.Text)
		}
	}
	if sum != l.text || sum > maxLadderText+100*maxSteps*100 {
		t.Errorf("%d octets kept, counted %d, want %d at most", sum, l.text, maxLadderText)
	}
	if r, _ := l.get("live99"); len(r.Steps) != maxSteps || r.Steps[maxSteps-1].Text != "INFO sip:47 SIP/2.0" {
		t.Errorf("the last call has %d steps", len(r.Steps))
	}
}

const secretMessage = "INVITE sip:200:pw0secret@b SIP/2.0\r\nCall-ID: x\r\nTo: \"T\" <sips:a:pw1secret@b>\r\n" +
	"Authorization: Digest username=\"802\", realm=\"r, s\", nonce=\"pw2secret\", uri=\"sip:b\", response=\"pw3secret\",\r\n cnonce=\"pw4secret\", qop=auth, nc=00000001\r\n" +
	"PROXY-AUTHORIZATION : Basic pw5secret\r\nWWW-Authenticate:Digest nonce=\"pw6secret\",realm=\"x\",stale=true\r\nX-Key: a inline:pw7secret|1:4 b\r\n" +
	"Content-Type: application/sdp\r\n\r\n" +
	"v=0\r\nk=clear:pw8secret\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:pw9secret|2^31\r\nA=CRYPTO:2\tX\tINLINE:pw10secret\r\na=ice-pwd:pw11secret\r\na=key-mgmt:mikey pw12secret\r\nm=audio 1 RTP/AVP 0\r\n"

func TestLadderHasNoSecrets(t *testing.T) {
	got := redacted([]byte(secretMessage))
	if i := strings.Index(got, "secret"); i >= 0 {
		t.Errorf("a secret in %s", got)
	}
	for _, want := range []string{
		"INVITE sip:200:***@b SIP/2.0\n", "<sips:a:***@b>", `realm="r`, "qop=auth", "nc=00000001", "stale=true", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***\n",
		"m=audio 1 RTP/AVP 0\n", "inline:*** b\n", "k=***\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q: %s", want, got)
		}
	}
}

func TestLadderHasNoDigitsNorWhatPeopleWrite(t *testing.T) {
	for kind, body := range map[string]string{
		"application/dtmf-relay": "Signal=4111\r\nDuration=100\r\n", "text/plain": "a=4111", "multipart/mixed;boundary=x": "--x\r\nContent-Type: text/plain\r\n\r\n4111\r\n--x--\r\n",
	} {
		got := redacted([]byte("INFO sip:a SIP/2.0\r\nCall-ID: x\r\nc: " + kind + "\r\n\r\n" + body))
		if strings.Contains(got, "4111") || !strings.Contains(got, "octets]") {
			t.Errorf("%s: %s", kind, got)
		}
	}
}

func FuzzRedacted(f *testing.F) {
	f.Add([]byte(secretMessage))
	for _, b := range tortureFiles(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := redacted(b)
		if len(got) > maxStepText+3*maxShownLine+100 {
			t.Errorf("%d octets of %d", len(got), len(b))
		}
		if !utf8.ValidString(got) || strings.ContainsAny(strings.ReplaceAll(got, "\n", ""), "\x00\x07\x1b\r\x7f") {
			t.Errorf("not fit to be shown: %q", got)
		}
		low := strings.ToLower(got)
		for _, part := range strings.Split(low, "inline:")[1:] {
			if !strings.HasPrefix(part, cutOut) {
				t.Errorf("a key in %q", got)
			}
		}
		_ = Ladder{CallID: "x", Steps: []Step{{At: time.Unix(1, 0), Text: got}}}.String()
	})
}
