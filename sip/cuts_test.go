package sip_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/ringsim/trunk"
	"github.com/earshot/earshot/sip"
)

// ringCentral is the simulator's registrar, which moves a dialog to a new flow by a re-INVITE only and answers an UPDATE there
// with 481, as RingCentral was seen to.
type ringCentral struct {
	*trunk.Trunk
	mu         sync.Mutex
	violations []string
}

func newRingCentral(t *testing.T) *ringCentral {
	t.Helper()
	w := &ringCentral{}
	tr, err := trunk.New(trunk.Config{
		Domain: "127.0.0.1", TCP: "127.0.0.1:0", Strict: true,
		User: func(id string) (trunk.User, bool) {
			return trunk.User{AuthID: id, UserName: "200", Password: "s3cret-pw"}, id == "802"
		},
		OnViolation: func(text string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.violations = append(w.violations, text)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Trunk = tr
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- tr.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		for _, v := range w.violations {
			t.Errorf("violation: %s", v)
		}
	})
	return w
}

// supervised is an account at the simulator with n calls.
func supervised(t *testing.T, n int) (*ringCentral, *house, []*trunk.Dialog) {
	t.Helper()
	w, h := newRingCentral(t), newHouse(t)
	c := sip.Config{
		Domain: "127.0.0.1", OutboundProxies: []string{w.Addr("tcp")}, Transport: "tcp", Username: "200", Password: "s3cret-pw",
		AuthorizationID: "802", InstanceID: "urn:uuid:4b1c0000-0000-4000-8000-000000000001", RingCentral: true, Handler: h, Keepalive: -1,
	}.WithTimers(short)
	h.run(c)
	h.registered()
	var dialogs []*trunk.Dialog
	for i := range n {
		d, err := w.Invite(t.Context(), trunk.Invite{UserName: "200", FromUser: fmt.Sprint(100 + i)})
		if err != nil {
			t.Fatal(err)
		}
		dialogs = append(dialogs, d)
		h.leg(i, func(l *leg) bool { return l.dialog != nil })
	}
	return w, h, dialogs
}

// routed says whether requests of the far side get through in the dialog.
func routed(ctx context.Context, d *trunk.Dialog) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	code, err := d.Options(ctx)
	return err == nil && code == 200
}

func TestHundredFlowCutsHealEveryDialogAndLoseNone(t *testing.T) {
	const cuts, calls = 100, 12
	w, h, dialogs := supervised(t, calls)
	slowest := time.Duration(0)
	for n := range cuts {
		if got := w.CutFlows("200"); got != 1 {
			t.Fatalf("cut %d: %d flows", n, got)
		}
		since := time.Now()
		for i, d := range dialogs {
			eventually(t, func() bool { return routed(t.Context(), d) })
			select {
			case <-d.Done():
				t.Fatalf("cut %d: dialog %d ended: %s", n, i, d.Cause())
			default:
			}
		}
		slowest = max(slowest, time.Since(since))
	}
	t.Logf("%d cuts in %d calls: all healed, the slowest after %v", cuts, calls, slowest)
	// A cut may come while a re-INVITE is out: that one failed, and another healed the dialog.
	if lost, own, failed := h.counter("flows_lost"), h.counter("own_reinvites"), h.counter("own_reinvites_failed"); lost != cuts || own-failed > cuts*calls || own < cuts*calls {
		t.Errorf("%d flows lost, %d re-INVITEs, %d failed; want %d lost, %d re-INVITEs that were answered", lost, own, failed, cuts, cuts*calls)
	}
	for i, d := range dialogs {
		if err := d.Bye(t.Context()); err != nil {
			t.Errorf("BYE: %v", err)
		}
		if c := h.ended(i); c.Code != call.CodeHangup {
			t.Errorf("cause %+v", c)
		}
	}
}

// A thousand calls must not offer again in one burst on a flow that has just come up.
func TestTenDialogsAreHealedAtOnce(t *testing.T) {
	const atOnce = 10
	p, h := start(t, "tcp", func(c *sip.Config) {
		tm := short
		tm.Reinvite = time.Minute
		*c = c.WithTimers(tm)
	})
	for i := range atOnce + 2 {
		p.newDialog(fmt.Sprint("heal", i)).establish(sdpOne)
	}
	h.leg(atOnce+1, func(l *leg) bool { return l.dialog != nil })
	p.cut()
	var out []*msg
	for range atOnce {
		out = append(out, p.next("INVITE"))
	}
	p.nothing(100*time.Millisecond, "INVITE")
	for _, re := range out[:2] { // each that is answered makes room for one
		re.write(re.answer("200 OK", sdpOne, "Contact: <sip:108@"+p.addr()+">", "Content-Type: application/sdp"))
		p.next("INVITE") // it may overtake the ACK
	}
	p.nothing(50*time.Millisecond, "INVITE")
}

func TestByeThatWasLostInACutIsFoundByTheHealing(t *testing.T) {
	w, h, dialogs := supervised(t, 3)
	h.mu.Lock()
	for _, l := range h.legs {
		l.silence = time.Hour // the far side sends nothing more
	}
	h.legs[0].silence = 0 // but this one does
	h.mu.Unlock()
	w.Shun(200 * time.Millisecond)
	_ = dialogs[1].Bye(t.Context()) // lost: there is no flow
	// The simulator ends it all the same, as RingCentral does.
	eventually(t, func() bool { return done(dialogs[1].Done()) })
	for i, d := range dialogs {
		if i != 1 {
			eventually(t, func() bool { return routed(t.Context(), d) })
		}
	}
	if c := h.ended(1); c.Code != call.CodeFlowLost {
		t.Errorf("cause %+v", c)
	}
}

func done(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
