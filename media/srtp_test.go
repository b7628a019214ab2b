package media

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func testKey(s Suite, fill byte) *Key {
	k := &Key{Suite: s, Master: bytes.Repeat([]byte{fill}, 16), Salt: bytes.Repeat([]byte{fill ^ 0xff}, 14)}
	if strings.Contains(string(s), "256") {
		k.Master = bytes.Repeat([]byte{fill}, 32)
	}
	if strings.Contains(string(s), "GCM") {
		k.Salt = k.Salt[:12]
	}
	return k
}

func srtpParams(recv, send *Key) Params {
	p := plainParams()
	p.RecvKey, p.SendKey = recv, send
	return p
}

// sealed protects letters in their order, with a context of the far side.
func sealed(t testing.TB, k *Key, roc uint32, l []letter) []letter {
	t.Helper()
	s, err := sealerFor(k, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range l {
		if h, _ := parseHeader(l[i].octets); i == 0 && roc > 0 {
			s.ctx.SetROC(h.ssrc, roc)
		}
		b, err := s.seal(l[i].octets)
		if err != nil {
			t.Fatal(err)
		}
		l[i].octets = slices.Clone(b)
	}
	return l
}

func TestSRTPOfEverySuite(t *testing.T) {
	for s := range suites {
		t.Run(string(s), func(t *testing.T) {
			for _, mki := range [][]byte{nil, {1, 2, 3, 4}} {
				recv, send := testKey(s, 1), testKey(s, 2)
				recv.MKI = mki
				in := sealed(t, recv, 0, append(stream(1, 65530, 1<<32-500, 100*ms, 20), stream(1, 14, 2700, 500*ms, 20)...))
				in = append(without(delayed(in, 3, 500*ms), 7), in[9]) // late, lost, replayed
				r := newRig(t, Config{}).commit(srtpParams(recv, send)).send(in...).until(2 * time.Second).close()
				r.expect("r480 L160 r480 l160 r5120")
				if c := r.state().Counts; c.AuthFailedPackets != 0 || c.DuplicatePackets != 1 || !r.state().SRTP {
					t.Errorf("counts: got %+v", c)
				}
				o, err := openerFor(send, nil)
				if err != nil {
					t.Fatal(err)
				}
				if plain, ok := o.open(make([]byte, datagramOctets), r.port.sent[0]); !ok || len(plain) != 172 || plain[100] != 0xFF {
					t.Error("our silence: can't be opened with the send key")
				}
			}
		})
	}
}

func TestForgedSRTPIsNeverDecoded(t *testing.T) {
	k := testKey(SuiteAESCM128SHA1x80, 1)
	in := append(sealed(t, k, 0, stream(1, 1, 0, 100*ms, 50)), from(stream(1, 60, 9600, 110*ms, 50), "192.0.2.1:4000")...)
	in = append(in, from(sealed(t, testKey(SuiteAESCM128SHA1x80, 9), 0, stream(77, 1, 0, 105*ms, 50)), "198.51.100.3:9")...)
	r := newRig(t, Config{}).commit(srtpParams(k, testKey(SuiteAESCM128SHA1x80, 2))).send(in...).until(2 * time.Second).close()
	r.expect("r8000")
	if c := r.state().Counts; c.AuthFailedPackets != 100 || c.StrayPackets != 0 {
		t.Errorf("counts: got %+v, want 100 failed", c)
	}
	if got := r.port.sentTo[len(r.port.sentTo)-1]; got != wire {
		t.Errorf("sent to %v, want %v", got, wire)
	}
}

func TestSRTPFollowsWhatAuthenticates(t *testing.T) {
	k := testKey(SuiteAESCM128SHA1x80, 1)
	in := sealed(t, k, 0, stream(1, 1, 0, 100*ms, 100))
	from(in[50:], "203.0.113.5:7777")
	r := newRig(t, Config{}).commit(srtpParams(k, testKey(SuiteAESCM128SHA1x80, 2))).send(in...).until(17 * time.Second).close()
	r.expect("r16000")
	if got := r.port.sentTo[len(r.port.sentTo)-1].String(); got != "203.0.113.5:7777" {
		t.Errorf("sent to %v, want the newest source", got)
	}
}

func TestSameKeyKeepsTheRollover(t *testing.T) {
	k, send := testKey(SuiteAESCM128SHA1x80, 1), testKey(SuiteAESCM128SHA1x80, 2)
	in := sealed(t, k, 0, stream(1, 65500, 0, 100*ms, 100)) // wraps at 36
	r := newRig(t, Config{}).commit(srtpParams(k, send)).send(in...).until(1500 * ms)
	again := k.clone()
	p := srtpParams(&again, send)
	p.Remote = wire
	r.commit(p).until(3 * time.Second).close()
	r.expect("r16000")
}

func TestOldKeyIsTakenForAWhile(t *testing.T) {
	a, b, send := testKey(SuiteAESCM128SHA1x80, 1), testKey(SuiteAEADAES256GCM, 3), testKey(SuiteAESCM128SHA1x80, 2)
	r := newRig(t, Config{}).commit(srtpParams(a, send)).send(sealed(t, a, 0, stream(1, 1, 0, 100*ms, 50))...).until(500 * ms)
	r.commit(srtpParams(b, send)) // 30 packets under the old key are still to come
	r.send(sealed(t, b, 0, stream(1, 51, 8000, 1100*ms, 50))...).until(3 * time.Second)
	r.send(sealed(t, a, 0, stream(1, 101, 16000, 3*time.Second, 10))...).until(4 * time.Second).close()
	r.expect("r16000")
	if c := r.state().Counts; c.AuthFailedPackets != 10 {
		t.Errorf("auth failed: got %d, want the 10 under the old key after its time", c.AuthFailedPackets)
	}
}

func TestLateOfferWaitsForTheKey(t *testing.T) {
	k, send := testKey(SuiteAESCM128SHA1x80, 1), testKey(SuiteAESCM128SHA1x80, 2)
	p := srtpParams(nil, send)
	p.Remote = netip.AddrPort{}
	r := newRig(t, Config{}).commit(p).send(sealed(t, k, 0, stream(1, 1, 0, 100*ms, 20))...).until(300 * ms)
	if got := len(r.port.sent); got != 0 {
		t.Errorf("sent before the far side is known: %d", got)
	}
	r.commit(srtpParams(k, send)).until(time.Second).close()
	r.expect("r3200")
	if len(r.port.sent) == 0 {
		t.Error("nothing sent")
	}
}

func TestKeyIsNeverPrinted(t *testing.T) {
	k := testKey(SuiteAESCM128SHA1x80, 'S')
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "key", k, "val", *k)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "key", k, "params", srtpParams(k, k))
	fmt.Fprintf(&b, "%v %+v %#v %s %x %d %q", k, *k, *k, k, *k, *k, k)
	if s := b.String(); strings.Contains(s, "SSSS") || strings.Contains(s, "5353") || strings.Contains(s, "83 83") || strings.Contains(s, "U1NT") {
		t.Errorf("printed: %s", s)
	}
}

func TestPrepareRefusesWhatCantWork(t *testing.T) {
	short := testKey(SuiteAESCM128SHA1x80, 1)
	short.Salt = short.Salt[:13]
	for name, p := range map[string]Params{
		"no payload":        {Remote: wire},
		"silence not PCM":   {Payloads: []Payload{{0, CodecPCMU}, {101, CodecEvent}}, SilencePT: 101},
		"number too high":   {Payloads: []Payload{{0, CodecPCMU}, {128, CodecEvent}}},
		"named twice":       {Payloads: []Payload{{0, CodecPCMU}, {0, CodecPCMA}}},
		"unknown codec":     {Payloads: []Payload{{0, 99}}},
		"short salt":        srtpParams(short, testKey(SuiteAESCM128SHA1x80, 2)),
		"unknown suite":     srtpParams(&Key{Suite: "F8_128_HMAC_SHA1_80"}, testKey(SuiteAESCM128SHA1x80, 2)),
		"receive key alone": srtpParams(testKey(SuiteAESCM128SHA1x80, 2), nil),
	} {
		commit, undo, err := newRig(t, Config{}).track.Prepare(p)
		if err == nil || commit != nil || undo != nil {
			t.Errorf("%s: got no error", name)
		} else if strings.Contains(err.Error(), "%!") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
