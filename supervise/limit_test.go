package supervise

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetryAfterIsObeyedPerGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		penalty := time.Now().Add(20 * time.Second)
		f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
			if !strings.HasSuffix(r.URL.Path, "/presence") || time.Now().After(penalty) {
				return false
			}
			w.Header().Set("X-Rate-Limit-Group", "Heavy")
			w.Header().Set("Retry-After", "20")
			refuse(w, 429, "CMN-301", "Request rate exceeded", "", "")
			return true
		}
		s := mustNew(t, f.config())
		_, err := s.look(t.Context())
		if e, ok := errors.AsType[*APIError](err); !ok || e.RetryAfter != 20*time.Second || e.Hint() == "" {
			t.Fatalf("got %v, want a 429 with RetryAfter 20s", err)
		}
		start := time.Now()
		if _, err := s.Device(t.Context(), 0); err != nil || time.Since(start) != 0 {
			t.Errorf("another group: got %v after %s, want it at once", err, time.Since(start))
		}
		if _, err := s.look(t.Context()); err != nil || time.Since(start) < 20*time.Second || time.Since(start) > 21*time.Second {
			t.Errorf("the same group: got %v after %s, want success after 20s", err, time.Since(start))
		}
		if n := f.requests("/presence"); n != 2 {
			t.Errorf("got %d requests, want 2: none during the penalty", n)
		}
	})
}

func TestPenaltyWithoutRetryAfterGrows(t *testing.T) {
	l := newLimiter()
	now := time.Unix(1000, 0)
	h := http.Header{"X-Rate-Limit-Group": {"light"}}
	for _, want := range []time.Duration{30 * time.Second, 60 * time.Second, 60 * time.Second} {
		l.note(groupLight, 429, h, now)
		if got := l.take(groupLight, shareAll, now); got != want+penaltyMargin {
			t.Errorf("got %s, want %s", got, want+penaltyMargin)
		}
		now = now.Add(2 * time.Minute)
	}
	l.note(groupLight, 429, http.Header{"Retry-After": {"5"}}, now)
	for g := group(0); g < groupCount; g++ {
		if got := l.take(g, shareAll, now); got != 5*time.Second+penaltyMargin {
			t.Errorf("a 429 that names no group: group %s waits %s, want all to wait 5s", g, got)
		}
	}
	l.note(groupLight, 429, http.Header{"X-Rate-Limit-Group": {"light"}, "Retry-After": {now.Add(time.Hour).UTC().Format(http.TimeFormat)}}, now)
	if got := l.take(groupLight, shareAll, now); got > maxPenalty+penaltyMargin {
		t.Errorf("Retry-After of an hour: got %s, want at most %s", got, maxPenalty)
	}
}

func TestBudgetLeavesRoomForJoining(t *testing.T) {
	l := newLimiter()
	now := time.Unix(1000, 0)
	spend := func(g group, share, most int) (n int) {
		for n < most && l.take(g, share, now) == 0 {
			n++
		}
		return n
	}
	if got := spend(groupHeavy, shareLook, 100); got != 8 {
		t.Errorf("looks in a minute: got %d, want 8 of 10", got)
	}
	if got := spend(groupLight, shareLook, 100); got != 40 {
		t.Errorf("light looking: got %d, want 40 of 50", got)
	}
	if got := spend(groupLight, shareRetry, 100); got != 5 {
		t.Errorf("second attempts then: got %d, want 5", got)
	}
	if got := spend(groupLight, shareAll, 100); got != 5 {
		t.Errorf("joining then: got %d, want the last 5", got)
	}
	if wait := l.take(groupLight, shareAll, now); wait != defaultWindow {
		t.Errorf("wait: got %s, want %s", wait, defaultWindow)
	}
	l.note(groupHeavy, 200, http.Header{"X-Rate-Limit-Group": {"heavy"}, "X-Rate-Limit-Limit": {"1000"}, "X-Rate-Limit-Window": {"60"}}, now)
	if got := spend(groupHeavy, shareLook, 5000); got != 792 {
		t.Errorf("a plan of 1000: got %d more looks, want 792", got)
	}
	if got := l.spacing(groupHeavy, shareLook); got != 75*time.Millisecond {
		t.Errorf("spacing: got %s, want 75ms", got)
	}
	l.note(groupMedium, 500, http.Header{}, now)
	if got := l.spacing(groupMedium, shareAll); got != 1500*time.Millisecond {
		t.Errorf("spacing after an error without headers: got %s, want that of the documented plan", got)
	}
	l.note(groupMedium, 200, http.Header{}, now)
	if got := l.spacing(groupMedium, shareAll); got > time.Millisecond {
		t.Errorf("spacing with a server that names no limits: got %s, want next to nothing", got)
	}
}

// TestRetryAfterOfAWrongClockIsNoEternity: whatever is waited for because of an answer is asked for again within minutes.
func TestRetryAfterOfAWrongClockIsNoEternity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
			f := newFake(t)
			f.hook = func(w http.ResponseWriter, r *http.Request, _ string) bool {
				if !strings.HasSuffix(r.URL.Path, "/presence") {
					return false
				}
				w.Header().Set("Retry-After", time.Now().AddDate(300, 0, 0).UTC().Format(http.TimeFormat))
				refuse(w, status, "CMN-301", "later", "", "")
				return true
			}
			s := mustNew(t, f.config())
			_, err := s.look(t.Context())
			if _, until := judge(err, time.Now()); until.After(time.Now().Add(maxPenalty + penaltyMargin)) {
				t.Errorf("status %d: asked again in %s, want within %s", status, time.Until(until), maxPenalty)
			}
		}
	})
}

// TestOtherProgramsRequestsAreNotForgottenWhileOursAreUnderWay: an answer whose count lacks what is under way seems to say that
// nobody else has asked.
func TestOtherProgramsRequestsAreNotForgottenWhileOursAreUnderWay(t *testing.T) {
	l, now := newLimiter(), time.Unix(1000, 0)
	told := func(remaining string) http.Header {
		return http.Header{"X-Rate-Limit-Group": {"light"}, "X-Rate-Limit-Limit": {"10"}, "X-Rate-Limit-Remaining": {remaining}, "X-Rate-Limit-Window": {"60"}}
	}
	l.note(groupLight, 200, told("7"), now) // three are others'
	left := func() (n int) {
		for l.take(groupLight, shareAll, now) <= 0 {
			n++
		}
		return n
	}
	now = now.Add(time.Second)
	for range 3 {
		if d := l.take(groupLight, shareAll, now); d > 0 {
			t.Fatalf("waits %s, want room for seven", d)
		}
	}
	l.note(groupLight, 200, told("6"), now) // the second and third are not counted yet
	if n := left(); n != 4 {
		t.Errorf("%d more are let through, want 4: three others, three of ours", n)
	}
	if now = now.Add(time.Minute); left() != 10 {
		t.Error("a minute later others count still")
	}
}
