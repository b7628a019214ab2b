package endpoint

import (
	"errors"
	"net/netip"
	"os"
	"testing"

	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/sip/offer"
)

// TestAnInviteThatNobodyAskedForGets503WhereThereIsNoRoom, and the ledger has it; a dialog of a call that is heard comes in.
func TestAnInviteThatNobodyAskedForGets503WhereThereIsNoRoom(t *testing.T) {
	dir := t.TempDir()
	e, err := New(Config{
		Devices: []Device{{Account: sip.Config{Domain: "sip.example.com", Username: "1", Transport: "udp", OutboundProxies: []string{"127.0.0.1:9"}}}},
		Media:   media.Config{ListenIP: netip.MustParseAddr("127.0.0.1")},
		Record:  &recorder.Config{Dir: dir, Refuse: recorder.Mark{Bytes: 1 << 60}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close() //nolint:errcheck // a test's folder
	r := e.ears[0]
	inv := &sip.Invitation{CallID: "no-room", FromUser: "+15551234", Lines: []offer.Stream{{}}}
	_, err = r.Invited(t.Context(), inv)
	if refusal, ok := errors.AsType[*sip.Refusal](err); !ok || refusal.Code != 503 || refusal.RetryAfter != barredRetry {
		t.Fatalf("got %v, want 503 and when to try again", err)
	}
	if len(e.calls) != 0 || len(e.missed) != 1 {
		t.Fatalf("%d calls, %d missed, want none and one", len(e.calls), len(e.missed))
	}
	e.recordMissed(<-e.missed)
	c, err := recorder.OpenCatalog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // read only
	if days, err := os.ReadDir(dir); err != nil || len(days) == 0 {
		t.Errorf("no record: %v", err)
	}
	heard := newCall(e, r, plan{}.info)
	heard.id = "heard"
	e.calls["heard"] = heard
	inv.CallID = "another"
	p := unasked(inv)
	p.info.ID = "heard"
	if err := r.bar(inv, p, false); err != nil {
		t.Errorf("a dialog of a call that is heard: %v", err)
	}
}
