package sip

import (
	"net"
	"slices"
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
	stale   string        // a Contact value that removes ours beside the present one; "" if there is none
}

// ownContacts is by what our Contacts are known in a list.
type ownContacts struct {
	instance string
	present  string   // key of the present one
	before   []string // keys of those that we had
}

// contactKey is what tells one Contact of ours from another.
func contactKey(u gosip.Uri) string {
	return strings.ToLower(u.User + "@" + net.JoinHostPort(strings.Trim(u.Host, "[]"), strconv.Itoa(u.Port)))
}

// maxStale bounds how many Contacts one REGISTER removes.
const maxStale = 8

// readBindings finds how long our binding lasts: our own Contact's expires, else the Expires header, else the smallest
// expires listed, else what we asked (RFC 3261 section 10.2.4; RingCentral was seen to list only another instance's
// Contact in a good 200).
func readBindings(res *gosip.Response, own ownContacts, asked time.Duration) bindings {
	var b bindings
	var present, elder, smallest time.Duration
	var stale []string
	over, seen := false, false
	for _, h := range res.GetHeaders("Contact") {
		c, ok := h.(*gosip.ContactHeader)
		if !ok {
			continue
		}
		text, _ := param(c.Params, "expires")
		expires, given := seconds(text)
		key := contactKey(c.Address)
		mine, anonymous := own.listed(c, key)
		switch {
		case mine && key == own.present:
			seen, present = true, expires
			over = over || given && expires == 0
		case mine || anonymous && slices.Contains(own.before, key):
			over = over || mine && given && expires == 0
			if mine {
				elder = max(elder, expires)
			}
			if u := c.Address; expires > 0 && len(stale) < maxStale {
				stale = append(stale, "<"+u.String()+">;expires=0")
			}
		default:
			b.foreign++
			if given && (smallest == 0 || expires < smallest) {
				smallest = expires
			}
		}
		b.own = b.own || mine
	}
	header, hasHeader := time.Duration(0), false
	if h := res.GetHeader("Expires"); h != nil {
		header, hasHeader = seconds(h.Value())
	}
	switch {
	case present > 0:
		b.granted = present
	case elder > 0:
		b.granted = elder
	case over:
	case hasHeader && header > 0:
		b.granted = header
	case !b.own && smallest > 0:
		b.granted = smallest
	default:
		b.granted = asked
	}
	b.granted = min(b.granted, maxGranted)
	if seen {
		// Else the registrar may have rewritten our Contact: what looks like an old one is the present one.
		b.stale = strings.Join(stale, ", ")
	}
	return b
}

// listed says whether c is ours: by instance; by address if it is anonymous.
func (o ownContacts) listed(c *gosip.ContactHeader, key string) (mine, anonymous bool) {
	if v, ok := param(c.Params, "+sip.instance"); ok {
		return strings.EqualFold(strings.Trim(v, "\"<> "), o.instance), false
	}
	return key == o.present, true
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
