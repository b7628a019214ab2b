package supervise

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestLoginIsSharedAndSentAsDocumented(t *testing.T) {
	f := newFake(t)
	var form, kind string
	var hooked sync.Mutex
	f.hook = func(_ http.ResponseWriter, r *http.Request, body string) bool {
		if strings.HasSuffix(r.URL.Path, "/token") {
			hooked.Lock()
			form, kind = body, r.Header.Get("Content-Type")
			hooked.Unlock()
		}
		return false
	}
	s := mustNew(t, f.config())
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if _, err := s.Device(t.Context(), 0); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if f.logins != 1 {
		t.Errorf("ten requests at once: got %d logins, want 1", f.logins)
	}
	if want := "assertion=" + testJWT + "&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"; form != want {
		t.Errorf("login form: got %q, want %q", form, want)
	}
	if kind != "application/x-www-form-urlencoded" {
		t.Errorf("login Content-Type: got %q", kind)
	}
	s.Close()
	s.Close()
	if len(f.tokens) != 0 || f.requests("/oauth/revoke") != 1 {
		t.Errorf("Close twice: got tokens %v and %d revokes, want none and 1", f.tokens, f.requests("/oauth/revoke"))
	}
}

func TestTokenIsRenewedBeforeItsEnd(t *testing.T) {
	for _, life := range []any{7199, "3600", 600, 40} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t)
			f.expiresIn = life
			s := mustNew(t, f.config())
			seconds := tokenDoc{ExpiresIn: text(fmt.Sprint(life))}.life()
			get := func() {
				if _, err := s.Device(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
			}
			get()
			time.Sleep(seconds - min(renewBefore, seconds/4) - time.Second)
			get()
			if f.logins != 1 {
				t.Errorf("expires_in %v: got %d logins while the token is good, want 1", life, f.logins)
			}
			time.Sleep(2 * time.Second)
			get()
			if f.logins != 2 {
				t.Errorf("expires_in %v: got %d logins near the token's end, want 2", life, f.logins)
			}
		})
	}
}

func TestKilledTokenIsReplacedAndTheRequestRepeatedOnce(t *testing.T) {
	f := newFake(t)
	s := mustNew(t, f.config())
	if _, err := s.Device(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	f.set(func() { clear(f.tokens) })
	if _, err := s.Device(t.Context(), 0); err != nil {
		t.Errorf("after the token was killed: got %v, want success", err)
	}
	if f.logins != 2 {
		t.Errorf("got %d logins, want 2", f.logins)
	}
	// A token that is never accepted must not turn into a loop.
	f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
		if strings.Contains(r.URL.Path, "oauth") {
			return false
		}
		refuse(w, 401, "OAU-213", "Token not found", "", "")
		return true
	}
	_, err := s.Device(t.Context(), 0)
	if e, ok := errors.AsType[*APIError](err); !ok || e.Code != "OAU-213" || f.logins != 3 {
		t.Errorf("got %v after %d logins, want OAU-213 after 3", err, f.logins)
	}
}

func TestRefusedLoginIsNotRepeatedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		cfg := f.config()
		cfg.JWT = "wrong-jwt"
		s := mustNew(t, cfg)
		for range 20 {
			_, err := s.Device(t.Context(), 0)
			e, ok := errors.AsType[*APIError](err)
			if !ok || e.Code != "OAU-140" || e.Hint() == "" || strings.Contains(err.Error(), "wrong-jwt") {
				t.Fatalf("got %v, want OAU-140 with a hint and without the JWT", err)
			}
		}
		if n := f.requests("/token"); n != 1 {
			t.Errorf("20 requests: got %d logins, want 1", n)
		}
		time.Sleep(refusedLoginWait)
		if s.Device(t.Context(), 0); f.requests("/token") != 2 {
			t.Errorf("after %s: got %d logins, want 2", refusedLoginWait, f.requests("/token"))
		}
	})
}

func TestOperationsAreAClosedListOfGetAndPost(t *testing.T) {
	for o := op(0); o < opCount; o++ {
		d := operations[o]
		if d.name == "" || !strings.HasPrefix(d.path, "/restapi/") || (d.verb.String() != "GET" && d.verb.String() != "POST") {
			t.Errorf("operation %d: got %+v", o, d)
		}
		if d.verb == post && !strings.HasPrefix(d.path, "/restapi/oauth/") && !strings.HasSuffix(d.path, "/supervise") {
			t.Errorf("operation %s: POST %s could change a call", d.name, d.path)
		}
	}
	for v := range 256 { // no verb, however wrong, is another method
		if m := verb(v).String(); m != "GET" && m != "POST" {
			t.Errorf("verb(%d): got %s", v, m)
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("an operation outside the list: got no panic")
			}
		}()
		op(200).path(nil)
	}()
	for _, id := range []string{"", ".", "..", strings.Repeat("x", 300)} {
		if p, err := opSession.path([]string{id}); err == nil {
			t.Errorf("id %q: got path %s, want an error", id, p)
		}
	}
	p, err := opSuperviseParty.path([]string{"../a?b#c", "Y3M=/x"})
	if want := account + "telephony/sessions/..%2Fa%3Fb%23c/parties/Y3M=%2Fx/supervise"; err != nil || p != want {
		t.Errorf("foreign ids: got %s, %v, want %s", p, err, want)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	srv := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer srv.Close()
	cfg := newFake(t).config()
	cfg.Server, cfg.HTTP = srv.URL, nil
	s := mustNew(t, cfg)
	defer s.Close()
	_, err := s.Device(t.Context(), 0)
	if e, ok := errors.AsType[*APIError](err); !ok || e.Status != 307 || e.Hint() == "" || elsewhere.Load() != 0 {
		t.Errorf("got %v and %d requests elsewhere, want a 307 error and none", err, elsewhere.Load())
	}
}

func TestSlowAndHugeAnswersAreErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		s := mustNew(t, f.config())
		f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
			if strings.HasSuffix(r.URL.Path, "/sip-info") {
				<-r.Context().Done()
				return true
			}
			return false
		}
		start := time.Now()
		_, err := s.SIPInfo(t.Context(), 0)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != requestTimeout {
			t.Errorf("got %v after %s, want a time-out after %s", err, time.Since(start), requestTimeout)
		}
		if o, _ := judge(err, time.Now()); o != outcomeUnclear {
			t.Errorf("a time-out: got outcome %d, want unclear", o)
		}
		f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
			if !strings.HasSuffix(r.URL.Path, "/device") {
				return false
			}
			chunk := make([]byte, 1<<20)
			for range maxBodyBytes>>20 + 1 {
				w.Write(chunk)
			}
			return true
		}
		if _, err := s.Device(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "more than") {
			t.Errorf("an answer of 17 MiB: got %v, want an error", err)
		}
	})
}

func TestNoSecretInErrors(t *testing.T) {
	f := newFake(t)
	f.hook = func(w http.ResponseWriter, r *http.Request, body string) bool {
		if strings.HasSuffix(r.URL.Path, "/token") {
			return false
		}
		refuse(w, 400, "CMN-101", "bad: "+r.Header.Get("Authorization")+testJWT+testSecret, "x", "")
		return true
	}
	s := mustNew(t, f.config())
	_, err := s.Device(t.Context(), 0)
	for _, hidden := range []string{testJWT, testSecret, "token-made-up"} {
		if err == nil || strings.Contains(err.Error(), hidden) {
			t.Errorf("error %v holds a secret", err)
		}
	}
	if text := fmt.Sprintf("%+v", s.cfg); strings.Contains(text, testJWT) || strings.Contains(text, testSecret) {
		t.Error("a printed Config holds a secret")
	}
}

func TestConfigMistakesAreTold(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no server", func(c *Config) { c.Server = "" }, "server"},
		{"a server with a path", func(c *Config) { c.Server = "https://x/restapi" }, "server"},
		{"a server with a password", func(c *Config) { c.Server = "https://u:hunter2@x" }, "server"},
		{"no JWT", func(c *Config) { c.JWT = "" }, "jwt"},
		{"no client id", func(c *Config) { c.ClientID = "" }, "client_id"},
		{"a mode that is none", func(c *Config) { c.Mode = "whisper" }, "mode"},
		{"too quick", func(c *Config) { c.Poll = time.Millisecond }, "poll"},
		{"a negative wait", func(c *Config) { c.InviteWithin = -1 }, "invite_within"},
	} {
		cfg := newFake(t).config()
		c.change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error that names %s", c.name, err, c.want)
		}
	}
}

func TestSIPInfoAndDevice(t *testing.T) {
	f := newFake(t)
	s := mustNew(t, f.config())
	info, err := s.SIPInfo(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if info.Domain != "sip.ringcentral.com" || info.UserName != "12055550101" || info.Password.Reveal() != "made-up-pw" || info.AuthorizationID != deviceID ||
		len(info.Proxies) != 1 || info.Proxies[0] != (Proxy{"NA", "sip20.ringcentral.com:5090", "sip20.ringcentral.com:5096"}) {
		t.Errorf("got %+v", info)
	}
	if d := s.Status().Devices[0].Device; d.ID != deviceID || d.Status != "Online" || d.ExtensionID != ownExt {
		t.Errorf("device: got %+v", d)
	}
}

func TestChooseDevice(t *testing.T) {
	soft, a, b := Device{ID: "1", Type: "SoftPhone", Status: "Offline"}, Device{ID: "2", Type: "OtherPhone"}, Device{ID: "3", Type: "OtherPhone"}
	for _, c := range []struct {
		name    string
		devices []Device
		wanted  string
		want    string // id, or a part of the error
	}{
		{"the only fitting one", []Device{soft, a}, "", "2"},
		{"the configured one", []Device{soft, a, b}, "3", "3"},
		{"the configured one of another type", []Device{soft, a}, "1", "1"},
		{"several", []Device{a, soft, b}, "", "set supervise.device_id to one of 2 (OtherPhone, ), 3"},
		{"none fits", []Device{soft}, "", "has 1 (SoftPhone, Offline): want one of type OtherPhone"},
		{"none at all", nil, "", "has no devices"},
		{"not the user's", []Device{a}, "9", "9 is not a device of the JWT's user, who has 2"},
	} {
		d, err := chooseDevice(c.devices, c.wanted)
		if err != nil && (!errors.Is(err, ErrNoDevice) || !strings.Contains(err.Error(), c.want)) || err == nil && d.ID != c.want {
			t.Errorf("%s: got %q, %v, want %s", c.name, d.ID, err, c.want)
		}
	}
}

func TestAgentsComeFromNumbersIDsAndGroups(t *testing.T) {
	f := newFake(t)
	cfg := f.config()
	cfg.Agents, cfg.Groups = []string{"108", "nobody"}, []string{"demo supervisor"}
	s := mustNew(t, cfg)
	s.refreshAgents(t.Context())
	if s.core.agents.has(extensionRef{ID: ownExt, Number: "101"}) || !s.core.agents.has(extensionRef{ID: agentExt}) {
		t.Errorf("got %+v: want 108 by its id, and not the member who only monitors", s.core.agents)
	}
	f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
		if strings.Contains(r.URL.Path, "oauth") {
			return false
		}
		refuse(w, 403, "CMN-401", "In order to call this API endpoint, application needs to have [ReadAccounts] permission", "", "ReadAccounts")
		return true
	}
	s.refreshAgents(t.Context())
	if !s.core.agents.has(extensionRef{Number: "108"}) || !s.core.agents.has(extensionRef{ID: agentExt}) || len(s.Status().Errors) != 2 {
		t.Errorf("lists refused: got %+v, errors %q, want the configured numbers, the known members, two errors", s.core.agents, s.Status().Errors)
	}
}
