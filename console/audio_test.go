package console_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/internal/secret"
	"github.com/earshot/earshot/internal/who"
)

// player is a Backend that plays to who listens.
type player struct {
	listen func(ctx context.Context, req console.ListenRequest, w io.Writer) error
}

func (player) Status() any { return map[string]int{"calls": 7} }

func (p player) Listen(ctx context.Context, req console.ListenRequest, w io.Writer) error {
	return p.listen(ctx, req, w)
}

const token = "correct-horse-battery"

func heardAt(t *testing.T, p player, open secret.Text) string {
	t.Helper()
	c, err := console.New(console.Config{Listen: "127.0.0.1:0", Source: source{}, Backend: p, Token: open})
	if err != nil {
		t.Fatal(err)
	}
	run(t, c.Run)
	return "http://" + c.Addr().String()
}

// fetch asks for a URL and gives all of the answer; an error is one of the body.
func fetch(t *testing.T, url, bearer string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

func TestCallsAreHeardByWhoHasTheToken(t *testing.T) {
	asked := make(chan console.ListenRequest, 1)
	by := make(chan string, 1)
	url := heardAt(t, player{func(ctx context.Context, req console.ListenRequest, w io.Writer) error {
		asked <- req
		by <- who.From(ctx)
		_, err := io.WriteString(w, "audio")
		return err
	}}, token)
	for _, c := range []struct {
		path, bearer, kind string
		want               console.ListenRequest
	}{
		{"/calls/s-1/audio.wav", token, "audio/wav", console.ListenRequest{Call: "s-1", Format: "wav"}},
		{"/calls/any/audio.wav?agent=108&why=coaching", token, "audio/wav", console.ListenRequest{Agent: "108", Format: "wav", Why: "coaching"}},
		{"/calls/s%2F1/audio.raw?format=mulaw&track=agent&rate=16000&token=" + token, "", "application/octet-stream", console.ListenRequest{Call: "s/1", Format: "mulaw", Track: "agent", Rate: 16000}},
		{"/calls/any/audio.raw?header=true", token, "application/octet-stream", console.ListenRequest{Header: true}},
	} {
		resp, body, err := fetch(t, url+c.path, c.bearer)
		if err != nil || resp.StatusCode != http.StatusOK || body != "audio" || resp.Header.Get("Content-Type") != c.kind {
			t.Fatalf("%s: got %s, %q, %v", c.path, resp.Status, body, err)
		}
		if got := <-asked; got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.path, got, c.want)
		}
		if got := <-by; !strings.HasPrefix(got, "console token, from 127.0.0.1:") {
			t.Errorf("%s: by %q", c.path, got)
		}
	}
	if resp, body, _ := fetch(t, url+"/status", token); resp.StatusCode != http.StatusOK || body != "{\"calls\":7}\n" {
		t.Errorf("status: got %s, %q", resp.Status, body)
	}
}

func TestCallsAreClosedToOthers(t *testing.T) {
	nobody := player{func(context.Context, console.ListenRequest, io.Writer) error {
		t.Error("somebody listens")
		return nil
	}}
	url := heardAt(t, nobody, token)
	for _, path := range []string{"/status", "/calls/any/audio.wav", "/calls/any/audio.raw", "/status?token=", "/status?token=" + token[1:]} {
		for _, bearer := range []string{"", "x", token + "x"} {
			if resp, body, _ := fetch(t, url+path, bearer); resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s as %q: got %s, %q", path, bearer, resp.Status, body)
			}
		}
	}
	if resp, body, _ := fetch(t, heardAt(t, nobody, "")+"/calls/any/audio.wav?token=", ""); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, "set console.auth.token") {
		t.Errorf("no token configured: got %s, %q", resp.Status, body)
	}
	if resp, _, _ := fetch(t, url+"/calls/any/audio.wav?loud=1", token); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a question that is none: got %s", resp.Status)
	}
	if resp, body, _ := fetch(t, url+"/calls/any/audio.raw?format=wav", token); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "audio.wav") {
		t.Errorf("a WAV file as raw audio: got %s, %q", resp.Status, body)
	}
}

func TestWhoOnlyLooksIsNoListener(t *testing.T) {
	url := heardAt(t, player{func(context.Context, console.ListenRequest, io.Writer) error {
		t.Error("somebody listens")
		return nil
	}}, token)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, url+"/calls/any/audio.wav?token="+token, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "audio/wav" {
		t.Errorf("got %s, %v", resp.Status, resp.Header)
	}
}

func TestACallThatIsCutOffIsNoCallThatEnded(t *testing.T) {
	url := heardAt(t, player{func(_ context.Context, req console.ListenRequest, w io.Writer) error {
		if req.Call == "none" {
			return console.ErrNoCall
		}
		_, _ = io.WriteString(w, "some")
		return errors.New("the daemon ends")
	}}, token)
	if _, body, err := fetch(t, url+"/calls/s-1/audio.wav", token); err == nil || body != "some" {
		t.Errorf("got %q, %v; want an error after what there was", body, err)
	}
	if resp, _, _ := fetch(t, url+"/calls/none/audio.wav", token); resp.StatusCode != http.StatusNotFound {
		t.Errorf("no such call: got %s", resp.Status)
	}
}

func TestListenersLeaveRoomForHealthChecks(t *testing.T) {
	begun := make(chan struct{}, 100)
	url := heardAt(t, player{func(ctx context.Context, _ console.ListenRequest, w io.Writer) error {
		_, _ = io.WriteString(w, "x")
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}, token)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for range 32 {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/calls/any/audio.raw?token="+token, nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		}()
		select {
		case <-begun:
		case <-time.After(5 * time.Second):
			t.Fatal("a listener does not begin")
		}
	}
	if resp, body, _ := fetch(t, url+"/calls/any/audio.raw", token); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "too many listeners") {
		t.Errorf("the 33rd: got %s, %q", resp.Status, body)
	}
	if resp, _, _ := fetch(t, url+"/metrics", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("metrics beside them: got %s", resp.Status)
	}
}

func TestConsoleSpeaksTLS(t *testing.T) {
	pki := httptest.NewUnstartedServer(nil)
	pki.StartTLS()
	defer pki.Close()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, pki.TLS.Certificates[0], certFile, keyFile)
	c, err := console.New(console.Config{Listen: "127.0.0.1:0", Source: source{}, CertFile: certFile, KeyFile: keyFile})
	if err != nil {
		t.Fatal(err)
	}
	run(t, c.Run)
	pool := x509.NewCertPool()
	pool.AddCert(pki.Certificate())
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+c.Addr().String()+"/livez", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if _ = resp.Body.Close(); resp.StatusCode != http.StatusOK {
		t.Errorf("got %s", resp.Status)
	}
	if _, err := console.New(console.Config{Listen: "127.0.0.1:0", Source: source{}, CertFile: certFile}); err == nil || !strings.Contains(err.Error(), "console: tls") {
		t.Errorf("no key: got %v", err)
	}
}

// writePair writes a certificate and its key as PEM.
func writePair(t *testing.T, c tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
