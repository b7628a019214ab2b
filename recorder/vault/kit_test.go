package vault_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/vault"
)

var began = time.Date(2026, 11, 23, 10, 15, 0, 0, time.UTC)

// recording makes a sealed recording on the disk and gives its folder.
func recording(t *testing.T, dir string, n int, audio int) string {
	t.Helper()
	at := began.Add(time.Duration(n) * time.Hour)
	folder := at.Format("2006/01/02/20060102T150405Z") + fmt.Sprintf("_call-%d", n)
	path := filepath.Join(dir, filepath.FromSlash(folder))
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, audio)
	r := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = r.Read(noise)
	ended := at.Add(time.Minute)
	m := recorder.Manifest{
		Version: 1, Software: "test", Call: recorder.ManifestCall{ID: fmt.Sprintf("call-%d", n)}, Part: 1, State: recorder.StateRecorded,
		Started: at, Ended: &ended, Rate: 8000, Samples: int64(audio) / 4, Channels: []string{"customer", "agent"},
		Audio: &recorder.Audio{File: recorder.AudioName, Format: "wav", SHA256: sum(noise), Bytes: int64(audio)},
		Files: []recorder.File{{File: "events.jsonl", SHA256: sum([]byte("{}\n")), Bytes: 3}},
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct { // in the order of a seal: audio that is newer than its manifest was brought back
		name string
		b    []byte
	}{{recorder.AudioName, noise}, {"events.jsonl", []byte("{}\n")}, {recorder.ManifestName, raw}, {recorder.SignatureName, []byte("c2lnbmVk\n")}} {
		if err := os.WriteFile(filepath.Join(path, f.name), f.b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func config(dir, addr string) vault.Config {
	return vault.Config{Dir: dir, Endpoint: "http://" + addr, Bucket: bucket, AccessKey: accessKey, SecretKey: secretKey}
}

// running is a vault at work.
type running struct {
	*vault.Vault
	told *told
	stop func()
}

// told is what a vault said.
type told struct {
	mu      sync.Mutex
	vaulted []vault.Vaulted
	failed  []vault.Failure
	log     bytes.Buffer
}

func (l *told) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.Write(b)
}

func (l *told) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.String()
}

func (l *told) failures() []vault.Failure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]vault.Failure(nil), l.failed...)
}

func (l *told) folders() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]int{}
	for _, v := range l.vaulted {
		out[v.Folder]++
	}
	return out
}

func start(t *testing.T, c vault.Config) *running {
	t.Helper()
	l := &told{}
	c.Log = slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c.Vaulted = func(v vault.Vaulted) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.vaulted = append(l.vaulted, v)
	}
	c.Failed = func(f vault.Failure) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failed = append(l.failed, f)
	}
	v, err := vault.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
			if err := v.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if strings.Contains(l.text(), secretKey) {
				t.Error("the log has the secret key")
			}
		})
	}
	t.Cleanup(stop)
	return &running{v, l, stop}
}

// whole makes sure that the vault has each file of a recording, with its octets, in one version.
func (g *gateway) whole(t *testing.T, dir, folder string) {
	t.Helper()
	g.inVersions(t, dir, folder, 1)
}

func (g *gateway) inVersions(t *testing.T, dir, folder string, versions int) {
	t.Helper()
	there := g.versions(t, folder+"/")
	files, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(folder)))
	if err != nil {
		t.Fatal(err)
	}
	if len(there) != len(files) {
		t.Errorf("%s: %d objects, want %d", folder, len(there), len(files))
	}
	for _, f := range files {
		key := folder + "/" + f.Name()
		if len(there[key]) != versions {
			t.Errorf("%s: %d versions, want %d", key, len(there[key]), versions)
		}
		o, err := g.client.GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(o)
		_ = o.Close()
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		want, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(folder), f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: other octets than on the disk", key)
		}
	}
}
