package ringsim_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/earshot/earshot/internal/ringsim"
)

func TestYAMLFitsTheSimulator(t *testing.T) {
	c := startLimited(t, ringsim.Config{}, ringsim.Unlimited)
	var got struct {
		RingCentral struct {
			Server       string `yaml:"server"`
			ClientID     string `yaml:"client_id"`
			ClientSecret string `yaml:"client_secret"`
			JWT          string `yaml:"jwt"`
		} `yaml:"ringcentral"`
		SIP struct {
			Transport string `yaml:"transport"`
			TLS       struct {
				CAFile string `yaml:"ca_file"`
			} `yaml:"tls"`
		} `yaml:"sip"`
		Supervise struct {
			Agents   []string `yaml:"agents"`
			DeviceID string   `yaml:"device_id"`
			Mode     string   `yaml:"mode"`
		} `yaml:"supervise"`
	}
	if err := yaml.UnmarshalWithOptions(c.sim.YAML("tls"), &got, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if got.RingCentral.Server != c.sim.URL() || got.RingCentral.ClientID != ringsim.DefaultClientID || got.RingCentral.ClientSecret != ringsim.DefaultClientSecret ||
		got.RingCentral.JWT != jwt() || got.SIP.Transport != "tls" || got.Supervise.DeviceID != ringsim.DefaultDeviceID || got.Supervise.Mode != "party" ||
		strings.Join(got.Supervise.Agents, " ") != "108 109 110" {
		t.Errorf("got %+v", got)
	}
	if pem, err := os.ReadFile(got.SIP.TLS.CAFile); err != nil || string(pem) != string(c.sim.CAPEM()) {
		t.Errorf("ca_file: %v", err)
	}
	if s := string(c.sim.YAML("udp")); strings.Contains(s, "ca_file") || !strings.Contains(s, "transport: udp\n") {
		t.Errorf("over UDP:\n%s", s)
	}
}

func TestDotEnvHasRingCentralsNames(t *testing.T) {
	c := startLimited(t, ringsim.Config{}, ringsim.Unlimited)
	env := string(c.sim.DotEnv())
	for _, want := range []string{
		"RINGCENTRAL_SERVER_URL=" + c.sim.URL(), "RINGCENTRAL_CLIENT_ID=" + ringsim.DefaultClientID, "RINGCENTRAL_JWT_TOKEN=" + jwt(),
		"SIP_INFO_DOMAIN=sip.ringcentral.com", "SIP_INFO_OUTBOUND_PROXY=" + c.sim.Proxy("tls"), "SIP_INFO_AUTHORIZATION_ID=" + ringsim.DefaultDeviceID,
	} {
		if !strings.Contains(env, want+"\n") {
			t.Errorf("no line %q in\n%s", want, env)
		}
	}
}

func TestTLSProxyShowsACertificateOfOurAuthority(t *testing.T) {
	c := startLimited(t, ringsim.Config{}, ringsim.Unlimited)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(c.sim.CAPEM()) {
		t.Fatal("CAPEM has no certificate")
	}
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}).DialContext(t.Context(), "tcp", c.sim.Proxy("tls"))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func TestEveryStartsACallEachPeriod(t *testing.T) {
	c := start(t, ringsim.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.sim.Every(ctx, 20*time.Millisecond, time.Minute) }()
	busy := func() int {
		n := 0
		for _, r := range records(c.ok(account + "/presence?detailedTelephonyState=true")) {
			list, _ := r["activeCalls"].([]any)
			n += len(list)
		}
		return n
	}
	eventually(t, 5*time.Second, "four calls", func() bool { return busy() >= 4 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := c.sim.Every(t.Context(), 0, 0); err == nil {
		t.Error("a period of 0 was taken")
	}
}
