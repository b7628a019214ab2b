package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
)

func TestGoodFileIsReadWithSources(t *testing.T) {
	l, err := config.Load(config.Input{File: "testdata/good.yaml", Required: true})
	if err != nil {
		t.Fatal(err)
	}
	c := l.Config
	if c.Supervise.Agents[0] != "0108" || c.Supervise.Agents[1] != "109" {
		t.Errorf("agents: got %q, want 0108 and 109 as written", c.Supervise.Agents)
	}
	if c.Media.LiveWait != 80*time.Millisecond || c.Media.ArchiveWindow != 2*time.Second {
		t.Errorf("media: got %v and %v", c.Media.LiveWait, c.Media.ArchiveWindow)
	}
	if c.Media.Ports != (config.Ports{Min: 30000, Max: 30099}) || c.Stream[1].Rate != 16000 || c.Stream[0].Per != "track" {
		t.Errorf("got ports %v, streams %+v", c.Media.Ports, c.Stream)
	}
	if got := l.Source("media.live_wait"); got != "good.yaml:6" {
		t.Errorf("source: got %q", got)
	}
	for _, e := range l.Entries() {
		if strings.Contains(e.Value, "secret") || strings.Contains(e.Value, "eyJ") {
			t.Errorf("%s shows its secret: %s", e.Key, e.Value)
		}
	}
}

func TestLayersBeatEachOtherInOrder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	file := write("e.yaml", "sip: {domain: file, username: file, password: file, authorization_id: file, listen: '127.0.0.1:1'}\n")
	env := write(".env", "SIP_INFO_DOMAIN=dotenv\nSIP_INFO_USERNAME=dotenv\nSIP_INFO_AUTHORIZATION_ID=dotenv\n")
	pw := write("pw", "from-a-file\n")
	l, err := config.Load(config.Input{
		File: file, EnvFile: env,
		Env: []string{"SIP_INFO_USERNAME=rc", "EARSHOT_SIP_AUTHORIZATION_ID=own", "EARSHOT_SIP_PASSWORD_FILE=" + pw, "EARSHOT_TYPO=1"},
		Set: []string{"sip.listen=127.0.0.1:2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := l.Config.SIP
	if s.Domain != "dotenv" || s.Username != "rc" || s.AuthorizationID != "own" || s.Password.Reveal() != "from-a-file" || s.Listen != "127.0.0.1:2" {
		t.Errorf("got %+v", s)
	}
	if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "EARSHOT_TYPO") {
		t.Errorf("warnings: got %q", l.Warnings)
	}
}

func TestSoftphoneEnvFileWorksUnchanged(t *testing.T) {
	dir := t.TempDir()
	env := filepath.Join(dir, ".env")
	text := "RINGCENTRAL_SERVER_URL=https://platform.ringcentral.com\nRINGCENTRAL_CLIENT_ID=id\nRINGCENTRAL_CLIENT_SECRET=s\nRINGCENTRAL_JWT_TOKEN=j\n" +
		"SIP_INFO_DOMAIN=sip.ringcentral.com\nSIP_INFO_OUTBOUND_PROXY=sip10.ringcentral.com:5096\nSIP_INFO_USERNAME=12055550101\nSIP_INFO_PASSWORD=p\nSIP_INFO_AUTHORIZATION_ID=802636634016\n"
	if err := os.WriteFile(env, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := config.Load(config.Input{EnvFile: env})
	if err != nil {
		t.Fatal(err)
	}
	if l.Config.RingCentral.JWT.Reveal() != "j" || l.Config.SIP.OutboundProxy[0] != "sip10.ringcentral.com:5096" || l.Config.SIP.Transport != "tls" {
		t.Errorf("got %+v", l.Config)
	}
}

func TestEachBadFileGivesItsMessage(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("bad files: got %v, %v", files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		_, err = config.Load(config.Input{File: f, Required: true})
		var errs config.Errors
		if !errors.As(err, &errs) {
			t.Errorf("%s: got %v, want an error", f, err)
			continue
		}
		for line := range strings.Lines(string(b)) {
			want, ok := strings.CutPrefix(strings.TrimSpace(line), "# want: ")
			if ok && !strings.Contains("\n"+err.Error(), "\n"+want) {
				t.Errorf("%s:\n got %v\nwant %s", f, err, want)
			}
			if n, ok := strings.CutPrefix(strings.TrimSpace(line), "# lines: "); ok && n != strconv.Itoa(len(errs)) {
				t.Errorf("%s:\n got %v\nwant %s mistakes", f, err, n)
			}
		}
		for _, e := range errs {
			if strings.Contains(e.Error(), "\n") {
				t.Errorf("%s: %q: a mistake is one line", f, e)
			}
		}
	}
}

func TestMissingFileIsOneClearError(t *testing.T) {
	_, err := config.Load(config.Input{File: "nowhere.yaml", Required: true})
	if err == nil || !strings.Contains(err.Error(), "nowhere.yaml") || !strings.Contains(err.Error(), "-c") {
		t.Errorf("got %v", err)
	}
}

func FuzzFileGivesConfigurationOrErrors(f *testing.F) {
	for _, p := range []string{"testdata/good.yaml", "testdata/syntax.bad.yaml", "testdata/two.bad.yaml"} {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		p := filepath.Join(dir, "f.yaml")
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := config.Load(config.Input{File: p, Required: true})
		if err == nil && l.Config.SIP.Transport == "" {
			t.Errorf("%q: no error, and no configuration", b)
		}
	})
}
