package endpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/vault"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// listener is a service that is told.
type listener struct {
	mu     sync.Mutex
	ids    map[string]int
	bodies []string
}

func (l *listener) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids[r.Header.Get("webhook-id")]++
	l.bodies = append(l.bodies, string(b))
}

func (l *listener) told() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.bodies...)
}

// sealedFolder puts a sealed recording of just now on the disk.
func sealedFolder(t *testing.T, dir string, n int) string {
	t.Helper()
	at := time.Now().UTC().Add(time.Duration(n-100) * time.Second)
	folder := filepath.Join(dir, at.Format("2006/01/02"), at.Format("20060102T150405Z")+fmt.Sprintf("_call-%d", n))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	m := recorder.Manifest{
		Version: 1, Call: recorder.ManifestCall{ID: fmt.Sprintf("call-%d", n), Agent: "108"}, Part: 1, State: recorder.StateNoMedia, Started: at, Ended: &at, Rate: 8000,
		CauseText: "+15550100 hung up",
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, recorder.ManifestName), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// keeping runs a keeper with one hook.
func keeping(t *testing.T, dir, url string) (k *keeper, stop func()) {
	t.Helper()
	k, err := newKeeper(Config{Record: &recorder.Config{Dir: dir}, Webhooks: []Webhook{{URL: url, Secret: hookSecret}}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.run(ctx)
	}()
	return k, func() {
		cancel()
		<-done
	}
}

func soon(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(time.Minute)
	for !cond() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("not in time: %s", what)
		}
	}
}

// TestEachSealedRecordingIsToldOnce: what was sealed before services were named is not; what a crash kept from being told is.
func TestEachSealedRecordingIsToldOnce(t *testing.T) {
	l := &listener{ids: map[string]int{}}
	srv := httptest.NewServer(l)
	defer srv.Close()
	dir := t.TempDir()
	old := sealedFolder(t, dir, 1)
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(old, recorder.ManifestName), long, long); err != nil {
		t.Fatal(err)
	}
	k, stop := keeping(t, dir, srv.URL)
	// The comparison at the start is over when its mark is there; what is sealed then comes by itself.
	soon(t, "the first look", func() bool {
		_, err := os.Stat(filepath.Join(dir, "webhooks", sinceName))
		return err == nil && !k.again.Load()
	})
	k.take(recorder.Result{Dir: sealedFolder(t, dir, 2)})
	soon(t, "the second is told", func() bool { return len(l.told()) == 1 })
	stop()
	sealedFolder(t, dir, 3) // by a process that was killed before it could tell
	_, stop = keeping(t, dir, srv.URL)
	soon(t, "the third is told", func() bool { return len(l.told()) == 2 })
	stop()
	_, stop = keeping(t, dir, srv.URL)
	stop()
	all := strings.Join(l.told(), "\n")
	for n, want := range map[int]int{1: 0, 2: 1, 3: 1} {
		if got := strings.Count(all, fmt.Sprintf(`"call":"call-%d"`, n)); got != want {
			t.Errorf("call-%d told %d times, want %d", n, got, want)
		}
	}
	if strings.Contains(all, "555") || !strings.Contains(all, `"type":"recording.sealed"`) || !strings.Contains(all, `"state":"no_media"`) {
		t.Errorf("told: %s", all)
	}
}

// TestARecordingIsNotToldOfBeforeItsTranscriptIsThere: after a crash that is still to come into the folder.
func TestARecordingIsNotToldOfBeforeItsTranscriptIsThere(t *testing.T) {
	dir := t.TempDir()
	k, err := newKeeper(Config{Record: &recorder.Config{Dir: dir}, Webhooks: []Webhook{{URL: "http://127.0.0.1:1", Secret: hookSecret}}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer k.close() //nolint:errcheck // nothing was sent
	if _, err := k.since(); err != nil {
		t.Fatal(err)
	}
	at := sealedFolder(t, dir, 1)
	folder, err := filepath.Rel(dir, at)
	if err != nil {
		t.Fatal(err)
	}
	pending := filepath.Join(dir, recorder.TranscriptsName, folder+".jsonl")
	if err := os.MkdirAll(filepath.Dir(pending), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pending, []byte("{\"v\":1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Minute) // sealed after services were named, whatever the clock of files is
	if err := os.Chtimes(filepath.Join(at, recorder.ManifestName), later, later); err != nil {
		t.Fatal(err)
	}
	told := func() (n int) {
		k.again.Store(false)
		if err := k.compare(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := k.told.Read(dayOf(filepath.ToSlash(folder)), func([]byte) { n++ }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := told(); n != 0 || !k.again.Load() {
		t.Errorf("told of %d before its transcript is there, looked at again: %v", n, k.again.Load())
	}
	if err := os.Rename(pending, filepath.Join(at, recorder.TranscriptName)); err != nil {
		t.Fatal(err)
	}
	if n := told(); n != 1 {
		t.Errorf("told of %d when it is there, want it", n)
	}
}

// TestFailuresOfTheVaultAreTold without the text, which may name addresses.
func TestFailuresOfTheVaultAreTold(t *testing.T) {
	l := &listener{ids: map[string]int{}}
	srv := httptest.NewServer(l)
	defer srv.Close()
	k, stop := keeping(t, t.TempDir(), srv.URL)
	defer stop()
	k.failed(vault.Failure{Cause: vault.CauseDenied, Text: "at 192.0.2.1", Hint: "look"})
	k.failed(vault.Failure{Folder: "2026/11/23/20261123T101500Z_x", Call: "x", Cause: vault.CauseLocal, Text: "no", Hint: "verify"})
	k.vaulted(vault.Vaulted{Folder: "2026/11/23/20261123T101500Z_y", Call: "y", Bucket: "calls", Prefix: "p", Manifest: "00"})
	k.vaulted(vault.Vaulted{Folder: "2026/11/23/20261123T101500Z_y", Call: "y", Bucket: "calls", Prefix: "p", Manifest: "00"}) // after a crash
	soon(t, "all are told", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.ids) == 3
	})
	all := strings.Join(l.told(), "\n")
	for _, w := range []string{`"type":"vault.failed"`, `"type":"recording.failed"`, `"type":"recording.vaulted"`, `"cause":"denied"`, `"bucket":"calls"`} {
		if !strings.Contains(all, w) {
			t.Errorf("lacks %s: %s", w, all)
		}
	}
	if strings.Contains(all, "192.0.2.1") {
		t.Errorf("told: %s", all)
	}
}
