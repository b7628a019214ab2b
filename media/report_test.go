package media

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// compound is an RTCP datagram that went out.
type compound struct {
	at    time.Duration
	to    netip.AddrPort
	parts []rtcp.Packet
}

// compounds reads what went out of a port with another's parser.
func compounds(t testing.TB, f *fakePort) (all []compound) {
	t.Helper()
	for i, b := range f.sent {
		if !isRTCP(b) {
			continue
		}
		parts, err := rtcp.Unmarshal(b)
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if err := rtcp.CompoundPacket(parts).Validate(); err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		all = append(all, compound{f.sentAt[i], f.sentTo[i], parts})
	}
	return all
}

// reports are the reception reports in a compound's first part.
func (c compound) reports() []rtcp.ReceptionReport {
	switch p := c.parts[0].(type) {
	case *rtcp.SenderReport:
		return p.Reports
	case *rtcp.ReceiverReport:
		return p.Reports
	}
	return nil
}

func muxParams() Params {
	p := plainParams()
	p.Mux = true
	return p
}

// ledger counts a source as RFC 3550 appendix A.1, A.3 and A.8 do, from what was put on the wire.
type ledger struct {
	base, high, received     int64
	jitter, transit          int64
	expectedWas, receivedWas int64
}

func ledgerOf(in []letter, until time.Duration, was *ledger) *ledger {
	l := &ledger{base: -1}
	in = slices.SortedStableFunc(slices.Values(in), func(a, b letter) int { return cmp.Compare(a.at, b.at) })
	for _, m := range in {
		if m.at > until {
			break
		}
		h, _ := parseHeader(m.octets)
		ext := int64(h.seq)
		if l.base < 0 {
			l.base, l.high = ext, ext
		} else if ext = l.high + int64(int16(h.seq-uint16(l.high))); ext > l.high {
			l.high = ext
		}
		l.received++
		// Each packet that is received, a copy too (RFC 3550 section 6.4.1).
		transit := int64(m.at/sampleTime) - int64(int32(h.ts))
		if l.received > 1 {
			d := transit - l.transit
			l.jitter += max(d, -d) - (l.jitter+8)>>4
		}
		l.transit = transit
	}
	if was != nil {
		l.expectedWas, l.receivedWas = was.high-was.base+1, was.received
	}
	return l
}

// TestReportsAreTrue: fraction lost, cumulative lost, highest number and jitter are those of RFC 3550 appendix A, whatever the
// network does.
func TestReportsAreTrue(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 3))
			in := stream(testSSRC, 64000, 5000, 100*ms, 3000) // a minute, with a wrap
			loss, jitter := float64(seed%4)*0.07, rnd.IntN(40)
			kept := slices.Clone(in[:1])
			for i, l := range in[1:] {
				if l.at += time.Duration(rnd.IntN(jitter+1)) * ms; rnd.Float64() < loss || i > 1000 && i < 1100 && seed == 7 {
					continue
				}
				if kept = append(kept, l); seed%3 == 1 && rnd.IntN(30) == 0 {
					kept = append(kept, l) // twice
				}
			}
			r := newRig(t, Config{}).commit(muxParams()).send(kept...).until(62 * time.Second)
			var was *ledger
			n := 0
			for _, c := range compounds(t, r.port) {
				want := ledgerOf(kept, c.at, was)
				if was != nil && want.received == was.received {
					if len(c.reports()) != 0 {
						t.Errorf("%v: a block, but nothing came since the report before", c.at)
					}
					continue
				}
				was = want
				if len(c.reports()) != 1 {
					t.Fatalf("%v: got %d blocks, want 1", c.at, len(c.reports()))
				}
				n++
				got := c.reports()[0]
				expected := want.high - want.base + 1
				lost, newly := expected-want.received, expected-want.expectedWas
				fraction := max(0, newly-(want.received-want.receivedWas)) << 8 / newly
				if got.SSRC != testSSRC || got.LastSequenceNumber != uint32(want.high) || int32(got.TotalLost<<8)>>8 != int32(lost) || got.FractionLost != uint8(fraction) {
					t.Errorf("%v: got %+v, want lost %d, fraction %d, highest %d", c.at, got, lost, fraction, want.high)
				}
				if got.Jitter != uint32(want.jitter>>4) {
					t.Errorf("%v: got jitter %d, want %d", c.at, got.Jitter, want.jitter>>4)
				}
			}
			if n < 8 {
				t.Errorf("%d reports in a minute, want one each 5 s or so", n)
			}
		})
	}
}

// TestReportsNameTheSenderReport: LSR is the middle of its NTP time, DLSR how long ago it came, in 1/65536 s.
func TestReportsNameTheSenderReport(t *testing.T) {
	r := newRig(t, Config{}).commit(muxParams()).send(stream(testSSRC, 1, 0, 100*ms, 2000)...)
	sr, err := (&rtcp.SenderReport{SSRC: testSSRC, NTPTime: 0x11223344_55667788, RTPTime: 800}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	const came = 200*ms + 125*time.Microsecond
	r.send(letter{at: came, octets: sr}).until(20 * time.Second)
	n := 0
	for _, c := range compounds(t, r.port) {
		got := c.reports()[0]
		if n++; got.LastSenderReport != 0x33445566 || got.Delay != uint32((c.at-came)<<16/time.Second) {
			t.Errorf("%v: got LSR %#x, DLSR %d, want 0x33445566, %d", c.at, got.LastSenderReport, got.Delay, (c.at-came)<<16/time.Second)
		}
	}
	if n == 0 || r.state().Counts.RTCPPackets != 1 || r.state().Counts.RTCPRefusedPackets != 0 {
		t.Errorf("%d reports, counts %+v", n, r.state().Counts)
	}
}

// TestReportsComeAtRandomTimes: RFC 3550 section 6.3.1: 5 s on average, and none nearer than 2 s to another.
func TestReportsComeAtRandomTimes(t *testing.T) {
	r := newRig(t, Config{Sweep: 100 * ms}).commit(muxParams()).until(1000 * time.Second)
	var gaps []time.Duration
	all := compounds(t, r.port)
	for i := range all[1:] {
		gaps = append(gaps, all[i+1].at-all[i].at)
	}
	if first := all[0].at; first < 1*time.Second || first > 3500*ms {
		t.Errorf("the first came after %v", first)
	}
	low, high := slices.Min(gaps), slices.Max(gaps)
	mean := (all[len(all)-1].at - all[0].at) / time.Duration(len(gaps))
	if low < 2*time.Second || high > 6300*ms || high-low < 2*time.Second || mean < 4*time.Second || mean > 5800*ms {
		t.Errorf("gaps from %v to %v, mean %v", low, high, mean)
	}
}

// TestSenderReportsWhileWeSend: our silence makes us a sender; two reports after the last of it we are none (RFC 3550 section 6.4).
func TestSenderReportsWhileWeSend(t *testing.T) {
	r := newRig(t, Config{Keepalive: -1}).commit(muxParams()).until(40 * time.Second)
	all := compounds(t, r.port)
	for i, c := range all {
		sr, ok := c.parts[0].(*rtcp.SenderReport)
		if ok != (i < 2) {
			t.Fatalf("report %d: %T", i, c.parts[0])
		}
		if !ok {
			continue
		}
		sil := &r.track.live.silence
		wall := r.e.start.Add(c.at)
		ntp := time.Unix(int64(sr.NTPTime>>32)-ntpEpoch, int64(sr.NTPTime&0xffffffff*1e9>>32))
		if sr.SSRC != sil.ssrc || sr.PacketCount != 10 || sr.OctetCount != 1600 || wall.Sub(ntp).Abs() > ms || sr.RTPTime != sil.ts+uint32(c.at/sampleTime) {
			t.Errorf("report %d: got %+v at %v", i, sr, c.at)
		}
		cname, ok := c.parts[1].(*rtcp.SourceDescription)
		if !ok || len(cname.Chunks) != 1 || cname.Chunks[0].Source != sil.ssrc || cname.Chunks[0].Items[0].Text != string(r.line.live.cname[:]) {
			t.Errorf("report %d: got %+v, want our CNAME", i, c.parts[1])
		}
	}
}

func TestNoReportsIsSilence(t *testing.T) {
	r := newRig(t, Config{NoReports: true}).commit(muxParams()).send(stream(testSSRC, 1, 0, 100*ms, 20)...).until(30 * time.Second).close()
	if all := compounds(t, r.port); len(all) != 0 {
		t.Errorf("got %d compounds, want none", len(all))
	}
}

func TestByeIsTheLastWord(t *testing.T) {
	r := newRig(t, Config{}).commit(muxParams()).send(stream(testSSRC, 1, 0, 100*ms, 20)...).until(600 * ms).close()
	all := compounds(t, r.port)
	if len(all) != 1 {
		t.Fatalf("got %d compounds, want the last alone", len(all))
	}
	bye, ok := all[0].parts[len(all[0].parts)-1].(*rtcp.Goodbye)
	if !ok || !slices.Equal(bye.Sources, []uint32{r.track.live.silence.ssrc}) || len(all[0].reports()) != 1 {
		t.Errorf("got %+v", all[0].parts)
	}
	if n := len(r.port.sent); !isRTCP(r.port.sent[n-1]) {
		t.Error("something was sent after it")
	}
}

// TestReportsGoWhereRTPGoes, and never before it.
func TestReportsGoWhereRTPGoes(t *testing.T) {
	other := netip.MustParseAddrPort("203.0.113.5:7777")
	apart := plainParams()
	apart.RemoteRTCP = netip.MustParseAddrPort("192.0.2.1:4001")
	held := muxParams()
	held.Inactive = true
	nowhere := muxParams()
	nowhere.Remote = netip.AddrPort{}
	for _, c := range []struct {
		name   string
		params Params
		in     []letter
		rtp    string // where reports go on the RTP port
		rtcp   string // on the RTCP port; empty: nowhere
	}{
		{name: "mux", params: muxParams(), rtp: "192.0.2.1:4000"},
		{name: "mux, latched on another port", params: muxParams(), in: from(stream(1, 1, 0, 100*ms, 50), "192.0.2.1:4444"), rtp: "192.0.2.1:4444"},
		{name: "port of its own", params: apart, rtcp: "192.0.2.1:4001"},
		{name: "on hold", params: held},
		{name: "far side not known", params: nowhere},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Config{})
			second := &fakePort{start: r.e.start, now: forever}
			if !c.params.Mux {
				r.track.live.port.pair.rtcp = second
			}
			r.commit(c.params).send(c.in...).until(20 * time.Second)
			for _, p := range []struct {
				port *fakePort
				want string
			}{{r.port, c.rtp}, {second, c.rtcp}} {
				all := compounds(t, p.port)
				if len(all) == 0 && p.want != "" {
					t.Errorf("no report to %s", p.want)
				}
				for _, m := range all {
					if m.to.String() != p.want {
						t.Errorf("a report to %v, want %s", m.to, p.want)
					}
				}
			}
			if len(r.port.sent) > 0 && isRTCP(r.port.sent[0]) {
				t.Error("a report before our first packet")
			}
		})
	}
	t.Run("the far side's RTCP comes from elsewhere", func(t *testing.T) {
		r := newRig(t, Config{})
		second := &fakePort{start: r.e.start, now: 60 * time.Second}
		r.track.live.port.pair.rtcp = second
		rr, _ := (&rtcp.ReceiverReport{SSRC: 1}).Marshal()
		for _, a := range []netip.AddrPort{other, netip.MustParseAddrPort("192.0.2.1:9999"), other} { // a stranger, itself, a stranger
			second.queue = append(second.queue, letter{at: 700 * ms, octets: rr, from: a})
		}
		second.now = 0 // until RTP is believed
		r.commit(apart).send(from(stream(1, 1, 0, 100*ms, 1000), "192.0.2.1:61000")...).until(700 * ms)
		second.now = 60 * time.Second
		r.until(20 * time.Second)
		for _, m := range compounds(t, second) {
			if m.to.String() != "192.0.2.1:9999" {
				t.Errorf("a report to %v, want where RTCP comes from", m.to)
			}
		}
		if c := r.state().Counts; c.RTCPPackets != 1 || c.RTCPRefusedPackets != 2 || c.RTCPSentPackets < 3 {
			t.Errorf("counts: got %+v, want 1 taken, 2 refused", c)
		}
	})
}
