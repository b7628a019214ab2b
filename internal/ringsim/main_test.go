package ringsim_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/earshot/earshot/internal/ringsim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type object = map[string]any

// rest is a client that does nothing by itself.
type rest struct {
	t     *testing.T
	sim   *ringsim.Sim
	http  *http.Client
	token string
}

// start runs a simulator without rate limits whose supervisor's device is Online without registering, unless cfg has an
// account, and logs in.
func start(t *testing.T, cfg ringsim.Config) *rest {
	t.Helper()
	if cfg.Account.ID == "" {
		cfg.Account = ringsim.DefaultAccount(3)
		cfg.Account.Devices[0].Status = "Online"
	}
	c := startLimited(t, cfg, ringsim.Unlimited)
	c.login()
	return c
}

func startLimited(t *testing.T, cfg ringsim.Config, limits ringsim.Limits) *rest {
	t.Helper()
	cfg.Limits = limits
	cfg.Out = t.TempDir()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	c := &rest{t: t, sim: ringsim.Start(t, cfg), http: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

func eventually(t *testing.T, d time.Duration, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(d)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("after %s: still not: %s", d, what)
		}
		<-tick.C
	}
}

// reply is an answer with its JSON body.
type reply struct {
	status int
	header http.Header
	raw    []byte
	body   object
}

func (r *reply) code() string {
	s, _ := r.body["errorCode"].(string)
	return s
}

func (c *rest) do(method, path, contentType, body string, header ...string) *reply {
	c.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = c.sim.URL() + path
	}
	rq, err := http.NewRequestWithContext(c.t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if contentType != "" {
		rq.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		rq.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(header); i += 2 {
		rq.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			rq.Header.Del(header[i])
		}
	}
	resp, err := c.http.Do(rq)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	r := &reply{status: resp.StatusCode, header: resp.Header}
	if r.raw, err = io.ReadAll(resp.Body); err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	if len(r.raw) > 0 {
		if err := json.Unmarshal(r.raw, &r.body); err != nil {
			c.t.Fatalf("%s %s: body %q: %v", method, path, r.raw, err)
		}
	}
	return r
}

func (c *rest) get(path string) *reply {
	c.t.Helper()
	return c.do("GET", path, "", "")
}

// ok is get for what must succeed.
func (c *rest) ok(path string) object {
	c.t.Helper()
	r := c.get(path)
	if r.status != http.StatusOK {
		c.t.Fatalf("GET %s: %d %s, want 200", path, r.status, r.raw)
	}
	return r.body
}

func (c *rest) post(path string, body any) *reply {
	c.t.Helper()
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(body); err != nil {
		c.t.Fatal(err)
	}
	return c.do("POST", path, "application/json", b.String())
}

const formType = "application/x-www-form-urlencoded"

func jwt() string { return ringsim.DefaultAccount(1).Extensions[0].JWT }

func loginForm() url.Values {
	return url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {jwt()}}
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

func (c *rest) ask(path string, form url.Values) *reply {
	c.t.Helper()
	return c.do("POST", path, formType, form.Encode(), "Authorization", basic(ringsim.DefaultClientID, ringsim.DefaultClientSecret))
}

func (c *rest) login() object {
	c.t.Helper()
	r := c.ask("/restapi/oauth/token", loginForm())
	if r.status != http.StatusOK {
		c.t.Fatalf("login: %d %s, want 200", r.status, r.raw)
	}
	c.token, _ = r.body["access_token"].(string)
	return r.body
}

func (c *rest) call(spec ringsim.CallSpec) *ringsim.Call {
	c.t.Helper()
	call, err := c.sim.StartCall(spec)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(call.Hangup)
	return call
}

// records is the list in an answer.
func records(o object) []object {
	list, _ := o["records"].([]any)
	out := make([]object, 0, len(list))
	for _, x := range list {
		m, _ := x.(object)
		out = append(out, m)
	}
	return out
}
