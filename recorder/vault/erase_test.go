package vault_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/vault"
)

// TestALockedRecordingIsNotErased: the error names until when, and nothing of it is gone.
func TestALockedRecordingIsNotErased(t *testing.T) {
	g := serve(t, true)
	dir := t.TempDir()
	folder := recording(t, dir, 1, 5000)
	c := config(dir, g.addr).Quick(50*time.Millisecond, 5*time.Second)
	c.Lock, c.For = vault.LockCompliance, vault.Period{Years: 10}
	v := start(t, c)
	eventually(t, 30*time.Second, "it is in the vault", func() bool { return v.told.folders()[folder] == 1 })
	err := v.Erase(t.Context(), folder)
	until := began.Add(time.Hour+time.Minute).AddDate(10, 0, 0)
	if l, ok := errors.AsType[*vault.LockedError](err); !ok || !l.Until.Equal(until) || l.Mode != vault.LockCompliance || l.Hold {
		t.Errorf("Erase: %v, want locked until %v", err, until)
	}
	if err == nil || !strings.Contains(err.Error(), "2036-11-23T11:16:00Z") {
		t.Errorf("Erase: %v: does not say until when", err)
	}
	g.whole(t, dir, folder)
	// The server itself refuses, too: it is not our word alone.
	for key, list := range g.versions(t, folder+"/") {
		if err := g.client.RemoveObject(t.Context(), bucket, key, minio.RemoveObjectOptions{VersionID: list[0].VersionID}); err == nil {
			t.Errorf("%s: the server let it go", key)
		}
	}
}

// TestALegalHoldKeepsARecording until it is taken off.
func TestALegalHoldKeepsARecording(t *testing.T) {
	g := serve(t, true)
	dir := t.TempDir()
	folder := recording(t, dir, 1, 5000)
	c := config(dir, g.addr).Quick(50*time.Millisecond, 5*time.Second)
	c.LegalHold = true
	v := start(t, c)
	eventually(t, 30*time.Second, "it is in the vault", func() bool { return v.told.folders()[folder] == 1 })
	if l, ok := errors.AsType[*vault.LockedError](v.Erase(t.Context(), folder)); !ok || !l.Hold {
		t.Errorf("Erase: %v, want a legal hold", l)
	}
	off := minio.LegalHoldDisabled
	for key, list := range g.versions(t, folder+"/") {
		err := g.client.PutObjectLegalHold(t.Context(), bucket, key, minio.PutObjectLegalHoldOptions{Status: &off, VersionID: list[0].VersionID})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Erase(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
	if n := g.versions(t, folder); len(n) != 0 {
		t.Errorf("left: %v", n)
	}
}

// TestErasingTakesAllVersions, delete markers too, and keeps the recording from coming back; erasing again is no error.
func TestErasingTakesAllVersions(t *testing.T) {
	g := serve(t, false)
	dir := t.TempDir()
	folder, other := recording(t, dir, 1, 5000), recording(t, dir, 2, 5000)
	c := config(dir, g.addr).Quick(50*time.Millisecond, 5*time.Second)
	v := start(t, c)
	eventually(t, 30*time.Second, "both are in the vault", func() bool { return len(v.told.folders()) == 2 })
	key := folder + "/" + recorder.AudioName
	if _, err := g.client.PutObject(t.Context(), bucket, key, strings.NewReader("another"), 7, minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := g.client.RemoveObject(t.Context(), bucket, key, minio.RemoveObjectOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := len(g.versions(t, key)[key]); n != 3 {
		t.Fatalf("%d versions, want two and a delete marker", n)
	}
	for range 2 {
		if err := v.Erase(t.Context(), folder); err != nil {
			t.Fatal(err)
		}
	}
	if n := g.versions(t, folder+"/"); len(n) != 0 {
		t.Errorf("left: %v", n)
	}
	v.stop()
	v = start(t, c) // the folder is still on the disk
	third := recording(t, dir, 3, 100)
	v.Sealed(recorder.Result{Dir: filepath.Join(dir, third)})
	eventually(t, 30*time.Second, "the third is in the vault", func() bool { return v.told.folders()[third] == 1 })
	if n := g.versions(t, folder+"/"); len(n) != 0 {
		t.Errorf("it came back: %v", n)
	}
	g.whole(t, dir, other)
	for _, bad := range []string{"", "2026/11/23", "../" + folder, "2026/11/24/" + filepath.Base(folder), folder + ".partial"} {
		if err := v.Erase(t.Context(), bad); err == nil {
			t.Errorf("Erase(%q): no error", bad)
		}
	}
}

// TestErasingEndsAnUpload that is under way, and what it began.
func TestErasingEndsAnUpload(t *testing.T) {
	g := serve(t, false)
	p := newProxy(t, g.addr)
	dir := t.TempDir()
	folder := recording(t, dir, 1, 17<<20)
	p.set(false, crawl(t))
	c := config(dir, p.addr).Quick(50*time.Millisecond, 20*time.Second)
	c.PartBytes = 5 << 20
	v := start(t, c)
	eventually(t, 30*time.Second, "it is under way", func() bool { return v.Status().SentBytes > 0 })
	if err := os.RemoveAll(filepath.Join(dir, folder)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second) // the upload alone would take minutes
	defer cancel()
	if err := v.Erase(ctx, folder); err != nil {
		t.Fatal(err)
	}
	if s := v.Status(); s.Queued != 0 || s.Vaulted != 0 {
		t.Errorf("status: %+v", s)
	}
	left, err := (&minio.Core{Client: g.client}).ListMultipartUploads(t.Context(), bucket, folder, "", "", "", 10)
	if err != nil || len(left.Uploads) != 0 || len(g.versions(t, folder+"/")) != 0 {
		t.Errorf("left: %v, %v", left.Uploads, err)
	}
}

// TestErasedWhileTheVaultIsAway: that a recording is not there to be brought is then no failure, and what waits is the erasure alone.
func TestErasedWhileTheVaultIsAway(t *testing.T) {
	dir := t.TempDir()
	folder := recording(t, dir, 1, 5000)
	v := start(t, unreachable(dir))
	eventually(t, 30*time.Second, "it waits", func() bool { return v.Status().Queued == 1 })
	if err := os.RemoveAll(filepath.Join(dir, folder)); err != nil {
		t.Fatal(err)
	}
	if err := v.Erase(t.Context(), folder); err == nil {
		t.Fatal("erased from a vault that is not there")
	}
	if n := v.Status().Queued; n != 0 {
		t.Errorf("%d recordings wait to be brought, want none", n)
	}
	v.stop()
	for _, f := range v.told.failures() {
		if f.Cause == vault.CauseLocal {
			t.Errorf("told as a failure: %+v", f)
		}
	}
}

// TestErasedWhileNoDaemonRan: the queue still names it, and the erasure in the vault is for later.
func TestErasedWhileNoDaemonRan(t *testing.T) {
	dir := t.TempDir()
	folder := recording(t, dir, 1, 5000)
	c := unreachable(dir)
	v := start(t, c)
	eventually(t, 30*time.Second, "it waits", func() bool { return v.Status().Queued == 1 })
	v.stop()
	later := recorder.Config{Dir: dir, Erasers: []recorder.Eraser{away{}}}
	s, err := recorder.New(later)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Erase(t.Context(), folder, "uid 7", "she asked"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	v = start(t, c)
	eventually(t, 30*time.Second, "it waits no more", func() bool {
		_, err := os.Lstat(filepath.Join(dir, "vault", "queue", filepath.Base(folder)))
		return errors.Is(err, os.ErrNotExist)
	})
	for _, f := range v.told.failures() {
		if f.Cause == vault.CauseLocal {
			t.Errorf("told as a failure: %+v", f)
		}
	}
}

// away is a vault that is asked later.
type away struct{}

func (away) Erase(context.Context, string) error { return errors.New("later") }

// unreachable is a vault's configuration with nobody on the line.
func unreachable(dir string) vault.Config {
	return config(dir, "127.0.0.1:9").Quick(50*time.Millisecond, 5*time.Second).Through(func(http.RoundTripper) http.RoundTripper {
		return roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("no route to host") })
	})
}
