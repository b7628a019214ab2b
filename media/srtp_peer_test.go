package media

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the transforms of RFC 3711 are HMAC-SHA1
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

// peer seals as a sender that shares no code with what opens: RFC 3711 and 6188 (AES-CM), RFC 7714 (GCM), by Go's own ciphers.
type peer struct {
	block cipher.Block
	gcm   cipher.AEAD // nil: AES-CM with HMAC-SHA1
	auth  []byte
	salt  []byte
	tag   int
	mki   []byte
}

func newPeer(t testing.TB, k *Key) *peer {
	t.Helper()
	derive := func(label byte, n int) []byte { // RFC 3711 section 4.3.1, key derivation rate 0
		block, err := aes.NewCipher(k.Master)
		if err != nil {
			t.Fatal(err)
		}
		var iv [16]byte
		copy(iv[:14], k.Salt) // RFC 7714 section 11: a salt of 12 octets stands at the left
		iv[7] ^= label
		out := make([]byte, n)
		cipher.NewCTR(block, iv[:]).XORKeyStream(out, out)
		return out
	}
	p := &peer{auth: derive(1, 20), salt: derive(2, len(k.Salt)), tag: 10, mki: k.MKI}
	var err error
	if p.block, err = aes.NewCipher(derive(0, len(k.Master))); err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(string(k.Suite), "_32") {
		p.tag = 4
	}
	if strings.Contains(string(k.Suite), "GCM") {
		if p.gcm, err = cipher.NewGCM(p.block); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// seal protects an RTP packet without extension under a 48-bit index.
func (p *peer) seal(b []byte, index uint64) []byte {
	roc := binary.BigEndian.AppendUint32(nil, uint32(index>>16))
	if p.gcm != nil { // RFC 7714 section 8.1: 00 00, SSRC, ROC, SEQ, with the salt
		iv := append(append(append([]byte{0, 0}, b[8:12]...), roc...), b[2:4]...)
		for i := range iv {
			iv[i] ^= p.salt[i]
		}
		return append(p.gcm.Seal(append([]byte(nil), b[:12]...), iv, b[12:], b[:12]), p.mki...)
	}
	var iv [16]byte
	copy(iv[:], p.salt)
	for i := range 4 {
		iv[4+i] ^= b[8+i]
		iv[8+i] ^= roc[i]
	}
	iv[12], iv[13] = iv[12]^b[2], iv[13]^b[3]
	out := append([]byte(nil), b...)
	cipher.NewCTR(p.block, iv[:]).XORKeyStream(out[12:], out[12:])
	mac := hmac.New(sha1.New, p.auth)
	mac.Write(out)
	mac.Write(roc)
	return append(append(out, p.mki...), mac.Sum(nil)[:p.tag]...)
}

// TestRollOverThroughThreeWraps of the sequence number, with losses, overtaking and an old copy at each: a counter that is one off
// would open nothing from there on.
func TestRollOverThroughThreeWraps(t *testing.T) {
	const n = 2*65536 + 1000                                                                        // from 65000 on: three wraps
	for _, suite := range []Suite{SuiteAESCM128SHA1x80, SuiteAESCM256SHA1x32, SuiteAEADAES256GCM} { // the other three: TestAnotherMKIOpensNothing
		t.Run(string(suite), func(t *testing.T) {
			t.Parallel()
			k := testKey(suite, 5)
			k.MKI = []byte{7, 9}
			far := newPeer(t, k)
			r := newRig(t, Config{}).commit(srtpParams(k, testKey(suite, 2)))
			lost := 0
			const step = 250 * time.Microsecond // 2 samples a packet
			for i := range uint64(n) {
				index := 65000 + i
				if near := index & 0xffff; near < 3 || near == 0xfffe {
					if i%2 == 0 { // about half of those at a wrap are lost
						lost++
						continue
					}
				}
				at := 100*ms + time.Duration(i)*step
				if index&0xffff == 0xfff0 {
					at += 30 * ms // overtaken across the wrap
				}
				p := spec{ssrc: 1, seq: uint16(index), ts: uint32(2 * i), n: 2}
				r.port.queue = append(r.port.queue, letter{at: at, octets: far.seal(p.marshal(), index), from: wire})
				if index&0xffff == 0xffe0 {
					r.port.queue = append(r.port.queue, letter{at: at + 40*ms, octets: far.seal(p.marshal(), index), from: wire})
				}
			}
			sortLetters(r.port.queue)
			// A sweep of the rig reads 512 packets at most: all of 2 ms.
			r.e.cfg.Sweep = 2 * ms
			r.until(100*ms + n*step + 3*time.Second).close()
			c := r.state().Counts
			if got, want := c.ReceivedSamples, int64(2*(n-lost)); got != want || c.AuthFailedPackets != 0 || c.LostPackets != int64(lost) || c.DuplicatePackets != 3 {
				t.Errorf("received %d samples, want %d; %d lost, want %d; %d failed, %d copies", got, want, c.LostPackets, lost, c.AuthFailedPackets, c.DuplicatePackets)
			}
			if len(r.state().Epochs) != 1 {
				t.Errorf("epochs: %+v", r.state().Epochs)
			}
		})
	}
}

// TestAnotherMKIOpensNothing: a packet that names another master key than the agreed one is counted, not decoded.
func TestAnotherMKIOpensNothing(t *testing.T) {
	for suite := range suites {
		k := testKey(suite, 5)
		k.MKI = []byte{0, 1}
		theirs := k.clone()
		theirs.MKI = []byte{0, 2}
		right, wrong := newPeer(t, k), newPeer(t, &theirs)
		r := newRig(t, Config{}).commit(srtpParams(k, testKey(suite, 2)))
		for i := range uint64(50) {
			p := spec{ssrc: 1, seq: uint16(i), ts: uint32(160 * i), n: 160}
			far := right
			if i%5 == 4 {
				far = wrong
			}
			r.send(letter{at: 100*ms + time.Duration(i)*20*ms, octets: far.seal(p.marshal(), i)})
		}
		r.until(4 * time.Second).close()
		if c := r.state().Counts; c.ReceivedSamples != 40*160 || c.AuthFailedPackets != 10 {
			t.Errorf("%s: received %d samples, %d failed; want 6400, 10", suite, c.ReceivedSamples, c.AuthFailedPackets)
		}
	}
}
