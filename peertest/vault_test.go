package peertest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/earshot/earshot/recorder"
)

// The S3 server's credentials, and the secret of webhooks. No log may have the last two.
const (
	s3Access      = "peertest"
	s3Secret      = "peertest-secret-of-s3"
	webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// versitygw finds the S3 server that scripts/peers.sh has built.
func versitygw(t *testing.T) string {
	t.Helper()
	need(t)
	if cache, err := os.UserCacheDir(); err == nil {
		if p := filepath.Join(cache, "earshot", "versitygw-v1.8.0", "versitygw"); isFile(p) {
			return p
		}
	}
	p, err := exec.LookPath("versitygw")
	switch {
	case err == nil:
	case ci():
		t.Fatal("CI=true, and versitygw is missing: run scripts/peers.sh install")
	default:
		t.Skip("versitygw is missing: run scripts/peers.sh install")
	}
	return p
}

// startS3 starts the server at addr, on the data of an earlier one in dir, if any.
func startS3(t *testing.T, dir, addr string) (*process, *minio.Client) {
	t.Helper()
	for _, d := range []string{"data", "versions"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, dir, append(os.Environ(), "ROOT_ACCESS_KEY="+s3Access, "ROOT_SECRET_KEY="+s3Secret), versitygw(t),
		"--port", addr, "--quiet", "posix", "--versioning-dir", filepath.Join(dir, "versions"), filepath.Join(dir, "data"))
	eventually(t, 15*time.Second, "versitygw answers", func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	client, err := minio.New(addr, &minio.Options{Creds: credentials.NewStaticV4(s3Access, s3Secret, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return p, client
}

// hooked is what a service was told.
type hooked struct {
	mu   sync.Mutex
	lots []json.RawMessage // for judge-webhooks.mjs
	got  map[string]map[string]int
}

func (h *hooked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var m struct {
		Type string
		Data struct{ Folder string }
	}
	line, err := json.Marshal(map[string]any{"secret": webhookSecret, "body": string(body), "headers": map[string]string{
		"webhook-id": r.Header.Get("webhook-id"), "webhook-timestamp": r.Header.Get("webhook-timestamp"), "webhook-signature": r.Header.Get("webhook-signature"),
	}})
	if err != nil || json.Unmarshal(body, &m) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lots = append(h.lots, line)
	if h.got[m.Type] == nil {
		h.got[m.Type] = map[string]int{}
	}
	h.got[m.Type][m.Data.Folder]++
	w.WriteHeader(http.StatusNoContent)
}

func (h *hooked) told(kind string) map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string]int{}
	for k, n := range h.got[kind] {
		out[k] = n
	}
	return out
}

// TestSealedRecordingsComeToTheVault while calls go on, the server is away for a while, and earshot is killed: each once, with a webhook of it that the specification's
// own library takes.
func TestSealedRecordingsComeToTheVault(t *testing.T) {
	needModules(t, "standardwebhooks")
	addr := fmt.Sprintf("127.0.0.1:%d", nextPort())
	s3dir := t.TempDir()
	gw, client := startS3(t, s3dir, addr)
	if err := client.MakeBucket(t.Context(), "calls", minio.MakeBucketOptions{ObjectLocking: true}); err != nil {
		t.Fatal(err)
	}
	hooks := &hooked{got: map[string]map[string]int{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: hooks, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-served })

	_, sim := startSim(t, "--every", "2s", "--for", "1s", "--no-limits")
	dir := t.TempDir()
	recordings := filepath.Join(dir, "recordings")
	file := filepath.Join(dir, "earshot.yaml")
	config := sim.out.String() + fmt.Sprintf(`
record:
  dir: %q
  vault: {endpoint: "http://%s", bucket: calls, access_key: %s, secret_key: %s, lock: {mode: governance, for: 1d}}
webhooks: [{url: "http://%s/earshot", secret: %s}]
console: {listen: "off"}
`, recordings, addr, s3Access, s3Secret, l.Addr(), webhookSecret)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	run := func() *process { return start(t, dir, env, earshotBinary(), "run", "-c", file) }
	p := run()
	eventually(t, 30*time.Second, "a recording is in the vault", func() bool { return len(hooks.told("recording.vaulted")) > 0 })
	gw.kill()
	sealed := len(hooks.told("recording.sealed"))
	eventually(t, 30*time.Second, "two more are sealed", func() bool { return len(hooks.told("recording.sealed")) >= sealed+2 })
	eventually(t, 30*time.Second, "that the vault takes nothing is told", func() bool { return len(hooks.told("vault.failed")) == 1 })
	p.kill()
	startS3(t, s3dir, addr)
	q := run()
	eventually(t, 60*time.Second, "what is sealed is in the vault", func() bool {
		told, vaulted := hooks.told("recording.sealed"), hooks.told("recording.vaulted")
		for f := range told {
			if vaulted[f] == 0 {
				return false
			}
		}
		return len(told) >= sealed+3
	})
	if err := q.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := q.wait(t, 15*time.Second); code != 0 {
		t.Errorf("earshot ended with %d", code)
	}
	for folder, n := range hooks.told("recording.vaulted") {
		if n > 2 {
			t.Errorf("%s: told %d times", folder, n)
		}
		sameInVault(t, client, filepath.Join(recordings, folder), folder)
	}
	for _, said := range []string{p.log.String(), q.log.String()} {
		if strings.Contains(said, s3Secret) || strings.Contains(said, webhookSecret[6:]) {
			t.Error("a log has a secret")
		}
	}
	hooks.judge(t)
	if err := os.WriteFile(file, []byte(strings.Replace(config, "lock: {", "keep_local: 0, lock: {", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	m := run()
	folder := movedAway(t, recordings, hooks.told("recording.vaulted"))
	for _, args := range [][]string{{"verify", "--vault", filepath.Base(folder)}, {"fetch", filepath.Base(folder), "--why", "a look"}, {"verify", filepath.Base(folder)}} {
		cmd := exec.CommandContext(t.Context(), earshotBinary(), append([]string{"-c", file, "recordings"}, args...)...)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("earshot recordings %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	sameInVault(t, client, filepath.Join(recordings, folder), folder)
	if err := m.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := m.wait(t, 15*time.Second); code != 0 || strings.Contains(m.log.String(), s3Secret) {
		t.Errorf("earshot ended with %d, or its log has a secret", code)
	}
}

// movedAway waits until all audio of recordings that the vault had has left the disk, and names one of them.
func movedAway(t *testing.T, recordings string, vaulted map[string]int) (folder string) {
	t.Helper()
	eventually(t, 60*time.Second, "the audio has left the disk", func() bool {
		for f := range vaulted {
			if _, err := os.Stat(filepath.Join(recordings, f, recorder.AudioName)); err == nil {
				return false
			}
			if isFile(filepath.Join(recordings, f, recorder.MovedName)) {
				folder = f
			}
		}
		return folder != ""
	})
	return folder
}

// sameInVault compares a folder with the vault: the same files with the same octets, one version each, all locked.
func sameInVault(t *testing.T, client *minio.Client, dir, prefix string) {
	t.Helper()
	versions := map[string]int{}
	for o := range client.ListObjectsIter(t.Context(), "calls", minio.ListObjectsOptions{Prefix: prefix + "/", Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		versions[filepath.Base(o.Key)]++
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(versions) || versions[recorder.ManifestName] != 1 {
		t.Errorf("%s: %v in the vault, %d files on the disk", prefix, versions, len(files))
	}
	for _, f := range files {
		want, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		o, err := client.GetObject(t.Context(), "calls", prefix+"/"+f.Name(), minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		_, err = io.Copy(sum, o)
		_ = o.Close()
		if own := sha256.Sum256(want); err != nil || hex.EncodeToString(sum.Sum(nil)) != hex.EncodeToString(own[:]) {
			t.Errorf("%s/%s: other octets in the vault, or none: %v", prefix, f.Name(), err)
		}
		info, err := client.StatObject(t.Context(), "calls", prefix+"/"+f.Name(), minio.StatObjectOptions{})
		if err != nil || info.Headers.Get("X-Amz-Object-Lock-Mode") != "GOVERNANCE" || versions[f.Name()] != 1 {
			t.Errorf("%s/%s: %d versions, lock %q, %v", prefix, f.Name(), versions[f.Name()], info.Headers.Get("X-Amz-Object-Lock-Mode"), err)
		}
	}
}

// judge has the specification's library verify all that came.
func (h *hooked) judge(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "judge-webhooks.mjs")
	cmd.Dir = judgesDir
	var in bytes.Buffer
	for _, line := range h.lots {
		in.Write(append(line, '\n'))
	}
	cmd.Stdin = &in
	out, err := cmd.CombinedOutput()
	if want := fmt.Sprintf(`{"verified":%d}`, len(h.lots)); err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("judge-webhooks.mjs: %v: %s, want %s", err, out, want)
	}
}
