package media

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pion/rtp"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRFC3711KeyDerivation(t *testing.T) { // appendix B.3
	master, err := aes.NewCipher(unhex(t, "E1F97A0D3E018BE0D64FA32C06DE4139"))
	if err != nil {
		t.Fatal(err)
	}
	salt := unhex(t, "0EC675AD498AFEEBB6960B3AABE6")
	for _, c := range []struct {
		label byte
		want  string
	}{
		{labelCipher, "C61E7A93744F39EE10734AFE3FF7A087"},
		{labelSalt, "30CBBC08863D8C85D49DB34A9AE1"},
		{labelAuth, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"},
	} {
		want := unhex(t, c.want)
		if got := deriveKey(master, salt, c.label, len(want)); !bytes.Equal(got, want) {
			t.Errorf("label %d: got %X, want %X", c.label, got, want)
		}
	}
}

func TestRFC3711KeyStream(t *testing.T) { // appendix B.2
	block, err := aes.NewCipher(unhex(t, "2B7E151628AED2A6ABF7158809CF4F3C"))
	if err != nil {
		t.Fatal(err)
	}
	c := &aesCM{block: block}
	copy(c.salt[:], unhex(t, "F0F1F2F3F4F5F6F7F8F9FAFBFCFD"))
	want := unhex(t, "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0")
	got := make([]byte, len(want))
	c.crypt(make([]byte, 3*blockOctets), got, 0, 0) // room for two blocks at a time
	if !bytes.Equal(got, want) {
		t.Errorf("got %X, want %X", got, want)
	}
}

// TestOwnSRTPAgreesWithPion: whatever the network does, both open the same packets to the same octets.
func TestOwnSRTPAgreesWithPion(t *testing.T) {
	for suite := range counterTags {
		for _, mki := range [][]byte{nil, {7, 7}} {
			rnd := rand.New(rand.NewPCG(1, uint64(len(suite)+len(mki))))
			k := testKey(suite, 3)
			k.MKI = mki
			o, err := openerFor(k, nil)
			if err != nil {
				t.Fatal(err)
			}
			pion, err := newContext(*k)
			if err != nil {
				t.Fatal(err)
			}
			far, err := sealerFor(k, nil)
			if err != nil {
				t.Fatal(err)
			}
			var wire [][]byte
			for i := range 20_000 {
				p := spec{ssrc: uint32(1 + i%2), seq: uint16(60000 + i*5), ts: uint32(i), n: rnd.IntN(300)}.marshal()
				b, err := far.seal(p)
				if err != nil {
					t.Fatal(err)
				}
				wire = append(wire, slices.Clone(b))
			}
			opened, refused := 0, 0
			work := make([]byte, datagramOctets)
			for i := range wire {
				b := wire[max(0, i-rnd.IntN(4)*rnd.IntN(500))]
				switch rnd.IntN(20) {
				case 0:
					continue
				case 1:
					b = slices.Clone(b)
					b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
				case 2:
					b = b[:rnd.IntN(len(b))]
				}
				theirs, theirErr := pion.DecryptRTP(nil, b, &rtp.Header{})
				ours, ok := o.cm.open(work, slices.Clone(b))
				if ok != (theirErr == nil) || ok && !bytes.Equal(ours, theirs) {
					t.Fatalf("%s, packet %d: opened %v, pion says %v", suite, i, ok, theirErr)
				}
				if ok {
					opened++
				} else {
					refused++
				}
			}
			if opened < 5000 || refused < 2000 {
				t.Errorf("%s: %d opened, %d refused: the test tests little", suite, opened, refused)
			}
		}
	}
}

func TestRefusedPacketIsLeftAsItWas(t *testing.T) {
	k := testKey(SuiteAESCM128SHA1x80, 3)
	o, err := openerFor(k, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := sealed(t, testKey(SuiteAESCM128SHA1x80, 4), 0, stream(1, 1, 0, 0, 1))[0].octets
	was := slices.Clone(b)
	if _, ok := o.open(make([]byte, datagramOctets), b); ok || !bytes.Equal(b, was) {
		t.Error("a packet of another key: opened, or changed")
	}
}

func TestSourcesUnderOneKeyAreBounded(t *testing.T) {
	k := testKey(SuiteAESCM128SHA1x80, 3)
	o, err := openerFor(k, nil)
	if err != nil {
		t.Fatal(err)
	}
	for ssrc := range uint32(10 * cmSources) {
		l := sealed(t, k, 0, stream(ssrc, 1, 0, 0, 1))[0]
		if _, ok := o.open(make([]byte, datagramOctets), l.octets); !ok || !o.knows(ssrc) {
			t.Fatalf("SSRC %d: not opened", ssrc)
		}
	}
	if n := len(o.cm.sources); n != cmSources {
		t.Errorf("%d sources are remembered, want %d", n, cmSources)
	}
}

// FuzzSRTP: no octets make us open what pion refuses, or panic.
func FuzzSRTP(f *testing.F) {
	k := testKey(SuiteAESCM128SHA1x32, 3)
	for _, l := range sealed(f, k, 0, stream(1, 65534, 0, 0, 4)) {
		f.Add(l.octets)
	}
	f.Add([]byte{0x90, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xBE, 0xDE, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := openerFor(k, nil)
		if err != nil {
			t.Fatal(err)
		}
		pion, err := newContext(*k)
		if err != nil {
			t.Fatal(err)
		}
		theirs, theirErr := pion.DecryptRTP(nil, b, &rtp.Header{})
		ours, ok := o.cm.open(make([]byte, datagramOctets), slices.Clone(b))
		if ok && (theirErr != nil || !bytes.Equal(ours, theirs)) {
			t.Fatalf("opened %x, pion says %v", b, theirErr)
		}
	})
}
