package sip

import (
	"testing"

	gosip "github.com/emiago/sipgo/sip"
)

func TestAllFormsOfAutoAnswerAreRead(t *testing.T) {
	for _, tc := range []struct {
		uri, header string
		want        answering
	}{
		// RingCentral's, neither of them a URI.
		{"", "Alert-Info: Auto Answer", answering{auto: true}},
		{"", "Call-Info: <KyOAG0RTd5fP1WkxMAuXNw..>;purpose=info;Answer-After=0", answering{auto: true}},
		{"", "Call-Info: ;Answer-After=0", answering{auto: true}},
		// What PBXs send to phones.
		{"", "call-info: <sip:x>; Answer-After = 0", answering{auto: true}},
		{"", "Call-Info: <sip:127.0.0.1>;answer-after=5", answering{auto: true}},
		{"", "Call-Info: <sip:127.0.0.1>;info=alert-autoanswer;delay=0", answering{auto: true}},
		{"", "Alert-Info: <http://pbx.example.com>;info=alert-autoanswer;delay=0", answering{auto: true}},
		{"", "Alert-Info: info=alert-autoanswer", answering{auto: true}},
		{"", "Alert-Info: <http://x/>;answer-after=0", answering{auto: true}},
		{"", "Alert-Info: Ring Answer", answering{auto: true}},
		{"", "Alert-Info: Ring-Answer", answering{auto: true}},
		{";intercom=true", "", answering{auto: true}},
		{";INTERCOM=True;ob", "", answering{auto: true}},
		// RFC 5373.
		{"", "Answer-Mode: Auto", answering{auto: true, mode: true}},
		{"", "Answer-Mode: Auto;require", answering{auto: true, mode: true}},
		{"", "Priv-Answer-Mode: auto", answering{auto: true, mode: true}},
		{"", "Answer-Mode: Manual", answering{mode: true}},
		{"", "Answer-Mode: Manual ; Require", answering{person: true, mode: true}},
		// Nobody asks.
		{"", "Alert-Info: <http://x/ring.wav>", answering{}},
		{"", "Alert-Info: <urn:alert:service:normal>", answering{}},
		{"", "Call-Info: <http://x/photo.jpg>;purpose=icon", answering{}},
		{"", "Call-Info: ;answer-after=soon", answering{}},
		{"", "Call-Info: ;answer-after", answering{}},
		{";intercom=false", "", answering{}},
		{"", "Subject: auto answer", answering{}},
	} {
		text := "INVITE sip:200@127.0.0.1" + tc.uri + " SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nCSeq: 1 INVITE\r\n"
		if tc.header != "" {
			text += tc.header + "\r\n"
		}
		m, err := gosip.ParseMessage([]byte(text + "Content-Length: 0\r\n\r\n"))
		if err != nil {
			t.Fatalf("%s: %v", tc.header, err)
		}
		if got := readAnswering(m.(*gosip.Request)); got != tc.want {
			t.Errorf("%q %q: got %+v, want %+v", tc.uri, tc.header, got, tc.want)
		}
	}
}
