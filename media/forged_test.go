package media_test

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// octets is how far a track has come.
func (c *collector) octets(id media.TrackID) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.audio[id])
}

// forger sends what is made to pass for the call's audio, from everywhere but its source.
type forger struct {
	rnd  *rand.Rand
	from []*talker // 127.0.0.2 first, then ports of the far side's own address
	own  uint16    // sequence of a stream of its own
}

// packet makes one forged datagram; it knows all there is to know of the call.
func (f *forger) packet(t *testing.T, real *talker) []byte {
	t.Helper()
	h := rtp.Header{Version: 2, SequenceNumber: real.seq, Timestamp: real.ts, SSRC: real.ssrc}
	switch f.rnd.IntN(6) {
	case 0: // the next packet of the call
	case 1: // the next but a few, at the right time
		n := uint16(f.rnd.IntN(20))
		h.SequenceNumber, h.Timestamp = h.SequenceNumber+n, h.Timestamp+160*uint32(n)
	case 2: // another source, in sequence
		f.own++
		h.SSRC, h.SequenceNumber, h.Timestamp = 99, f.own, 160*uint32(f.own)
	case 3: // far away
		h.SequenceNumber, h.Timestamp = uint16(f.rnd.Uint32()), f.rnd.Uint32()
	case 4:
		b, err := rtcp.CompoundPacket{
			&rtcp.SenderReport{SSRC: real.ssrc, NTPTime: f.rnd.Uint64(), RTPTime: f.rnd.Uint32()},
			rtcp.NewCNAMESourceDescription(real.ssrc, "x"), &rtcp.Goodbye{Sources: []uint32{real.ssrc}},
		}.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return b
	case 5:
		b := make([]byte, f.rnd.IntN(200))
		for i := range b {
			b[i] = byte(f.rnd.Uint32())
		}
		return b
	}
	b, err := (&rtp.Packet{Header: h, Payload: bytes.Repeat([]byte{byte(f.rnd.Uint32())}, 160)}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestForgedPacketsChangeNoSample of a live call of plain RTP, whatever they know of it: from other hosts, and from other ports of the
// far side's. EARSHOT_FORGED says how many.
func TestForgedPacketsChangeNoSample(t *testing.T) {
	total := 20_000
	if v, err := strconv.Atoi(os.Getenv("EARSHOT_FORGED")); err == nil {
		total = v
	}
	const each = 50 // for one packet of the call; more could overflow the socket's buffer between two sweeps
	e := run(t, media.Config{ListenIP: loopback, Sweep: time.Millisecond})
	line := timeline(t, e)
	sink := &collector{audio: map[media.TrackID][]byte{}}
	line.Attach(sink)
	far := newTalker(t, loopback, 7)
	p := params(far.addr())
	p.Mux = true
	k := open(t, line, media.Plan{Mux: true}, p)
	f := &forger{rnd: rand.New(rand.NewPCG(1, 2))}
	f.from = append(f.from, newTalker(t, netip.MustParseAddr("127.0.0.2"), 0))
	for range 15 {
		f.from = append(f.from, newTalker(t, loopback, 0))
	}
	to, _ := k.Local()
	far.talk(to, 1)
	eventually(t, "the call is live", func() bool { return k.State().Counts.Packets == 1 })
	refused := func() int64 {
		c := e.Totals().Counts // a port that others may share counts for itself what is nobody's
		return c.StrayPackets + c.MalformedPackets + c.RTCPRefusedPackets
	}
	began := time.Now()
	sent := int64(0)
	for sent < int64(total) {
		far.talk(to, 1) // first: where this machine stalls, the forged ones must not come after a silence
		for range each {
			if _, err := f.from[f.rnd.IntN(len(f.from))].conn.WriteToUDPAddrPort(f.packet(t, far), to); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		// Wait for what came before them, so that this machine's load overflows no buffer: it is not the kernel that is tested.
		eventually(t, "the call's packet is heard", func() bool { return sink.octets(k.ID()) >= len(far.sent) })
	}
	eventually(t, "all are counted", func() bool { return refused() >= sent })
	<-line.Close(call.Cause{Code: call.CodeHangup})
	c := e.Totals().Counts
	if got := sink.track(k.ID()); !bytes.Equal(got, far.sent) || sink.holes != 0 {
		t.Errorf("got %d octets, %d in holes, want the %d of the call, unaltered", len(got), sink.holes, len(far.sent))
	}
	if refused() != sent || c.Packets != int64(len(far.sent)/160) || c.SSRCChanges+c.DuplicatePackets+c.ImplausiblePackets != 0 {
		t.Errorf("counts: %+v, want %d refused", c, sent)
	}
	t.Logf("%d forged packets in %v: %d strays, %d malformed, %d of RTCP; 0 of %d samples altered", sent, time.Since(began).Round(time.Millisecond),
		c.StrayPackets, c.MalformedPackets, c.RTCPRefusedPackets, len(far.sent))
}
