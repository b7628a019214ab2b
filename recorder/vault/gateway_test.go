package vault_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	accessKey = "test-access"
	secretKey = "test-secret-that-no-log-shows"
	bucket    = "calls"
)

// gateway is a real S3 server with versions and locks: versitygw.
type gateway struct {
	addr   string
	dir    string
	client *minio.Client
	cmd    *exec.Cmd
}

// program finds versitygw: where scripts/peers.sh puts it, or in PATH.
func program(t *testing.T) string {
	t.Helper()
	const version = "v1.8.0"
	if cache, err := os.UserCacheDir(); err == nil {
		p := filepath.Join(cache, "earshot", "versitygw-"+version, "versitygw")
		if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() {
			return p
		}
	}
	if p, err := exec.LookPath("versitygw"); err == nil {
		return p
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("CI=true, and versitygw is missing: run scripts/peers.sh install")
	}
	t.Skip("versitygw is missing: run scripts/peers.sh install")
	return ""
}

// serve starts a server with a bucket.
func serve(t *testing.T, lock bool) *gateway {
	t.Helper()
	g := &gateway{dir: t.TempDir(), addr: freeAddr(t)}
	g.start(t)
	var err error
	g.client, err = minio.New(g.addr, &minio.Options{Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.client.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{ObjectLocking: lock}); err != nil {
		t.Fatal(err)
	}
	if !lock {
		if err := g.client.EnableVersioning(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (g *gateway) start(t *testing.T) {
	t.Helper()
	data, versions := filepath.Join(g.dir, "data"), filepath.Join(g.dir, "versions")
	for _, d := range []string{data, versions} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.cmd = exec.CommandContext(ctx, program(t), "--port", g.addr, "--quiet", "posix", "--versioning-dir", versions, data)
	g.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
	out, err := os.Create(filepath.Join(g.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	g.cmd.Stdout, g.cmd.Stderr = out, out
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = g.cmd.Wait()
		_ = out.Close()
	})
	eventually(t, 20*time.Second, "versitygw answers", func() bool {
		c, err := net.Dial("tcp", g.addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// versions lists all versions below a prefix, by key.
func (g *gateway) versions(t *testing.T, prefix string) map[string][]minio.ObjectInfo {
	t.Helper()
	out := map[string][]minio.ObjectInfo{}
	for o := range g.client.ListObjectsIter(t.Context(), bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true, WithVersions: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		out[o.Key] = append(out[o.Key], o)
	}
	return out
}

func eventually(t *testing.T, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(limit)
	for !cond() {
		select {
		case <-end:
			t.Fatalf("not within %v: %s", limit, what)
		case <-tick.C:
		}
	}
}
