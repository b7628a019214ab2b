package main

import (
	"context"
	"net"
	"slices"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/supervise"
)

// maxWays is how many different proxies doctor looks at: a pool's devices have the same few.
const maxWays = 4

// lookConfig is the SIP account to look with.
func lookConfig(c config.Config) sip.Config {
	version, _ := buildVersion()
	s := sipConfig(c, "", version)
	s.RingCentral = c.HasRingCentral()
	return s
}

// examineSIP looks at the way to the registrar that stands in the configuration.
func examineSIP(ctx context.Context, c config.Config) []supervise.Finding {
	return endpoint.ExamineSIP(ctx, lookConfig(c), addr(c.Media.AdvertiseIP))
}

// sipOfDaemon looks at the ways that the daemon's devices go.
func sipOfDaemon(ctx context.Context, c config.Config, st endpoint.Status) []supervise.Finding {
	if c.HasSIP() {
		return examineSIP(ctx, c)
	}
	cfg := lookConfig(c)
	var proxies []string
	for _, d := range st.Devices {
		if d.Proxy != "" && !slices.Contains(proxies, d.Proxy) && len(proxies) < maxWays {
			proxies = append(proxies, d.Proxy)
		}
	}
	if len(proxies) == 0 {
		return nil
	}
	host, _, err := net.SplitHostPort(proxies[0])
	if err != nil {
		host = proxies[0]
	}
	cfg.Domain, cfg.Username, cfg.OutboundProxies = host, "doctor", proxies // status does not tell the account
	return endpoint.ExamineSIP(ctx, cfg, addr(c.Media.AdvertiseIP))
}

// sipOfAccounts looks at the way to the registrar of the first device whose account RingCentral gives.
func sipOfAccounts(ctx context.Context, c config.Config, accounts []*supervise.Account) []supervise.Finding {
	if c.HasSIP() {
		return examineSIP(ctx, c)
	}
	for _, a := range accounts {
		devices, _, err := a.Devices(ctx)
		if err != nil {
			continue // told already
		}
		for _, d := range supervise.FittingDevices(devices) {
			if c.Supervise.DeviceID != "" && d.ID != c.Supervise.DeviceID {
				continue
			}
			if info, err := a.SIPInfo(ctx, d.ID); err == nil && info.Domain != "" {
				return endpoint.ExamineDevice(ctx, lookConfig(c), info, addr(c.Media.AdvertiseIP))
			}
		}
	}
	return nil
}
