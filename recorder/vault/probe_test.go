package vault_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder/vault"
)

// TestAProbeTellsWhatIsMissing, and that all is well where it is.
func TestAProbeTellsWhatIsMissing(t *testing.T) {
	locking, plain := serve(t, true), serve(t, false)
	ahead := func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil {
				resp.Header.Set("Date", time.Now().Add(10*time.Minute).UTC().Format(http.TimeFormat))
			}
			return resp, err
		})
	}
	lock := func(c vault.Config) vault.Config {
		c.Lock, c.For = vault.LockGovernance, vault.Period{Days: 30}
		return c
	}
	for name, c := range map[string]struct {
		config vault.Config
		want   []string
		fails  int
	}{
		"all well":    {lock(config(t.TempDir(), locking.addr)), []string{"is reached", "the clocks agree", "keeps versions", "Object Lock is on", "written and read"}, 0},
		"no lock":     {lock(config(t.TempDir(), plain.addr)), []string{"no Object Lock", "written and read"}, 1},
		"no server":   {config(t.TempDir(), freeAddr(t)), []string{"unreachable"}, 1},
		"wrong clock": {config(t.TempDir(), plain.addr).Through(ahead), []string{"differs from ours by"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := vault.Probe(t.Context(), c.config)
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			fails := 0
			for _, f := range found {
				if text.WriteString(f.Mark + " " + f.Found + "\n"); f.Mark == vault.MarkFail {
					fails++
				}
				if f.Mark != vault.MarkOK && f.Do == "" {
					t.Errorf("%s: nothing to do", f.Found)
				}
			}
			for _, w := range c.want {
				if !strings.Contains(text.String(), w) {
					t.Errorf("lacks %q:\n%s", w, text.String())
				}
			}
			if fails != c.fails {
				t.Errorf("%d FAIL, want %d:\n%s", fails, c.fails, text.String())
			}
		})
	}
	if n := len(locking.versions(t, "")) + len(plain.versions(t, "")); n != 0 {
		t.Errorf("%d probes left behind", n)
	}
}
