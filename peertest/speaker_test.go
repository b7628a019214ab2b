package peertest

import (
	"encoding/binary"
	"time"
)

// speaker writes the packets that a sender sends: audio of any length a packet, silence that is not sent, comfort noise,
// digits, another source.
type speaker struct {
	law    law
	next   rtpStart      // of the next packet
	ptime  int           // samples in a packet
	now    time.Duration // when the next packet is sent
	marker bool          // on the next: speech begins (RFC 3551 section 4.1)
	out    []arrival
}

func newSpeaker(l law, start rtpStart, ptime int) *speaker {
	return &speaker{law: l, next: start, ptime: ptime, marker: true}
}

// send adds a packet of a payload type at a timestamp; the speaker's own stays.
func (s *speaker) send(pt int, ts uint32, payload []byte) {
	b := []byte{0x80, byte(pt)}
	if s.marker {
		b[1] |= 0x80
	}
	s.marker = false
	b = binary.BigEndian.AppendUint16(b, s.next.seq)
	b = binary.BigEndian.AppendUint32(b, ts)
	b = binary.BigEndian.AppendUint32(b, s.next.ssrc)
	s.out = append(s.out, arrival{s.now, append(b, payload...)})
	s.next.seq++
}

func (s *speaker) pass(samples int) {
	s.next.ts += uint32(samples)
	s.now += time.Duration(samples) * time.Second / 8000
}

// say sends octets; the last packet may be shorter.
func (s *speaker) say(octets []byte) {
	for len(octets) > 0 {
		n := min(s.ptime, len(octets))
		s.send(s.law.number, s.next.ts, octets[:n])
		s.pass(n)
		octets = octets[n:]
	}
}

// rest sends nothing for some samples: timestamps go on, numbers do not. With comfort a packet of comfort noise goes first.
func (s *speaker) rest(samples int, comfort bool) {
	if comfort {
		s.send(13, s.next.ts, []byte{60})
	}
	s.pass(samples)
	s.marker = true
}

// press sends a digit in place of audio: one packet each 20 ms with the timestamp of its beginning, the end three times
// (RFC 4733 section 2.5.1).
func (s *speaker) press(digit byte, packets int) {
	start := s.next.ts
	s.marker = true
	for i := range packets + 2 {
		duration, end := uint16(min(i+1, packets)*samplesPerPacket), byte(10)
		if i+1 >= packets {
			end |= 0x80
		}
		s.send(101, start, binary.BigEndian.AppendUint16([]byte{digit, end}, duration))
		if i < packets {
			s.pass(samplesPerPacket)
		}
	}
	s.marker = true
}

// restart goes on as another source after some time.
func (s *speaker) restart(start rtpStart, after time.Duration) {
	s.now += after
	s.next, s.marker = start, true
}
