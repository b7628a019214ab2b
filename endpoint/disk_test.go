package endpoint_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/recorder"
)

// TestACallThereIsNoRoomForIsNotAskedForAndLeavesARecord: RingCentral is not asked at all, status says why, and the ledger has the call.
func TestACallThereIsNoRoomForIsNotAskedForAndLeavesARecord(t *testing.T) {
	sim := unlimited(t, nil)
	dir := t.TempDir()
	cfg := against(t, sim, "tls", dir)
	cfg.Record.Refuse = recorder.Mark{Bytes: 1 << 60} // no disk has as much
	ep, stop := started(t, cfg)
	c := begin(t, sim, ringsim.CallSpec{Agent: "108"})
	c.Answer()
	id := c.SessionID()
	oracle.Eventually(t, 15*time.Second, "the cause", func() bool { return strings.Contains(waiting(ep, id), "disk_full: disk nearly full") })
	for _, check := range ep.Status().Checks {
		if check.Name == "disk" && (check.OK || !strings.Contains(check.Text, "no new calls")) {
			t.Errorf("disk: %+v", check)
		}
	}
	c.Hangup()
	pattern := filepath.Join(dir, "*/*/*/*_"+id)
	oracle.Eventually(t, 15*time.Second, "its record", func() bool { all, _ := filepath.Glob(pattern); return len(all) == 1 })
	all, _ := filepath.Glob(pattern)
	m, err := recorder.ReadManifest(all[0])
	if err != nil || m.State != recorder.StateNoMedia || m.Cause != call.CodeDiskFull {
		t.Errorf("record: %v, %+v", err, m)
	}
	for _, r := range sim.Requests() {
		if r.Pattern == partySupervise {
			t.Errorf("asked for: %+v", r)
		}
	}
	stop()
}
