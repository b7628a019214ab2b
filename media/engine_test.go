package media_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// eventually waits for a condition, at most 5 s.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(5 * time.Second); time.Now().Before(limit); <-tick.C {
		if cond() {
			return
		}
	}
	t.Fatalf("not within 5 s: %s", what)
}

// run starts an engine that ends with the test.
func run(t *testing.T, cfg media.Config) *media.Engine {
	t.Helper()
	if cfg.Sweep == 0 {
		cfg.Sweep = 5 * time.Millisecond
	}
	e, err := media.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return e
}

func timeline(t *testing.T, e *media.Engine) *media.Timeline {
	t.Helper()
	line, err := e.NewTimeline(call.Info{ID: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// collector keeps a timeline's octets by track and position.
type collector struct {
	mu    sync.Mutex
	audio map[media.TrackID][]byte
	holes int64
	ends  []call.Cause
}

func (c *collector) Write(b *media.Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range b.Frames {
		if f.Octets == nil {
			c.holes += f.Samples
			continue
		}
		a := c.audio[f.Track]
		if n := int(f.Pos + f.Samples); n > len(a) {
			a = append(a, make([]byte, n-len(a))...)
		}
		copy(a[f.Pos:], f.Octets)
		c.audio[f.Track] = a
	}
}

func (c *collector) End(cause call.Cause) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends = append(c.ends, cause)
}

func (c *collector) track(id media.TrackID) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.audio[id])
}

// talker is a far side with a socket of its own.
type talker struct {
	t    *testing.T
	conn *net.UDPConn
	ssrc uint32
	ctx  *srtp.Context // nil: plain
	seq  uint16
	ts   uint32
	sent []byte
}

func newTalker(t *testing.T, ip netip.Addr, ssrc uint32) *talker {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &talker{t: t, conn: c, ssrc: ssrc, seq: 65530, ts: 1<<32 - 400}
}

func (k *talker) addr() netip.AddrPort { return k.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (k *talker) talk(to netip.AddrPort, packets int) {
	k.t.Helper()
	for range packets {
		payload := make([]byte, 160)
		for i := range payload {
			payload[i] = byte(k.ssrc*31 + k.ts + uint32(i)*7)
		}
		p := rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: k.seq, Timestamp: k.ts, SSRC: k.ssrc}, Payload: payload}
		b, err := p.Marshal()
		if err == nil && k.ctx != nil {
			b, err = k.ctx.EncryptRTP(nil, b, nil)
		}
		if err == nil {
			_, err = k.conn.WriteToUDPAddrPort(b, to)
		}
		if err != nil {
			k.t.Fatal(err)
		}
		k.seq, k.ts, k.sent = k.seq+1, k.ts+160, append(k.sent, payload...)
	}
}

func params(remote netip.AddrPort) media.Params {
	return media.Params{Remote: remote, Receive: true, Payloads: []media.Payload{{Number: 0, Codec: media.CodecPCMU}}}
}

// open opens and commits a track towards a talker.
func open(t *testing.T, line *media.Timeline, plan media.Plan, p media.Params) *media.Track {
	t.Helper()
	k, err := line.Open(plan)
	if err != nil {
		t.Fatal(err)
	}
	commit, _, err := k.Prepare(p)
	if err != nil {
		t.Fatal(err)
	}
	commit()
	return k
}

func TestTracksOverRealSockets(t *testing.T) {
	for _, c := range []struct {
		name string
		ip   string
		mux  bool
		srtp bool
	}{
		{"plain", "127.0.0.1", false, false},
		{"plain, muxed", "127.0.0.1", true, false},
		{"SRTP", "127.0.0.1", false, true},
		{"IPv6", "::1", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ip := netip.MustParseAddr(c.ip)
			if l, err := net.ListenPacket("udp", net.JoinHostPort(c.ip, "0")); err != nil {
				t.Skipf("no %v here: %v", ip, err)
			} else {
				_ = l.Close()
			}
			e := run(t, media.Config{})
			line := timeline(t, e)
			sink := &collector{audio: map[media.TrackID][]byte{}}
			line.Attach(sink)
			far := newTalker(t, ip, 7)
			p := params(far.addr())
			if c.srtp {
				p.RecvKey = &media.Key{Suite: media.SuiteAESCM128SHA1x80, Master: bytes.Repeat([]byte{1}, 16), Salt: bytes.Repeat([]byte{2}, 14)}
				p.SendKey = &media.Key{Suite: media.SuiteAESCM128SHA1x80, Master: bytes.Repeat([]byte{3}, 16), Salt: bytes.Repeat([]byte{4}, 14)}
				var err error
				if far.ctx, err = srtp.CreateContext(p.RecvKey.Master, p.RecvKey.Salt, srtp.ProtectionProfileAes128CmHmacSha1_80); err != nil {
					t.Fatal(err)
				}
			}
			k := open(t, line, media.Plan{Toward: ip, IPv6: ip.Is6(), Mux: c.mux}, p)
			addr, rtcp := k.Local()
			if addr.Addr() != ip || c.mux && rtcp != addr || !c.mux && (addr.Port()%2 != 0 || rtcp.Port() != addr.Port()+1) {
				t.Errorf("local: got %v and %v", addr, rtcp)
			}
			if zero := line.Zero(); zero > e.Now() {
				t.Errorf("zero: got %v, later than now", zero)
			}
			ours := make([]byte, 2000) // our silence comes first
			_ = far.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			if n, from, err := far.conn.ReadFromUDPAddrPort(ours); err != nil || from != addr || n != 172 && !c.srtp || c.srtp && n != 182 {
				t.Errorf("silence: got %d octets from %v, error %v", n, from, err)
			}
			far.talk(addr, 100)
			eventually(t, "all packets counted", func() bool { return k.State().Counts.ReceivedSamples == 16000 })
			<-line.Close(call.Cause{Code: call.CodeHangup})
			if got := sink.track(k.ID()); !bytes.Equal(got, far.sent) || sink.holes != 0 {
				t.Errorf("got %d octets, %d in holes, want the %d sent", len(got), sink.holes, len(far.sent))
			}
			if len(sink.ends) != 1 {
				t.Errorf("ends: got %v, want one", sink.ends)
			}
		})
	}
}

func TestFiftyTracksAtOnce(t *testing.T) {
	e := run(t, media.Config{ListenIP: loopback, Shards: 2})
	var lines []*media.Timeline
	var sinks []*collector
	var tracks []*media.Track
	var far []*talker
	for i := range 25 {
		line, sink := timeline(t, e), &collector{audio: map[media.TrackID][]byte{}}
		line.Attach(sink)
		lines, sinks = append(lines, line), append(sinks, sink)
		for j := range 2 {
			f := newTalker(t, loopback, uint32(i*2+j))
			far, tracks = append(far, f), append(tracks, open(t, line, media.Plan{}, params(f.addr())))
		}
	}
	for range 10 {
		for i, f := range far {
			to, _ := tracks[i].Local()
			f.talk(to, 10)
		}
	}
	eventually(t, "all packets counted", func() bool { return e.Totals().Counts.ReceivedSamples == 50*16000 })
	if got := e.Totals(); got.Timelines != 25 || got.Tracks != 50 || got.KernelDropPackets != 0 {
		t.Errorf("totals: got %+v", got)
	}
	for i, line := range lines {
		<-line.Close(call.Cause{Code: call.CodeHangup})
		for j := range 2 {
			if got := sinks[i].track(media.TrackID(j + 1)); !bytes.Equal(got, far[i*2+j].sent) {
				t.Errorf("call %d track %d: got %d octets, want those sent", i, j, len(got))
			}
		}
	}
	if got := e.Totals(); got.Timelines != 0 || got.Tracks != 0 || got.Counts.ReceivedSamples != 50*16000 {
		t.Errorf("totals after the end: got %+v", got)
	}
}

func TestShutdownEndsEverySink(t *testing.T) {
	e, err := media.New(media.Config{ListenIP: loopback})
	if err != nil {
		t.Fatal(err)
	}
	sink := &collector{audio: map[media.TrackID][]byte{}}
	line := timeline(t, e)
	line.Attach(sink)
	open(t, line, media.Plan{}, params(netip.AddrPortFrom(loopback, 9)))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("told to stop"))
	if err := e.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if want := (call.Cause{Code: call.CodeShutdown, Text: "told to stop"}); !slices.Equal(sink.ends, []call.Cause{want}) {
		t.Errorf("ends: got %v, want %v", sink.ends, want)
	}
	if _, err := line.Open(media.Plan{}); !errors.Is(err, media.ErrEnded) {
		t.Errorf("Open after Run: got %v, want ErrEnded", err)
	}
	<-line.Close(call.Cause{})
}

func TestPortsOfARangeRunOut(t *testing.T) {
	const lo, hi = 38211, 38217 // three pairs, from 38212 on
	e := run(t, media.Config{ListenIP: loopback, PortMin: lo, PortMax: hi})
	line := timeline(t, e)
	var ports []uint16
	var tracks []*media.Track
	for {
		k, err := line.Open(media.Plan{})
		if err != nil {
			if !errors.Is(err, media.ErrNoPort) {
				t.Errorf("got %v, want ErrNoPort", err)
			}
			break
		}
		addr, _ := k.Local()
		ports, tracks = append(ports, addr.Port()), append(tracks, k)
	}
	if len(ports) == 0 || len(ports) > 3 {
		t.Fatalf("got ports %v, want up to 3 of %d-%d", ports, lo, hi)
	}
	tracks[0].End()
	eventually(t, "its port is free again", func() bool {
		k, err := line.Open(media.Plan{})
		if err != nil {
			return false
		}
		addr, _ := k.Local()
		return addr.Port() == ports[0] // it rests, but no other is free
	})
}

func TestOpenNeedsAnAddress(t *testing.T) {
	line := timeline(t, run(t, media.Config{}))
	if _, err := line.Open(media.Plan{}); err == nil {
		t.Error("neither listen ip nor toward: got no error")
	}
	if _, err := line.Open(media.Plan{Toward: loopback, IPv6: true}); err == nil {
		t.Error("an IPv4 address for an IPv6 line: got no error")
	}
	line = timeline(t, run(t, media.Config{ListenIP: loopback}))
	if _, err := line.Open(media.Plan{IPv6: true}); err == nil {
		t.Error("listen ip of the other family: got no error")
	}
	line = timeline(t, run(t, media.Config{ListenIP: netip.IPv4Unspecified(), AdvertiseIP: netip.MustParseAddr("203.0.113.9")}))
	k, err := line.Open(media.Plan{})
	if err != nil {
		t.Fatal(err)
	}
	if addr, rtcp := k.Local(); addr.Addr().String() != "203.0.113.9" || rtcp.Addr() != addr.Addr() {
		t.Errorf("local: got %v and %v, want the advertised address", addr, rtcp)
	}
}
