package sip

import (
	"net/netip"
	"strings"
	"time"

	gosip "github.com/emiago/sipgo/sip"
)

// What one source may make us read, in messages: so many a second, and a burst at once. A proxy brings everybody's calls, so
// it may bring more: 200 calls beginning in a second are some 1,000 messages. All that are no proxies share a limit besides,
// for a network in AcceptFrom has many addresses. A stream has its pace instead.
const (
	sourceRate, sourceBurst = 1_000, 2_000
	crowdRate, crowdBurst   = 2_000, 4_000
	proxyRate, proxyBurst   = 4_000, 16_000
)

// maxGuarded bounds the sources that are told apart.
const maxGuarded = 4096

// guard says which datagrams are read at all, before any of their octets is looked at: what is beyond costs the read alone.
// It is owned by a socket's read loop.
type guard struct {
	slower  int // a divisor of all limits; 0: none
	sources map[netip.Addr]bucket
	crowd   bucket
}

// bucket is when a source that had sent at its rate would have sent all that it did. It is full again, and may be forgotten,
// when that time is past.
type bucket time.Time

// take takes one message out, if there is one left.
func (b *bucket) take(now time.Time, rate, burst int) bool {
	each := time.Second / time.Duration(rate)
	due := time.Time(*b)
	if due.Before(now) {
		due = now
	}
	if due.Sub(now) > time.Duration(burst-1)*each {
		return false
	}
	*b = bucket(due.Add(each))
	return true
}

// allow takes a message of src, at now.
func (g *guard) allow(src netip.Addr, proxy bool, now time.Time) bool {
	b, known := g.sources[src]
	if !known && !g.room(now) && !proxy {
		return false
	}
	rate, burst := sourceRate, sourceBurst
	if proxy {
		rate, burst = proxyRate, proxyBurst
	}
	slower := max(g.slower, 1)
	if !b.take(now, rate/slower, burst/slower) || !proxy && !g.crowd.take(now, crowdRate/slower, crowdBurst/slower) {
		return false
	}
	if g.sources == nil {
		g.sources = make(map[netip.Addr]bucket)
	}
	g.sources[src] = b
	return true
}

// room makes room for one more source, if it can.
func (g *guard) room(now time.Time) bool {
	if len(g.sources) < maxGuarded {
		return true
	}
	for src, b := range g.sources {
		if !time.Time(b).After(now) {
			delete(g.sources, src)
		}
	}
	return len(g.sources) < maxGuarded
}

// scanners are User-Agents of programs that look for SIP servers to break into.
var scanners = []string{"friendly-scanner", "sipvicious", "sipcli", "vaxsipuseragent", "pplsip", "sundayddr", "iwar", "sip-scan"}

// scans says whether a message is a scanner's. It gets no answer: that would tell that somebody is here.
func scans(m gosip.Message) bool {
	for _, h := range m.GetHeaders("User-Agent") {
		ua := strings.ToLower(h.Value())
		for _, s := range scanners {
			if strings.Contains(ua, s) {
				return true
			}
		}
	}
	return false
}

// brief answers a request and forgets it. Its transaction would be kept for 32 s over UDP, 4 KB for each request of a flood; a
// retransmission is answered anew instead. For answers that change nothing here.
func brief(tx gosip.ServerTransaction, res *gosip.Response) {
	_ = tx.Respond(res)
	tx.Terminate()
}
