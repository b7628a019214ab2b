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

// pooled is a device that can register, with its owner.
type pooled struct {
	owner  *Extension
	device *Device
}

// pool are all users who can log in, with their devices that can register, by owner.
func (s *Sim) pool() (out []pooled) {
	a := &s.cfg.Account
	for i := range a.Extensions {
		for k := range a.Devices {
			x, d := &a.Extensions[i], &a.Devices[k]
			if d.Extension == x.ID && d.UserName != "" && d.Status == "" && x.JWT != "" {
				out = append(out, pooled{x, d})
			}
		}
	}
	return out
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
	w("ringcentral:\n  server: %q\n  client_id: %q\n  client_secret: %q\n", s.URL(), app.ClientID, app.ClientSecret)
	pool := s.pool()
	if len(pool) == 1 {
		w("  jwt: %q\n", x.JWT)
	}
	w("sip:\n  transport: %s\n", transport)
	if transport == "tls" {
		w("  tls:\n    ca_file: %q\n", s.caFile)
	}
	agents := s.monitored()
	for i := range agents {
		agents[i] = strconv.Quote(agents[i])
	}
	w("supervise:\n  agents: [%s]\n  mode: party\n", strings.Join(agents, ", "))
	if len(pool) == 1 {
		w("  device_id: %q\n", d.ID)
		return []byte(b.String())
	}
	w("  supervisors:\n")
	jwt := ""
	for _, e := range pool {
		if e.owner.JWT != jwt {
			jwt = e.owner.JWT
			w("    - jwt: %q\n      devices:\n", jwt)
		}
		w("        - {id: %q, max_dialogs: %d}\n", e.device.ID, e.device.MaxDialogs)
	}
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
