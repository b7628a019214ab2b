package offer_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/earshot/earshot/sip/offer"
)

func lateOffer(t *testing.T, p offer.Policy, sec bool) *offer.Exchange {
	t.Helper()
	x, err := offer.NewOffer(p, sec)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.SetLocal(locals(x)); err != nil {
		t.Fatal(err)
	}
	return x
}

func TestLateOfferIsCompletedByItsAnswer(t *testing.T) {
	x := lateOffer(t, offer.Policy{}, false)
	const want = "m=audio 20000 RTP/AVP 0 8 101\n"
	if !strings.Contains(blank(x.Marshal()), want) {
		t.Errorf("our offer:\n%s\nwant in it %s", x.Marshal(), want)
	}
	if s := x.Streams(); len(s) != 1 || s[0].Remote.IsValid() || s[0].RecvKey != nil {
		t.Errorf("before the answer: %+v", s)
	}
	y, err := x.Answered([]byte(head("198.51.100.9") + "m=audio 4000 RTP/AVP 8 101\r\ni=s-1 party-id=p-1\r\na=rtpmap:101 telephone-event/8000\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := y.Streams()[0]
	if s.Remote.String() != "198.51.100.9:4000" || s.Silence != 8 || s.Party != "p-1" || len(s.Payloads) != 2 {
		t.Errorf("after the answer: %+v", s)
	}
	if !bytes.Equal(x.Marshal(), y.Marshal()) {
		t.Error("our SDP changed by the answer")
	}
}

func TestLateOfferOnTLSLeavesTheChoiceOfSRTP(t *testing.T) {
	x := lateOffer(t, offer.Policy{}, true)
	if !strings.Contains(string(x.Marshal()), " RTP/AVP ") || !strings.Contains(string(x.Marshal()), "a=crypto:1 ") {
		t.Errorf("our offer:\n%s\nwant RTP/AVP with a=crypto", x.Marshal())
	}
	plain, err := x.Answered([]byte(head("198.51.100.9") + "m=audio 4000 RTP/AVP 0\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if s := plain.Streams()[0]; s.RecvKey != nil || s.SendKey != nil {
		t.Errorf("answered without a key: %+v", s)
	}
	secured, err := x.Answered([]byte(head("198.51.100.9") + strings.Replace(secure(4000, keyA), "RTP/SAVP", "RTP/AVP", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if s := secured.Streams()[0]; s.RecvKey == nil || s.SendKey == nil {
		t.Errorf("answered with a key: %+v", s)
	}
}

func TestLateOfferWithSRTPNeedsTheirKey(t *testing.T) {
	x := lateOffer(t, offer.Policy{OfferSRTP: true}, true)
	if !strings.Contains(string(x.Marshal()), " RTP/SAVP ") {
		t.Errorf("our offer:\n%s\nwant RTP/SAVP", x.Marshal())
	}
	y, err := x.Answered([]byte(head("198.51.100.9") + secure(4000, keyA)))
	if err != nil {
		t.Fatal(err)
	}
	s := y.Streams()[0]
	if s.RecvKey == nil || s.SendKey == nil || s.RecvKey.Master.Reveal() != "1234567890123456" || s.SendKey != x.Streams()[0].SendKey {
		t.Errorf("keys: %+v, %+v", s.RecvKey, s.SendKey)
	}
	for name, answer := range map[string]string{
		"no key":       "m=audio 4000 RTP/SAVP 0\r\n",
		"other tag":    strings.ReplaceAll(secure(4000, keyA), "crypto:1", "crypto:2"),
		"plain":        "m=audio 4000 RTP/AVP 0\r\n",
		"refused":      "m=audio 0 RTP/SAVP 0\r\n",
		"no lines":     "",
		"other format": strings.ReplaceAll(secure(4000, keyA), "SAVP 0", "SAVP 9"),
	} {
		if _, err := x.Answered([]byte(head("198.51.100.9") + answer)); !errors.Is(err, offer.ErrNothingUsable) {
			t.Errorf("%s: got %v, want ErrNothingUsable", name, err)
		}
	}
	var syntax *offer.SyntaxError
	if _, err := x.Answered([]byte("rubbish")); !errors.As(err, &syntax) {
		t.Errorf("rubbish: got %v, want a SyntaxError", err)
	}
}

func TestAnswerThatRenumbersACodecIsUnderstood(t *testing.T) {
	x := lateOffer(t, offer.Policy{}, false)
	y, err := x.Answered([]byte(head("198.51.100.9") + "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 PCMU/8000\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := y.Streams()[0]
	if s.Silence != 96 || len(s.Payloads) != 2 || s.Payloads[0].Number != 0 || s.Payloads[1].Number != 96 {
		t.Errorf("got %v, silence %d; want 0 and 96, silence 96", s.Payloads, s.Silence)
	}
}

func TestReofferIsOurLastDescription(t *testing.T) {
	first := negotiate(t, head("198.51.100.9")+secure(4000, keyA)+"m=audio 0 RTP/SAVP 0\r\n", offer.Policy{}, nil)
	again, err := first.Reoffer()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Marshal(), again.Marshal()) {
		t.Errorf("got\n%s\nwant\n%s", again.Marshal(), first.Marshal())
	}
	if s := again.Streams()[0]; !s.Remote.IsValid() || s.RecvKey == nil {
		t.Errorf("what is in force is lost before the answer: %+v", s)
	}
	y, err := again.Answered([]byte(head("198.51.100.10") + secure(5000, keyB)))
	if err != nil {
		t.Fatal(err)
	}
	if s := y.Streams()[0]; s.Remote.String() != "198.51.100.10:5000" || s.RecvKey.Master.Reveal() != "abcdefghijklmnop" {
		t.Errorf("after the answer: %+v", s)
	}
	if _, err := first.Answered([]byte(head("198.51.100.10"))); err == nil {
		t.Error("Answered on an exchange that they offered: no error")
	}
}

func TestReofferDoesNotMakeTheirHoldOurs(t *testing.T) {
	held := negotiate(t, head("198.51.100.9")+"m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n", offer.Policy{}, nil)
	again, err := held.Reoffer()
	if err != nil {
		t.Fatal(err)
	}
	if got := string(again.Marshal()); !strings.Contains(got, "a=sendrecv") || !strings.Contains(got, " 2 IN IP4 ") {
		t.Errorf("got\n%s\nwant a=sendrecv and version 2", got)
	}
}
