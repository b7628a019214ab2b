package media

import (
	"net/netip"
	"time"
)

// slotOctets is the longest payload that is taken: 187 ms of G.711, more than a packet of 1500 octets can hold.
const slotOctets = 1500

// packet is what the placer takes: an RTP packet that is known to be the track's.
type packet struct {
	ssrc    uint32
	seq     uint16
	ts      uint32
	law     Law  // LawNone: takes a sequence number and no place (events, comfort noise)
	opaque  bool // it was media, and can't be decoded: what it would have held is lost
	octets  []byte
	arrival time.Duration
}

// audible tells whether the packet has a place on the timeline.
func (p *packet) audible() bool { return p.law != LawNone }

// slot is a packet that waits, with its octets.
type slot struct {
	packet
	ext   int64 // extended sequence number
	pos   int64
	fit   fit  // of a candidate
	again bool // of a candidate: number and timestamp lie where the track has been
	// header and from are of a datagram whose source is not yet believed, or whose roll-over counter not yet found.
	header header
	from   netip.AddrPort
	data   []byte // smallOctets or datagramOctets
}

// slotPool is a shard's stock of slots. It grows when more packets wait at once than ever before, in chunks, and never
// beyond what its tracks may hold together: waitSlots, candidateSlots, trialSlots and keptPackets each. 20 ms of G.711 with SRTP
// go into a small one.
type slotPool struct{ small, large []*slot }

const (
	slotChunk   = 64
	smallOctets = 256
)

// of is the stock of a size.
//
//earshot:hot
func (s *slotPool) of(octets int) (*[]*slot, int) {
	if octets <= smallOctets {
		return &s.small, smallOctets
	}
	return &s.large, datagramOctets
}

// keep copies a packet into a slot.
//
//earshot:hot
func (s *slotPool) keep(p *packet) *slot {
	free, size := s.of(len(p.octets))
	if len(*free) == 0 {
		chunk, data := make([]slot, slotChunk), make([]byte, slotChunk*size)
		for i := range chunk {
			chunk[i].data = data[i*size : (i+1)*size : (i+1)*size]
			*free = append(*free, &chunk[i])
		}
	}
	c := (*free)[len(*free)-1]
	*free = (*free)[:len(*free)-1]
	c.packet = *p
	c.octets = c.data[:copy(c.data, p.octets)]
	return c
}

//earshot:hot
func (s *slotPool) release(c *slot) {
	free, _ := s.of(len(c.data))
	*free = append(*free, c)
}
