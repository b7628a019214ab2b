package vault_test

import (
	"crypto/tls"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder/vault"
)

// TestOnlyATrustedServerGetsRecordings: whose certificate nobody trusts is told as such; CAFile makes it trusted.
func TestOnlyATrustedServerGetsRecordings(t *testing.T) {
	g := serve(t, false)
	web := httptest.NewTLSServer(nil) // for its certificate
	web.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	p := proxyOn(t, l, g.addr)
	dir := t.TempDir()
	folder := recording(t, dir, 1, 5000)
	c := config(dir, p.addr).Quick(20*time.Millisecond, 5*time.Second)
	c.Endpoint = "https://" + p.addr
	v := start(t, c)
	eventually(t, 30*time.Second, "it is not trusted", func() bool { return v.Status().Trouble == vault.CauseTLS })
	v.stop()
	if len(v.told.folders()) != 0 {
		t.Error("vaulted, at a server that nobody trusts")
	}
	c.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	if err := os.WriteFile(c.CAFile, block, 0o600); err != nil {
		t.Fatal(err)
	}
	v = start(t, c)
	eventually(t, 30*time.Second, "it is in the vault", func() bool { return v.told.folders()[folder] == 1 })
	g.whole(t, dir, folder)
}
