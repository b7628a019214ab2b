package media

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// typed makes letters of another payload type; the octets are what they were.
func typed(pt uint8, l []letter) []letter {
	for i := range l {
		l[i].octets[1] = l[i].octets[1]&0x80 | pt
	}
	return l
}

func payloads(p ...Payload) Params {
	return Params{Remote: wire, Receive: true, Payloads: p, SilencePT: p[0].Number}
}

// TestOldPayloadTypesAreTakenForAWhile: RFC 3264 section 8.3.2: packets of the old types are in flight when an answer changes
// them.
func TestOldPayloadTypesAreTakenForAWhile(t *testing.T) {
	r := newRig(t, Config{}).commit(payloads(Payload{96, CodecPCMU}, Payload{13, CodecNoise}))
	r.send(typed(96, stream(1, 1, 0, 100*ms, 50))...).until(500 * ms) // 30 still to come
	r.commit(payloads(Payload{97, CodecPCMA}, Payload{13, CodecNoise}))
	r.send(typed(97, stream(1, 51, 8000, 1100*ms, 100))...)
	r.send(typed(96, stream(1, 151, 24000, 3100*ms, 10))...) // the old type after its time
	r.send(typed(97, stream(1, 161, 25600, 3300*ms, 10))...).until(5 * time.Second).close()
	r.expect("r24000 l1600 r1600")
	if c := r.state().Counts; c.UnknownPTPackets != 10 {
		t.Errorf("unknown: got %d, want the 10 after their time", c.UnknownPTPackets)
	}
}

func TestAReassignedPayloadTypeIsTheNewOne(t *testing.T) {
	r := newRig(t, Config{}).commit(payloads(Payload{96, CodecPCMU}))
	r.send(typed(96, stream(1, 1, 0, 100*ms, 20))...).until(500 * ms)
	r.commit(payloads(Payload{96, CodecPCMA})).send(typed(96, stream(1, 21, 3200, 500*ms, 20))...).until(2 * time.Second).close()
	r.expect("r6400")
	if got := r.state().Law; got != LawPCMA {
		t.Errorf("law: got %v, want PCMA", got)
	}
}

// TestWhatCantBeDecodedIsNoSilence: it was sent and it came: its time is lost, not a gap.
func TestWhatCantBeDecodedIsNoSilence(t *testing.T) {
	in := stream(1, 1, 0, 100*ms, 20)
	typed(97, in[5:8])
	in = without(in, 12)
	in[14].octets = append(in[14].octets, 200) // one octet more, and as padding too long
	in[14].octets[0] |= 0x20
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(2 * time.Second).close()
	r.expect("r800 l480 r640 l160 r320 l160 r640")
	if c := r.state().Counts; c.UnknownPTPackets != 3 || c.LostPackets != 1 || c.MalformedPackets != 1 {
		t.Errorf("counts: got %+v", c)
	}
}

// TestALineThatIsTakenAwayEnds: port 0 in a re-offer (RFC 3264 section 8.2).
func TestALineThatIsTakenAwayEnds(t *testing.T) {
	k, send := testKey(SuiteAESCM128SHA1x80, 1), testKey(SuiteAESCM128SHA1x80, 2)
	for name, p := range map[string]Params{"plain": plainParams(), "srtp": srtpParams(k, send)} {
		t.Run(name, func(t *testing.T) {
			in, plain := stream(1, 1, 0, 100*ms, 250), stream(1, 251, 40000, 5100*ms, 20)
			if name == "srtp" {
				in = sealed(t, k, 0, append(in, plain...))
			} else {
				in = append(in, plain...)
			}
			r := newRig(t, Config{Keepalive: 100 * ms}).commit(p).send(in...).until(time.Second)
			sent := len(r.port.sent)
			r.commit(Params{Inactive: true}).until(4900 * ms)
			r.expect("r23520") // up to 3.02 s, where the sweep saw it, and 20 ms
			if got := len(r.port.sent); got != sent {
				t.Errorf("sent after it was taken away: %d", got-sent)
			}
			if got := r.state().Counts.StrayPackets; got < 90 {
				t.Errorf("strays: got %d, want what came after 2 s", got)
			}
			es := r.tape.typed(call.EventTrackUpdated)
			if len(es) != 1 || !slices.Equal(es[0].Facts["changed"].([]string), []string{"removed"}) {
				t.Errorf("updates: got %+v, want one that says removed", es)
			}
			r.commit(Params{Inactive: true}).until(5000 * ms) // said again, changes nothing
			r.commit(p).until(6 * time.Second).close()
			if got := r.tape.runs(1); got != "r23520 l15840 r3840" {
				t.Errorf("offered again: got %s", got)
			}
			if len(r.port.sent) == sent {
				t.Error("offered again: nothing sent")
			}
		})
	}
}

func TestALineThatNeverWasCanBeTakenAway(t *testing.T) {
	r := newRig(t, Config{}).commit(Params{Inactive: true}).send(stream(1, 1, 0, 100*ms, 10)...).until(time.Second).close()
	if c := r.state().Counts; c.StrayPackets != 10 || c.Packets != 0 || len(r.port.sent) != 0 {
		t.Errorf("counts: got %+v, sent %d", c, len(r.port.sent))
	}
}

func TestHeardIsTheNewestPacketsTime(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).until(80 * ms)
	if got := r.state().Heard; got != 0 {
		t.Errorf("before the first: got %v", got)
	}
	noise := letter{at: 900 * ms, octets: spec{ssrc: 1, seq: 11, ts: 1600, pt: 13, payload: []byte{60}}.marshal()}
	stray := letter{at: 950 * ms, octets: noise.octets, from: netip.MustParseAddrPort("198.51.100.7:4000")}
	r.send(stream(1, 1, 0, 100*ms, 10)...).send(noise, stray).until(500 * ms)
	if got := r.state().Heard; got != 280*ms {
		t.Errorf("got %v, want 280 ms", got)
	}
	r.until(time.Second).close()
	if got := r.state().Heard; got != 900*ms {
		t.Errorf("got %v, want 900 ms: comfort noise counts, strays don't", got)
	}
}

// TestEpochsBeyondTheListAreCounted: the list is bounded, and TrackState says that it is not whole.
func TestEpochsBeyondTheListAreCounted(t *testing.T) {
	var in []letter
	for i := range 300 {
		in = append(in, stream(uint32(i+1), 7, 4, 100*ms+time.Duration(i)*200*ms, 10)...)
	}
	r := newRig(t, Config{})
	r.tape.blind = true
	r.commit(plainParams()).send(in...).until(61 * time.Second).close()
	s := r.state()
	if s.EpochCount != 300 || len(s.Epochs) != maxEpochs || s.Length != 300*1600 || len(r.tape.typed(call.EventTrackEpoch)) != maxEpochs-1 {
		t.Errorf("got %d epochs, %d in the list, %d samples", s.EpochCount, len(s.Epochs), s.Length)
	}
}
