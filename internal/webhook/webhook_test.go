package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/earshot/earshot/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// TestTheSignatureIsThatOfTheSpecification: the example that Standard Webhooks and its libraries are tested with.
func TestTheSignatureIsThatOfTheSpecification(t *testing.T) {
	key, err := ParseSecret(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature: got %s, want %s", got, want)
	}
}

func TestASecretThatIsNoneIsRefusedUnseen(t *testing.T) {
	for _, s := range []string{"", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_short", "whsec_", "whsec_&&&&", "whsec_" + strings.Repeat("A", 400)} {
		_, err := ParseSecret(secret.Text(s))
		if err == nil || len(s) > 6 && strings.Contains(err.Error(), s[6:]) {
			t.Errorf("ParseSecret(%.20s): %v", s, err)
		}
	}
}

// service is who is told. It answers as it is told to, and checks all that comes.
type service struct {
	t      *testing.T
	mu     sync.Mutex
	answer func(*http.Request) *http.Response
	got    map[string]int // taken, by id
	tries  []time.Time
	ids    map[string]bool
	bodies map[string]string
}

func reply(status int) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("x"))}
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	id, stamp := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(testSecret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "." + string(body)))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want {
		s.t.Errorf("signature: got %s, want %s", r.Header.Get("webhook-signature"), want)
	}
	var e struct {
		Type      string
		Timestamp time.Time
		Data      json.RawMessage
	}
	if err := json.Unmarshal(body, &e); err != nil || e.Type == "" || e.Timestamp.IsZero() || r.Header.Get("content-type") != "application/json" {
		s.t.Errorf("body %s: %v", body, err)
	}
	s.tries = append(s.tries, time.Now())
	s.ids[id], s.bodies[id] = true, string(body)
	resp := s.answer(r)
	if resp == nil {
		return nil, io.ErrUnexpectedEOF
	}
	if resp.StatusCode/100 == 2 {
		s.got[id]++
	}
	return resp, nil
}

func (s *service) set(f func(*http.Request) *http.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer, s.tries = f, nil
}

func (s *service) seen() (taken, tries int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got), len(s.tries)
}

func always(status int) func(*http.Request) *http.Response {
	return func(*http.Request) *http.Response {
		if status == 0 {
			return nil
		}
		return reply(status)
	}
}

type world struct {
	*Hooks
	s    *service
	log  *bytes.Buffer
	stop func()
}

func run(t *testing.T, dir string, s *service, events ...string) *world {
	t.Helper()
	log := new(bytes.Buffer)
	h, err := New(Config{
		Dir: dir, Transport: s, Log: slog.New(slog.NewTextHandler(log, nil)),
		Hooks: []Hook{{URL: "https://user:pass@hooks.example/earshot?token=hidden", Secret: testSecret, Events: events}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	return &world{h, s, log, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		for _, w := range []string{"hidden", "pass", testSecret[6:]} {
			if strings.Contains(log.String(), w) {
				t.Errorf("the log shows %s: %s", w, log)
			}
		}
	}}
}

func newService(t *testing.T, status int) *service {
	return &service{t: t, answer: always(status), got: map[string]int{}, ids: map[string]bool{}, bodies: map[string]string{}}
}

func tell(t *testing.T, h *Hooks, what string) {
	t.Helper()
	if err := h.Tell("recording.sealed", time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC), what, map[string]string{"folder": what}); err != nil {
		t.Fatal(err)
	}
}

// TestAMessageOutlivesAnOutageOfDays, and restarts, under one id.
func TestAMessageOutlivesAnOutageOfDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, s := t.TempDir(), newService(t, 0)
		for day := range 4 {
			w := run(t, dir, s)
			for i := range 3 {
				tell(t, w.Hooks, string(rune('a'+day*3+i)))
			}
			time.Sleep(24 * time.Hour)
			synctest.Wait()
			if st := w.Status()[0]; st.Waiting != (day+1)*3 || st.Down == "" || st.Host != "hooks.example" {
				t.Errorf("day %d: %+v", day, st)
			}
			w.stop()
		}
		if _, n := s.seen(); n < 12*6 || n > 12*14 {
			t.Errorf("%d tries in four days, want those of the schedule", n)
		}
		s.set(always(204))
		w := run(t, dir, s)
		time.Sleep(28 * time.Hour)
		synctest.Wait()
		w.stop()
		if len(s.ids) != 12 || len(s.got) != 12 {
			t.Errorf("%d ids, %d taken, want 12", len(s.ids), len(s.got))
		}
		for id, n := range s.got {
			if n != 1 || !strings.HasPrefix(id, "msg_") {
				t.Errorf("%s taken %d times", id, n)
			}
		}
	})
}

// TestWhatWasToldTwiceHasOneID: a crash may come between telling and noting that.
func TestWhatWasToldTwiceHasOneID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, 200)
		w := run(t, t.TempDir(), s)
		tell(t, w.Hooks, "a")
		time.Sleep(time.Minute)
		tell(t, w.Hooks, "a")
		tell(t, w.Hooks, "b")
		time.Sleep(time.Minute)
		synctest.Wait()
		w.stop()
		if len(s.ids) != 2 {
			t.Errorf("ids: %v, want two", s.ids)
		}
	})
}

func TestGoneMeansGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, 410)
		w := run(t, t.TempDir(), s)
		for _, k := range []string{"a", "b", "c"} {
			tell(t, w.Hooks, k)
		}
		time.Sleep(48 * time.Hour)
		tell(t, w.Hooks, "d")
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		st := w.Status()[0]
		w.stop()
		// What was told after the answer is not even kept.
		if len(s.tries) != 1 || st.GivenUp < 1 || st.GivenUp > 3 || !st.Gone || st.Waiting != 0 {
			t.Errorf("%d tries, %+v, want one", len(s.tries), st)
		}
		if strings.Count(w.log.String(), "level=ERROR") != 1 {
			t.Errorf("log: %s", w.log)
		}
	})
}

func TestAMessageIsGivenUpAfterFiveDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, 400)
		w := run(t, t.TempDir(), s)
		tell(t, w.Hooks, "a")
		time.Sleep(10 * 24 * time.Hour)
		synctest.Wait()
		st := w.Status()[0]
		w.stop()
		if st.GivenUp != 1 || st.Waiting != 0 || len(s.tries) < 10 || len(s.tries) > 15 {
			t.Errorf("%d tries, %+v", len(s.tries), st)
		}
		if s.tries[1].Sub(s.tries[0]) > 10*time.Second || s.tries[3].Sub(s.tries[2]) < 25*time.Minute {
			t.Errorf("tries: %v", s.tries[:4])
		}
	})
}

// TestAMessageThatIsRefusedHoldsUpNoOther, and Retry-After counts.
func TestAMessageThatIsRefusedHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, 200)
		w := run(t, t.TempDir(), s)
		first := true
		s.set(func(*http.Request) *http.Response {
			if !first {
				return reply(200)
			}
			first = false
			r := reply(400)
			r.Header.Set("Retry-After", "600")
			return r
		})
		tell(t, w.Hooks, "a")
		time.Sleep(time.Second)
		tell(t, w.Hooks, "b")
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		if got, tries := s.seen(); got != 1 || tries != 2 {
			t.Errorf("%d taken in %d tries, want 1 in 2", got, tries)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		w.stop()
		if len(s.got) != 2 {
			t.Errorf("%d taken, want both", len(s.got))
		}
	})
}

func TestOnlyWhatWasAskedForIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, 200)
		w := run(t, t.TempDir(), s, "recording.vaulted")
		tell(t, w.Hooks, "a")
		time.Sleep(time.Minute)
		synctest.Wait()
		w.stop()
		if len(s.tries) != 0 {
			t.Errorf("%d tries, want none", len(s.tries))
		}
		if err := w.Tell("x", time.Now(), "", strings.Repeat("x", 30<<10)); err == nil {
			t.Error("a message of 30 KiB was taken")
		}
	})
}

// TestARedirectIsNotFollowed: a signed message goes to nobody else.
func TestARedirectIsNotFollowed(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path]++
		mu.Unlock()
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer srv.Close()
	h, err := New(Config{Dir: t.TempDir(), Hooks: []Hook{{URL: srv.URL + "/here", Secret: testSecret}}})
	if err != nil {
		t.Fatal(err)
	}
	tell(t, h, "a")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for h.Status()[0].Failed == 0 {
		<-tick.C
	}
	cancel()
	<-done
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if asked["/here"] == 0 || asked["/elsewhere"] != 0 {
		t.Errorf("asked: %v", asked)
	}
}
