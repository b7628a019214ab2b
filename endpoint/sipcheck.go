package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/supervise"
)

const (
	// certificateSoon is how long before its end a certificate is worth a word.
	certificateSoon = 14 * 24 * time.Hour
	// clockTolerance is how far clocks may be apart; a Date header has whole seconds, and was under way.
	clockTolerance = 3 * time.Second
)

// ExamineSIP looks at the way to the registrar: names, connection and certificate, answer, NAT, password, clock. It registers
// nothing.
func ExamineSIP(ctx context.Context, cfg sip.Config, advertise netip.Addr) []supervise.Finding {
	found, err := sip.Examine(ctx, cfg)
	if err != nil && len(found) == 0 {
		return []supervise.Finding{{Mark: supervise.MarkFail, What: "sip", Found: err.Error(), Do: "docs/configuration.md, sip"}}
	}
	var out []supervise.Finding
	add := func(mark, what, do, format string, args ...any) {
		out = append(out, supervise.Finding{Mark: mark, What: what, Found: fmt.Sprintf(format, args...), Do: do})
	}
	var good []sip.Try
	bad := 0
	for _, e := range found {
		if e.Err != nil {
			bad++
			add(supervise.MarkFail, "sip dns", "see the name in sip.outbound_proxy or sip.domain, and this machine's resolver", "%s: %v", e.Proxy, e.Err)
			continue
		}
		var addrs []string
		for _, t := range e.Tries {
			addrs = append(addrs, t.Addr.String())
			if t.Err != nil {
				bad++
			} else {
				good = append(good, t)
			}
		}
		if len(addrs) != 1 || addrs[0] != e.Proxy {
			add(supervise.MarkOK, "sip dns", "", "%s is %s", e.Proxy, strings.Join(addrs, ", "))
		}
		for _, t := range e.Tries {
			connection(add, t, cfg)
		}
	}
	if len(good) > 0 && bad > 0 { // one way is enough
		for i := range out {
			if out[i].Mark == supervise.MarkFail {
				out[i].Mark = supervise.MarkWarn
			}
		}
	}
	if len(good) == 0 {
		return out
	}
	nat(add, good[0], cfg, advertise)
	credentials(add, good)
	clock(add, good, cfg)
	return out
}

// ExamineDevice is ExamineSIP for a supervisor's device, with what RingCentral says of its account.
func ExamineDevice(ctx context.Context, cfg sip.Config, info supervise.SIPInfo, advertise netip.Addr) []supervise.Finding {
	cfg.RingCentral = true
	return ExamineSIP(ctx, withInfo(cfg, info), advertise)
}

// adder adds a finding.
type adder func(mark, what, do, format string, args ...any)

// connection tells of one address.
func connection(add adder, t sip.Try, cfg sip.Config) {
	const what = "sip connection"
	var cert *sip.CertificateError
	switch {
	case errors.As(t.Err, &cert):
		add(supervise.MarkFail, what, "set sip.tls.ca_file to the authority that signed it, or sip.domain and sip.outbound_proxy to the name that it has", "%s: %v", t.Addr, t.Err)
	case t.Err != nil && t.Took == 0:
		add(supervise.MarkFail, what, "is it the right port and transport? Else a firewall: docs/network.md", "%s: %v", t.Addr, t.Err)
	case t.Err != nil && cfg.Transport == "udp":
		add(supervise.MarkFail, what, "is it the right port? Else a firewall: docs/network.md", "%s: %v to OPTIONS", t.Addr, t.Err)
	case t.Err != nil: // connected: a proxy need not answer those who are not registered
		add(supervise.MarkWarn, what, "a registrar need not answer those who are not registered: `earshot run` shows whether it does", "%s: connected, %v to OPTIONS", t.Addr, t.Err)
	default:
		secure := ""
		if t.TLS != "" {
			secure = fmt.Sprintf(", %s, certificate until %s", t.TLS, t.Until.UTC().Format("2006-01-02"))
		}
		who := ""
		if t.Server != "" {
			who = " from " + t.Server
		}
		mark, do := supervise.MarkOK, ""
		if t.TLS != "" && time.Until(t.Until) < certificateSoon {
			mark, do = supervise.MarkWarn, "tell who runs the registrar: when it ends, no connection can be made"
		}
		add(mark, what, do, "%s in %s%s; OPTIONS is answered %d%s", t.Addr, t.Took.Round(time.Millisecond), secure, t.Code, who)
	}
}

// nat tells what address the far side sees.
func nat(add adder, t sip.Try, cfg sip.Config, advertise netip.Addr) {
	const what = "nat"
	switch {
	case !t.Seen.IsValid():
		add(supervise.MarkOK, what, "", "the registrar does not say how it sees us; we are %s", t.Local)
	case t.Seen == t.Local:
		add(supervise.MarkOK, what, "", "none on the way: the registrar sees us as we are, %s", t.Local)
	case advertise.IsValid() && advertise != t.Seen.Addr():
		add(supervise.MarkWarn, what, "set it to that address, or leave it out", "the registrar sees us at %s, and media.advertise_ip is %s", t.Seen, advertise)
	case cfg.RingCentral || advertise.IsValid():
		add(supervise.MarkOK, what, "", "we are %s and the registrar sees %s; nothing to set", t.Local, t.Seen)
	default:
		add(supervise.MarkOK, what, "", "we are %s and the registrar sees %s; if it sends media to the address in our answer only, set media.advertise_ip to %s", t.Local, t.Seen, t.Seen.Addr())
	}
}

// credentials tells whether the registrar knows the password, where it was asked.
func credentials(add adder, tries []sip.Try) {
	const what = "credentials"
	i := slices.IndexFunc(tries, func(t sip.Try) bool { return t.Login != 0 })
	if i < 0 {
		return
	}
	switch t := tries[i]; {
	case t.Login == 200:
		add(supervise.MarkOK, what, "", "accepted; %d registered with them now", t.Bindings)
	case t.Login == 401 || t.Login == 403 || t.Login == 407:
		add(supervise.MarkFail, what, "see sip.username, sip.authorization_id and sip.password", "refused: %d", t.Login)
	default:
		add(supervise.MarkWarn, what, "`earshot run` shows whether it registers", "the question for our bindings is answered %d", t.Login)
	}
}

// clock compares ours with the registrar's; RingCentral's REST server was asked already.
func clock(add adder, tries []sip.Try, cfg sip.Config) {
	if cfg.RingCentral {
		return
	}
	i := slices.IndexFunc(tries, func(t sip.Try) bool { return !t.Date.IsZero() })
	switch {
	case i < 0:
		add(supervise.MarkOK, "clock", "", "the registrar's answers have no Date to compare with; keep this machine's by NTP")
	case tries[i].Ahead.Abs() > clockTolerance:
		add(supervise.MarkWarn, "clock", "keep the clock by NTP: recordings carry its time", "the registrar's is %s away (its clock minus ours: %s)",
			tries[i].Ahead.Abs().Round(time.Second), tries[i].Ahead.Round(time.Second))
	default:
		add(supervise.MarkOK, "clock", "", "within %s of the registrar's", clockTolerance)
	}
}
