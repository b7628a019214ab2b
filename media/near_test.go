package media

import (
	"net/netip"
	"testing"
)

func TestNearTableFindsWhatStandsInItAndNothingElse(t *testing.T) {
	var table nearTable
	tracks := map[netip.AddrPort]*liveTrack{}
	put := func(from netip.AddrPort) {
		tracks[from] = &liveTrack{sources: []netip.AddrPort{from}}
		table.put(nearKey(from), tracks[from])
	}
	for port := range 32 {
		put(at("198.51.100.1", 30000+2*port))
		put(at("2001:db8::1", 30000+2*port))
	}
	found := 0
	for from, k := range tracks {
		switch got := table.find(nearKey(from), from); got {
		case k:
			found++
		case nil: // another one stands there: the map knows it
		default:
			t.Errorf("%v: got another one's track", from)
		}
		for _, other := range []netip.AddrPort{
			netip.AddrPortFrom(from.Addr(), from.Port()+1), netip.AddrPortFrom(from.Addr().Next(), from.Port()),
		} {
			if got := table.find(nearKey(other), other); got != nil {
				t.Errorf("%v, which stands nowhere: got a track", other)
			}
		}
	}
	if found < len(tracks)*9/10 {
		t.Errorf("%d of %d are found", found, len(tracks))
	}
}

// TestNearKeyOfIPv6ProvesNothing: it is a hash, which somebody may hit on purpose.
func TestNearKeyOfIPv6ProvesNothing(t *testing.T) {
	var table nearTable
	ours, forger := at("2001:db8::1", 4000), at("2001:db8::bad", 666)
	k := &liveTrack{sources: []netip.AddrPort{ours}}
	table.put(nearKey(ours), k)
	if table.find(nearKey(ours), ours) != k || table.find(nearKey(ours), forger) != nil {
		t.Error("the key alone made a forger the track's source")
	}
	for _, a := range []string{"0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		from := at(a, 65535)
		if is4 := nearKey(from)>>63 == 0; is4 != from.Addr().Is4() {
			t.Errorf("%v: its key is one of the other family", from)
		}
	}
}

func TestNearTableThatIsFullTakesTheNewest(t *testing.T) {
	var table nearTable
	for port := range 4 * nearRoutes {
		from := at("198.51.100.1", 10000+port)
		k := &liveTrack{}
		table.put(nearKey(from), k)
		if table.find(nearKey(from), from) != k {
			t.Fatalf("%v: not found right after it was put", from)
		}
	}
}
