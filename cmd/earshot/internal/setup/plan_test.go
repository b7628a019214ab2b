package setup_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/cmd/earshot/internal/setup"
)

func plan() setup.Plan {
	return setup.Plan{
		Server: "http://127.0.0.1:1", ClientID: `id "with" \ and ü`, ClientSecret: setup.Secret{Text: "client-secret-made-up"}, JWT: setup.Secret{Text: "jwt-made-up"},
		Login: "101\nevil: true", Device: setup.Choice{ID: "802636634016", Comment: "Phone\u2028record: {dir: /etc}"},
		Groups: []setup.Choice{{ID: "8121017", Comment: "Team: a # b"}},
	}
}

func TestWhatIsWrittenIsWhatIsRead(t *testing.T) {
	for _, inline := range []bool{false, true} {
		p := plan()
		p.Inline = inline
		path := filepath.Join(t.TempDir(), "earshot.yaml")
		written, err := p.Write(path, false)
		if err != nil {
			t.Fatal(err)
		}
		l, err := config.Load(config.Input{File: path, Required: true})
		if err != nil {
			t.Fatal(err)
		}
		c := l.Config
		if c.RingCentral.Server != p.Server || c.RingCentral.ClientID != p.ClientID || c.RingCentral.ClientSecret != p.ClientSecret.Text || c.RingCentral.JWT != p.JWT.Text ||
			c.Supervise.DeviceID != "802636634016" || len(c.Supervise.Groups) != 1 || c.Supervise.Groups[0] != "8121017" || c.Record.Dir != "recordings" {
			t.Errorf("inline %v: got %+v", inline, c)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if clear := strings.Contains(string(b), "made-up"); clear != inline {
			t.Errorf("inline %v: secrets in clear: %v\n%s", inline, clear, b)
		}
		if want := map[bool]int{false: 3, true: 1}[inline]; len(written) != want {
			t.Errorf("inline %v: wrote %q, want %d files", inline, written, want)
		}
		for _, f := range written {
			if st, err := os.Stat(f); err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("%s: mode %v, %v, want 0600", f, st.Mode(), err)
			}
		}
	}
}

func TestASecretThatStandsSomewhereStaysThere(t *testing.T) {
	p := plan()
	p.ClientSecret.Found, p.JWT.File = "RINGCENTRAL_CLIENT_SECRET in .env", "/run/secrets/jwt"
	y := string(p.YAML())
	if strings.Contains(y, "made-up") || !strings.Contains(y, "# client_secret: from RINGCENTRAL_CLIENT_SECRET in .env\n") || !strings.Contains(y, `jwt_file: "/run/secrets/jwt"`) {
		t.Errorf("got\n%s", y)
	}
}

func TestNothingIsOverwrittenUnlessForced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "earshot.yaml")
	if _, err := plan().Write(path, false); err != nil {
		t.Fatal(err)
	}
	if _, err := plan().Write(path, false); !errors.Is(err, setup.ErrExists) {
		t.Errorf("a second time: got %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := plan().Write(path, false); !errors.Is(err, setup.ErrExists) || !strings.Contains(err.Error(), "client_secret") {
		t.Errorf("with secrets there: got %v", err)
	}
	if _, err := plan().Write(path, true); err != nil {
		t.Errorf("forced: %v", err)
	}
}
