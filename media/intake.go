package media

import (
	"encoding/binary"
	"net/netip"
	"time"
)

const (
	// intakeSlabs of slabChunks each are what a shard takes from the kernel at most before it hands it to the tracks. What is
	// more makes the tracks take their turn early.
	intakeSlabs = 32
	slabChunks  = 128
	// chunkOctets is what a chunk holds: 200 ms of G.711, or the largest datagram. It is no power of two: all chunks would
	// begin at the same places in the caches.
	chunkOctets = chunkHeader + fromOctets + datagramOctets
	// chunkHeader stands before each datagram: arrival (8), length (2), form (1), how many octets of address follow (1).
	chunkHeader = 16
	// fromOctets is an address between header and datagram: as 16 octets (16), port (2).
	fromOctets = 24
)

// form says what a datagram was found to be on its way from port to track.
type form uint8

const (
	formMedia   form = iota // RTP as it came, or RTCP on the same port
	formControl             // from the port for RTCP
	formOpened              // RTP that was found by its key, and is decrypted
)

// chunk is a row of datagrams of one track: what its turn reads lies together, and the processor sees it coming.
type chunk struct {
	used int
	next int32 // the track's next chunk, by index plus 1; 0: none
	data [chunkOctets]byte
}

// intake is what the sweeps took from all ports and no track has taken yet. It grows when more waits than ever before. What was given
// back last is used first: it is still in the processor's cache.
//
// Invariant: a chunk is on one track's list, or in free.
type intake struct {
	slabs []*[slabChunks]chunk
	free  []int32 // by index plus 1
}

// room tells whether a whole batch fits, whoever it is for.
//
//earshot:hot
func (t *intake) room() bool {
	return len(t.free)+(intakeSlabs-len(t.slabs))*slabChunks >= batchSize
}

// chunk is the one with an index plus 1.
//
//earshot:hot
func (t *intake) chunk(i int32) *chunk { return &t.slabs[uint(i-1)/slabChunks][uint(i-1)%slabChunks] }

// add copies a datagram to the end of its track's list.
//
//earshot:hot
func (t *intake) add(k *liveTrack, b []byte, from netip.AddrPort, at time.Duration, f form) {
	address := 0
	if from != k.found {
		address = fromOctets
	}
	n := chunkHeader + address + len(b)
	if k.last == 0 || t.chunk(k.last).used+n > chunkOctets {
		t.grow(k)
	}
	c := t.chunk(k.last)
	d := c.data[c.used : c.used+n]
	binary.NativeEndian.PutUint64(d, uint64(at))
	binary.NativeEndian.PutUint16(d[8:], uint16(len(b)))
	d[10], d[11] = byte(f), byte(address)
	if address > 0 {
		ip := from.Addr().As16()
		binary.NativeEndian.PutUint16(d[chunkHeader+copy(d[chunkHeader:], ip[:]):], from.Port())
	}
	copy(d[chunkHeader+address:], b)
	c.used += (n + 7) &^ 7
}

// grow hangs an empty chunk on a track's list.
//
//earshot:hot
func (t *intake) grow(k *liveTrack) {
	if len(t.free) == 0 {
		t.slabs = append(t.slabs, new([slabChunks]chunk))
		for i := range slabChunks {
			t.free = append(t.free, int32(len(t.slabs)*slabChunks-i))
		}
	}
	i := t.free[len(t.free)-1]
	t.free = t.free[:len(t.free)-1]
	c := t.chunk(i)
	c.used, c.next = 0, 0
	if k.last == 0 {
		k.first = i
		k.line.mailed = true
	} else {
		t.chunk(k.last).next = i
	}
	k.last = i
}

// takeFirst takes the first chunk off a track's list; nil: there is none. It holds its own until the next add.
//
//earshot:hot
func (t *intake) takeFirst(k *liveTrack) *chunk {
	i := k.first
	if i == 0 {
		return nil
	}
	c := t.chunk(i)
	if k.first = c.next; k.first == 0 {
		k.last = 0
	}
	t.free = append(t.free, i)
	return c
}

// drain takes what came for the track.
//
//earshot:hot
func (k *liveTrack) drain() {
	t, found := &k.shard.intake, k.found
	for c := t.takeFirst(k); c != nil; c = t.takeFirst(k) {
		k.dirty = true
		for d := c.data[:c.used]; len(d) >= chunkHeader; {
			at, n, address := time.Duration(binary.NativeEndian.Uint64(d)), int(binary.NativeEndian.Uint16(d[8:])), int(d[11])
			from, end := found, chunkHeader+address+n
			if address > 0 {
				from = addressOf(d[chunkHeader:])
			}
			k.deliver(form(d[10]), d[end-n:end], from, at)
			d = d[min(len(d), (end+7)&^7):]
		}
	}
}

func addressOf(d []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(d)).Unmap(), binary.NativeEndian.Uint16(d[16:]))
}

// discard lets go of what came for a track that has ended.
func (k *liveTrack) discard() {
	for t := &k.shard.intake; t.takeFirst(k) != nil; {
	}
}

//earshot:hot
func (k *liveTrack) deliver(f form, b []byte, from netip.AddrPort, at time.Duration) {
	switch {
	case f == formControl:
		if k.open() {
			k.rtcp(b, from, at)
		}
	case !k.open():
		k.waitForCommit(b, from, at)
	case f == formOpened:
		if h, ok := parseHeader(b); ok {
			k.latch.believe(from, at)
			k.opened(b, &h, at)
		}
	default:
		k.datagram(b, from, at)
	}
}

// waitForCommit keeps what came to a shared port before the agreement is in force: the answer is on its way. The oldest
// makes room.
func (k *liveTrack) waitForCommit(b []byte, from netip.AddrPort, at time.Duration) {
	if k.early == nil {
		k.early = new(early)
	}
	w := k.early
	if w.n == len(w.slots) {
		k.shard.pool.release(w.slots[0])
		copy(w.slots[:], w.slots[1:])
		w.n--
		k.stray(1, at)
	}
	s := k.shard.pool.keep(&packet{octets: b, arrival: at})
	s.from = from
	w.slots[w.n] = s
	w.n++
}

// early are datagrams that came before the commit.
type early struct {
	slots [keptPackets]*slot
	n     int
}

// takeEarly takes them, now that it is known what they are.
func (k *liveTrack) takeEarly() {
	w := k.early
	if w == nil || !k.open() {
		return
	}
	k.early = nil
	for _, s := range w.slots[:w.n] {
		k.datagram(s.octets, s.from, s.arrival)
		k.shard.pool.release(s)
	}
}

// dropEarly lets go of them: the track ends without an agreement, and they were nobody's.
func (k *liveTrack) dropEarly(at time.Duration) {
	if k.early == nil {
		return
	}
	k.stray(int64(k.early.n), at)
	for _, s := range k.early.slots[:k.early.n] {
		k.shard.pool.release(s)
	}
	k.early = nil
}
