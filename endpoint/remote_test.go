package endpoint

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/sip/offer"
)

// line is a stream whose c= is a host name.
func line(host string, port uint16) offer.Stream {
	return offer.Stream{RemoteHost: host, Remote: netip.AddrPortFrom(netip.Addr{}, port)}
}

// A caller that names a host of its own in each of its lines, at a name server that swallows questions, must not have our answer
// wait for each.
func TestHostNamesHoldAnAnswerBackForHalfASecondInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var streams []offer.Stream
		for i := range 8 {
			streams = append(streams, line(fmt.Sprintf("h%d.example.com", i), 4000))
		}
		began := time.Now()
		got := resolve(streams, func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if took := time.Since(began); took != resolveWithin {
			t.Errorf("waited %v, want %v", took, resolveWithin)
		}
		if want := make([]netip.AddrPort, len(streams)); !slices.Equal(got, want) {
			t.Errorf("got %v, want none", got)
		}
	})
}

func TestHostNameOfAllLinesIsLookedUpOnce(t *testing.T) {
	asked := 0
	plain := offer.Stream{Remote: netip.MustParseAddrPort("192.0.2.9:5000")}
	got := resolve([]offer.Stream{line("a.example.com", 4000), line("a.example.com", 4002), plain, line("a.example.com", 0)},
		func(context.Context, string, string) ([]netip.Addr, error) {
			asked++
			return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
		})
	want := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.1:4002"), plain.Remote, {}}
	if !slices.Equal(got, want) || asked != 1 {
		t.Errorf("got %v after %d questions, want %v after 1", got, asked, want)
	}
}
