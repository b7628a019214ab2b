package peertest

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// forgedPackets are sent in the middle of a call, that many each 10 ms.
const (
	forgedPackets = 100_000
	forgedEach    = 125
)

func TestForgedPacketsAlterNothingOfBaresipsCall(t *testing.T) {
	need(t, "baresip", "kamailio", "ip", "dumpcap", "tshark")
	t.Parallel()
	kam := kamailio(t)
	for i, tc := range []struct {
		name, transport, mediaenc string
	}{
		{"RTP", "udp", ""},
		{"SRTP", "tls", "srtp-mand"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			road := startRoughRoad(t, kam, strconv.Itoa(340+i), tc.transport, road{}, false)
			said := ulaw.decode16(sequence(uint64(120+i), 12*50*samplesPerPacket))
			call := baresipCall{as: strconv.Itoa(160 + i), user: road.user, transport: tc.transport, mediaenc: tc.mediaenc, samples: said}
			p := call.start(t, kam)
			eventually(t, 10*time.Second, "a second of baresip's audio has gone by", func() bool {
				_, n := road.live()
				return n >= 50
			})
			forge(t, road.impairer, tc.mediaenc != "")
			if p.ended() || summaryLine.MatchString(p.log.String()) {
				t.Fatal("the call was over before the last forged packet")
			}
			log := call.await(t, p)
			r := road.recordings(t, 1)[0]
			delivered := road.impairer.close()
			k, packets := r.track(t, 0), packetsOf(delivered)
			if k.SRTP {
				delivered = unsealed(t, log, delivered)
			}
			audio := payloads(t, delivered, packets, ulaw)
			packets = packets[:min(len(packets), int(k.Quality.Expected))] // the last may come after the end; none is lost
			checkTruth(t, r, k, packets, audio)
			// baresip has a little RTCP refused that it sends before it has keys.
			dropped := road.dropped(t)
			if n := dropped["stray"] + dropped["auth_failed"] + dropped["duplicate"] + dropped["rtcp"] + dropped["kernel"]; n < forgedPackets || n > forgedPackets+20 {
				t.Errorf("%d dropped: %v; want each of %d forged packets once", n, dropped, forgedPackets)
			}
			road.earshot.stop(t)
		})
	}
}

// forge sends packets that go on where the call's newest RTP was: plain ones from other addresses and another port of the
// sender's; sealed ones from the sender's very address, with wrong tags, and real ones again.
func forge(t *testing.T, m *impairer, sealed bool) {
	t.Helper()
	raw, err := openRaw(false)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.close()
	dice := rand.New(rand.NewPCG(1, 2))
	stranger := netip.AddrPortFrom(netip.MustParseAddr(sippIP), 4000)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	begun := time.Now()
	for n := 0; n < forgedPackets; {
		<-tick.C
		real, _ := m.live()
		// A tick that is missed is made up for: the call does not wait.
		for due := min(forgedPackets, int(time.Since(begun)/(10*time.Millisecond))*forgedEach); n < due; {
			from, to, b := stranger, real.to, likeNext(real.octets, dice)
			switch n % 4 {
			case 0:
				if sealed {
					from = real.from
				}
			case 1:
				from = netip.AddrPortFrom(real.from.Addr(), real.from.Port()+20)
			case 2:
				if sealed {
					from, b = real.from, real.octets // it has come, and comes again
				} else {
					binary.BigEndian.PutUint32(b[8:], dice.Uint32())
				}
			case 3: // a BYE of the sender's source (RFC 3550 section 6.6)
				to = netip.AddrPortFrom(to.Addr(), to.Port()+1)
				b = append([]byte{0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 203, 0, 1}, real.octets[8:12]...)
			}
			if err := raw.send(from, to, b); err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
}

// likeNext is a packet that a listener would take for one of the next ten.
func likeNext(real []byte, dice *rand.Rand) []byte {
	b := make([]byte, len(real))
	for i := range b {
		b[i] = byte(dice.Uint32())
	}
	copy(b, real[:12])
	ahead := 1 + dice.IntN(10)
	binary.BigEndian.PutUint16(b[2:], binary.BigEndian.Uint16(real[2:])+uint16(ahead))
	binary.BigEndian.PutUint32(b[4:], binary.BigEndian.Uint32(real[4:])+uint32(ahead*samplesPerPacket))
	return b
}

var dropLine = regexp.MustCompile(`(?m)^earshot_media_drops_total\{reason="(\w+)"\} (\S+)$`)

// dropped reads the daemon's counters.
func (e earshot) dropped(t *testing.T) map[string]int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.console+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, l := range dropLine.FindAllStringSubmatch(string(b), -1) {
		v, err := strconv.ParseFloat(l[2], 64)
		if err != nil {
			t.Fatalf("%q: %v", l[0], err)
		}
		out[l[1]] = int(v)
	}
	return out
}
