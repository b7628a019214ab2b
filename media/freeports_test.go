package media_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/earshot/earshot/media"
)

func TestFreePortsCountsPairs(t *testing.T) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a test
	taken := uint16(c.LocalAddr().(*net.UDPAddr).Port)
	lo := taken &^ 1
	free, used, err := media.FreePorts(netip.MustParseAddr("127.0.0.1"), lo, lo+1)
	if err != nil || free != 0 || used != 1 {
		t.Errorf("pair of port %d, which is taken: got %d free, %d taken, %v", taken, free, used, err)
	}
	if free, used, err = media.FreePorts(netip.Addr{}, 0, 0); free != 0 || used != 0 || err != nil {
		t.Errorf("no range: got %d, %d, %v", free, used, err)
	}
	if _, _, err = media.FreePorts(netip.MustParseAddr("192.0.2.1"), 40000, 40003); err == nil {
		t.Error("an address that is not ours: no error")
	}
}
