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
	chunkOctets = chunkHeader + datagramOctets
	// chunkHeader stands before each datagram: arrival (8), length (2), form (1), index plus 1 in froms (4).
	chunkHeader = 16
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

// intake is what the sweeps took from all ports since the tracks' last turn. It grows when more waits than ever before.
//
// Invariant: chunks below used are on one track's list each; there are none once all tracks had their turn.
type intake struct {
	slabs []*[slabChunks]chunk
	used  int
	froms []netip.AddrPort
}

// room tells whether a whole batch fits, whoever it is for.
//
//earshot:hot
func (t *intake) room() bool { return t.used+batchSize <= intakeSlabs*slabChunks }

// chunk is the one with an index plus 1.
//
//earshot:hot
func (t *intake) chunk(i int32) *chunk { return &t.slabs[uint(i-1)/slabChunks][uint(i-1)%slabChunks] }

// add copies a datagram to the end of its track's list.
//
//earshot:hot
func (t *intake) add(k *liveTrack, b []byte, from netip.AddrPort, at time.Duration, f form) {
	if k.last == 0 || t.chunk(k.last).used+chunkHeader+len(b) > chunkOctets {
		t.grow(k)
	}
	c := t.chunk(k.last)
	d := c.data[c.used : c.used+chunkHeader+len(b)]
	who := 0
	if from != k.found {
		t.froms = append(t.froms, from)
		who = len(t.froms)
	}
	binary.NativeEndian.PutUint64(d, uint64(at))
	binary.NativeEndian.PutUint16(d[8:], uint16(len(b)))
	d[10] = byte(f)
	binary.NativeEndian.PutUint32(d[12:], uint32(who))
	copy(d[chunkHeader:], b)
	c.used += (chunkHeader + len(b) + 7) &^ 7
}

// grow hangs an empty chunk on a track's list.
//
//earshot:hot
func (t *intake) grow(k *liveTrack) {
	if t.used == len(t.slabs)*slabChunks {
		t.slabs = append(t.slabs, new([slabChunks]chunk))
	}
	t.used++
	c := t.chunk(int32(t.used))
	c.used, c.next = 0, 0
	if k.last == 0 {
		k.first = int32(t.used)
		k.line.mailed = true
	} else {
		t.chunk(k.last).next = int32(t.used)
	}
	k.last = int32(t.used)
}

//earshot:hot
func (t *intake) reset() { t.used, t.froms = 0, t.froms[:0] }

// drain takes what came for the track.
//
//earshot:hot
func (k *liveTrack) drain() {
	i := k.first
	if i == 0 {
		return
	}
	k.first, k.last, k.dirty = 0, 0, true
	if k.state.Ended {
		return
	}
	t, found := &k.shard.intake, k.found
	for i != 0 {
		c := t.chunk(i)
		for d := c.data[:c.used]; len(d) >= chunkHeader; {
			at, n := time.Duration(binary.NativeEndian.Uint64(d)), int(binary.NativeEndian.Uint16(d[8:]))
			from := found
			if who := binary.NativeEndian.Uint32(d[12:]); who != 0 {
				from = t.froms[who-1]
			}
			k.deliver(form(d[10]), d[chunkHeader:chunkHeader+n], from, at)
			d = d[min(len(d), (chunkHeader+n+7)&^7):]
		}
		i = c.next
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

// dropEarly lets go of them: the track ends without an agreement.
func (k *liveTrack) dropEarly() {
	if k.early == nil {
		return
	}
	for _, s := range k.early.slots[:k.early.n] {
		k.shard.pool.release(s)
	}
	k.early = nil
}
