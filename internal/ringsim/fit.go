package ringsim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ear is the user and device that listen: the first device that can register and whose owner can log in.
func (s *Sim) ear() (*Extension, *Device) {
	a := &s.cfg.Account
	for i := range a.Devices {
		d := &a.Devices[i]
		if x := a.extension(d.Extension); d.UserName != "" && d.Status == "" && x.JWT != "" {
			return x, d
		}
	}
	return &Extension{}, &Device{}
}

// monitored lists the extension numbers that the listening user may supervise, in the account's order.
func (s *Sim) monitored() []string {
	x, _ := s.ear()
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, e := range s.cfg.Account.Extensions {
		if e.ID != x.ID && s.cfg.Account.maySupervise(x.ID, e.ID) {
			out = append(out, e.Number)
		}
	}
	return out
}

func (s *Sim) firstApp() App {
	if len(s.cfg.Account.Apps) == 0 {
		return App{}
	}
	return s.cfg.Account.Apps[0]
}

// YAML is an earshot.yaml that fits this simulator; transport is tls, tcp or udp.
func (s *Sim) YAML(transport string) []byte {
	x, d := s.ear()
	app := s.firstApp()
	var b strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	w("# Fits the simulated RingCentral at %s; everything in it is made up.\n", s.URL())
	w("ringcentral:\n  server: %q\n  client_id: %q\n  client_secret: %q\n  jwt: %q\n", s.URL(), app.ClientID, app.ClientSecret, x.JWT)
	w("sip:\n  transport: %s\n", transport)
	if transport == "tls" {
		w("  tls:\n    ca_file: %q\n", s.caFile)
	}
	agents := s.monitored()
	for i := range agents {
		agents[i] = strconv.Quote(agents[i])
	}
	w("supervise:\n  agents: [%s]\n  device_id: %q\n  mode: party\n", strings.Join(agents, ", "), d.ID)
	return []byte(b.String())
}

// DotEnv is a .env as RingCentral's own SDKs and samples read it: server, application, JWT, and the device's account for a
// softphone over TLS (over whatever is on, where TLS is off).
func (s *Sim) DotEnv() []byte {
	x, d := s.ear()
	app := s.firstApp()
	proxy := s.Proxy("tls")
	if proxy == "" {
		proxy = s.plainProxy()
	}
	env := map[string]string{
		"RINGCENTRAL_SERVER_URL": s.URL(), "RINGCENTRAL_CLIENT_ID": app.ClientID, "RINGCENTRAL_CLIENT_SECRET": app.ClientSecret,
		"RINGCENTRAL_JWT_TOKEN": x.JWT, "RINGCENTRAL_JWT": x.JWT,
		"SIP_INFO_DOMAIN": Domain, "SIP_INFO_OUTBOUND_PROXY": proxy, "SIP_INFO_USERNAME": d.UserName,
		"SIP_INFO_PASSWORD": d.Password, "SIP_INFO_AUTHORIZATION_ID": d.ID,
	}
	if s.trunk.Addr("tls") != "" {
		env["EARSHOT_SIP_TLS_CA_FILE"] = s.caFile // who trusts the certificate's authority need not switch verification off
	}
	lines := make([]string, 0, len(env))
	for k, v := range env {
		lines = append(lines, k+"="+v)
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, "\n") + "\n")
}
