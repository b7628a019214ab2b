package media

import (
	"testing"
	"time"
)

// stream makes n packets of 20 ms from a number, timestamp and time on.
func stream(ssrc uint32, seq uint16, ts uint32, at time.Duration, n int) (l []letter) {
	for i := range n {
		p := spec{ssrc: ssrc, seq: seq + uint16(i), ts: ts + uint32(160*i), n: 160}
		l = append(l, letter{at: at + time.Duration(i)*20*ms, octets: p.marshal()})
	}
	return l
}

// without leaves out some letters by index.
func without(l []letter, drop ...int) (kept []letter) {
	for i := range l {
		gone := false
		for _, d := range drop {
			gone = gone || i == d
		}
		if !gone {
			kept = append(kept, l[i])
		}
	}
	return kept
}

// delayed lets the i-th letter come later.
func delayed(l []letter, i int, by time.Duration) []letter {
	l[i].at += by
	return l
}

func TestPacketsGoWhereTheirTimestampSays(t *testing.T) {
	ten := func() []letter { return stream(testSSRC, 100, 5000, 100*ms, 10) }
	for _, c := range []struct {
		name   string
		in     []letter
		want   string
		counts Counts // those that are not 0; samples and packets are proved by the tape
	}{
		{"in order", ten(), "r1600", Counts{}},
		{"number wraps", stream(testSSRC, 65530, 5000, 100*ms, 12), "r1920", Counts{}},
		{"timestamp wraps", stream(testSSRC, 1, 1<<32-800, 100*ms, 10), "r1600", Counts{}},
		{"the first is overtaken", delayed(ten(), 0, 50*ms), "r1600", Counts{ReorderedPackets: 1}},
		{"the first comes too late", delayed(ten(), 0, 90*ms), "r1440", Counts{TooLatePackets: 1}},
		{"overtaken", delayed(ten(), 5, 30*ms), "r1600", Counts{ReorderedPackets: 1}},
		{"lost", without(ten(), 5), "r800 l160 r640", Counts{LostPackets: 1}},
		{"three lost in a row", without(ten(), 4, 5, 6), "r640 l480 r480", Counts{LostPackets: 3}},
		{"two holes", without(ten(), 3, 6), "r480 l160 r320 l160 r480", Counts{LostPackets: 2}},
		{"late", delayed(ten(), 5, 150*ms), "r800 L160 r640", Counts{LatePackets: 1, LateSamples: 160}},
		{"late into the middle of a long hole", append(without(ten(), 4, 5, 6), delayed(ten(), 5, 300*ms)[5]), "r640 l160 L160 l160 r480", Counts{LostPackets: 2, LatePackets: 1, LateSamples: 160}},
		{"late, after the first was overtaken", append(without(stream(testSSRC, 100, 5000, 100*ms, 10), 0, 1, 2, 3), letter{at: 190 * ms, octets: ten()[0].octets}, letter{at: 300 * ms, octets: ten()[2].octets}), "r160 l160 L160 l160 r960", Counts{ReorderedPackets: 1, LostPackets: 2, LatePackets: 1, LateSamples: 160}},
		{"too late", delayed(ten(), 5, 2500*ms), "r800 l160 r640", Counts{LostPackets: 1, TooLatePackets: 1}},
		{"all twice", append(ten(), ten()...), "r1600", Counts{DuplicatePackets: 10}},
		{"late and twice", append(delayed(ten(), 5, 150*ms), delayed(ten(), 5, 200*ms)[5]), "r800 L160 r640", Counts{DuplicatePackets: 1, LatePackets: 1, LateSamples: 160}},
		{"pause, timestamps go on", append(ten(), stream(testSSRC, 110, 5000+1600+24000, 3300*ms, 5)...), "r1600 g24000 r800", Counts{}},
		{"pause, with a packet missing after it", append(ten(), stream(testSSRC, 111, 5000+1600+8000+160, 1320*ms, 5)...), "r1600 l160 g8000 r800", Counts{LostPackets: 1}},
		{"outage of 100 packets", append(ten(), stream(testSSRC, 210, 5000+110*160, 2300*ms, 5)...), "r1600 l16000 r800", Counts{LostPackets: 100}},
		{"outage of 4000 packets", append(ten(), stream(testSSRC, 4110, 5000+4010*160, 80300*ms, 5)...), "r1600 l640000 r800", Counts{LostPackets: 4000}},
		{"numbers begin anew, timestamps go on", append(ten(), stream(testSSRC, 40000, 5000+1600, 300*ms, 5)...), "r2400", Counts{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Config{}).commit(plainParams()).send(c.in...)
			r.until(c.in[len(c.in)-1].at + 3*time.Second).close()
			r.expect(c.want)
			got := r.state().Counts
			got.Packets, got.Octets, got.SentPackets, got.JitterSamples = 0, 0, 0, 0
			got.ReceivedSamples, got.LostSamples, got.GapSamples = 0, 0, 0
			if got != c.counts {
				t.Errorf("counts: got %+v, want %+v", got, c.counts)
			}
		})
	}
}

func TestPacketLengthsMayChange(t *testing.T) {
	var in []letter
	ts, at := uint32(77), 100*ms
	for i, n := range []int{80, 160, 240, 480, 170, 1, 3, 160, 80, 80, 480} {
		in = append(in, letter{at: at, octets: spec{ssrc: 9, seq: uint16(i), ts: ts, n: n}.marshal()})
		ts += uint32(n)
		at += time.Duration(n) * sampleTime
	}
	r := newRig(t, Config{}).commit(plainParams()).send(without(in, 2)...).until(time.Second).close()
	r.expect("r240 l240 r1454")
}

func TestOnlyWhatIsNewOfAnOverlapIsPlaced(t *testing.T) {
	in := stream(testSSRC, 1, 0, 100*ms, 5)
	in[3].octets = spec{ssrc: testSSRC, seq: 4, ts: 400, n: 240}.marshal() // 80 of them came before
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(time.Second).close()
	r.expect("r800")
	if got := r.state().Counts.OverlapPackets; got != 1 {
		t.Errorf("overlaps: got %d, want 1", got)
	}
}

func TestComfortNoiseIsAGapAndUnknownTypesAreLost(t *testing.T) {
	in := stream(testSSRC, 1, 0, 100*ms, 10)
	in[4].octets = spec{ssrc: testSSRC, seq: 5, ts: 640, pt: 13, payload: []byte{60}}.marshal()
	in[5].octets = spec{ssrc: testSSRC, seq: 6, ts: 800, pt: 97, n: 160}.marshal()
	in[6].octets = spec{ssrc: testSSRC, seq: 7, ts: 960, payload: []byte{1, 2, 3, 4}}.marshal() // an event's octets under the wrong type
	in[7].octets = spec{ssrc: testSSRC, seq: 8, ts: 1120}.marshal()
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(time.Second).close()
	r.expect("r640 l160 g480 r320")
	c := r.state().Counts
	if c.ComfortPackets != 1 || c.UnknownPTPackets != 1 || c.MalformedPackets != 2 || c.LostPackets != 0 {
		t.Errorf("counts: got %+v", c)
	}
}

func TestGivenUpBeforeNoiseIsStillReceived(t *testing.T) {
	in := delayed(stream(testSSRC, 1, 0, 100*ms, 20), 8, 150*ms)
	in[9].octets = spec{ssrc: testSSRC, seq: 10, ts: 1440, pt: 13, payload: []byte{60}}.marshal()
	for i := 10; i < 20; i++ {
		in[i].at += 300 * ms
		in[i].octets = spec{ssrc: testSSRC, seq: uint16(i + 1), ts: uint32(160*i + 2400), n: 160}.marshal()
	}
	r := newRig(t, Config{}).commit(plainParams()).send(without(in, 7)...).until(2 * time.Second).close()
	r.expect("r1120 l160 r160 g2560 r1600")
	if c := r.state().Counts; c.LostPackets != 1 || c.ReorderedPackets != 1 {
		t.Errorf("counts: got %+v", c)
	}
}

func TestFarFutureTimestampMakesNoRun(t *testing.T) {
	in := stream(testSSRC, 1, 0, 100*ms, 20)
	for i := 5; i < 20; i += 2 { // never two in sequence
		in[i].octets = spec{ssrc: testSSRC, seq: uint16(1 + i), ts: uint32(i) * 160000000, n: 160}.marshal()
	}
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(time.Second).close()
	if s := r.state(); s.Length > 20*160 || len(s.Epochs) != 1 {
		t.Errorf("got length %d in %d epochs, want at most %d in 1", s.Length, len(s.Epochs), 20*160)
	}
}

func TestAHostileClockCantRunAwayFromArrival(t *testing.T) {
	var in []letter
	for i := range 200 { // each step is one that a single packet may make
		in = append(in, letter{at: 100*ms + time.Duration(i)*20*ms, octets: spec{ssrc: 1, seq: uint16(i), ts: uint32(i) * 79000, n: 160}.marshal()})
	}
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(5 * time.Second).close()
	if s := r.state(); s.Length > 5*SampleRate+aheadSamples {
		t.Errorf("length: got %d, want at most %d", s.Length, 5*SampleRate+aheadSamples)
	}
}
