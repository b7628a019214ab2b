package supervise

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestAnswerThatIsAlways401CostsNoLoginEach: five logins are all that a user has, and the sixth ends another program's.
func TestAnswerThatIsAlways401CostsNoLoginEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.sessions[sess1] = twoParty()
		bad := true
		f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
			if !bad || !strings.HasSuffix(r.URL.Path, "/device") {
				return false
			}
			refuse(w, 401, "OAU-129", "Access token corrupted", "", "")
			return true
		}
		s, _, _ := running(t, f, nil)
		pass(20 * time.Minute)
		alive := 0
		f.set(func() { alive = len(f.tokens) })
		if f.logins > 8 || alive > 2 {
			t.Errorf("20 minutes of 401: got %d logins, %d of them alive", f.logins, alive)
		}
		logins := f.logins
		f.set(func() { bad = false })
		pass(2 * time.Minute)
		if st := s.Status(); len(st.Errors) != 0 || f.logins > logins+1 {
			t.Errorf("over: got %v, %d logins more", st.Errors, f.logins-logins)
		}
	})
}
