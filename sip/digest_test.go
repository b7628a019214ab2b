package sip_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/sip"
)

// asker is a registrar that challenges with qop=auth and checks the answer by itself.
type asker struct {
	mu     sync.Mutex
	nonces int
	expire bool // the next answer, however good, is to a nonce that is stale
	got    []map[string]string
}

var hashes = map[string]func(string) string{
	"":            md5hex,
	"MD5":         md5hex,
	"SHA-256":     func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) },
	"SHA-512-256": func(s string) string { h := sha512.Sum512_256([]byte(s)); return hex.EncodeToString(h[:]) },
	"SHA-512":     func(s string) string { h := sha512.Sum512([]byte(s)); return hex.EncodeToString(h[:]) },
}

// right says whether an Authorization answers nonce by RFC 7616 section 3.4.
func right(a map[string]string) bool {
	hash, known := hashes[a["algorithm"]]
	return known && a["response"] == hash(hash("802:r:s3cret-pw")+":"+a["nonce"]+":"+a["nc"]+":"+a["cnonce"]+":auth:"+hash("REGISTER:sip:127.0.0.1"))
}

// answer challenges with every one of the algorithms, in that order, until the digest under the present nonce is right.
func (k *asker) answer(m *msg, algorithms []string, headers ...string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := params(m.get("Authorization"))
	k.got = append(k.got, a)
	if a["nonce"] == fmt.Sprint("n", k.nonces) && right(a) && !k.expire {
		return m.answer("200 OK", "", append(headers, "Contact: "+m.get("Contact")+";expires=1")...)
	}
	stale := ""
	if k.expire {
		stale, k.expire = ", stale=TRUE", false
	}
	k.nonces++
	var asks []string
	for _, alg := range algorithms {
		asks = append(asks, fmt.Sprintf(`WWW-Authenticate: Digest realm="r", nonce="n%d", qop="auth,auth-int", algorithm=%s%s`, k.nonces, alg, stale))
	}
	return m.answer("401 Unauthorized", "", asks...)
}

func (k *asker) answers() []map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]map[string]string(nil), k.got...)
}

func TestRFC8760StrongestOfTheAlgorithmsIsUsed(t *testing.T) {
	for asked, want := range map[string]string{
		"MD5": "MD5", "SHA-256 MD5": "SHA-256", "MD5 SHA-256": "SHA-256", "MD5 SHA-512-256 SHA-256": "SHA-512-256",
		"AKAv1-MD5 MD5": "MD5", "SHA-512 MD5": "SHA-512",
	} {
		t.Run(asked, func(t *testing.T) {
			h, k := newHouse(t), &asker{}
			p := newPeer(t, "tcp", "", nil)
			p.onRegister(func(m *msg) string { return k.answer(m, strings.Fields(asked)) })
			h.run(config(p, h))
			h.registered()
			if got := k.answers(); got[1]["algorithm"] != want || !right(got[1]) {
				t.Errorf("got algorithm %q, want %s", got[1]["algorithm"], want)
			}
		})
	}
}

func TestStaleNonceCostsOneMoreRequestNotTheRegistration(t *testing.T) {
	h, k := newHouse(t), &asker{}
	p := newPeer(t, "tcp", "", nil)
	p.onRegister(func(m *msg) string { return k.answer(m, []string{"SHA-256"}) })
	h.run(config(p, h))
	h.registered()
	k.mu.Lock()
	before := len(k.got)
	k.expire = true
	k.mu.Unlock()
	eventually(t, func() bool { return len(k.answers()) >= before+2 })
	got := k.answers()[before:]
	if got[0]["nonce"] != "n1" || got[0]["nc"] != "00000002" || got[1]["nonce"] != "n2" || got[1]["nc"] != "00000001" {
		t.Errorf("got nonces %s/%s, then %s/%s; want n1/2, then n2/1", got[0]["nonce"], got[0]["nc"], got[1]["nonce"], got[1]["nc"])
	}
	if n := len(h.warned("")); n != 0 || !h.acc.State().Registered {
		t.Errorf("%d warnings, state %+v", n, h.acc.State())
	}
}

func TestChallengesForEverEndAfterTheThird(t *testing.T) {
	h := newHouse(t)
	p := newPeer(t, "tcp", "", nil)
	n := 0
	p.onRegister(func(m *msg) string {
		n++
		return m.answer("401 Unauthorized", "", fmt.Sprintf(`WWW-Authenticate: Digest realm="r", nonce="n%d", stale=true`, n))
	})
	c := config(p, h)
	c.RingCentral = false
	h.run(c)
	eventually(t, func() bool { return h.acc.State().Status == "rejected" })
	s := h.acc.State()
	if sent := h.counter("registers_sent"); sent != 3 || s.NextTry.Sub(s.Since) < 2*time.Second {
		t.Errorf("%d REGISTERs, next try in %v; want 3, and 3 s (300 short ones)", sent, s.NextTry.Sub(s.Since))
	}
	if !strings.Contains(s.Hint, "password") {
		t.Errorf("hint %q", s.Hint)
	}
}

func TestNextnonceSavesTheChallenge(t *testing.T) {
	h, k := newHouse(t), &asker{}
	p := newPeer(t, "tcp", "", nil)
	p.onRegister(func(m *msg) string {
		res := k.answer(m, []string{"MD5"}, `Authentication-Info: qop=auth, nextnonce="n7"`)
		if strings.HasPrefix(res, "SIP/2.0 200") {
			k.mu.Lock()
			k.nonces = 7
			k.mu.Unlock()
		}
		return res
	})
	h.run(config(p, h))
	eventually(t, func() bool { return len(k.answers()) >= 4 })
	for i, got := range k.answers()[2:4] {
		if got["nonce"] != "n7" || got["nc"] != "00000001" {
			t.Errorf("refresh %d: nonce %s, count %s; want n7, 00000001", i, got["nonce"], got["nc"])
		}
	}
}

func TestServiceRouteAndPathAreNotForREGISTERNorForDialogs(t *testing.T) {
	p, h := start(t, "tcp", func(c *sip.Config) { c.RingCentral = false })
	p.onRegister(func(m *msg) string {
		return m.answer("200 OK", "", "Contact: "+m.get("Contact")+";expires=1", "Path: <sip:edge.example.com;lr>",
			"Service-Route: <sip:home.example.com;lr>, <sip:far.example.com;lr>")
	})
	d := p.newDialog("sr")
	d.establish(sdpOne)
	l := h.leg(0, func(l *leg) bool { return l.dialog != nil })
	h.acc.Probe() // learns them
	p.nextOf(func(m *msg) bool { return m.is("REGISTER") })
	if m := p.nextOf(func(m *msg) bool { return m.is("REGISTER") }); m.get("Route") != "" {
		t.Errorf("REGISTER with Route %q", m.get("Route"))
	}
	go func() { _ = l.dialog.Bye(t.Context(), causeTest) }()
	if m := p.next("BYE"); m.get("Route") != "" {
		t.Errorf("BYE with Route %q", m.get("Route"))
	}
	h.ended(0)
}
