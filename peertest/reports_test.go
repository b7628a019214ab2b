package peertest

import (
	"math"
	"strconv"
	"testing"
	"time"
)

func TestBaresipOnARoughRoadIsToldTheTruth(t *testing.T) {
	need(t, "baresip", "kamailio", "ip", "dumpcap", "tshark")
	t.Parallel()
	kam := kamailio(t)
	const ms = time.Millisecond
	bad := road{loss: 0.05, burst: 0.005, reorder: 0.03, duplicate: 0.03, delay: 20 * ms, jitter: 30 * ms, spared: 5}
	for i, tc := range []struct {
		name, transport, mediaenc string
		road                      road
		law                       law
		mux                       bool
	}{
		{name: "RTP", transport: "udp", road: bad, law: ulaw},
		{name: "RTP on one port", transport: "tcp", road: bad, law: alaw, mux: true},
		{name: "no loss", transport: "udp", law: alaw},
		{name: "SRTP", transport: "tls", mediaenc: "srtp-mand", road: bad, law: ulaw},
		{name: "SRTP on one port", transport: "tls", mediaenc: "srtp-mandf", road: bad, law: alaw, mux: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.road.seed = uint64(40 + i)
			road := startRoughRoad(t, kam, strconv.Itoa(330+i), tc.transport, tc.road, false)
			said := tc.law.decode16(sequence(uint64(100+i), 14*50*samplesPerPacket))
			log := baresipCall{
				as: strconv.Itoa(150 + i), user: road.user, transport: tc.transport, mediaenc: tc.mediaenc, law: tc.law, mux: tc.mux, samples: said,
			}.run(t, kam)
			r, delivered, saw := road.recorded(t)
			k := r.track(t, 0)
			checkStreams(t, saw)
			if k.SRTP != (tc.mediaenc != "") {
				t.Fatalf("srtp %t, want %t", k.SRTP, tc.mediaenc != "")
			}
			if k.SRTP {
				delivered = unsealed(t, log, delivered)
			}
			audio := payloads(t, delivered, saw.rtp, tc.law)
			came := inTime(t, r, k, saw.rtp)
			checkTruth(t, r, k, came, audio)
			checkFigures(t, k, came)
			if k.SRTP {
				came = once(came)
			} else {
				checkReports(t, saw.reports, came)
			}
			checkTold(t, log, came)
			road.earshot.stop(t)
		})
	}
}

// checkReports compares each report block that earshot sent with what had come by then: it is of one moment shortly before.
func checkReports(t *testing.T, reports []report, came []packet) {
	t.Helper()
	if len(reports) < 2 {
		t.Fatalf("%d reports, want some", len(reports))
	}
	var f, was follower
	next := 0
	for _, rep := range reports {
		found := false
		for ; next < len(came) && came[next].at <= rep.at && !found; next++ {
			f.take(came[next])
			// Two moments have the same highest number and the same number of packets only if they are one.
			found = int64(rep.high) == f.high && rep.lost == f.expected-f.packets
		}
		if !found {
			t.Fatalf("no moment before it fits the report %+v", rep)
		}
		if age := rep.at - came[next-1].at; age > 2*time.Second { // a sweep, on a machine that has time for it

			t.Errorf("report %+v is of %v before", rep, age)
		}
		if rep.ssrc != came[next-1].ssrc || math.Abs(float64(rep.jitter)-f.jitter) > 1.5+0.02*f.jitter {
			t.Errorf("report %+v; want jitter %.1f of %08x", rep, f.jitter, came[next-1].ssrc)
		}
		newly, came := f.expected-was.expected, f.packets-was.packets
		if want := max(0, newly-came) << 8 / max(1, newly); rep.fraction != want {
			t.Errorf("report %+v; want fraction %d: %d of %d came", rep, want, came, newly)
		}
		was.figures = f.figures
	}
}

// checkTold compares what baresip made of the last report that it read with what had come: at some moment of the last 10 s. Of
// SRTP this is the only look at our reports, as tshark has no key.
func checkTold(t *testing.T, log string, came []packet) {
	t.Helper()
	m := summaryLine.FindStringSubmatch(log)
	if m == nil {
		t.Fatal("baresip says nothing of RTCP")
	}
	n := numbers{t: t, line: m[0]}
	lost, jitter := n.int(m[1]), n.float(m[2])
	var f follower
	var near []figures
	last := came[len(came)-1].at
	for _, p := range came {
		f.take(p)
		if p.at < last-10*time.Second || f.expected-f.packets != lost {
			continue
		}
		near = append(near, f.figures)
		if math.Abs(f.jitter/8-jitter) < 0.25+0.02*jitter {
			return
		}
	}
	t.Errorf("baresip was told of %d lost and %.1f ms of jitter; such a moment there was not among those with as many lost: %+v", lost, jitter, near)
}

// inTime leaves out what came after the call's end, when it was on its way as baresip hung up: what was taken is a beginning
// of what came, and the rest came no earlier than the end.
func inTime(t *testing.T, r recording, k track, packets []packet) []packet {
	t.Helper()
	var f follower
	want, n := k.Counts.Packets, 0
	if k.SRTP { // copies are counted apart
		want += k.Quality.Duplicate
	}
	for ; n < len(packets) && f.packets < want; n++ {
		f.take(packets[n])
	}
	ended := time.Duration(r.event(t, "leg_ended").UnixNano())
	if n < len(packets) && packets[n].at < ended-stampSlack {
		t.Errorf("%d packets were taken, and the next came %v before the end", n, ended-packets[n].at)
	}
	return packets[:n]
}
