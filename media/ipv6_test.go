package media_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/srtp/v3"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

var loopback6 = netip.IPv6Loopback()

// needIPv6 skips a test where the machine has none.
func needIPv6(t *testing.T) {
	t.Helper()
	l, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	_ = l.Close()
}

// guest is a call of one track with its far side, which has a socket for RTCP too.
type guest struct {
	*talker
	line    *media.Timeline
	track   *media.Track
	sink    *collector
	control *net.UDPConn
}

// visit opens a call for a far side of an address; remote is how its offer writes that.
func visit(t *testing.T, e *media.Engine, ssrc uint32, ip netip.Addr, remote func(netip.Addr) netip.Addr, secure bool) *guest {
	t.Helper()
	g := &guest{talker: newTalker(t, ip, ssrc), line: timeline(t, e), sink: &collector{audio: map[media.TrackID][]byte{}}}
	g.line.Attach(g.sink)
	var err error
	if g.control, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.control.Close() })
	written := remote(ip)
	p := params(netip.AddrPortFrom(written, g.addr().Port()))
	p.RemoteRTCP = netip.AddrPortFrom(written, g.control.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	if secure {
		master, salt := bytes.Repeat([]byte{byte(ssrc)}, 16), bytes.Repeat([]byte{2}, 14)
		p.RecvKey = &media.Key{Suite: media.SuiteAESCM128SHA1x80, Master: master, Salt: salt}
		p.SendKey = &media.Key{Suite: media.SuiteAESCM128SHA1x80, Master: bytes.Repeat([]byte{200}, 16), Salt: salt}
		if g.ctx, err = srtp.CreateContext(master, salt, srtp.ProtectionProfileAes128CmHmacSha1_80); err != nil {
			t.Fatal(err)
		}
	}
	g.track = open(t, g.line, media.Plan{Toward: written, IPv6: ip.Is6(), Remote: p.Remote, Secure: secure}, p)
	return g
}

func asIs(a netip.Addr) netip.Addr   { return a }
func mapped(a netip.Addr) netip.Addr { return netip.AddrFrom16(a.As16()) }

// says sends packets and waits until they are counted.
func (g *guest) says(packets int) {
	g.t.Helper()
	to, _ := g.track.Local()
	g.talk(to, packets)
	eventually(g.t, "its packets are counted", func() bool { return g.track.State().Counts.ReceivedSamples == int64(len(g.sent)) })
}

// reports sends a sender report to the port for RTCP.
func (g *guest) reports() {
	g.t.Helper()
	b, err := (&rtcp.SenderReport{SSRC: g.ssrc, NTPTime: 1 << 60, RTPTime: g.ts}).Marshal()
	if err == nil && g.ctx != nil {
		b, err = g.ctx.EncryptRTCP(nil, b, nil)
	}
	if err == nil {
		_, to := g.track.Local()
		_, err = g.control.WriteToUDPAddrPort(b, to)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	eventually(g.t, "its report is taken", func() bool { return g.track.State().Counts.RTCPPackets == 1 })
}

// leaves ends a call, and proves that it heard all that was sent and nothing else.
func (g *guest) leaves() {
	g.t.Helper()
	<-g.line.Close(call.Cause{Code: call.CodeHangup})
	if got := g.sink.track(g.track.ID()); !bytes.Equal(got, g.sent) || g.sink.holes != 0 {
		g.t.Errorf("SSRC %d: got %d octets, %d in holes, want the %d sent", g.ssrc, len(got), g.sink.holes, len(g.sent))
	}
}

// TestTracksShareAPortOverIPv6: SRTP and plain RTP of many tracks of one address, RTP and RTCP, with a stranger in between.
func TestTracksShareAPortOverIPv6(t *testing.T) {
	needIPv6(t)
	for name, secure := range map[string]bool{"plain": false, "SRTP": true} {
		t.Run(name, func(t *testing.T) {
			e := run(t, media.Config{Shards: 1})
			guests := []*guest{visit(t, e, 1, loopback6, asIs, secure)}
			guests[0].says(5) // so it is known that this address sends from the ports that it names
			for i := range uint32(17) {
				guests = append(guests, visit(t, e, 2+i, loopback6, asIs, secure))
			}
			used := map[netip.AddrPort]int{}
			for _, g := range guests {
				rtp, control := g.track.Local()
				if used[rtp]++; rtp.Addr() != loopback6 || rtp.Port()&1 != 0 || control != netip.AddrPortFrom(loopback6, rtp.Port()+1) {
					t.Errorf("local: got %v and %v", rtp, control)
				}
			}
			if len(used) == len(guests) {
				t.Errorf("%d tracks on %d ports: none shares", len(guests), len(used))
			}
			stranger := newTalker(t, loopback6, 99)
			for range 3 {
				for _, g := range guests {
					to, _ := g.track.Local()
					stranger.talk(to, 1)
					g.says(7)
				}
			}
			for _, g := range guests {
				g.reports()
			}
			for _, g := range guests {
				g.leaves()
			}
			if c := e.Totals().Counts; c.StrayPackets+c.AuthFailedPackets != int64(3*len(guests)) { // at the latest when their track ends
				t.Errorf("%d strays, %d that failed to authenticate, want the stranger's %d", c.StrayPackets, c.AuthFailedPackets, 3*len(guests))
			}
		})
	}
}

// TestBothFamiliesInOneProcess: a call over each, and one whose offer writes its IPv4 address in IPv6 form; none on another's port.
func TestBothFamiliesInOneProcess(t *testing.T) {
	needIPv6(t)
	for name, secure := range map[string]bool{"plain": false, "SRTP": true} {
		t.Run(name, func(t *testing.T) {
			e := run(t, media.Config{Shards: 1})
			four, six := visit(t, e, 1, loopback, asIs, secure), visit(t, e, 2, loopback6, asIs, secure)
			both := visit(t, e, 3, netip.MustParseAddr("127.0.0.2"), mapped, secure)
			for _, g := range []*guest{four, six, both} {
				rtp, _ := g.track.Local()
				if rtp.Addr().Is6() != (g == six) {
					t.Errorf("SSRC %d: local: got %v", g.ssrc, rtp)
				}
			}
			for range 5 {
				four.says(3)
				six.says(3)
				both.says(3)
			}
			for _, g := range []*guest{four, six, both} {
				g.hears()
				g.reports()
				g.leaves()
			}
			if c := e.Totals().Counts; c.StrayPackets != 0 {
				t.Errorf("%d strays, want 0", c.StrayPackets)
			}
		})
	}
}

// hears waits for a packet of ours: it goes out over the family of the call.
func (g *guest) hears() {
	g.t.Helper()
	ours := make([]byte, 2000)
	_ = g.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	to, _ := g.track.Local()
	if _, from, err := g.conn.ReadFromUDPAddrPort(ours); err != nil || from.Port() != to.Port() || from.Addr().Unmap().Is6() != to.Addr().Is6() {
		g.t.Errorf("SSRC %d: our silence: from %v, error %v, want %v", g.ssrc, from, err, to)
	}
}

// TestAListenAddressInIPv6FormIsItsIPv4Address, in the configuration too.
func TestAListenAddressInIPv6FormIsItsIPv4Address(t *testing.T) {
	e := run(t, media.Config{ListenIP: mapped(loopback)})
	g := visit(t, e, 1, loopback, mapped, false)
	if rtp, _ := g.track.Local(); rtp.Addr() != loopback {
		t.Errorf("local: got %v, want %v", rtp, loopback)
	}
	g.says(10)
	g.leaves()
}
