package offer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/earshot/earshot/sip/offer"
)

// TestWhatAStrictParserRefusesIsRead: each text is one call that must not be lost.
func TestWhatAStrictParserRefusesIsRead(t *testing.T) {
	whole := head("198.51.100.9") + "m=audio 4000 RTP/AVP 0\r\n"
	for name, text := range map[string]string{
		"LF":                     strings.ReplaceAll(whole, "\r\n", "\n"),
		"CR":                     strings.ReplaceAll(whole, "\r\n", "\r"),
		"no last line end":       strings.TrimSpace(whole),
		"leading blank lines":    "\r\n\r\n" + whole,
		"no s=":                  strings.Replace(whole, "s=-\r\n", "", 1),
		"no t=":                  strings.Replace(whole, "t=0 0\r\n", "", 1),
		"no o=":                  strings.Replace(whole, "o=- 1 1 IN IP4 198.51.100.9\r\n", "", 1),
		"o= with five fields":    strings.Replace(whole, "o=- 1 1", "o=- 1", 1),
		"o= with a name in two":  strings.Replace(whole, "o=-", "o=first last", 1),
		"o= beyond 64 bit":       strings.Replace(whole, "o=- 1 1", "o=- 99999999999999999999999 -4", 1),
		"blanks round the sign":  strings.Replace(whole, "s=-", "s = call", 1),
		"a= before t=":           strings.Replace(whole, "t=0 0", "a=tool:x\r\nt=0 0", 1),
		"c= twice":               strings.Replace(whole, "t=0 0", "c=IN IP4 203.0.113.1\r\nt=0 0", 1),
		"unknown letters":        whole + "q=1\r\nA=2\r\n",
		"broken b=":              strings.Replace(whole, "t=0 0", "b=AS:\r\nb=64\r\nt=0 0", 1),
		"junk c= on the line":    whole + "c=junk\r\n",
		"ATM c= on the line":     whole + "c=ATM NSAP 47\r\n",
		"rest of a multipart":    whole + "\r\n--b\r\nContent-Type: text/plain\r\n\r\nm=audio\r\n",
		"NUL and bad UTF-8":      whole + "a=x\x00y\xff\r\n",
		"unknown attribute line": whole + "nonsense\r\n",
		"TTL in c=":              strings.Replace(whole, "c=IN IP4 198.51.100.9", "c=IN IP4 198.51.100.9/127", 1),
		"number of ports":        strings.Replace(whole, "4000", "4000/2", 1),
		"bad port beside":        whole + "m=audio -1 RTP/AVP 0\r\nm=audio 65536 RTP/AVP 0\r\n",
		"line without formats":   whole + "m=audio 4002 FOO\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := negotiate(t, text, offer.Policy{}, nil).Streams()
			if len(s) != 1 || s[0].Remote.String() != "198.51.100.9:4000" {
				t.Errorf("got %+v, want one stream to 198.51.100.9:4000", s)
			}
		})
	}
}

func TestWhatIsNotSDPIsASyntaxError(t *testing.T) {
	for name, tc := range map[string]struct {
		text  string
		large bool
	}{
		"empty":          {"", false},
		"text":           {"hello\r\nv=0\r\n", false},
		"version 1":      {"v=1\r\n", false},
		"short m=":       {"v=0\r\nm=audio\r\n", false},
		"too large":      {"v=0\r\n" + strings.Repeat("a=x\r\n", 8000), true},
		"too many lines": {head("198.51.100.9") + strings.Repeat("m=audio 4000 RTP/AVP 0\r\n", 33), true},
	} {
		_, err := offer.Parse([]byte(tc.text))
		var syntax *offer.SyntaxError
		if !errors.As(err, &syntax) || errors.Is(err, offer.ErrTooLarge) != tc.large {
			t.Errorf("%s: got %v, want a SyntaxError, too large: %t", name, err, tc.large)
		}
	}
}

func TestTooManyLinesStopsAt32(t *testing.T) {
	o, err := offer.Parse([]byte(head("198.51.100.9") + strings.Repeat("m=audio 4000 RTP/AVP 0\r\n", 32)))
	if err != nil || o.Lines() != 32 {
		t.Errorf("32 lines: got %v", err)
	}
}

func FuzzNegotiate(f *testing.F) {
	f.Add([]byte(head("198.51.100.9")+secure(4000, keyA)), []byte(head("198.51.100.9")+secure(4000, keyB)))
	f.Add([]byte("--b\n\nv=0\nm=image 1 udptl t38\nm=audio 1 RTP/AVP 0\nc=IN IP4 1.2.3.4\n--b--"), []byte("v=0"))
	f.Add([]byte("v=0\rc=IN IP6 ::\rm=audio 1 UDP/TLS/RTP/SAVPF 96 72\ra=rtpmap:96 pcma/8000\ra=mid:\x00x\ri=a\rparty-id=b"), []byte(""))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		x := fuzzOne(t, first, nil)
		if x = fuzzOne(t, second, x); x == nil {
			return
		}
		if y, err := x.Reoffer(); err == nil {
			_, _ = y.Answered(first)
		}
	})
}

// fuzzOne answers body. What holds for every body: as many m= lines out as in, and our own text is SDP that we can answer.
func fuzzOne(t *testing.T, body []byte, prev *offer.Exchange) *offer.Exchange {
	o, err := offer.Parse(body)
	if err != nil {
		return prev
	}
	x, err := o.Negotiate(offer.Policy{}, prev)
	if err != nil {
		return prev
	}
	if err = x.SetLocal(locals(x)); err != nil {
		t.Fatalf("SetLocal: %v", err)
	}
	text := x.Marshal()
	if n := strings.Count("\r\n"+string(text), "\r\nm="); n != o.Lines() {
		t.Fatalf("%d m= lines for %d:\n%s", n, o.Lines(), text)
	}
	back, err := offer.Parse(text)
	if err != nil || back.Lines() != o.Lines() {
		t.Fatalf("our own text: %v\n%s", err, text)
	}
	if _, err := back.Negotiate(offer.Policy{}, nil); err != nil && len(x.Streams()) > 0 {
		t.Fatalf("our own text cannot be answered: %v\n%s", err, text)
	}
	for _, s := range x.Streams() {
		if s.SendKey == nil != (s.RecvKey == nil) || len(s.Payloads) == 0 {
			t.Fatalf("stream %+v", s)
		}
	}
	return x
}

func ExampleOffer_Negotiate() {
	o, err := offer.Parse([]byte("v=0\r\no=- 1 1 IN IP4 198.51.100.9\r\ns=-\r\nc=IN IP4 198.51.100.9\r\nt=0 0\r\n" +
		"m=audio 42898 RTP/AVP 111 0\r\ni=s-1 party-id=p-7\r\na=rtpmap:111 opus/48000/2\r\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	x, err := o.Negotiate(offer.Policy{}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range x.Streams() {
		fmt.Println(s.Party, s.Remote, s.Payloads[0].Codec)
	}
	// Output: p-7 198.51.100.9:42898 PCMU
}
