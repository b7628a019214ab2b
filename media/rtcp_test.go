package media

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/srtp/v3"
)

// TestSRTCPIsProtectedBothWays: reports go out under the send key, and what the receive key does not open is refused.
func TestSRTCPIsProtectedBothWays(t *testing.T) {
	for s, profile := range suites {
		t.Run(string(s), func(t *testing.T) {
			recv, send := testKey(s, 1), testKey(s, 2)
			recv.MKI = []byte{1, 2, 3}
			p := srtpParams(recv, send)
			p.Mux = true
			theirs, err := srtp.CreateContext(recv.Master, recv.Salt, profile, srtp.MasterKeyIndicator(recv.MKI))
			if err != nil {
				t.Fatal(err)
			}
			sr, _ := (&rtcp.SenderReport{SSRC: 1, NTPTime: 0x11223344_55667788, RTPTime: 800}).Marshal()
			good, err := theirs.EncryptRTCP(nil, sr, nil)
			if err != nil {
				t.Fatal(err)
			}
			bad := append([]byte(nil), good...)
			bad[10] ^= 1
			r := newRig(t, Config{}).commit(p).send(sealed(t, recv, 0, stream(1, 1, 0, 100*ms, 500))...)
			r.send(letter{at: 150 * ms, octets: sr}, letter{at: 160 * ms, octets: bad}, letter{at: 170 * ms, octets: good}, letter{at: 180 * ms, octets: good})
			r.until(10 * time.Second)
			if c := r.state().Counts; c.RTCPPackets != 1 || c.RTCPRefusedPackets != 3 {
				t.Errorf("counts: got %d taken, %d refused, want 1 and 3: plain, altered, replayed", c.RTCPPackets, c.RTCPRefusedPackets)
			}
			ours, err := srtp.CreateContext(send.Master, send.Salt, profile)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, b := range r.port.sent {
				if !isRTCP(b) {
					continue
				}
				plain, err := ours.DecryptRTCP(nil, b, nil)
				if err != nil {
					t.Fatal(err)
				}
				parts, err := rtcp.Unmarshal(plain)
				if err != nil {
					t.Fatal(err)
				}
				if c := (compound{parts: parts}); len(c.reports()) != 1 || c.reports()[0].LastSenderReport != 0x33445566 {
					t.Errorf("got %+v", parts)
				}
				n++
			}
			if n == 0 {
				t.Error("no report")
			}
		})
	}
}

// TestTracksOfOneClockAreAlignedByItsReports: within one sample, whatever the network's delay was, and by arrival where the reports
// name no common clock, or one that can't be.
func TestTracksOfOneClockAreAlignedByItsReports(t *testing.T) {
	const ntp0 = 3_970_000_000 << 32 // NTP time at which both senders' clocks stand at their bases
	report := func(ssrc, base uint32, at, skew time.Duration, cname string) []byte {
		c := rtcp.CompoundPacket{
			&rtcp.SenderReport{SSRC: ssrc, NTPTime: ntp0 + uint64(at+skew)<<32/uint64(time.Second), RTPTime: base + uint32(at/sampleTime)},
			rtcp.NewCNAMESourceDescription(ssrc, cname),
		}
		b, err := c.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name, cname string
		skew        time.Duration // of the second's NTP time
		method      string
	}{
		{"one clock", "media@192.0.2.1", 0, OffsetRTCP},
		{"another clock", "other@192.0.2.1", 0, OffsetArrival},
		{"a report that can't be", "media@192.0.2.1", 3 * time.Second, OffsetArrival},
	} {
		t.Run(c.name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, 2))
			r := newRig(t, Config{}).commit(muxParams())
			second, port := r.open()
			commit, _, err := second.Prepare(muxParams())
			if err != nil {
				t.Fatal(err)
			}
			commit()
			// The first is sent from 100 ms on, the second from 337.25 ms on, through a network that is 20 to 60 ms slow.
			const later = 237*ms + 250*time.Microsecond
			late := func(l []letter, least time.Duration) []letter {
				for i := range l {
					l[i].at += least + time.Duration(rnd.IntN(15))*ms
				}
				return l
			}
			r.send(late(stream(1, 1, 5000, 100*ms, 100), 20*ms)...)
			r.send(letter{at: 300 * ms, octets: report(1, 5000-800, 280*ms, 0, "media@192.0.2.1")})
			second.live.port.pair.rtp = port
			for _, l := range append(late(stream(2, 9, 7777, 100*ms+later, 100), 45*ms), letter{at: 700 * ms, octets: report(2, 7777-uint32((100*ms+later)/sampleTime), 500*ms, c.skew, c.cname)}) {
				l.from = wire
				port.queue = append(port.queue, l)
			}
			sortLetters(port.queue)
			for r.now < 3*time.Second {
				port.now = r.now + r.e.cfg.Sweep
				r.until(port.now)
			}
			a, b := r.track.State(), second.State()
			got, want := b.Offset-a.Offset, int64(later/sampleTime)
			if b.OffsetMethod != c.method {
				t.Errorf("method: got %s, want %s", b.OffsetMethod, c.method)
			}
			if d := got - want; c.method == OffsetRTCP && (d < -1 || d > 1) {
				t.Errorf("offset: got %d samples apart, want %d", got, want)
			}
		})
	}
}

// TestPlainRTCPOfStrangersMovesNothing.
func TestPlainRTCPOfStrangersMovesNothing(t *testing.T) {
	sr, _ := (&rtcp.SenderReport{SSRC: testSSRC, NTPTime: 1 << 60, RTPTime: 1}).Marshal()
	r := newRig(t, Config{}).commit(muxParams()).send(stream(testSSRC, 1, 0, 100*ms, 300)...)
	for i := range 20 {
		r.send(letter{at: time.Duration(i) * 100 * ms, octets: sr, from: netip.MustParseAddrPort("192.0.2.1:4002")})
	}
	r.until(7 * time.Second).close()
	r.expect("r48000")
	if r.track.live.reports.report.at != 0 || r.state().Counts.RTCPRefusedPackets == 0 {
		t.Errorf("got %+v", r.track.live.reports)
	}
}

// FuzzRTCP: no octets do harm, and what another's parser reads as a compound packet says the same to us.
func FuzzRTCP(f *testing.F) {
	c := rtcp.CompoundPacket{
		&rtcp.SenderReport{SSRC: 7, NTPTime: 1 << 60, RTPTime: 5, Reports: []rtcp.ReceptionReport{{SSRC: 9, TotalLost: 3}}},
		rtcp.NewCNAMESourceDescription(7, "a@b"), &rtcp.Goodbye{Sources: []uint32{7}, Reason: "over"},
	}
	b, _ := c.Marshal()
	f.Add(b)
	f.Add([]byte{0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 202, 0, 2, 0, 0, 0, 1, 1, 200, 'x', 0})
	f.Add([]byte("\x80\xcc\x00\x03\xeb\x03\x8f\x7fPINGPONG"))
	f.Add([]byte("\x81\xcb\x00\x03\x26\x91\x95\x63\x04Adjo\x00\x00\x00\x81\xca\x00\x06\x26\x91\x95\x63\x01\x10sip:135@sip.test\x00\x00"))
	f.Add([]byte{0x9f, 200, 0xff, 0xff, 0, 0, 0, 1})
	var o outgoing
	o.cname, o.block, o.bye = new([cnameOctets]byte), &reportBlock{lost: -5}, true
	f.Add(o.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok := parseRTCP(b)
		if !ok {
			if n != (rtcpNews{}) {
				t.Fatalf("refused, but %+v", n)
			}
			return
		}
		parts, err := rtcp.Unmarshal(b)
		if err != nil || len(parts) == 0 {
			return // it reads more of what we pass over
		}
		if sr, is := parts[0].(*rtcp.SenderReport); is && sr.SSRC != 0 && (n.report.ssrc != sr.SSRC || n.report.ntp != sr.NTPTime || n.report.rtp != sr.RTPTime) {
			t.Fatalf("got %+v, want %+v", n.report, sr)
		}
		r := newRig(t, Config{}).commit(muxParams())
		r.send(letter{at: 10 * ms, octets: b}).send(stream(7, 1, 0, 20*ms, 10)...).until(700 * ms)
	})
}

func TestAgendaGivesTheEarliestFirst(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var a agenda
	want := map[*liveTrack]time.Duration{}
	now := time.Duration(0)
	for range 5000 {
		if rnd.IntN(2) == 0 {
			k := &liveTrack{}
			want[k] = now + time.Duration(rnd.IntN(1000))
			a.add(appointment{want[k], k})
			continue
		}
		now += time.Duration(rnd.IntN(20))
		last := time.Duration(-1)
		for k, ok := a.due(now); ok; k, ok = a.due(now) {
			if want[k] > now || want[k] < last {
				t.Fatalf("at %v: got one of %v after one of %v", now, want[k], last)
			}
			last = want[k]
			delete(want, k)
		}
		for _, at := range want {
			if at <= now {
				t.Fatalf("at %v: one of %v was not given", now, at)
			}
		}
	}
	if len(a) != len(want) {
		t.Errorf("%d left, want %d", len(a), len(want))
	}
}

// TestBaresipsRTCPIsTaken: what it sent to us, to the octet.
func TestBaresipsRTCPIsTaken(t *testing.T) {
	if n, ok := parseRTCP([]byte("\x80\xcc\x00\x03\xeb\x03\x8f\x7fPINGPONG")); !ok || n != (rtcpNews{}) {
		t.Errorf("APP: got %+v, %v", n, ok)
	}
	n, ok := parseRTCP([]byte("\x81\xcb\x00\x03\x26\x91\x95\x63\x04Adjo\x00\x00\x00\x81\xca\x00\x06\x26\x91\x95\x63\x01\x10sip:135@sip.test\x00\x00"))
	if !ok || !n.bye || n.named != 0x26919563 || n.cname == 0 {
		t.Errorf("BYE and SDES: got %+v, %v", n, ok)
	}
}
