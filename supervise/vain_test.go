package supervise

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestAnswerThatIsAlways401CostsNoLoginEach: five logins are all that a user has, and the sixth ends another program's.
func TestAnswerThatIsAlways401CostsNoLoginEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.sessions[sess1] = twoParty()
		var well atomic.Bool
		f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
			if well.Load() || !strings.HasSuffix(r.URL.Path, "/device") {
				return false
			}
			refuse(w, 401, "OAU-129", "Access token corrupted", "", "")
			return true
		}
		s, _, _ := running(t, f, nil)
		pass(20 * time.Minute)
		count := func() (logins, alive int) {
			f.set(func() { logins, alive = f.logins, len(f.tokens) })
			return logins, alive
		}
		before, alive := count()
		if before > 8 || alive > 2 {
			t.Errorf("20 minutes of 401: got %d logins, %d of them alive", before, alive)
		}
		well.Store(true)
		pass(2 * time.Minute)
		after, _ := count()
		if st := s.Status(); len(st.Errors) != 0 || after > before+1 {
			t.Errorf("over: got %v, %d logins more", st.Errors, after-before)
		}
	})
}
