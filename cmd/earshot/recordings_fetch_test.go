package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder"
)

// bucketDir is a bucket that may be read: all that there is to a fetch of S3. The vault's own tests have a real server.
type bucketDir struct {
	files    map[string][]byte // by key
	endpoint string
}

func (b *bucketDir) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, ok := b.files[strings.TrimPrefix(r.URL.Path, "/calls/")]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("ETag", `"x"`)
	http.ServeContent(w, r, "", time.Now(), bytes.NewReader(body))
}

// Placed implements recorder.Placer: the bucket has the files that the folder has.
func (b *bucketDir) Placed(_ context.Context, folder string) (*recorder.Place, error) {
	p := &recorder.Place{Endpoint: b.endpoint, Bucket: "calls", Prefix: folder}
	for key, body := range b.files {
		if path.Dir(key) == folder {
			sum := sha256.Sum256(body)
			p.Objects = append(p.Objects, recorder.PlacedFile{File: path.Base(key), Key: key, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(body))})
		}
	}
	return p, nil
}

// inVault is a folder with a recording whose audio was moved to a vault, and its configuration.
func inVault(t *testing.T) (dir, file string, b *bucketDir) {
	t.Helper()
	dir, b = signedShelf(t), &bucketDir{files: map[string][]byte{}}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.endpoint = server.URL
	err := filepath.WalkDir(filepath.Join(dir, "2026"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		key, err := filepath.Rel(dir, name)
		if err == nil {
			b.files[filepath.ToSlash(key)], err = os.ReadFile(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := recorder.New(recorder.Config{Dir: dir, Sign: true})
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.MoveOut(t.Context(), recorder.MoveConfig{Vault: b, Leaves: func(ended time.Time) time.Time { return ended }})
	if e := s.Close(); n != 1 || err != nil || e != nil {
		t.Fatalf("%d moved, %v, %v", n, err, e)
	}
	file = filepath.Join(t.TempDir(), "earshot.yaml")
	text := fmt.Sprintf("sip: {domain: d, username: u, password: p}\ncontrol: {socket: %s}\nrecord: {dir: %s, vault: {endpoint: %q, bucket: calls, access_key: a, secret_key: s, keep_local: 0}}\n",
		filepath.Join(t.TempDir(), "s"), dir, server.URL)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, file, b
}

// TestTheExamplesOfThePageOnTheVaultRun, in their order.
func TestTheExamplesOfThePageOnTheVaultRun(t *testing.T) {
	commands, _ := page(t, "../../docs/vault.md")
	if len(commands) < 5 {
		t.Fatalf("%d examples: %q", len(commands), commands)
	}
	dir, file, _ := inVault(t)
	for _, c := range commands {
		var o, e bytes.Buffer
		if code := run(t.Context(), process{args: append([]string{"-c", file}, commandWords(c)...), out: &o, err: &e}); code != exitDone {
			t.Fatalf("earshot %s: code %d, %s%s", c, code, &o, &e)
		}
		for in, want := range map[string]string{
			"list": "recorded, in the vault", "show s-1": "IN THE VAULT bucket calls at http://", "verify s-1": "that of 1 recordings; not read there", "--vault": "as it was sealed: that of 1",
			"fetch": "fetched 2026/11/23/20261123T101500Z_s-1: 1 files",
		} {
			if strings.Contains(c, in) && !strings.Contains(o.String(), want) {
				t.Errorf("earshot %s: got %q, want %q in it", c, &o, want)
			}
		}
	}
	if code, out, errs := recordings(t, "--dir", dir, "export", "s-1", "--out", filepath.Join(t.TempDir(), "x.wav")); code != exitDone {
		t.Errorf("export of what was fetched: code %d, %s%s", code, out, errs)
	}
	if code, out, errs := recordings(t, "--dir", dir, "list"); code != exitDone || strings.Contains(out, "vault") {
		t.Errorf("list: code %d, %s%s", code, out, errs)
	}
}

func TestWhatCantBeFetchedSaysWhatToDo(t *testing.T) {
	dir, file, b := inVault(t)
	for _, args := range [][]string{{"export", "s-1", "--out", filepath.Join(t.TempDir(), "x.wav")}, {"export", "s-1", "--format", "vcon"}} {
		code, _, errs := recordings(t, append([]string{"--dir", dir}, args...)...)
		if code != exitFailed || !strings.Contains(errs, "bucket calls at http://") || !strings.Contains(errs, "hint: earshot recordings fetch 20261123T101500Z_s-1 --why TEXT") {
			t.Errorf("%q: code %d, %s", args, code, errs)
		}
	}
	for _, args := range [][]string{{"fetch", "s-1", "--why", "x"}, {"verify", "--vault"}} {
		if code, _, errs := recordings(t, append([]string{"--dir", dir}, args...)...); code == exitDone || !strings.Contains(errs, "record.vault") {
			t.Errorf("%q without a vault: code %d, %s", args, code, errs)
		}
	}
	key := "2026/11/23/20261123T101500Z_s-1/audio.wav"
	b.files[key][len(b.files[key])-1] ^= 1
	for in, args := range map[string][]string{"not as it was sealed": {"recordings", "fetch", "s-1", "--why", "x"}, "not all is as it was signed": {"recordings", "verify", "--vault"}} {
		var o, e bytes.Buffer
		if code := run(t.Context(), process{args: append([]string{"-c", file}, args...), out: &o, err: &e}); code != exitFailed || !strings.Contains(e.String(), in) {
			t.Errorf("%q of other octets: code %d, %s%s", args, code, &o, &e)
		}
	}
	if code, out, errs := recordings(t, "--dir", dir, "list"); code != exitDone || !strings.Contains(out, "in the vault") {
		t.Errorf("after a fetch of other octets: code %d, %s%s", code, out, errs)
	}
}
