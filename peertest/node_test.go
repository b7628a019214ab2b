package peertest

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// judgesDir holds the scripts and, after scripts/peers.sh install, RingCentral's SDKs.
const judgesDir = "node"

// simFile is the part of the earshot.yaml that `earshot sim` prints which the judges need.
type simFile struct {
	RingCentral struct {
		Server       string `yaml:"server"`
		ClientID     string `yaml:"client_id"`
		ClientSecret string `yaml:"client_secret"`
		JWT          string `yaml:"jwt"`
	} `yaml:"ringcentral"`
	SIP struct {
		TLS struct {
			CAFile string `yaml:"ca_file"`
		} `yaml:"tls"`
	} `yaml:"sip"`
	Supervise struct {
		Agents []string `yaml:"agents"`
	} `yaml:"supervise"`
}

// startSim runs `earshot sim` and reads what it prints.
func startSim(t *testing.T, args ...string) (simFile, *process) {
	t.Helper()
	dir := t.TempDir()
	p := start(t, dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, earshotBinary(), append([]string{"sim"}, args...)...)
	var f simFile
	eventually(t, 15*time.Second, "earshot sim has printed its configuration", func() bool {
		if p.ended() {
			t.Fatalf("earshot sim ended: %v\n%s", p.err, p.log.String())
		}
		f = simFile{}
		return yaml.Unmarshal([]byte(p.out.String()), &f) == nil && f.RingCentral.JWT != "" && len(f.Supervise.Agents) > 0 &&
			f.SIP.TLS.CAFile != ""
	})
	if !filepath.IsAbs(f.SIP.TLS.CAFile) {
		f.SIP.TLS.CAFile = filepath.Join(dir, f.SIP.TLS.CAFile)
	}
	return f, p
}

// needModules skips the test, or fails it in CI, without node or one of RingCentral's SDKs.
func needModules(t *testing.T, names ...string) {
	t.Helper()
	need(t, "node")
	for _, n := range names {
		switch {
		case isFile(filepath.Join(judgesDir, "node_modules", filepath.FromSlash(n), "package.json")):
		case ci():
			t.Fatalf("CI=true, and the npm module %s is missing; run scripts/peers.sh install", n)
		default:
			t.Skipf("the npm module %s is missing; run scripts/peers.sh install", n)
		}
	}
}

// judge runs a script with the simulator's credentials and extra variables.
func (f simFile) judge(t *testing.T, extra []string, args ...string) *process {
	t.Helper()
	return start(t, judgesDir, append([]string{
		"PATH=" + os.Getenv("PATH"), "NODE_EXTRA_CA_CERTS=" + f.SIP.TLS.CAFile,
		"RINGCENTRAL_SERVER_URL=" + f.RingCentral.Server, "RINGCENTRAL_CLIENT_ID=" + f.RingCentral.ClientID,
		"RINGCENTRAL_CLIENT_SECRET=" + f.RingCentral.ClientSecret, "RINGCENTRAL_JWT=" + f.RingCentral.JWT,
		"AGENTS=" + strings.Join(f.Supervise.Agents, ","),
	}, extra...), "node", args...)
}

// core runs the REST judge and reads its result.
func (f simFile) core(t *testing.T, result any, args ...string) {
	t.Helper()
	p := f.judge(t, nil, append([]string{"judge-core.mjs"}, args...)...)
	if code := p.wait(t, 2*time.Minute); code != 0 {
		t.Fatalf("@rc-ex/core %v:\n%s", args, p.log.String())
	}
	if err := json.Unmarshal([]byte(p.out.String()), result); err != nil {
		t.Fatalf("@rc-ex/core %v: %v\n%s", args, err, p.log.String())
	}
}

// heard is a line of judge-softphone.mjs.
type heard struct {
	Event, IDs                      string
	Packets, Missing, Repeated, Odd int
	Seconds                         float64
}

func events(t *testing.T, p *process, event string) []heard {
	t.Helper()
	var out []heard
	for s := bufio.NewScanner(strings.NewReader(p.out.String())); s.Scan(); {
		var h heard
		if json.Unmarshal(s.Bytes(), &h) == nil && h.Event == event {
			out = append(out, h)
		}
	}
	return out
}

func TestRingCentralSDKsWorkWithTheSimulator(t *testing.T) {
	needModules(t, "@rc-ex/core", "ringcentral-softphone")
	t.Parallel()
	sim, _ := startSim(t, "--every", "5s")
	var device struct {
		DeviceID string
		SIPInfo  struct {
			Domain, UserName, Password, AuthorizationID string
			OutboundProxies                             []struct{ ProxyTLS string }
		}
	}
	sim.core(t, &device, "device")
	info := device.SIPInfo
	domain, _, _ := strings.Cut(info.Domain, ":")
	phone := sim.judge(t, []string{
		"SIP_INFO_DOMAIN=" + domain, "SIP_INFO_OUTBOUND_PROXY=" + info.OutboundProxies[0].ProxyTLS, "SIP_INFO_USERNAME=" + info.UserName,
		"SIP_INFO_PASSWORD=" + info.Password, "SIP_INFO_AUTHORIZATION_ID=" + info.AuthorizationID,
	}, "judge-softphone.mjs")
	eventually(t, 15*time.Second, "the soft phone is registered", func() bool {
		if phone.ended() {
			t.Fatalf("ringcentral-softphone:\n%s", phone.log.String())
		}
		return len(events(t, phone, "registered")) == 1
	})
	var joined struct {
		Session string
		Parties []string
	}
	sim.core(t, &joined, "supervise", device.DeviceID)
	if code := phone.wait(t, 2*time.Minute); code != 0 {
		t.Fatalf("ringcentral-softphone: exit code %d\n%s", code, phone.log.String())
	}
	calls := events(t, phone, "ended")
	if len(calls) != 2 {
		t.Fatalf("%d calls ended, want 2:\n%s", len(calls), phone.log.String())
	}
	for i, c := range calls {
		t.Logf("%+v", c)
		// One packet each 20 ms from the phone's first packet to the BYE, but for half a second in which both are on their way.
		if want := int((c.Seconds - 0.5) * 50); c.Packets < want || c.Missing+c.Repeated+c.Odd > 0 {
			t.Errorf("call %d: %+v, want at least %d packets and none missing, repeated or odd", i, c, want)
		}
		if !strings.Contains(c.IDs, joined.Session) {
			t.Errorf("call %d: ids %q, want session %s", i, c.IDs, joined.Session)
		}
	}
	if seen := calls[0].IDs + calls[1].IDs; len(joined.Parties) == 2 {
		for _, p := range joined.Parties {
			if !strings.Contains(seen, p) {
				t.Errorf("no call for party %s", p)
			}
		}
	} else {
		t.Errorf("supervised %v, want two parties", joined.Parties)
	}
}
