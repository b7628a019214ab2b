package media

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

const (
	// silenceBurst packets, silencePace apart, open the far side's way to us: RingCentral sends nothing before our first
	// packet and latches on its source.
	silenceBurst   = 10
	silencePace    = 20 * time.Millisecond
	silenceSamples = 160
)

// silencer makes the packets that we send: digital silence, with timestamps true to time, so that the far side sees one
// stream with pauses.
type silencer struct {
	next      time.Duration // when the next is due; 0: never
	left      int           // of the burst, the next included
	keepalive time.Duration // negative: none
	ssrc      uint32
	ts        uint32 // at time 0 of the engine
	seq       uint16
}

// silencePacket is a shard's room for one.
type silencePacket [headerOctets + silenceSamples]byte

// newSilencer draws the random numbers that RFC 3550 section 5.1 asks for. The sequence number begins in the lower half, so
// that it can't wrap before the far side has heard of it (RFC 3711 section 3.3.1).
func newSilencer(keepalive time.Duration) silencer {
	s := silencer{keepalive: keepalive}
	var r [10]byte
	_, _ = rand.Read(r[:]) // never fails
	s.ssrc = binary.BigEndian.Uint32(r[:])
	s.seq = binary.BigEndian.Uint16(r[4:]) & 0x7fff
	s.ts = binary.BigEndian.Uint32(r[6:])
	return s
}

// begin starts a burst.
func (s *silencer) begin(now time.Duration) { s.left, s.next = silenceBurst, now }

// due makes the packet whose time has come; nil: there is none. heard: the far side's media comes.
func (s *silencer) due(b *silencePacket, now time.Duration, pt uint8, law Law, heard bool) []byte {
	if s.next == 0 || now < s.next {
		return nil
	}
	first := s.left == silenceBurst
	if heard && s.left > 0 && !first { // the way is open
		s.rest(now)
		return nil
	}
	b[0], b[1] = 2<<6, pt&0x7f
	if first {
		b[1] |= 0x80 // marker: begin of a talk spurt (RFC 3551 section 4.1)
	}
	binary.BigEndian.PutUint16(b[2:], s.seq)
	binary.BigEndian.PutUint32(b[4:], s.ts+uint32(samplesIn(s.next)))
	binary.BigEndian.PutUint32(b[8:], s.ssrc)
	payload := b[headerOctets:]
	for i := range payload {
		payload[i] = silenceOctet(law)
	}
	s.seq++
	if s.left--; s.left > 0 {
		s.next += silencePace
	} else {
		s.rest(now)
	}
	return b[:]
}

// rest goes over to the keep-alive.
func (s *silencer) rest(now time.Duration) {
	s.left, s.next = 0, now+s.keepalive
	if s.keepalive < 0 {
		s.next = 0
	}
}
