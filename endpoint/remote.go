package endpoint

import (
	"context"
	"net/netip"
	"time"

	"github.com/earshot/earshot/sip/offer"
)

// resolveWithin bounds how long the host names of an offer may hold back our answer: all of them together, for a caller may
// name another in each line.
const resolveWithin = 500 * time.Millisecond

// resolve gives the streams' remote addresses. RingCentral sends nothing before our first packet, so a host name in c= must
// become an address (RFC 8866 section 5.7); if it can't, the first packet that comes decides.
func resolve(streams []offer.Stream, lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)) []netip.AddrPort {
	ctx, stop := context.WithTimeout(context.Background(), resolveWithin)
	defer stop()
	type name struct{ network, host string }
	known := map[name]netip.Addr{}
	out := make([]netip.AddrPort, len(streams))
	for i, s := range streams {
		if s.RemoteHost == "" || s.Remote.Port() == 0 {
			out[i] = s.Remote
			continue
		}
		n := name{"ip4", s.RemoteHost}
		if s.IPv6 {
			n.network = "ip6"
		}
		addr, asked := known[n]
		if !asked && ctx.Err() == nil {
			if ips, err := lookup(ctx, n.network, n.host); err == nil && len(ips) > 0 {
				addr = ips[0].Unmap()
			}
			known[n] = addr
		}
		if addr.IsValid() {
			out[i] = netip.AddrPortFrom(addr, s.Remote.Port())
		}
	}
	return out
}
