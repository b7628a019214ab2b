package supervise

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestRefusalIsExplainedByLooking: whatever the code, the log and the status say what there is to see of device, groups and
// session, once in a while.
func TestRefusalIsExplainedByLooking(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		f := newFake(t)
		f.sessions[sess1] = twoParty()
		f.sessions[sess1].parties[2].ext = agentExt
		f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
			if !strings.HasSuffix(r.URL.Path, "/supervise") {
				return false
			}
			refuse(w, 403, "XYZ-71", "Not for you", "", "")
			return true
		}
		s, _, log := running(t, f, func(c *Config) { c.Mode = ModeSession })
		eventually(t, time.Minute, "a cause with what was seen", func() bool {
			st := s.Status().Calls
			return len(st) == 1 && strings.Contains(st[0].Cause, looked)
		})
		for _, want := range []string{"XYZ-71: Not for you", "device " + deviceID + " of extension 101 is Online", "lets extension 101 monitor agent 108", "party " + agentParty + " is Answered"} {
			if c := s.Status().Calls[0].Cause; !strings.Contains(c, want) {
				t.Errorf("cause: got %q, want %q in it", c, want)
			}
		}
		if text := log.text(); !strings.Contains(text, "looked=") || !strings.Contains(text, "XYZ-71") {
			t.Errorf("log: %s", text)
		}
		members := f.requests("/members$")
		pass(20 * time.Minute)
		if n := f.requests("/members$") - members; n > 45 {
			t.Errorf("got %d diagnoses in 20 minutes", n)
		}
	})
}
