package offer_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/earshot/earshot/sip/offer"
)

const (
	keyA = "inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw"
	keyB = "inline:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0"
)

func head(addr string) string {
	return "v=0\r\no=- 1 1 IN IP4 " + addr + "\r\ns=-\r\nc=IN IP4 " + addr + "\r\nt=0 0\r\n"
}

func secure(port int, key string) string {
	return fmt.Sprintf("m=audio %d RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 %s\r\n", port, key)
}

// negotiate answers sdp with ports given, as a dialog does.
func negotiate(t *testing.T, sdp string, p offer.Policy, prev *offer.Exchange) *offer.Exchange {
	t.Helper()
	o, err := offer.Parse([]byte(sdp))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	x, err := o.Negotiate(p, prev)
	if err != nil {
		t.Fatalf("Negotiate: %v", err)
	}
	if err := x.SetLocal(locals(x)); err != nil {
		t.Fatalf("SetLocal: %v", err)
	}
	return x
}

func origin(x *offer.Exchange) string { return strings.Split(string(x.Marshal()), "\r\n")[1] }

func TestVersionRisesExactlyWhenOurDescriptionChanges(t *testing.T) {
	first := negotiate(t, head("198.51.100.9")+secure(4000, keyA), offer.Policy{}, nil)
	same := negotiate(t, head("198.51.100.77")+secure(4010, keyA), offer.Policy{}, first) // their address is not in ours
	if !bytes.Equal(first.Marshal(), same.Marshal()) {
		t.Errorf("unchanged answer:\n%s\nwant\n%s", same.Marshal(), first.Marshal())
	}
	held := negotiate(t, head("198.51.100.9")+secure(4000, keyA)+"a=sendonly\r\n", offer.Policy{}, same)
	back := negotiate(t, head("198.51.100.9")+secure(4000, keyA), offer.Policy{}, held)
	want := []string{"1", "2", "3"}
	id := strings.Fields(origin(first))[1]
	for i, x := range []*offer.Exchange{first, held, back} {
		f := strings.Fields(origin(x))
		if f[1] != id || f[2] != want[i] || f[5] != "192.0.2.10" {
			t.Errorf("exchange %d: %s, want session %s, version %s, the first address", i, origin(x), id, want[i])
		}
	}
}

func TestOriginAddressStaysWhenTheMediaAddressMoves(t *testing.T) {
	first := negotiate(t, head("198.51.100.9")+secure(4000, keyA), offer.Policy{}, nil)
	o, _ := offer.Parse([]byte(head("198.51.100.9") + secure(4000, keyA)))
	moved, err := o.Negotiate(offer.Policy{}, first)
	if err != nil {
		t.Fatal(err)
	}
	if err := moved.SetLocal([]offer.Local{{RTP: netip.MustParseAddrPort("192.0.2.99:30000")}}); err != nil {
		t.Fatal(err)
	}
	if got := origin(moved); !strings.HasSuffix(got, " 2 IN IP4 192.0.2.10") {
		t.Errorf("origin: got %q, want the first address and version 2", got)
	}
	if !strings.Contains(string(moved.Marshal()), "c=IN IP4 192.0.2.99\r\n") {
		t.Errorf("no c= of the new address in\n%s", moved.Marshal())
	}
}

func TestOurKeyIsRepeatedOnlyWhileTheirsIsUnchanged(t *testing.T) {
	first := negotiate(t, head("198.51.100.9")+secure(4000, keyA), offer.Policy{}, nil)
	same := negotiate(t, head("198.51.100.9")+secure(4000, keyA), offer.Policy{}, first)
	changed := negotiate(t, head("198.51.100.9")+secure(4000, keyB), offer.Policy{}, same)
	a, b, c := first.Streams()[0].SendKey, same.Streams()[0].SendKey, changed.Streams()[0].SendKey
	if a.Master != b.Master || a.Salt != b.Salt {
		t.Error("key changed although the offer did not")
	}
	if b.Master == c.Master {
		t.Error("key repeated although theirs changed")
	}
	if got := changed.Streams()[0].RecvKey.Master.Reveal(); got != "abcdefghijklmnop" {
		t.Errorf("RecvKey.Master: got %q, want that of the new offer", got)
	}
}

func TestNoTwoLinesShareAKey(t *testing.T) {
	seen := map[string]string{}
	sdp := head("198.51.100.9")
	for i := range 8 {
		sdp += secure(4000+2*i, keyA) // the peer repeats his own: ours still differ
	}
	late, err := offer.NewOffer(offer.Policy{OfferLines: 8}, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []*offer.Exchange{negotiate(t, sdp, offer.Policy{}, nil), negotiate(t, sdp, offer.Policy{}, nil), late} {
		for _, s := range x.Streams() {
			key := s.SendKey.Master.Reveal()
			where := fmt.Sprintf("%p line %d", x, s.Line)
			if other, ok := seen[key]; ok {
				t.Errorf("%s has the key of %s", where, other)
			}
			seen[key] = where
		}
	}
	if len(seen) != 24 {
		t.Errorf("%d keys, want 24", len(seen))
	}
}

func TestClosedLineKeepsItsPlace(t *testing.T) {
	first := negotiate(t, head("198.51.100.9")+"m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 8\r\n", offer.Policy{}, nil)
	next := negotiate(t, head("198.51.100.9")+"m=audio 0 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 8\r\nm=audio 4004 RTP/AVP 0\r\n", offer.Policy{}, first)
	var lines []int
	for _, s := range next.Streams() {
		lines = append(lines, s.Line)
	}
	if diff := cmp.Diff([]int{1, 2}, lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	none := negotiate(t, head("198.51.100.9")+"m=audio 0 RTP/AVP 0\r\nm=audio 0 RTP/AVP 8\r\n", offer.Policy{}, next)
	if len(none.Streams()) != 0 || strings.Count(string(none.Marshal()), "m=audio 0 ") != 2 {
		t.Errorf("all closed by them:\n%s", none.Marshal())
	}
}

func TestPolicyBoundsLinesAndWantsSRTP(t *testing.T) {
	many := head("198.51.100.9") + strings.Repeat("m=audio 4000 RTP/AVP 0 8\r\n", 10)
	if n := len(negotiate(t, many, offer.Policy{}, nil).Streams()); n != 8 {
		t.Errorf("default: %d streams, want 8", n)
	}
	if n := len(negotiate(t, many, offer.Policy{MaxLines: 2}, nil).Streams()); n != 2 {
		t.Errorf("MaxLines 2: %d streams", n)
	}
	if s := negotiate(t, many, offer.Policy{Codecs: []offer.Codec{offer.PCMA}}, nil).Streams()[0]; s.Silence != 8 || len(s.Payloads) != 1 {
		t.Errorf("only PCMA: got %v", s.Payloads)
	}
	o, _ := offer.Parse([]byte(many))
	if _, err := o.Negotiate(offer.Policy{RequireSRTP: true}, nil); !errors.Is(err, offer.ErrNothingUsable) {
		t.Errorf("RequireSRTP with a plain offer: got %v", err)
	}
}

func TestSetLocalRefusesWhatIsNoAddress(t *testing.T) {
	o, _ := offer.Parse([]byte(head("198.51.100.9") + "m=audio 4000 RTP/AVP 0\r\n"))
	x, _ := o.Negotiate(offer.Policy{}, nil)
	for _, l := range [][]offer.Local{nil, {{}}, {{RTP: netip.MustParseAddrPort("0.0.0.0:4000")}}, {{RTP: netip.MustParseAddrPort("192.0.2.1:0")}}, make([]offer.Local, 2)} {
		if err := x.SetLocal(l); err == nil {
			t.Errorf("SetLocal(%v): no error", l)
		}
	}
	if x.Marshal() != nil {
		t.Error("Marshal before SetLocal: want nil")
	}
}

func TestRTCPPortIsNamedWhereItIsNotTheNext(t *testing.T) {
	o, _ := offer.Parse([]byte(head("198.51.100.9") + "m=audio 4000 RTP/AVP 0\r\n"))
	x, _ := o.Negotiate(offer.Policy{}, nil)
	if err := x.SetLocal([]offer.Local{{RTP: netip.MustParseAddrPort("192.0.2.1:4000"), RTCP: netip.MustParseAddrPort("192.0.2.1:5000")}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(x.Marshal()), "a=rtcp:5000\r\n") {
		t.Errorf("no a=rtcp in\n%s", x.Marshal())
	}
}

func TestDirectionsAndHold(t *testing.T) {
	for _, tc := range []struct {
		addr, attr string
		ours       offer.Direction
		hold       bool
	}{
		{"198.51.100.9", "", offer.SendRecv, false},
		{"198.51.100.9", "a=sendrecv", offer.SendRecv, false},
		{"198.51.100.9", "a=sendonly", offer.RecvOnly, true},
		{"198.51.100.9", "a=recvonly", offer.SendOnly, false},
		{"198.51.100.9", "a=inactive", offer.Inactive, true},
		{"0.0.0.0", "", offer.RecvOnly, true},
		{"0.0.0.0", "a=sendonly", offer.RecvOnly, true},
		{"0.0.0.0", "a=recvonly", offer.Inactive, true},
		{"0.0.0.0", "a=inactive", offer.Inactive, true},
	} {
		s := negotiate(t, head(tc.addr)+"m=audio 4000 RTP/AVP 0\r\n"+tc.attr+"\r\n", offer.Policy{}, nil).Streams()[0]
		onSession := negotiate(t, head(tc.addr)+tc.attr+"\r\nm=audio 4000 RTP/AVP 0\r\n", offer.Policy{}, nil).Streams()[0]
		if s.Ours != tc.ours || s.Hold != tc.hold || onSession.Ours != tc.ours {
			t.Errorf("%s %s: ours %v (session level: %v), hold %t; want %v, %t", tc.addr, tc.attr, s.Ours, onSession.Ours, s.Hold, tc.ours, tc.hold)
		}
	}
}
