package endpoint_test

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/secret"
	"github.com/earshot/earshot/internal/strict"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/sip/offer"
	"github.com/earshot/earshot/supervise"
)

// agents are the default world's first extensions that may be monitored.
var agents = []string{"108", "109", "110"} //nolint:gochecknoglobals // constant

// dotEnv is what the simulator tells a client of it.
func dotEnv(sim *ringsim.Sim) map[string]string {
	env := map[string]string{}
	for line := range strings.Lines(string(sim.DotEnv())) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		env[k] = v
	}
	return env
}

// against is the configuration of an endpoint that hears the simulator's agents, its device registered over the transport.
func against(t *testing.T, sim *ringsim.Sim, transport, dir string) endpoint.Config {
	t.Helper()
	env := dotEnv(sim)
	account := sip.Config{Transport: transport, Policy: offer.Policy{Codecs: []offer.Codec{offer.PCMU, offer.PCMA}}}
	if transport == "tls" {
		account.TLS = sip.TLS{CAFile: sim.CAFile()}
	}
	return endpoint.Config{
		Supervisors: []endpoint.Supervisor{{
			RingCentral: supervise.Config{
				Server: env["RINGCENTRAL_SERVER_URL"], ClientID: env["RINGCENTRAL_CLIENT_ID"],
				ClientSecret: secret.Text(env["RINGCENTRAL_CLIENT_SECRET"]), JWT: secret.Text(env["RINGCENTRAL_JWT"]),
				DeviceID: env["SIP_INFO_AUTHORIZATION_ID"], Agents: agents,
			},
			Device: endpoint.Device{Account: account},
		}},
		Media:         media.Config{ListenIP: netip.MustParseAddr("127.0.0.1")},
		Record:        &recorder.Config{Dir: dir},
		RejoinTimeout: 5 * time.Second,
		Log:           slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
}

// endWithin is how long an endpoint may take to end.
const endWithin = 15 * time.Second

// started runs an endpoint; stop ends it and waits, which the test's end does as well.
func started(t *testing.T, cfg endpoint.Config) (ep *endpoint.Endpoint, stop func()) {
	t.Helper()
	if cfg.Record != nil {
		t.Cleanup(func() { strict.Tree(t, cfg.Record.Dir) })
	}
	ep, err := endpoint.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- ep.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(endWithin):
			t.Errorf("Run did not end within %s", endWithin)
		}
	})
	t.Cleanup(stop)
	return ep, stop
}
