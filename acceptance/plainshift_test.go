package acceptance

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

func TestTakeoverAtAPlainRegistrarLosesNoSample(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			addr := reserved(t)
			r := registrar(t, addr)
			old := write(t, plain(addr, transport, alice.Password)).runReady(t)
			stays := call(t, r, 1, trunk.Invite{})
			heard(t, stays.stream, time.Second)
			next := old.takeOver(t)
			comes := call(t, r, 2, trunk.Invite{})
			heard(t, comes.stream, time.Second)
			heard(t, stays.stream, 2*time.Second)
			if s := next.status(t); len(s.Calls) != 1 || s.Calls[0].ID != comes.CallID() {
				t.Errorf("the new process hears %+v, want the call that came", s.Calls)
			}
			if n := next.older(t); n != 1 {
				t.Errorf("the older process has %d calls, want 1", n)
			}
			stays.hangUp(t)
			if code := old.wait(t, 10*time.Second); code != 0 {
				t.Errorf("the old process: exit code %d, want 0", code)
			}
			// It has not un-registered: calls still come.
			last := call(t, r, 3, trunk.Invite{})
			heard(t, last.stream, time.Second)
			comes.hangUp(t)
			last.hangUp(t)
			next.sealed(t, 3, 5*time.Second)
			next.terminate(t)
			comparePlain(t, next, stays, comes, last)
		})
	}
}

func TestDrainAtAPlainRegistrarRefusesNewCalls(t *testing.T) {
	t.Parallel()
	addr := reserved(t)
	r := registrar(t, addr)
	d := write(t, plain(addr, "tcp", alice.Password)).runReady(t)
	c := call(t, r, 1, trunk.Invite{})
	heard(t, c.stream, time.Second)
	if code, _, errs := d.command(t, "drain"); code != 0 {
		t.Fatalf("drain: exit code %d: %s", code, errs)
	}
	_, err := r.Invite(t.Context(), trunk.Invite{UserName: alice.UserName, FromUser: "1", Lines: []trunk.Line{{Source: c.stream.Source}}})
	if refused := (*trunk.RefusedError)(nil); !errors.As(err, &refused) || refused.Code != 480 {
		t.Errorf("a call while draining: %v, want 480", err)
	}
	heard(t, c.stream, 2*time.Second)
	c.hangUp(t)
	if code := d.wait(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if len(d.log.lines("msg=unregistered")) != 1 {
		t.Error("not un-registered at the end")
	}
	comparePlain(t, d, c)
}

func TestAFixedUDPSocketCannotBeTakenOver(t *testing.T) {
	t.Parallel()
	addr, local := reserved(t), reserved(t)
	r := registrar(t, addr)
	d := write(t, plain(addr, "udp", alice.Password, `listen: "`+local+`"`)).runReady(t)
	c := call(t, r, 1, trunk.Invite{})
	code, out, errs := finish(t, d.home, 20*time.Second, "-c", d.config, "run", "--takeover")
	if code != 1 || out != "" || !strings.Contains(errs, "sip.listen: process") || !strings.Contains(errs, asBefore) {
		t.Errorf("exit code %d, standard output %q, standard error %q", code, out, errs)
	}
	d.awaitReady(t)
	heard(t, c.stream, time.Second)
	c.hangUp(t)
	d.sealed(t, 1, 5*time.Second)
	// From a port of its own it can be.
	next := d.run(t, "--takeover", "--set=sip.listen="+reserved(t))
	next.awaitReady(t)
	if code := d.wait(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	second := call(t, r, 2, trunk.Invite{})
	heard(t, second.stream, time.Second)
	second.hangUp(t)
	next.sealed(t, 2, 5*time.Second)
	next.terminate(t)
	rec := oracle.ByCall(t, d.dir)
	compareOne(t, c, rec[c.CallID()])
	compareOne(t, second, rec[second.CallID()])
}
