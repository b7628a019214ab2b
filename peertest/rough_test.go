package peertest

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// roughPorts is how many of earshot's ports the rough road leads to.
const roughPorts = 8

// roughRoad is earshot with an impairer before it and a capture at its door.
type roughRoad struct {
	*impairer
	capture
	earshot
}

// startRoughRoad starts them, the capture first.
func startRoughRoad(t *testing.T, kam registrar, user, transport string, r road, v6 bool) roughRoad {
	t.Helper()
	port, here, there := nextPort(), earshotIP, roughIP
	if v6 {
		here, there = six(here), six(there)
	}
	media := fmt.Sprintf("listen_ip: %q, advertise_ip: %q, ports: %d-%d", here, there, port, port+roughPorts-1)
	return roughRoad{
		capture: startCapture(t, port, roughPorts), impairer: startImpairer(t, r, port, roughPorts, v6),
		earshot: startEarshotWith(t, kam, user, transport, port, media),
	}
}

// recorded gives what became of the one call: the recording, what went out of the impairer, what tshark saw.
func (r roughRoad) recorded(t *testing.T) (recording, []arrival, seen) {
	t.Helper()
	rec := r.recordings(t, 1)[0]
	delivered := r.impairer.close()
	if r.impairer.err != nil {
		t.Fatalf("impairer: %v", r.impairer.err)
	}
	if rec.manifest.State != "recorded" {
		t.Errorf("state %s, want recorded", rec.manifest.State)
	}
	return rec, delivered, r.judge(t)
}

func TestARoughRoadLosesNothingThatArrived(t *testing.T) {
	need(t, "sipp", "kamailio", "ip", "dumpcap", "tshark")
	t.Parallel()
	kam := kamailio(t)
	const ms = time.Millisecond
	said := func(n int) func(*speaker) {
		return func(s *speaker) { s.say(sequence(uint64(70+n), n*samplesPerPacket)) }
	}
	for i, tc := range []struct {
		name  string
		road  road
		law   law
		ptime int // samples; default 160
		v6    bool
		speak func(*speaker) // default: 300 packets
	}{
		{name: "clean", law: ulaw},
		{name: "delay", road: road{delay: 150 * ms}, law: alaw},
		{name: "loss 1 %", road: road{loss: 0.01}, law: alaw, speak: said(500)},
		{name: "loss 5 %", road: road{loss: 0.05}, law: ulaw},
		{name: "loss 20 %", road: road{loss: 0.2}, law: alaw},
		{name: "bursts", road: road{burst: 0.02}, law: ulaw, speak: said(500)},
		{name: "reordered 3 %", road: road{reorder: 0.03}, law: ulaw, speak: said(500)},
		{name: "first overtaken", road: road{seed: 26, reorder: 0.3}, law: ulaw, speak: said(100)},
		{name: "late", road: road{reorder: 0.05, reorderedBy: 130 * ms}, law: alaw},
		{name: "twice 3 %", road: road{duplicate: 0.03}, law: alaw, speak: said(500)},
		{name: "jitter 80 ms", road: road{jitter: 80 * ms, spared: 5}, law: ulaw, speak: said(500)},
		{name: "all of it", road: road{loss: 0.03, burst: 0.005, reorder: 0.03, duplicate: 0.03, delay: 30 * ms, jitter: 40 * ms, spared: 5}, law: ulaw, speak: said(500)},
		{name: "all over IPv6", road: road{loss: 0.03, reorder: 0.03, duplicate: 0.03, jitter: 40 * ms, spared: 5}, law: alaw, v6: true},
		{name: "10 ms a packet", road: road{loss: 0.03, jitter: 15 * ms}, law: alaw, ptime: 80, speak: said(200)},
		{name: "60 ms a packet", road: road{loss: 0.05, jitter: 30 * ms}, law: ulaw, ptime: 480},
		{name: "pauses and digits", road: road{loss: 0.05}, law: ulaw, speak: talkWithPauses},
		{name: "another source", road: road{loss: 0.03, duplicate: 0.03, spared: 3}, law: ulaw, speak: func(s *speaker) {
			s.say(sequence(90, 150*samplesPerPacket))
			s.restart(rtpStart{seq: 65530, ts: 0xfffff800, ssrc: 0x0a0b0c0d}, 800*ms)
			s.say(sequence(91, 150*samplesPerPacket))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.road.seed = cmp.Or(tc.road.seed, uint64(i+1))
			road := startRoughRoad(t, kam, strconv.Itoa(300+i), "udp", tc.road, tc.v6)
			s := newSpeaker(tc.law, wrapsSoon, cmp.Or(tc.ptime, samplesPerPacket))
			if tc.speak == nil {
				tc.speak = said(300)
			}
			tc.speak(s)
			dir, media := t.TempDir(), sippIP
			if tc.v6 {
				media = six(sippIP)
			}
			pcapOf(t, filepath.Join(dir, "audio.pcap"), s.out)
			// The road must be at its end before the call is.
			hold := s.now + tc.road.delay + tc.road.jitter + tc.road.reorderedBy + 400*ms
			sippCall{scenario: "call", user: road.user, law: tc.law, hold: hold, dir: dir, media: media}.run(t)
			r, delivered, saw := road.recorded(t)
			if road.sent != len(s.out) {
				t.Errorf("%d packets came from sipp, want %d", road.sent, len(s.out))
			}
			if hurt := tc.road.loss+tc.road.burst > 0; hurt != (road.lost > 0) {
				t.Errorf("%d packets were thrown away: the seed tests nothing", road.lost)
			}
			k := r.track(t, 0)
			checkTruth(t, r, k, saw.rtp, payloads(t, delivered, saw.rtp, tc.law))
			checkStreams(t, saw)
			checkFigures(t, k, saw.rtp)
			road.earshot.stop(t)
		})
	}
}

// talkWithPauses speaks as a sender with silence suppression does.
func talkWithPauses(s *speaker) {
	for i := range 8 {
		s.say(sequence(uint64(80+i), 25*samplesPerPacket-40)) // the last packet of a talk spurt is a short one
		switch i % 3 {
		case 0:
			s.rest(2000, false)
		case 1:
			s.rest(1600, true)
		case 2:
			s.press(byte(i), 5)
		}
	}
}

// checkStreams compares tshark's streams with RFC 3550 over the packets that tshark saw.
func checkStreams(t *testing.T, saw seen) {
	t.Helper()
	streams := map[uint32]stream{}
	for _, s := range saw.streams {
		streams[s.ssrc] = s
	}
	order, of := bySource(saw.rtp)
	if len(streams) != len(order) || len(saw.streams) != len(order) {
		t.Fatalf("tshark: streams %+v, want one for each of the sources %x", saw.streams, order)
	}
	for _, ssrc := range order {
		want, ts := figuresOf(of[ssrc]), streams[ssrc]
		// tshark counts from the packet that came first to the one that came last, and takes copies for packets. Where
		// packets around the wrap of the sequence numbers overtake each other, it counts a cycle of them too many.
		if ts.packets != want.packets || (ts.lost-want.fromFirst+want.packets)%(1<<16) != 0 {
			t.Errorf("tshark: %+v; want %d packets, %d lost", ts, want.packets, want.fromFirst-want.packets)
		}
		if want.audio == want.packets && (!near(ts.maxJitter, want.maxJitter/8) || !near(ts.meanJitter, want.meanJitter()/8)) {
			t.Errorf("tshark: jitter %.3f ms at most, %.3f on average; RFC 3550: %.3f, %.3f", ts.maxJitter, ts.meanJitter, want.maxJitter/8, want.meanJitter()/8)
		}
	}
}

// checkFigures compares the manifest's quality with RFC 3550 over the packets that came. With SRTP a copy is no packet: it
// is discarded before RTP knows of it (RFC 3711 section 3.3).
func checkFigures(t *testing.T, k track, packets []packet) {
	t.Helper()
	var sum figures
	order, of := bySource(packets)
	for _, ssrc := range order {
		one := figuresOf(of[ssrc])
		if k.SRTP {
			copies := one.duplicates
			one = figuresOf(once(of[ssrc]))
			one.duplicates = copies
		}
		sum.add(one)
	}
	q := k.Quality
	if k.Counts.Packets != sum.packets || q.Expected != sum.expected || q.Received != sum.unique || q.Lost != sum.expected-sum.unique ||
		q.Duplicate != sum.duplicates || q.Reordered+q.Late != sum.behind || q.LossRuns != sum.runs || q.LongestRun.Packets != sum.longestRun {
		t.Errorf("quality: %+v of %d packets; want %+v", q, k.Counts.Packets, sum)
	}
	if !near(q.JitterMS, sum.jitter/8) || !near(q.JitterMax, sum.maxJitter/8) || !near(q.JitterMean, sum.meanJitter()/8) {
		t.Errorf("jitter: %.2f ms at the end, %.2f at most, %.2f on average; want %.2f, %.2f, %.2f", q.JitterMS, q.JitterMax, q.JitterMean,
			sum.jitter/8, sum.maxJitter/8, sum.meanJitter()/8)
	}
}

// near says whether two jitters are the same: earshot counts in whole samples, 0.125 ms.
func near(a, b float64) bool { return math.Abs(a-b) <= 0.15+0.02*math.Abs(b) }
