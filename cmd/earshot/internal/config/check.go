package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/stream"
)

// HasRingCentral tells whether a login is configured, so that supervise has work.
func (c Config) HasRingCentral() bool {
	return c.RingCentral.ClientID != "" || c.RingCentral.ClientSecret != "" || c.RingCentral.JWT != "" || len(c.Supervise.Supervisors) > 0
}

// HasSIP tells whether the account stands in the configuration itself.
func (c Config) HasSIP() bool {
	return c.SIP.Domain != "" || c.SIP.Username != "" || c.SIP.Password != ""
}

// SocketPath is where the daemon's control socket lies.
func (c Config) SocketPath() string {
	if c.Control.Socket != "" {
		return c.Control.Socket
	}
	return filepath.Join(c.Record.Dir, "earshot.sock")
}

// check looks at what no single key can tell. All texts name key and cure.
func (l *Loaded) check() []error {
	var bad []error
	c := &l.Config
	fail := func(key, format string, a ...any) {
		if l.broken[key] {
			return
		}
		bad = append(bad, fmt.Errorf("%s: %s: %s", l.near(key), key, fmt.Sprintf(format, a...)))
	}
	need := func(key, got, cure string) {
		if got == "" {
			fail(key, "missing: %s", cure)
		}
	}
	if c.HasRingCentral() {
		l.checkRingCentral(fail, need)
	}
	switch {
	case c.HasSIP():
		need("sip.domain", c.SIP.Domain, "set it, or SIP_INFO_DOMAIN")
		need("sip.username", c.SIP.Username, "set it, or SIP_INFO_USERNAME")
		need("sip.password", c.SIP.Password.Reveal(), "set it, or sip.password_file, or SIP_INFO_PASSWORD")
	case !c.HasRingCentral():
		if len(c.Supervise.Agents)+len(c.Supervise.Groups) > 0 {
			fail("ringcentral.client_id", "missing: supervise asks RingCentral, which needs client_id, client_secret and jwt")
		}
		fail("sip.domain", "missing: set sip (domain, outbound_proxy, username, password), or ringcentral (client_id, client_secret, jwt)")
	}
	for _, p := range c.SIP.OutboundProxy {
		if bad := badHostPort(p); bad != "" {
			fail("sip.outbound_proxy", "%s: %s", p, bad)
		}
	}
	l.checkAddresses(fail)
	if c.Record.Channels.Customer == c.Record.Channels.Agent {
		fail("record.channels.agent", "%s: the customer is there: put one left and one right", c.Record.Channels.Agent)
	}
	if w, r := c.Record.Disk.Warn, c.Record.Disk.Refuse; w.Bytes > 0 && w.Bytes < r.Bytes || w.Percent > 0 && w.Percent < r.Percent {
		fail("record.disk.warn", "%s: less than record.disk.refuse (%s): want more room for the warning than for the refusal", w, r)
	}
	l.checkFiles(fail)
	l.checkRetention(fail)
	l.checkMask(fail)
	l.checkConsent(fail)
	if _, err := time.LoadLocation(c.Timezone); err != nil {
		fail("timezone", "%s: want a name such as Europe/Paris or UTC", c.Timezone)
	}
	l.checkPolicy(fail)
	l.checkKeep(fail, need)
	for i, s := range c.Stream {
		l.checkStream(fmt.Sprintf("stream[%d].", i), s, fail)
		l.checkChoice(fmt.Sprintf("stream[%d].", i), s, fail)
	}
	return bad
}

func (l *Loaded) checkPolicy(fail func(string, string, ...any)) {
	s := &l.Config.Supervise
	for _, w := range s.Schedule {
		if _, err := ParseWindow(w); err != nil {
			fail("supervise.schedule", "%v", err)
		}
	}
	for _, n := range append(slices.Clone(s.Numbers), s.NotNumbers...) {
		if !strings.HasPrefix(n, "+") || strings.Trim(n[1:], "0123456789") != "" || len(n) < 2 {
			fail("supervise.numbers", "%s: want the beginning of a number in international form, such as +44", n)
		}
	}
	if len(s.Hook.Command) > 0 && s.Hook.URL != "" {
		fail("supervise.hook.url", "set beside supervise.hook.command: keep one of them")
	}
	if len(s.Hook.Command) > 0 {
		if _, err := exec.LookPath(s.Hook.Command[0]); err != nil {
			fail("supervise.hook.command", "%s: no such program: name one that can be run, with its path if need be", s.Hook.Command[0])
		}
	}
	if u, err := url.Parse(s.Hook.URL); s.Hook.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		fail("supervise.hook.url", "%s: want a URL such as http://127.0.0.1:9000/decide", s.Hook.URL)
	}
}

// near tells where a key stands, or, if it stands nowhere, where the file has the first key of its section.
func (l *Loaded) near(key string) string {
	if src := l.Source(key); src != "default" {
		return src
	}
	where, first := "configuration", 0
	section, _ := splitPath(key)
	for k, v := range l.values {
		_, at, _ := strings.Cut(v.source, ":")
		if n, err := strconv.Atoi(at); err == nil && strings.HasPrefix(k, section+".") && (first == 0 || n < first) {
			where, first = v.source, n
		}
	}
	return where
}

func (l *Loaded) checkStream(key string, s Stream, fail func(string, string, ...any)) {
	for _, e := range s.Env {
		name, _, ok := strings.Cut(e, "=")
		if !ok || name == "" || strings.HasPrefix(name, "CALL_") {
			fail(key+"env", "%s: want NAME=value, NAME not beginning with CALL_", name)
		}
	}
	if l.broken[key+"type"] || l.broken[key+"preset"] { // what it needs besides, nobody knows
		return
	}
	if err := s.Consumer().Check(); err != nil {
		for line := range strings.Lines(err.Error()) {
			field, text, _ := strings.Cut(strings.TrimSpace(line), ": ")
			fail(key+field, "%s", text)
		}
	}
}

// checkChoice looks whether whom a consumer chooses is among those that are heard.
func (l *Loaded) checkChoice(key string, s Stream, fail func(string, string, ...any)) {
	heard := l.Config.Supervise
	if !l.Config.HasRingCentral() {
		if len(s.Agents)+len(s.Groups) > 0 {
			fail(key+"agents", "without ringcentral a call has no agent: leave agents and groups away")
		}
		return
	}
	for _, g := range s.Groups {
		if !slices.ContainsFunc(heard.Groups, func(of string) bool { return strings.EqualFold(g, of) }) {
			fail(key+"groups", "%s: no call of it is heard: want one of supervise.groups, as it stands there", g)
		}
	}
	for _, a := range s.Agents {
		if len(heard.Groups) == 0 && !slices.Contains(heard.Agents, a) {
			fail(key+"agents", "%s: no call of it is heard: want one of supervise.agents, as it stands there", a)
		}
	}
}

// Consumer is the section as stream takes it.
func (s Stream) Consumer() stream.Consumer {
	env := map[string]string{}
	for _, e := range s.Env {
		if k, v, _ := strings.Cut(e, "="); k != "" && !strings.HasPrefix(k, "CALL_") { // else it was told
			env[k] = v
		}
	}
	restarts := s.MaxRestarts
	if restarts == 0 {
		restarts = -1
	}
	return stream.Consumer{
		Type: s.Type, Name: s.Name, Command: s.Command, Address: s.Address, URL: s.URL, Preset: s.Preset, TLS: s.TLS, CAFile: s.CAFile, Headers: s.Headers,
		Secret: s.Secret, Subprotocol: s.Subprotocol, First: s.First, Last: s.Last, Answers: s.Answers, Revoked: s.Revoked, KeepAlive: s.KeepAlive, KeepAliveEvery: s.KeepAliveEvery,
		Agents: s.Agents, Groups: s.Groups, Roles: s.Roles, Header: s.Header,
		Per: s.Per, Format: s.Format, Rate: s.Rate, Env: env, Restart: s.Restart, MaxRestarts: restarts, Buffer: s.Buffer, Message: s.Message, CatchUp: s.CatchUp, Overlap: s.Overlap,
	}
}

// maxSocketPath is what the kernel takes as the address of a unix socket (unix(7)), less the NUL.
const maxSocketPath = 107

// checkFiles looks at what has to exist, and opens nothing.
func (l *Loaded) checkFiles(fail func(string, string, ...any)) {
	c := &l.Config
	checkCAFile("sip.tls.ca_file", c.SIP.TLS.CAFile, fail)
	if c.Record.Dir == "" {
		fail("record.dir", "empty: name a folder")
	}
	if _, err := recorder.Recipients(c.Record.Encrypt.Recipients, ""); err != nil {
		fail("record.encrypt.recipients", "%s", strings.TrimPrefix(err.Error(), "recipients: "))
	} else if _, err := recorder.Recipients(c.Record.Encrypt.Recipients, c.Record.Encrypt.RecipientsFile); err != nil {
		fail("record.encrypt.recipients_file", "%s", strings.TrimPrefix(err.Error(), "recipients_file: "))
	}
	if p, err := filepath.Abs(c.SocketPath()); err == nil && len(p) > maxSocketPath {
		fail("control.socket", "%s: %d octets, a socket's path has at most %d: set control.socket to a shorter one, such as /run/earshot.sock",
			p, len(p), maxSocketPath)
	}
}

func checkCAFile(key, f string, fail func(string, string, ...any)) {
	if f == "" {
		return
	}
	pem, err := os.ReadFile(f)
	if err != nil {
		fail(key, "%s: can't be read: name a PEM file", f)
	} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		fail(key, "%s: no certificate in it: name a PEM file of certificates", f)
	}
}

func (l *Loaded) checkRingCentral(fail func(string, string, ...any), need func(string, string, string)) {
	c := &l.Config
	need("ringcentral.client_id", c.RingCentral.ClientID, "set it, or RINGCENTRAL_CLIENT_ID")
	need("ringcentral.client_secret", c.RingCentral.ClientSecret.Reveal(), "set it, or RINGCENTRAL_CLIENT_SECRET")
	if len(c.Supervise.Supervisors) == 0 {
		need("ringcentral.jwt", c.RingCentral.JWT.Reveal(), "set it, or ringcentral.jwt_file, or RINGCENTRAL_JWT")
	}
	l.checkPool(fail, need)
	u, err := url.Parse(c.RingCentral.Server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		fail("ringcentral.server", "%s: want a URL such as https://platform.ringcentral.com", c.RingCentral.Server)
	}
}

// checkPool looks at the supervisors and their devices.
func (l *Loaded) checkPool(fail func(string, string, ...any), need func(string, string, string)) {
	c := &l.Config
	devices, seen := 0, map[string]bool{}
	for i, s := range c.Supervise.Supervisors {
		key := fmt.Sprintf("supervise.supervisors[%d].", i)
		need(key+"jwt", s.JWT.Reveal(), "each supervisor needs a JWT of its own")
		devices += max(1, len(s.Devices))
		for k, d := range s.Devices {
			at := fmt.Sprintf("%sdevices[%d].id", key, k)
			switch {
			case d.ID == "" && len(s.Devices) > 1:
				fail(at, "missing: with several devices each is named: see `earshot devices`")
			case d.ID != "" && seen[d.ID]:
				fail(at, "%s: named twice: a device is one supervisor's, once", d.ID)
			}
			seen[d.ID] = true
		}
	}
	if len(c.Supervise.Supervisors) == 0 {
		return
	}
	if c.RingCentral.JWT != "" {
		fail("ringcentral.jwt", "set beside supervise.supervisors: keep one of the two forms")
	}
	if c.Supervise.DeviceID != "" {
		fail("supervise.device_id", "set beside supervise.supervisors: name it among the devices there")
	}
	if devices > 1 && c.HasSIP() {
		fail("sip.username", "one SIP account for %d devices: leave sip.domain, username and password out, RingCentral tells each device's", devices)
	}
	if devices > 1 && c.SIP.Listen != "" {
		fail("sip.listen", "one socket for %d devices: leave it out", devices)
	}
}

func (l *Loaded) checkAddresses(fail func(string, string, ...any)) {
	c := &l.Config
	for _, a := range c.SIP.AcceptFrom {
		if _, err := ParsePrefix(a); err != nil {
			fail("sip.accept_from", "%s: want an address such as 192.0.2.1 or a prefix such as 192.0.2.0/24", a)
		}
	}
	for _, a := range [...]struct{ key, ip string }{{"media.listen_ip", c.Media.ListenIP}, {"media.advertise_ip", c.Media.AdvertiseIP}} {
		if _, err := netip.ParseAddr(a.ip); a.ip != "" && err != nil {
			fail(a.key, "%s: want an IP address", a.ip)
		}
	}
	if c.SIP.Listen != "" {
		if _, err := netip.ParseAddrPort(c.SIP.Listen); err != nil {
			fail("sip.listen", "%s: want ip:port", c.SIP.Listen)
		}
	}
	if c.Console.Listen != "off" {
		_, port, err := net.SplitHostPort(c.Console.Listen)
		if n, nerr := strconv.Atoi(port); err != nil || nerr != nil || n < 0 || n > 65535 {
			fail("console.listen", "%s: want host:port, or off", c.Console.Listen)
		}
	}
	c.Console.check(fail)
}

// minToken is the least length of a token, in octets: one that can be guessed opens every call.
const minToken = 16

func (c *Console) check(fail func(string, string, ...any)) {
	if t := c.Auth.Token.Reveal(); t != "" && len(t) < minToken {
		fail("console.auth.token", "%d octets: want %d or more, such as `openssl rand -hex 24` makes", len(t), minToken)
	}
	if c.TLS.CertFile == "" && c.TLS.KeyFile == "" {
		return
	}
	if _, err := tls.LoadX509KeyPair(c.TLS.CertFile, c.TLS.KeyFile); err != nil {
		fail("console.tls", "%v: want cert_file and key_file, PEM, that belong together", err)
	}
}

// ParsePrefix reads an address or a prefix.
func ParsePrefix(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		return netip.ParsePrefix(s)
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

func badHostPort(s string) string {
	if !strings.Contains(s, ":") {
		return ""
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return "want host:port"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "want a port from 1 to 65535"
	}
	return ""
}
