package media

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 3711 section 4.2: HMAC-SHA1
	"crypto/subtle"
	"encoding/binary"
	"hash"
)

// The labels of RFC 3711 section 4.3.1, and lengths in octets.
const (
	labelCipher = 0
	labelAuth   = 1
	labelSalt   = 2

	authKeyOctets = 20 // RFC 3711 section 8.2
	saltOctets    = 14
	blockOctets   = aes.BlockSize
	// cmSources bounds the sources that are remembered under one key; each has authenticated.
	cmSources = 64
)

// aesCM opens SRTP of AES in counter mode with HMAC-SHA1 (RFC 3711 sections 3.3 and 4; AES-256 as in RFC 6188): what all suites but
// AEAD use. pion/srtp does the same in twice the time, most of which is not cryptography; tests hold the two against each other.
type aesCM struct {
	// Set by newAESCM, then constant.
	block cipher.Block
	mac   hash.Hash
	salt  [saltOctets]byte
	tag   int // octets
	mki   []byte

	// Owned by the shard.
	sources []*cmSource
	newest  *cmSource // whose packet came last
	sum     [sha1.Size]byte
	roc     [4]byte
}

// cmSource is what is known of one SSRC: the highest packet index (roll-over counter and sequence number), and which of the
// replayWindow up to it have come.
type cmSource struct {
	ssrc uint32
	high uint64
	seen [replayWindow / 64]uint64
}

// newAESCM derives the session keys of a master key. Its lengths were checked.
func newAESCM(k Key, tag int) (*aesCM, error) {
	master, err := aes.NewCipher(k.Master)
	if err != nil {
		return nil, err
	}
	c := &aesCM{tag: tag, mki: k.MKI, mac: hmac.New(sha1.New, deriveKey(master, k.Salt, labelAuth, authKeyOctets))}
	copy(c.salt[:], deriveKey(master, k.Salt, labelSalt, saltOctets))
	if c.block, err = aes.NewCipher(deriveKey(master, k.Salt, labelCipher, len(k.Master))); err != nil {
		return nil, err
	}
	return c, nil
}

// deriveKey is RFC 3711 section 4.3, with a key derivation rate of 0.
func deriveKey(master cipher.Block, salt []byte, label byte, octets int) []byte {
	var x [blockOctets]byte
	copy(x[:saltOctets], salt)
	x[7] ^= label
	out := make([]byte, (octets+blockOctets-1)/blockOctets*blockOctets)
	for i := 0; i < len(out); i += blockOctets {
		binary.BigEndian.PutUint16(x[saltOctets:], uint16(i/blockOctets))
		master.Encrypt(out[i:], x[:])
	}
	return out[:octets]
}

// source finds what is known of an SSRC; nil: nothing.
//
//earshot:hot
func (c *aesCM) source(ssrc uint32) *cmSource {
	if c.newest != nil && c.newest.ssrc == ssrc {
		return c.newest
	}
	for _, s := range c.sources {
		if s.ssrc == ssrc {
			return s
		}
	}
	return nil
}

// learn makes an SSRC known with a packet that was proved; the one that was learned first makes room.
func (c *aesCM) learn(ssrc uint32, index uint64) {
	if s := c.source(ssrc); s != nil {
		*s = cmSource{ssrc: ssrc, high: index}
		return
	}
	if len(c.sources) == cmSources {
		copy(c.sources, c.sources[1:])
		c.sources = c.sources[:cmSources-1]
	}
	c.sources = append(c.sources, &cmSource{ssrc: ssrc, high: index})
}

// index is the packet index that a sequence number most likely stands for: RFC 3711 section 3.3.1 and appendix A.
//
//earshot:hot
func (s *cmSource) index(seq uint16) uint64 {
	roc, high := s.high>>16, uint16(s.high)
	switch {
	case high < 1<<15 && int(seq)-int(high) > 1<<15 && roc > 0:
		roc--
	case high >= 1<<15 && int(high)-1<<15 > int(seq):
		roc++
	}
	return roc<<16 | uint64(seq)
}

// fresh tells whether a packet index may still come: RFC 3711 section 3.3.2.
//
//earshot:hot
func (s *cmSource) fresh(index uint64) bool {
	return index > s.high || s.high-index < replayWindow && s.seen[index>>6%(replayWindow/64)]&(1<<(index&63)) == 0
}

// mark notes that it came.
//
//earshot:hot
func (s *cmSource) mark(index uint64) {
	if index > s.high {
		if index-s.high >= replayWindow {
			clear(s.seen[:])
		} else {
			for i := s.high + 1; i <= index; i++ { // one step in the usual case
				s.seen[i>>6%(replayWindow/64)] &^= 1 << (i & 63)
			}
		}
		s.high = index
	}
	s.seen[index>>6%(replayWindow/64)] |= 1 << (index & 63)
}

// open authenticates a packet and decrypts it where it stands; work is at least blockOctets and some more. A packet that
// fails is left as it was.
//
//earshot:hot
func (c *aesCM) open(work, b []byte) ([]byte, bool) {
	h, ok := parseHeader(b)
	if !ok {
		return nil, false
	}
	s, index := c.source(h.ssrc), uint64(h.seq)
	if s != nil {
		if index = s.index(h.seq); !s.fresh(index) {
			return nil, false
		}
	}
	end, ok := c.proves(&h, b, uint32(index>>16))
	if !ok {
		return nil, false
	}
	if s == nil {
		c.learn(h.ssrc, index)
		s = c.source(h.ssrc)
	}
	c.newest = s
	s.mark(index)
	c.crypt(work, b[h.payload:end], h.ssrc, index)
	return b[:end], true
}

// proves tells whether a packet authenticates with a roll-over counter, and where what was protected ends.
//
//earshot:hot
func (c *aesCM) proves(h *header, b []byte, roc uint32) (end int, ok bool) {
	end = len(b) - c.tag - len(c.mki)
	if end < h.payload {
		return 0, false
	}
	if len(c.mki) > 0 && string(b[end:end+len(c.mki)]) != string(c.mki) {
		return 0, false
	}
	binary.BigEndian.PutUint32(c.roc[:], roc)
	c.mac.Reset()
	_, _ = c.mac.Write(b[:end]) // a hash never fails
	_, _ = c.mac.Write(c.roc[:])
	sum := c.mac.Sum(c.sum[:0])
	return end, subtle.ConstantTimeCompare(sum[:c.tag], b[len(b)-c.tag:]) == 1
}

// crypt is AES in counter mode (RFC 3711 section 4.1.1): both ways the same.
//
//	IV = (k_s * 2^16) XOR (SSRC * 2^64) XOR (i * 2^16)
//
//earshot:hot
func (c *aesCM) crypt(work, b []byte, ssrc uint32, index uint64) {
	iv, stream := work[:blockOctets], work[blockOctets:cap(work)/blockOctets*blockOctets]
	copy(iv, c.salt[:])
	binary.BigEndian.PutUint32(iv[4:], binary.BigEndian.Uint32(iv[4:])^ssrc)
	binary.BigEndian.PutUint64(iv[6:], binary.BigEndian.Uint64(iv[6:])^index)
	for n := uint16(0); len(b) > 0; {
		part := min(len(b), len(stream))
		for i := 0; i < part; i += blockOctets {
			binary.BigEndian.PutUint16(iv[saltOctets:], n)
			c.block.Encrypt(stream[i:], iv)
			n++
		}
		subtle.XORBytes(b[:part], b[:part], stream[:part])
		b = b[part:]
	}
}

// rollover is an SSRC's counter, if it is known.
//
//earshot:hot
func (c *aesCM) rollover(ssrc uint32) (uint32, bool) {
	s := c.source(ssrc)
	if s == nil {
		return 0, false
	}
	return uint32(s.high >> 16), true
}
