package sip_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/sip"
)

// noNames is a resolver that knows nothing.
type noNames struct{}

func (noNames) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

func (noNames) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

// answering is a peer that answers OPTIONS, with more headers and a rewritten Via.
func answering(t *testing.T, network string, conf *tls.Config, headers ...string) *peer {
	t.Helper()
	p := newPeer(t, network, "", conf)
	done := make(chan struct{})
	var wg sync.WaitGroup
	t.Cleanup(func() { close(done); wg.Wait() })
	wg.Go(func() {
		for {
			select {
			case m := <-p.in:
				if m.is("OPTIONS") {
					m.write(strings.Replace(m.answer("200 OK", "", headers...), ";rport;", ";rport=4711;received=203.0.113.7;", 1))
				}
			case <-done:
				return
			}
		}
	})
	return p
}

func TestExaminationSeesTheWayStepByStep(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		h := newHouse(t)
		var conf *tls.Config
		ca := ""
		if network == "tls" {
			conf, ca = certificates(t, "127.0.0.1")
		}
		p := answering(t, network, conf, "Server: a registrar\x1b", "Date: "+time.Now().Add(time.Hour).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
		p.onRegister(func(m *msg) string {
			if m.get("Contact") != "" {
				t.Errorf("the examination registers: %s", m)
			}
			if !proves(m, "127.0.0.1") {
				return challenge(m, "401 Unauthorized", "127.0.0.1")
			}
			return m.answer("200 OK", "", "Contact: <sip:a@b>;expires=1, <sip:c@d>;expires=2")
		})
		c := config(p, h)
		c.RingCentral, c.TLS.CAFile = false, ca
		got, err := sip.Examine(t.Context(), c)
		if err != nil || len(got) != 1 || len(got[0].Tries) != 1 || got[0].Err != nil {
			t.Fatalf("got %+v, %v", got, err)
		}
		try := got[0].Tries[0]
		if try.Err != nil || try.Addr.String() != p.addr() || try.Code != 200 || try.Server != "a registrar_" || try.Seen.String() != "203.0.113.7:4711" || !try.Local.IsValid() {
			t.Errorf("got %+v", try)
		}
		if try.Ahead < 59*time.Minute || try.Ahead > 61*time.Minute {
			t.Errorf("clock %v ahead, want an hour", try.Ahead)
		}
		if try.Login != 200 || try.Bindings != 2 {
			t.Errorf("login %d, %d bindings", try.Login, try.Bindings)
		}
		if (network == "tls") != (try.TLS == "TLS 1.3" && try.Until.After(time.Now())) {
			t.Errorf("TLS %q until %v", try.TLS, try.Until)
		}
	})
}

func TestExaminationNamesTheStepThatFails(t *testing.T) {
	h := newHouse(t)
	p := answering(t, "tcp", nil)
	c := config(p, h)
	c.RingCentral = false
	p.onRegister(func(m *msg) string { return challenge(m, "401 Unauthorized", "127.0.0.1") })
	c.Password = "another"
	got, err := sip.Examine(t.Context(), c)
	if err != nil || got[0].Tries[0].Login != 401 {
		t.Errorf("wrong password: %+v, %v", got, err)
	}
	c.RingCentral = true // there it is not asked
	if got, err := sip.Examine(t.Context(), c); err != nil || got[0].Tries[0].Login != 0 {
		t.Errorf("at RingCentral: %+v, %v", got, err)
	}
	p.close()
	if got, _ := sip.Examine(t.Context(), c); got[0].Tries[0].Err == nil || !strings.Contains(got[0].Tries[0].Err.Error(), "refused") {
		t.Errorf("nobody listens: %+v", got)
	}
	conf, _ := certificates(t, "127.0.0.1")
	q := answering(t, "tls", conf)
	c = config(q, h)
	if got, _ := sip.Examine(t.Context(), c); got[0].Tries[0].Err == nil || !strings.Contains(fmt.Sprint(got[0].Tries[0].Err), "certificate") {
		t.Errorf("an unknown authority: %+v", got)
	}
	c.OutboundProxies = []string{"does-not-exist.invalid"}
	c = c.WithResolver(noNames{})
	if got, _ := sip.Examine(t.Context(), c); got[0].Err == nil || len(got[0].Tries) != 0 {
		t.Errorf("no such name: %+v", got)
	}
}
