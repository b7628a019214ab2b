package sip

import (
	"strconv"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// maxGranted bounds what a registrar may grant; a week is longer than any sane one.
const maxGranted = 7 * 24 * time.Hour

// bindings is what a 200 to REGISTER says about bindings.
type bindings struct {
	granted time.Duration // 0: our own Contact is listed with expires=0, so we are not registered
	own     bool          // our own Contact was listed
	foreign int           // Contacts of others
}

// readBindings finds how long our binding lasts: our own Contact's expires, else the Expires header, else the smallest
// expires listed, else what we asked (RFC 3261 section 10.2.4; RingCentral was seen to list only another instance's
// Contact in a good 200).
func readBindings(res *gosip.Response, instance string, contact gosip.Uri, asked time.Duration) bindings {
	var b bindings
	var mine, smallest time.Duration
	over := false
	for _, h := range res.GetHeaders("Contact") {
		c, ok := h.(*gosip.ContactHeader)
		if !ok {
			continue
		}
		text, _ := param(c.Params, "expires")
		expires, given := seconds(text)
		if isOwn(c, instance, contact) {
			b.own = true
			mine = max(mine, expires) // the one of an address before may be listed too
			over = over || given && expires == 0
			continue
		}
		b.foreign++
		if given && (smallest == 0 || expires < smallest) {
			smallest = expires
		}
	}
	header, hasHeader := time.Duration(0), false
	if h := res.GetHeader("Expires"); h != nil {
		header, hasHeader = seconds(h.Value())
	}
	switch {
	case mine > 0:
		b.granted = mine
	case over:
	case hasHeader && header > 0:
		b.granted = header
	case !b.own && smallest > 0:
		b.granted = smallest
	default:
		b.granted = asked
	}
	b.granted = min(b.granted, maxGranted)
	return b
}

// isOwn matches by instance, else by address.
func isOwn(c *gosip.ContactHeader, instance string, contact gosip.Uri) bool {
	if v, ok := param(c.Params, "+sip.instance"); ok {
		return strings.EqualFold(strings.Trim(v, "\"<> "), instance)
	}
	return c.Address.User == contact.User && strings.EqualFold(c.Address.Host, contact.Host) && c.Address.Port == contact.Port
}

// seconds reads delta-seconds; a value with a comment or parameters ("120 (later)", "120;duration=60") counts.
func seconds(text string) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	if i := strings.IndexAny(text, "; \t("); i >= 0 {
		text = text[:i]
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, false
	}
	return time.Duration(n) * time.Second, true
}

// headerSeconds reads a header that holds delta-seconds; 0 without it.
func headerSeconds(m headerer, name string) time.Duration {
	if h := m.GetHeader(name); h != nil {
		d, _ := seconds(h.Value())
		return d
	}
	return 0
}

type headerer interface {
	GetHeader(name string) gosip.Header
	GetHeaders(name string) []gosip.Header
}
