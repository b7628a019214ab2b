package trunk

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the transforms of RFC 3711 are HMAC-SHA1
	"crypto/subtle"
	"encoding/binary"
	"hash"
)

// The crypto suites of RFC 4568 section 6.2 that RingCentral offers, and the octets of their tags.
const (
	suite80 = "AES_CM_128_HMAC_SHA1_80"
	suite32 = "AES_CM_128_HMAC_SHA1_32"
)

const (
	keyOctets  = 16
	saltOctets = 14
)

// srtpContext is one direction's session keys (RFC 3711 section 4.3) with a rollover counter per SSRC.
// It is not safe for concurrent use.
type srtpContext struct {
	block cipher.Block
	salt  [saltOctets]byte
	mac   hash.Hash
	tag   int
	ssrcs map[uint32]uint64 // of what was received: 48-bit index of the newest packet
	rtcp  *srtpContext      // SRTCP's keys
}

// maxSSRCs bounds what a receiving context remembers.
const maxSSRCs = 64

// newSRTP derives the session keys from 30 octets of master key and salt.
func newSRTP(suite string, master []byte) *srtpContext {
	c := &srtpContext{tag: 10, ssrcs: map[uint32]uint64{}}
	if suite == suite32 {
		c.tag = 4
	}
	c.keys(master, 0)
	c.rtcp = &srtpContext{}
	c.rtcp.keys(master, 3)
	return c
}

// keys derives the three session keys from a label on.
func (c *srtpContext) keys(master []byte, label byte) {
	c.block, _ = aes.NewCipher(derive(master, label, keyOctets)) // 16 octets are always right
	c.mac = hmac.New(sha1.New, derive(master, label+1, sha1.Size))
	copy(c.salt[:], derive(master, label+2, saltOctets))
}

// derive is RFC 3711 section 4.3.1 with a key derivation rate of zero.
func derive(master []byte, label byte, size int) []byte {
	block, _ := aes.NewCipher(master[:keyOctets])
	var iv [aes.BlockSize]byte
	copy(iv[:], master[keyOctets:keyOctets+saltOctets])
	iv[7] ^= label
	out := make([]byte, size)
	cipher.NewCTR(block, iv[:]).XORKeyStream(out, out)
	return out
}

// crypt is AES-CM of RFC 3711 section 4.1.1, in place.
func (c *srtpContext) crypt(payload []byte, ssrc uint32, index uint64) {
	var iv [aes.BlockSize]byte
	copy(iv[:], c.salt[:])
	var x [8]byte
	binary.BigEndian.PutUint32(x[:], ssrc)
	for i := range 4 {
		iv[4+i] ^= x[i]
	}
	binary.BigEndian.PutUint64(x[:], index<<16)
	for i := range 6 {
		iv[8+i] ^= x[i]
	}
	cipher.NewCTR(c.block, iv[:]).XORKeyStream(payload, payload)
}

// sum is the packet's authentication tag, RFC 3711 section 4.2.
func (c *srtpContext) sum(packet []byte, index uint64) []byte {
	var roc [4]byte
	binary.BigEndian.PutUint32(roc[:], uint32(index>>16))
	c.mac.Reset()
	c.mac.Write(packet)
	c.mac.Write(roc[:])
	return c.mac.Sum(nil)[:c.tag]
}

// seal encrypts a whole RTP packet in place and appends its tag. index is the 48-bit packet index, its low 16 bits the
// sequence number.
func (c *srtpContext) seal(packet []byte, header int, ssrc uint32, index uint64) []byte {
	c.crypt(packet[header:], ssrc, index)
	return append(packet, c.sum(packet, index)...)
}

// open checks and decrypts a received packet in place; false where the tag is wrong or the packet is none.
func (c *srtpContext) open(b []byte) (rtpPacket, bool) {
	if len(b) < 12+c.tag {
		return rtpPacket{}, false
	}
	packet, sum := b[:len(b)-c.tag], b[len(b)-c.tag:]
	p, ok := parseRTP(packet)
	if !ok {
		return p, false
	}
	index := c.index(p.ssrc, p.seq)
	if subtle.ConstantTimeCompare(sum, c.sum(packet, index)) != 1 {
		return p, false
	}
	if newest, known := c.ssrcs[p.ssrc]; (known && index > newest) || (!known && len(c.ssrcs) < maxSSRCs) {
		c.ssrcs[p.ssrc] = index
	}
	c.crypt(packet[p.header:], p.ssrc, index)
	return parseRTP(packet) // again: padding is inside what was encrypted
}

// index estimates the packet index, RFC 3711 appendix A.
func (c *srtpContext) index(ssrc uint32, seq uint16) uint64 {
	newest, known := c.ssrcs[ssrc]
	if !known {
		return uint64(seq)
	}
	next := int64(newest) + int64(int16(seq-uint16(newest)))
	if next < 0 {
		return uint64(seq)
	}
	return uint64(next)
}
