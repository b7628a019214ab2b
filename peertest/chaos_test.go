package peertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// backWithin is how soon after the far side's return earshot must be reachable again.
const backWithin = 5 * time.Second

// outage is how long the registrar's address is gone: 30 s with PEERTEST_OUTAGE=30s, less by default, for CI.
func outage(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("PEERTEST_OUTAGE")
	if text == "" {
		return 10 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("PEERTEST_OUTAGE: %v", err)
	}
	return d
}

// torment is a registrar that is tormented, an earshot that is registered there over TLS, and a call that goes on meanwhile.
type torment struct {
	t   *testing.T
	kam registrar
	e   earshot
}

// live runs a call whose audio lasts long, and event in the middle of it; then earshot must be reachable within the limit, the
// call's BYE must arrive by the dialog's own way, every sample be in its place, and the registrar hold one binding.
// event gives the time of the far side's return.
func (w *torment) live(name string, seconds int, event func(t *testing.T, c *caller) time.Time) {
	w.t.Helper()
	w.liveUnless("", name, seconds, event)
}

// liveUnless is live, but spans of kind may have taken samples: those that the manifest names, no others.
func (w *torment) liveUnless(kind, name string, seconds int, event func(t *testing.T, c *caller) time.Time) {
	w.t.Run(name, func(t *testing.T) {
		c := newCaller(t, w.kam.ip, w.e.user)
		before := len(w.e.folders(t, ""))
		octets := sequence(uint64(100+before), seconds*8000)
		rtp, done := c.call(), make(chan error, 1)
		go func() { done <- sendRTP(c.port()+2, rtp, packets(octets, ulaw, wrapsSoon)) }()
		eventually(t, 5*time.Second, "the call is up", func() bool {
			return strings.Contains(w.e.log.String(), `msg="dialog answered" leg=`+c.name)
		})
		back := event(t, c)
		n := 0
		eventually(t, backWithin-time.Since(back), "reachable again", func() bool { n++; return c.reaches(n) })
		t.Logf("%s: back in service after %v, %d re-INVITEs", name, time.Since(back).Round(time.Millisecond), c.reinvited())
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := c.hangUp(); !strings.HasPrefix(got, "SIP/2.0 200") {
			t.Errorf("BYE: got %q", got)
		}
		r := w.e.recordings(t, before+1)[before]
		if k := r.track(t, 0); kind != "" && missing(k, kind) > 0 {
			r.wantNamed(t, k, kind, ulaw.decode16(octets))
		} else {
			r.wantExact(t, k, 0, ulaw.decode16(octets))
		}
		if n := w.bindings(t); n != 1 {
			t.Errorf("%d bindings, want 1", n)
		}
	})
}

func missing(k track, kind string) (samples int64) {
	for _, s := range k.Spans {
		if s.Kind == kind {
			samples += s.Samples
		}
	}
	return samples
}

// wantNamed fails the test unless want stands in its place but for what the manifest names.
func (r recording) wantNamed(t *testing.T, k track, kind string, want []int16) {
	t.Helper()
	heard := 0
	for _, p := range place(want, r.audio[k.Channel]) {
		if p.at-p.from != int(k.OffsetSamples) {
			t.Errorf("piece %v is not in its place (offset %d)", p, k.OffsetSamples)
		}
		heard += p.samples
	}
	named := int(missing(k, kind))
	t.Logf("%d of %d samples are named %s", named, len(want), kind)
	// At the edges of a hole place finds fewer than stand there: a piece is 16 samples or more.
	if gap := len(want) - heard; gap < named || gap > named+64 {
		t.Errorf("%d samples are missing, %d are named: spans %+v", gap, named, k.Spans)
	}
}

// bindings counts the Contacts of earshot's user.
func (w *torment) bindings(t *testing.T) int {
	t.Helper()
	path, err := program("kamcmd")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "-s", "unix:"+filepath.Join(w.kam.tls, "ctl"), "ul.dump").CombinedOutput()
	if err != nil {
		t.Fatalf("ul.dump: %v\n%s", err, out)
	}
	return strings.Count(string(out), "Address: sip:"+w.e.user+"@")
}

// restart ends the registrar, all of it at once, and starts it anew with what change left in its folder.
func (w *torment) restart(t *testing.T, change func()) (back time.Time) {
	t.Helper()
	w.kam.kill()
	change()
	kam, err := runKamailio(w.kam.ip, w.kam.tls)
	if err != nil {
		t.Fatal(err)
	}
	w.kam = kam
	return time.Now()
}

func TestChaosOfTheRegistrarTouchesNoCall(t *testing.T) {
	need(t, "kamailio", "kamcmd", "ip", "iptables")
	t.Parallel()
	kam, err := kamailioAt(chaosIP, filepath.Join(t.TempDir(), "kamailio"))
	if err != nil {
		t.Fatal(err)
	}
	w := &torment{t: t, kam: kam}
	t.Cleanup(func() {
		w.kam.kill()
		if t.Failed() {
			t.Logf("kamailio said:\n%s", tail(w.kam.log.String(), 6000))
		}
	})
	w.e = startEarshot(t, kam, "260", "tls")

	w.live("restart", 8, func(t *testing.T, _ *caller) time.Time { return w.restart(t, func() {}) })
	w.live("restart after a while", 12, func(t *testing.T, _ *caller) time.Time {
		return w.restart(t, func() { <-time.After(5 * time.Second) })
	})
	gone := outage(t)
	w.live("address gone for "+gone.String(), int(gone.Seconds())+8, func(t *testing.T, _ *caller) time.Time {
		heal := swallow(t, chaosIP)
		<-time.After(gone)
		heal()
		return time.Now()
	})
	w.live("certificate replaced", 12, func(t *testing.T, _ *caller) time.Time {
		roots := filepath.Join(kam.tls, "ca.pem")
		w.restart(t, func() { w.certify(t, roots, "evil.test", "") })
		eventually(t, 10*time.Second, "the bad certificate is told", func() bool {
			return strings.Contains(w.e.log.String(), "certificate: names evil.test, want "+chaosIP+" or sip.test")
		})
		// A good one, of another authority, whom the operator trusts by a line more in the file.
		return w.restart(t, func() { w.certify(t, roots, "sip.test", "") })
	})
	// What came meanwhile comes at once: it is more than the recorder's buffer takes, which is 8 s.
	w.liveUnless("disk", "process asleep for 12 s", 20, func(t *testing.T, _ *caller) time.Time {
		if err := w.e.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		<-time.After(12 * time.Second)
		if err := w.e.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		woken := time.Now()
		eventually(t, 10*time.Second, "the sleep is noticed", func() bool { return strings.Contains(w.e.log.String(), "clock jumped") })
		return woken
	})
	w.e.stop(t)
	if n := w.bindings(t); n != 0 {
		t.Errorf("%d bindings after the end, want 0", n)
	}
}

// certify puts another certificate in place, and its authority beside those that earshot trusts.
func (w *torment) certify(t *testing.T, roots, domain, ip string) {
	t.Helper()
	old, err := os.ReadFile(roots)
	if err != nil {
		t.Fatal(err)
	}
	if err = certificates(w.kam.tls, domain, ip); err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(roots)
	if err == nil {
		err = os.WriteFile(roots, append(old, now...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// swallow drops all packets from and to an address, without a word to anybody.
func swallow(t *testing.T, ip string) (heal func()) {
	t.Helper()
	path, err := program("iptables")
	if err != nil {
		t.Fatal(err)
	}
	rule := func(op, side string) {
		if out, err := exec.Command(path, "-w", op, "INPUT", side, ip, "-j", "DROP").CombinedOutput(); err != nil {
			t.Fatalf("iptables %s: %v: %s", op, err, out)
		}
	}
	rule("-A", "-s")
	rule("-A", "-d")
	return func() {
		rule("-D", "-s")
		rule("-D", "-d")
	}
}

func TestFlowThatIsCutInTheMiddleOfAMessageTouchesNoCall(t *testing.T) {
	need(t, "kamailio", "kamcmd", "ip")
	t.Parallel()
	kam := kamailio(t)
	relay := newRelay(t, relayIP+":5061", kam.ip+":5061")
	kam.proxy = relayIP + ":5061"
	w := &torment{t: t, kam: kam, e: startEarshot(t, kam, "261", "tls")}
	for name, d := range map[string]direction{"of the registrar's": toEarshot, "of ours": toRegistrar} {
		w.live("cut in the middle of a message "+name, 8, func(t *testing.T, c *caller) time.Time {
			cuts, old := relay.cutsDone(), c.reinvited()
			relay.next(d)
			go c.reaches(1000) // its OPTIONS, or our 200 to it, is cut in two
			eventually(t, 5*time.Second, "the cut", func() bool { return relay.cutsDone() > cuts })
			back := time.Now()
			eventually(t, backWithin, "the call is healed", func() bool { return c.reinvited() > old })
			return back
		})
	}
	w.e.stop(t)
}
