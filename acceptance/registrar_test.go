package acceptance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// alice is the user of a plain registrar.
var alice = trunk.User{AuthID: "alice-auth", UserName: "alice", Password: "plain-made-up-pw"} //nolint:gochecknoglobals // constant

// registrar runs a plain registrar that calls its users; UDP and TCP at addr, which may be 127.0.0.1:0.
func registrar(t *testing.T, addr string) *trunk.Trunk {
	t.Helper()
	r, err := trunk.New(trunk.Config{
		Domain: "sip.test", UDP: addr, TCP: addr, Qop: true,
		User: func(id string) (trunk.User, bool) { return alice, id == alice.AuthID },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return r
}

// plain is the configuration of a plain recorder.
func plain(proxy, transport, password string, more ...string) string {
	return fmt.Sprintf("sip:\n  {domain: sip.test, outbound_proxy: %q, transport: %s, username: %s, authorization_id: %s, password: %s%s}\n",
		proxy, transport, alice.UserName, alice.AuthID, password, strings.Join(append([]string{""}, more...), ", "))
}

// plainCall is a call that a registrar makes.
type plainCall struct {
	*trunk.Dialog
	stream ringsim.Stream
}

// call calls alice, with audio of that number.
func call(t *testing.T, r *trunk.Trunk, number uint64, in trunk.Invite) plainCall {
	t.Helper()
	src := ringsim.Numbered(number)
	in.UserName, in.FromUser, in.Lines = alice.UserName, "+14155550100", []trunk.Line{{Source: src}}
	d, err := r.Invite(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return plainCall{d, ringsim.Stream{Stream: d.Line(0), Dialog: d, Role: ringsim.RoleMix, Source: src}}
}

func (c plainCall) hangUp(t *testing.T) {
	t.Helper()
	if err := c.Bye(t.Context()); err != nil {
		t.Errorf("bye: %v", err)
	}
}

// comparePlain holds the recording of each call against it.
func comparePlain(t *testing.T, d daemon, calls ...plainCall) {
	t.Helper()
	rec := oracle.ByCall(t, d.dir)
	if len(rec) != len(calls) {
		t.Errorf("%d recordings, want %d", len(rec), len(calls))
	}
	for _, c := range calls {
		compareOne(t, c, rec[c.CallID()])
	}
}

func compareOne(t *testing.T, c plainCall, rec oracle.Recording) {
	t.Helper()
	oracle.Compare(t, "call "+c.CallID(), []ringsim.Stream{c.stream}, rec, oracle.Limits{})
}

// reserved is an address where nobody listens, not yet; the kernel gives its port to nobody else.
func reserved(t *testing.T) string {
	t.Helper()
	for range 500 {
		port := 12000 + os.Getpid()%1000 + int(reservations.Add(1)) // never one that another test has got, or will
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		u, err := net.ListenPacket("udp", addr) //nolint:noctx // opens at once
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", addr) //nolint:noctx // opens at once
		_ = u.Close()
		if err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free for both UDP and TCP")
	return ""
}

var reservations atomic.Int64 //nolint:gochecknoglobals // no two tests reserve one port

func TestARegistrarThatIsDownAtStartIsRegisteredAtOnceItIsUp(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			addr := reserved(t)
			d := write(t, plain(addr, transport, alice.Password)).run(t)
			oracle.Eventually(t, 20*time.Second, "told", func() bool { return len(d.log.lines("registration failed", "err=")) > 0 })
			if code, body := d.get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "FAIL sip") {
				t.Errorf("/readyz: %d %q, want 503 and why", code, body)
			}
			if code, _ := d.get("/livez"); code != http.StatusOK {
				t.Errorf("/livez: %d, want 200", code)
			}
			if _, text, _ := d.command(t, "status"); !strings.Contains(text, "FAIL") {
				t.Errorf("status: %q, want a FAIL", text)
			}
			r := registrar(t, addr)
			up := time.Now()
			d.awaitReady(t)
			if took := time.Since(up); took > 10*time.Second {
				t.Errorf("registered %v after the registrar was up, want seconds", took)
			}
			c := call(t, r, 1, trunk.Invite{})
			heard(t, c.stream, time.Second)
			c.hangUp(t)
			d.sealed(t, 1, 3*time.Second)
			if bad := d.log.lines("registration failed"); len(bad) > 2 {
				t.Errorf("%d lines of one trouble, want 2 at most:\n%s", len(bad), strings.Join(bad, "\n"))
			}
			d.terminate(t)
			comparePlain(t, d, c)
		})
	}
}

func TestAWrongPasswordIsAClearErrorAndNoFlood(t *testing.T) {
	t.Parallel()
	r := registrar(t, "127.0.0.1:0")
	d := write(t, plain(r.Addr("udp"), "udp", "wrong-"+alice.Password)).run(t)
	oracle.Eventually(t, 10*time.Second, "told", func() bool { return len(d.log.lines("level=ERROR", "registration rejected", "password")) > 0 })
	if code, body := d.get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "FAIL sip: ") {
		t.Errorf("/readyz: %d %q, want 503 and why", code, body)
	}
	if code, text, _ := d.command(t, "status"); code != 0 || !strings.Contains(text, "FAIL") || !strings.Contains(text, "rejected") {
		t.Errorf("status: %d %q, want that it was rejected", code, text)
	}
	if bad := append(d.log.lines("level=ERROR"), d.log.lines("level=WARN")...); len(bad) > 2 {
		t.Errorf("%d lines, want 2 at most:\n%s", len(bad), strings.Join(bad, "\n"))
	}
	d.terminate(t)
}

func TestAWrongJWTIsAClearErrorAndNoFlood(t *testing.T) {
	t.Parallel()
	sim := ringsim.Start(t, ringsim.Config{Agents: 1})
	yaml := regexp.MustCompile(`jwt: .*`).ReplaceAllString(string(sim.YAML("tls")), "jwt: eyJ.wrong.one")
	d := write(t, yaml).run(t, quick)
	oracle.Eventually(t, 10*time.Second, "told", func() bool { return len(d.log.lines("level=ERROR", "err=", "hint=")) > 0 })
	if text := d.log.lines("level=ERROR")[0]; !strings.Contains(text, "JWT") || !strings.Contains(text, "OAU-") {
		t.Errorf("got %s, want RingCentral's code, and what to do", text)
	}
	code, body := d.get("/readyz")
	if code != http.StatusServiceUnavailable || !strings.Contains(body, "FAIL ringcentral") || !strings.Contains(body, "OAU-") {
		t.Errorf("/readyz: %d %q, want 503 and why", code, body)
	}
	if bad := append(d.log.lines("level=ERROR"), d.log.lines("level=WARN")...); len(bad) > 2 {
		t.Errorf("%d lines, want 2 at most:\n%s", len(bad), strings.Join(bad, "\n"))
	}
	d.terminate(t)
	if n := sim.Requested(http.MethodPost, "/restapi/oauth/token"); n > 5 {
		t.Errorf("%d logins, want a back-off", n)
	}
}

func TestRESTThatIsDownAtStartIsUsedOnceItIsUp(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 1)
	addr := reserved(t)
	d := write(t, strings.ReplaceAll(string(sim.YAML("tls")), sim.URL(), "http://"+addr)).run(t, quick)
	oracle.Eventually(t, 10*time.Second, "told", func() bool { return len(d.log.lines("level=ERROR", "err=", addr, "connection refused")) > 0 })
	if code, body := d.get("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "refused") {
		t.Errorf("/readyz: %d %q, want 503 and why", code, body)
	}
	proxy := newRESTProxy(t, sim.URL())
	l, err := net.Listen("tcp", addr) //nolint:noctx // opens at once
	if err != nil {
		t.Fatal(err)
	}
	late := httptest.NewUnstartedServer(proxy.server.Config.Handler)
	late.Listener = l
	late.Start()
	defer late.Close()
	d.awaitReady(t)
	calls := begin(t, sim, 1, func(int) ringsim.CallSpec { return ringsim.CallSpec{} })
	said(t, calls, time.Second)
	hangUp(t, calls)
	d.sealed(t, 1, 3*time.Second)
	if bad := append(d.log.lines("level=ERROR"), d.log.lines("level=WARN")...); len(bad) > 2 {
		t.Errorf("%d lines, want 2 at most:\n%s", len(bad), strings.Join(bad, "\n"))
	}
	d.terminate(t)
	compareAll(t, d, calls)
}

func TestAShortFailureOfRESTAtStartIsOverSoon(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 1)
	proxy := newRESTProxy(t, sim.URL())
	proxy.only = "/call-monitoring-groups"
	proxy.fail.Store(http.StatusServiceUnavailable)
	yaml := strings.ReplaceAll(string(sim.YAML("tls")), sim.URL(), proxy.server.URL)
	yaml = regexp.MustCompile(`agents: .*`).ReplaceAllString(yaml, "groups: ["+ringsim.DefaultGroupID+"]")
	d := write(t, yaml).run(t, quick)
	oracle.Eventually(t, 10*time.Second, "told", func() bool { return len(d.log.lines("level=WARN", "503")) > 0 })
	proxy.fail.Store(0)
	calls := begin(t, sim, 1, func(int) ringsim.CallSpec { return ringsim.CallSpec{} })
	supervised(t, calls) // within 20 s
	d.awaitReady(t)
	hangUp(t, calls)
	d.sealed(t, 1, 3*time.Second)
	d.terminate(t)
}

func TestACallIDThatIsAPathEndsInACleanFolder(t *testing.T) {
	t.Parallel()
	r := registrar(t, "127.0.0.1:0")
	d := write(t, plain(r.Addr("udp"), "udp", alice.Password)).runReady(t)
	ids := []string{"../../etc/passwd", "/etc/cron.d/x", "a/../../../b@host", strings.Repeat("..%2f", 60) + "@192.0.2.1", "con\"$(id)`x`;|&"}
	var calls []plainCall
	for i, id := range ids {
		calls = append(calls, call(t, r, uint64(i+1), trunk.Invite{CallID: id}))
	}
	for _, c := range calls {
		heard(t, c.stream, time.Second)
		c.hangUp(t)
	}
	d.sealed(t, len(ids), 3*time.Second)
	d.terminate(t)
	comparePlain(t, d, calls...)
	name := regexp.MustCompile(`^\d{8}T\d{6}Z_[A-Za-z0-9_-]{1,48}_[0-9a-f]{8}$`)
	for _, rec := range oracle.All(t, d.dir) {
		if !name.MatchString(filepath.Base(rec.Dir)) {
			t.Errorf("call %q: folder %s, want %s", rec.Call.ID, filepath.Base(rec.Dir), name)
		}
	}
	wantOnly(t, d.home, "earshot.yaml", "rec")
}

func TestABusyDefaultConsolePortCostsNoRecording(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp", "127.0.0.1:8080"); err == nil { //nolint:noctx // else somebody has it already, as well
		defer l.Close() //nolint:errcheck // of a test
	}
	r := registrar(t, "127.0.0.1:0")
	d := write(t, plain(r.Addr("udp"), "udp", alice.Password)+"console: {}\n").run(t)
	oracle.Eventually(t, 10*time.Second, "registered", func() bool { return len(d.log.lines("msg=registered")) > 0 })
	if lines := d.log.lines("level=WARN", "console not served", "8080", "hint="); len(lines) != 1 {
		t.Errorf("got %q, want one warning", lines)
	}
	c := call(t, r, 1, trunk.Invite{})
	heard(t, c.stream, time.Second)
	c.hangUp(t)
	d.sealed(t, 1, 3*time.Second)
	d.terminate(t)
	comparePlain(t, d, c)
}
