package sip

import (
	"net"
	"strconv"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
)

// follow goes once to where a 301, 302 or 305 sends us (RFC 3261 section 8.1.3.4); what comes of that is final until the
// proxies are dialled in their order again.
func (r *registrar) follow() regAction {
	r.redirected, r.flowUp = true, false
	if r.status != regRegistered && r.status != regDegraded {
		r.status = regRegistering
	}
	return regAction{do: doDial, closeFlow: true}
}

// redirection finds the proxy that a 3xx names, "" if we don't go there: only within our domain or to a configured proxy, and
// on our transport. Whoever answers could else have us register, with a digest, wherever he likes.
func (a *Account) redirection(res *gosip.Response) string {
	for _, h := range res.GetHeaders("Contact") {
		c, ok := h.(*gosip.ContactHeader)
		if !ok || c.Address.Host == "" {
			continue
		}
		transport, given := param(c.Address.UriParams, "transport")
		if given && !strings.EqualFold(transport, a.cfg.Transport) || strings.EqualFold(c.Address.Scheme, "sips") && a.cfg.Transport != "tls" {
			continue
		}
		host := strings.ToLower(strings.Trim(c.Address.Host, "[]"))
		if !a.trusted(host) {
			continue
		}
		if c.Address.Port > 0 {
			return net.JoinHostPort(host, strconv.Itoa(c.Address.Port))
		}
		return host
	}
	return ""
}

// trusted: the domain, a host below it, or a configured proxy.
func (a *Account) trusted(host string) bool {
	domain := strings.ToLower(a.domain.Host)
	if host == domain || !isIP(host) && strings.HasSuffix(host, "."+domain) {
		return true
	}
	for _, p := range a.cfg.OutboundProxies {
		if h, _, err := splitProxy(p); err == nil && strings.EqualFold(h, host) {
			return true
		}
	}
	return false
}
