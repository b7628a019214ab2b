package sip_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/sip"
)

func TestCancelAfterTheAnswerGets200(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		p, h := start(t, network, nil)
		d := p.newDialog("c")
		again := func(what string) {
			t.Helper()
			p.send(d.request("CANCEL", ""))
			if res := p.final(d.cseq("CANCEL")); !res.is("200") {
				t.Errorf("CANCEL %s: %q", what, res.start)
			}
		}
		if res := d.call(sdpOne); !res.is("200") {
			t.Fatalf("got %q", res.start)
		}
		again("before the ACK")
		p.send(d.request("ACK", ""))
		l := h.leg(0, func(l *leg) bool { return l.dialog != nil })
		again("after the ACK")
		if res := d.ask("INVITE", sdpOne); !res.is("200") {
			t.Fatalf("re-INVITE: %q", res.start)
		}
		again("of the re-INVITE")
		p.send(d.request("ACK", ""))
		if res := d.ask("OPTIONS", ""); !res.is("200") {
			t.Errorf("OPTIONS: %q", res.start)
		}
		p.send(strings.Replace(d.request("CANCEL", ""), d.cseq("CANCEL"), fmt.Sprint(d.seq-1, " CANCEL"), 1))
		if res := p.final(fmt.Sprint(d.seq-1, " CANCEL")); !res.is("200") {
			t.Errorf("CANCEL of the acknowledged re-INVITE: %q", res.start)
		}
		h.set(func() {
			if len(l.ended) != 0 {
				t.Errorf("the call ended: %v", l.ended)
			}
		})
	})
}

// Both in one segment: sipgo hands the CANCEL on first, nearly always. Whoever wins, both are answered.
func TestCancelInOneSegmentWithItsReinvite(t *testing.T) {
	p, _, d, _, _ := up(t, "tcp", nil)
	for range 10 {
		p.send(d.request("INVITE", sdpOne) + d.request("CANCEL", ""))
		var got []string
		for len(got) < 2 {
			m := p.nextOf(func(m *msg) bool {
				return m.method() == "" && !m.is("100") && strings.HasPrefix(m.get("CSeq"), fmt.Sprint(d.seq, " "))
			})
			if strings.HasSuffix(m.get("CSeq"), "CANCEL") {
				if !m.is("200") {
					t.Errorf("CANCEL: %q", m.start)
				}
			} else if !m.is("487") && !m.is("200") {
				t.Errorf("re-INVITE: %q", m.start)
			}
			got = append(got, m.start)
		}
		p.send(d.request("ACK", ""))
	}
	if res := d.ask("OPTIONS", ""); !res.is("200") {
		t.Errorf("OPTIONS: %q", res.start)
	}
}

// challenge asks for a digest under realm.
func challenge(m *msg, status, realm string) string {
	name := "WWW-Authenticate"
	if strings.HasPrefix(status, "407") {
		name = "Proxy-Authenticate"
	}
	return m.answer(status, "", fmt.Sprintf(`%s: Digest realm="%s", nonce="n-%s"`, name, realm, m.get("CSeq")))
}

// proves says whether m carries the right answer to a challenge under realm.
func proves(m *msg, realm string) bool {
	h := m.get("Authorization") + m.get("Proxy-Authorization")
	a := params(h)
	_, rest, _ := strings.Cut(m.start, " ")
	uri, _, _ := strings.Cut(rest, " ")
	method := m.method()
	if method == "ACK" {
		method = "INVITE" // the same credentials
	}
	want := md5hex(md5hex("802:"+realm+":s3cret-pw") + ":" + a["nonce"] + ":" + md5hex(method+":"+uri))
	return h != "" && a["response"] == want && a["uri"] == uri
}

func TestChallengedRequestsOfOursAreSentAgainWithCredentials(t *testing.T) {
	for _, status := range []string{"401 Unauthorized", "407 Proxy Authentication Required"} {
		p, h, _, l, _ := upSilent(t, time.Hour, probing)
		re := p.next("INVITE")
		re.write(challenge(re, status, "127.0.0.1"))
		p.next("ACK")
		again := p.next("INVITE")
		if !proves(again, "127.0.0.1") || again.get("CSeq") == re.get("CSeq") {
			t.Fatalf("%s: second INVITE: %s", status, again)
		}
		again.write(again.answer("200 OK", sdpOne, "Contact: <sip:108@"+p.addr()+">", "Content-Type: application/sdp"))
		if ack := p.next("ACK"); !proves(ack, "127.0.0.1") {
			t.Errorf("%s: ACK without the credentials of its INVITE: %s", status, ack)
		}
		h.mu.Lock()
		l.silence = 0
		dlg := l.dialog
		h.mu.Unlock()
		p.setBye(func(m *msg) string {
			if !strings.Contains(m.get("Authorization")+m.get("Proxy-Authorization"), "n-bye") { // the INVITE's nonce is over
				return strings.Replace(challenge(m, status, "127.0.0.1"), `nonce="n-`, `nonce="n-bye`, 1)
			}
			return m.answer("200 OK", "")
		})
		if err := dlg.Bye(t.Context(), call.Cause{Code: call.CodeReleased}); err != nil {
			t.Errorf("Bye: %v", err)
		}
		p.next("BYE")
		if bye := p.next("BYE"); !proves(bye, "127.0.0.1") {
			t.Errorf("%s: second BYE: %s", status, bye)
		}
		if c := h.ended(0); c.Code != call.CodeReleased {
			t.Errorf("cause %+v", c)
		}
	}
}

func TestForeignRealmsAndSecondChallengesGetNoCredentials(t *testing.T) {
	p, _, _, _, _ := upSilent(t, time.Hour, probing)
	re := p.next("INVITE")
	re.write(challenge(re, "401 Unauthorized", "elsewhere"))
	re = p.next("INVITE") // the next probe: whoever asks lives
	if re.get("Authorization") != "" {
		t.Fatalf("credentials for another realm: %s", re)
	}
	re.write(challenge(re, "401 Unauthorized", "127.0.0.1"))
	again := p.next("INVITE")
	if !proves(again, "127.0.0.1") {
		t.Fatalf("no credentials: %s", again)
	}
	again.write(challenge(again, "401 Unauthorized", "127.0.0.1"))
	if third := p.next("INVITE"); third.get("Authorization") != "" {
		t.Errorf("credentials after they were refused: %s", third)
	}
}

func TestOptionalBodyIsPassedOver(t *testing.T) {
	p, _ := start(t, "udp", nil)
	const xml = "<presence/>"
	d := p.newDialog("xml")
	res := d.call(xml, "Content-Type: application/pidf+xml", "Content-Disposition: render; handling=Optional")
	if !res.is("200") || !strings.Contains(res.body, "m=audio") {
		t.Errorf("optional: got %s", res)
	}
	p.send(d.request("ACK", "")) // else a copy of the 200 may come between
	for _, disposition := range []string{"render", "render;handling=required"} {
		if res := p.newDialog("xml"+disposition).call(xml, "Content-Type: application/pidf+xml", "Content-Disposition: "+disposition); !res.is("415") {
			t.Errorf("%s: got %q", disposition, res.start)
		}
	}
}

func TestEscapedUserIsTheSameUser(t *testing.T) {
	p, _ := start(t, "udp", func(c *sip.Config) { c.RingCentral = false })
	for i, user := range []string{"%32%30%30", "%32%30%31", "2%zz"} {
		want := []string{"200", "404", "404"}[i]
		d := p.newDialog(fmt.Sprint("user", i))
		d.contact = strings.Replace(d.contact, "200@", user+"@", 1)
		if res := d.call(sdpOne); !res.is(want) {
			t.Errorf("%s: got %q, want %s", user, res.start, want)
		}
		p.send(d.request("ACK", ""))
	}
}

func TestOfferThatTheLegCantServeIs488(t *testing.T) {
	p, h := start(t, "udp", nil)
	h.set(func() { h.hold = make(chan struct{}) })
	d := p.newDialog("v6")
	p.send(d.request("INVITE", strings.Replace(sdpOne, "c=IN IP4 127.0.0.1", "c=IN IP6 ::1", 1)))
	h.leg(0, func(*leg) bool { return true })
	h.set(func() {
		h.legs[0].prepareErr = fmt.Errorf("no address of that family: %w", sip.ErrNotAcceptable)
		close(h.hold)
	})
	if res := p.final(d.cseq("INVITE")); !res.is("488") {
		t.Errorf("got %q", res.start)
	}
	if c := h.ended(0); c.Code != call.CodeRefused {
		t.Errorf("cause %+v", c)
	}
}

func TestBindingListedAsOverIsNoRegistration(t *testing.T) {
	h := newHouse(t)
	p := newPeer(t, "udp", "", nil)
	over := true
	p.onRegister(func(m *msg) string {
		p.mu.Lock()
		defer p.mu.Unlock()
		if over {
			return m.answer("200 OK", "", "Contact: "+m.get("Contact")+";expires=0", "Expires: 3600")
		}
		return p.accept(m)
	})
	h.run(config(p, h))
	eventually(t, func() bool { return h.counter("registers_refused") > 1 })
	if s := h.acc.State(); s.Registered || !strings.Contains(s.Reason, "binding") {
		t.Errorf("state %+v", s)
	}
	p.mu.Lock()
	over = false
	p.mu.Unlock()
	h.registered()
}
