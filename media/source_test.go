package media

import (
	"net/netip"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// from lets letters come from elsewhere.
func from(l []letter, a string) []letter {
	for i := range l {
		l[i].from = netip.MustParseAddrPort(a)
	}
	return l
}

func TestOnlyTheTracksSourceIsHeard(t *testing.T) {
	const nat, stranger = "192.0.2.1:61000", "198.51.100.7:4000"
	host := plainParams()
	host.Remote = netip.AddrPort{}
	for _, c := range []struct {
		name   string
		params Params
		in     []letter
		want   string
		strays int64
	}{
		{"as offered", plainParams(), stream(1, 1, 0, 100*ms, 10), "r1600", 0},
		{"another port of the offered address", plainParams(), from(stream(1, 1, 0, 100*ms, 10), nat), "r1600", 0},
		{"a stranger", plainParams(), from(stream(1, 1, 0, 100*ms, 10), stranger), "", 10},
		{"anyone where no address is known", host, from(stream(1, 1, 0, 100*ms, 10), stranger), "r1600", 0},
		{"injected while the source talks", plainParams(), append(stream(1, 1, 0, 100*ms, 50), from(stream(1, 51, 8000, 500*ms, 50), nat)...), "r8000", 50},
		{"injected after seconds of talk", plainParams(), append(stream(1, 1, 0, 100*ms, 150), from(stream(1, 151, 24000, 2500*ms, 50), nat)...), "r24000", 50},
		{"offered source moved after a silence", plainParams(), append(stream(1, 1, 0, 100*ms, 10), from(stream(1, 11, 1600+8000, 1300*ms, 10), nat)...), "r1600 g8000 r1600", 0},
		{"moved, but not in sequence", plainParams(), append(stream(1, 1, 0, 100*ms, 10), without(from(stream(1, 11, 9600, 1300*ms, 12), nat), 3, 7)...), "r1600", 10},
		{"one packet from another port", plainParams(), append(from(stream(9, 1, 0, 50*ms, 1), nat), stream(1, 1, 0, 100*ms, 10)...), "r1600", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Config{}).commit(c.params).send(c.in...).until(4 * time.Second).close()
			r.expect(c.want)
			if got := r.state().Counts.StrayPackets; got != c.strays {
				t.Errorf("strays: got %d, want %d", got, c.strays)
			}
			if es := r.tape.typed(call.EventTrackStray); len(es) > 2 || (len(es) > 0) != (c.strays > 0) {
				t.Errorf("stray events: got %d for %d packets", len(es), c.strays)
			}
		})
	}
}

func TestReOfferMovesTheSource(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(stream(1, 1, 0, 100*ms, 100)...).until(500 * ms)
	p := plainParams()
	p.Remote = netip.MustParseAddrPort("198.51.100.7:6000")
	r.commit(p).send(from(stream(2, 1, 0, 1090*ms, 50), "198.51.100.7:6000")...)
	r.send(from(stream(3, 1, 0, 2500*ms, 50), "192.0.2.1:4000")...) // the old one again, later
	r.until(4 * time.Second).close()
	s := r.state()
	if s.Length != 8000+8000 || len(s.Epochs) != 2 || s.Counts.StrayPackets != 100-50+50 {
		t.Errorf("got length %d, epochs %+v, strays %d", s.Length, s.Epochs, s.Counts.StrayPackets)
	}
	if got := r.port.sentTo[len(r.port.sentTo)-1]; got != p.Remote {
		t.Errorf("last packet of ours went to %v, want %v", got, p.Remote)
	}
	if es := r.tape.typed(call.EventTrackUpdated); len(es) != 1 {
		t.Errorf("updates: got %v, want one", es)
	}
}

func TestHoldKeepsTheSource(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(stream(1, 1, 0, 100*ms, 10)...).until(500 * ms)
	p := plainParams()
	p.Remote = netip.AddrPortFrom(netip.IPv4Unspecified(), 4000)
	sent := len(r.port.sent)
	r.commit(p).until(20 * time.Second)
	if got := len(r.port.sent); got != sent {
		t.Errorf("sent while held by c=0.0.0.0: %d packets", got-sent)
	}
	r.commit(plainParams()).send(stream(1, 11, 20*8000, 20100*ms, 10)...).until(21 * time.Second).close()
	r.expect("r1600 g158400 r1600")
	if got := len(r.port.sent); got == sent {
		t.Error("nothing sent on resume")
	}
}

// TestSilenceOpensTheWay: ten packets 20 ms apart, then one each keep-alive, one stream with a true clock.
func TestSilenceOpensTheWay(t *testing.T) {
	r := newRig(t, Config{Keepalive: time.Second}).commit(plainParams()).until(5 * time.Second)
	if got := len(r.port.sent); got != 14 {
		t.Fatalf("sent: got %d packets, want 10 and 4", got)
	}
	first, _ := parseHeader(r.port.sent[0])
	for i, b := range r.port.sent {
		h, ok := parseHeader(b)
		at := time.Duration(i) * 20 * ms
		if i >= 10 {
			at = 180*ms + time.Duration(i-9)*time.Second
		}
		if !ok || h.ssrc != first.ssrc || h.seq != first.seq+uint16(i) || h.ts-first.ts != uint32(samplesIn(at)) || h.pt != 0 || len(b) != 172 || b[20] != 0xFF || h.marker != (i == 0) {
			t.Errorf("packet %d: %+v, %d octets of %#x; %d samples after the first", i, h, len(b), b[20], h.ts-first.ts)
		}
		if r.port.sentTo[i] != wire {
			t.Errorf("packet %d went to %v, want %v", i, r.port.sentTo[i], wire)
		}
	}
}

func TestSilenceStopsItsBurstWhenMediaComes(t *testing.T) {
	const nat = "192.0.2.1:61000"
	for source, most := range map[string]int{wire.String(): 5, nat: 10} { // another port is believed only later
		r := newRig(t, Config{}).commit(plainParams()).send(from(stream(1, 1, 0, 50*ms, 50), source)...).until(14 * time.Second)
		if got := len(r.port.sent); got < 1 || got > most {
			t.Errorf("%s: sent: got %d packets, want 1 to %d", source, got, most)
		}
		r.until(16 * time.Second)
		if got := r.port.sentTo[len(r.port.sentTo)-1].String(); got != source {
			t.Errorf("keep-alive went to %v, want the latched source %s", got, source)
		}
	}
}

func TestInactiveSendsNothing(t *testing.T) {
	p := plainParams()
	p.Inactive, p.SilencePT = true, 8
	r := newRig(t, Config{}).commit(p).until(20 * time.Second)
	if got := len(r.port.sent); got != 0 {
		t.Errorf("inactive: got %d packets, want none", got)
	}
	p.Inactive = false
	r.commit(p).until(r.now + 20*ms)
	if got := len(r.port.sent); got != 1 || r.port.sent[0][20] != 0xD5 || r.port.sent[0][1]&0x7f != 8 {
		t.Errorf("active again: got %d packets, want one of PCMA silence at once", got)
	}
}

// TestTheOfferedSourceWinsOverALatch: another port of the offered address came first, and goes on.
func TestTheOfferedSourceWinsOverALatch(t *testing.T) {
	const nat = "192.0.2.1:61000"
	in := append(from(stream(9, 1, 0, 100*ms, 300), nat), stream(1, 500, 77, 1170*ms, 250)...)
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(8 * time.Second).close()
	s := r.state()
	if len(s.Epochs) != 2 || s.Epochs[1].SSRC != 1 || s.Epochs[1].Timestamp != 77 || s.Length-s.Epochs[1].Pos != 250*160 {
		t.Errorf("got length %d, epochs %+v, want all 250 of the offered source from where they begin", s.Length, s.Epochs)
	}
	if got := r.port.sentTo[len(r.port.sentTo)-1]; got != wire {
		t.Errorf("sent to %v, want %v", got, wire)
	}
	if got := s.Counts.StrayPackets; got < 300-56 || got > 300-53 {
		t.Errorf("strays: got %d, want those of the other port from then on", got)
	}
}

// TestAStreamOfADeadProcessIsNotHeard: after a crash RingCentral goes on sending to the dead process's port, from the address that
// it offers again and another port; the offered one begins when it has our first packet.
func TestAStreamOfADeadProcessIsNotHeard(t *testing.T) {
	const old = "192.0.2.1:61000"
	for _, begin := range []time.Duration{30 * ms, 170 * ms, 400 * ms} {
		in := append(from(stream(9, 1, 0, 0, 900), old), stream(1, 500, 77, begin, 250)...)
		r := newRig(t, Config{}).commit(plainParams()).send(in...)
		r.until(begin + 5*time.Second)
		r.send(stream(1, 750, 77+250*160+80000, begin+15*time.Second, 50)...) // after a pause of 10 s
		r.until(19 * time.Second).close()
		r.expect("r40000 g80000 r8000")
		if s := r.state(); len(s.Epochs) != 1 || s.Epochs[0].SSRC != 1 || s.Counts.StrayPackets < 890 {
			t.Errorf("begins at %v: epochs %+v, strays %d, want none of the other stream", begin, s.Epochs, s.Counts.StrayPackets)
		}
	}
}

// TestNothingOfAnotherPortIsLostMeanwhile: what waits for the offered source's time is kept, also where the call ends before, the
// sender pauses, or packets are short.
func TestNothingOfAnotherPortIsLostMeanwhile(t *testing.T) {
	const nat = "192.0.2.1:61000"
	var short []letter
	for i := range 100 {
		short = append(short, letter{at: 100*ms + time.Duration(i)*10*ms, octets: spec{ssrc: 1, seq: uint16(i), ts: uint32(80 * i), n: 80}.marshal()})
	}
	for _, c := range []struct {
		name  string
		in    []letter
		until time.Duration
		want  string
	}{
		{"the call ends", stream(1, 1, 0, 100*ms, 10), 320 * ms, "r1600"},
		{"the sender pauses", append(stream(1, 1, 0, 100*ms, 5), stream(1, 6, 800+24000, 3200*ms, 5)...), 5 * time.Second, "r800 g24000 r800"},
		{"packets of 10 ms", short, 2 * time.Second, "r8000"},
		{"one lost and one overtaken", delayed(without(stream(1, 1, 0, 100*ms, 40), 8), 5, 25*ms), 2 * time.Second, "r1280 l160 r4960"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Config{}).commit(plainParams()).send(from(c.in, nat)...).until(c.until).close()
			r.expect(c.want)
			if n := r.state().Counts.StrayPackets; n != 0 {
				t.Errorf("%d strays", n)
			}
		})
	}
}

// TestTheOfferedSourceComesBackAfterAMove: it moved, and moves back: RFC 4961 makes the offered the likely one.
func TestTheOfferedSourceComesBackAfterAMove(t *testing.T) {
	const nat = "192.0.2.1:61000"
	in := append(stream(1, 1, 0, 100*ms, 10), from(stream(1, 11, 9600, 1300*ms, 10), nat)...)
	in = append(in, stream(1, 21, 11200, 1500*ms, 10)...)
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(4 * time.Second).close()
	r.expect("r1600 g8000 r3200")
	if got := r.state().Counts.StrayPackets; got != 0 {
		t.Errorf("strays: got %d, want 0", got)
	}
}

// TestWhatIsNoAudioOfTheOfferedSourceWinsNothing: keep-alives from the offered port (RFC 6263), audio from another.
func TestWhatIsNoAudioOfTheOfferedSourceWinsNothing(t *testing.T) {
	in := from(stream(1, 1, 0, 100*ms, 50), "192.0.2.1:61000")
	for i := range 20 {
		in = append(in, letter{at: 205*ms + time.Duration(i)*20*ms, octets: spec{ssrc: 5, seq: uint16(i), pt: 20}.marshal()})
	}
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(4 * time.Second).close()
	r.expect("r8000")
	if c := r.state().Counts; c.StrayPackets+c.UnknownPTPackets != 20 || c.StrayPackets == 0 {
		t.Errorf("got %d strays, %d of unknown type, want 20", c.StrayPackets, c.UnknownPTPackets)
	}
}

// TestARivalGetsNoTurnInAPause: other ports of the far side's host that sent while it talked are other senders; a flood from ever new
// ones makes none of them believed either.
func TestARivalGetsNoTurnInAPause(t *testing.T) {
	for _, ports := range []int{1, 8, 3000} {
		in := append(stream(1, 1, 0, 100*ms, 100), stream(1, 101, 16000+40000, 7100*ms, 50)...)
		seqs := map[int]uint16{}
		for i := range 4000 { // two a millisecond, for 8 s
			port := i % ports
			seqs[port]++
			p := spec{ssrc: 66, seq: seqs[port], ts: uint32(seqs[port]) * 160, n: 160}
			at := 150*ms + time.Duration(i)*2*ms
			in = append(in, letter{at: at, octets: p.marshal(), from: netip.AddrPortFrom(wire.Addr(), uint16(10000+port))})
		}
		r := newRig(t, Config{}).commit(plainParams()).send(in...).until(10 * time.Second).close()
		r.expect("r16000 g40000 r8000")
		if c := r.state().Counts; c.StrayPackets != 4000 {
			t.Errorf("%d ports: %d strays, want 4000", ports, c.StrayPackets)
		}
	}
}
