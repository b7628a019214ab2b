package acceptance

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// restProxy stands between earshot and RingCentral's REST API: it sees the tokens, and can fail.
type restProxy struct {
	server *httptest.Server
	fail   atomic.Int32 // status to answer with; 0: pass on
	only   string       // fails only what has this in its path; set before it fails
	asked  atomic.Int64 // requests that failed

	mu     sync.Mutex
	tokens []string
	paths  []string // of what was passed on
}

// passed counts the requests for a path that were answered by RingCentral.
func (p *restProxy) passed(path string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range p.paths {
		if strings.Contains(q, path) {
			n++
		}
	}
	return n
}

var tokenIn = regexp.MustCompile(`"(?:ws_access|access|refresh)_token"\s*:\s*"([^"]+)"`)

func newRESTProxy(t *testing.T, target string) *restProxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &restProxy{}
	to := httputil.NewSingleHostReverseProxy(u)
	to.Transport = &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	to.ModifyResponse = p.look
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code := p.fail.Load(); code != 0 && strings.Contains(r.URL.Path, p.only) {
			p.asked.Add(1)
			w.WriteHeader(int(code))
			return
		}
		r.Header.Del("Accept-Encoding")
		to.ServeHTTP(w, r)
	}))
	t.Cleanup(p.server.Close)
	return p
}

// look remembers every token that passes.
func (p *restProxy) look(r *http.Response) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(b))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paths = append(p.paths, r.Request.URL.Path)
	for _, m := range tokenIn.FindAllSubmatch(b, -1) {
		p.tokens = append(p.tokens, string(m[1]))
	}
	return nil
}

// sipRelay carries SIP over TCP to a proxy and keeps all that passes.
type sipRelay struct {
	listener net.Listener
	seen     buffer
	wg       sync.WaitGroup
}

func newSIPRelay(t *testing.T, target string) *sipRelay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // opens at once
	if err != nil {
		t.Fatal(err)
	}
	r := &sipRelay{listener: l}
	r.wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target) //nolint:noctx // loopback
			if err != nil {
				_ = near.Close()
				return
			}
			carry := func(to, from net.Conn) {
				_, _ = io.Copy(to, io.TeeReader(from, &r.seen)) // the end of either is the end of both
				_, _ = to.Close(), from.Close()
			}
			r.wg.Go(func() { carry(far, near) })
			r.wg.Go(func() { carry(near, far) })
			t.Cleanup(func() { _, _ = near.Close(), far.Close() })
		}
	})
	t.Cleanup(func() { _ = l.Close() })
	return r
}

func (r *sipRelay) addr() string { return r.listener.Addr().String() }
