package media

import (
	"net/netip"
	"time"
)

const (
	// intakeDatagrams and intakeOctets are what a shard takes from the kernel before it hands it to the tracks: 100 ms of a
	// thousand tracks. What is more makes the tracks take their turn early.
	intakeDatagrams = 8192
	intakeOctets    = 2 << 20
)

// form says what a datagram was found to be on its way from port to track.
type form uint8

const (
	formMedia   form = iota // RTP as it came, or RTCP on the same port
	formControl             // from the port for RTCP
	formOpened              // RTP that was found by its key, and is decrypted
)

// taken is a datagram that waits for its track's turn. It is small: a thousand tracks' of 100 ms are to stay in the cache.
type taken struct {
	at     time.Duration
	octets int32 // where they begin in intake.data
	n      uint16
	form   form
	// from is the index plus 1 in intake.froms; 0: where the track's packets were found to come from.
	from int32
	next int32 // the track's next one, by index plus 1; 0: none
}

// intake is what one sweep took from all ports, in a list per track.
//
// Invariant: what list names lies in data[:used] and froms; all are empty once all tracks had their turn.
type intake struct {
	list  []taken
	data  []byte
	used  int
	froms []netip.AddrPort
}

// begin makes room, once.
func (t *intake) begin() {
	if t.data == nil {
		t.list, t.data = make([]taken, 0, intakeDatagrams), make([]byte, intakeOctets)
	}
}

// room tells whether a whole batch fits.
//
//earshot:hot
func (t *intake) room() bool {
	return len(t.list)+batchSize <= cap(t.list) && t.used+batchSize*datagramOctets <= len(t.data)
}

// add copies a datagram and hangs it on its track's list.
//
//earshot:hot
func (t *intake) add(k *liveTrack, b []byte, from netip.AddrPort, at time.Duration, f form) {
	d := taken{at: at, octets: int32(t.used), n: uint16(copy(t.data[t.used:], b)), form: f}
	t.used += int(d.n)
	if from != k.found {
		t.froms = append(t.froms, from) // as long as the list at most
		d.from = int32(len(t.froms))
	}
	t.list = append(t.list, d)
	i := int32(len(t.list))
	if k.last == 0 {
		k.first = i
		k.line.mailed = true
	} else {
		t.list[k.last-1].next = i
	}
	k.last = i
}

//earshot:hot
func (t *intake) reset() { t.list, t.used, t.froms = t.list[:0], 0, t.froms[:0] }

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
		d := &t.list[i-1]
		from := found
		if d.from != 0 {
			from = t.froms[d.from-1]
		}
		i = d.next
		k.deliver(d, t.data[d.octets:int(d.octets)+int(d.n)], from)
	}
	k.settle()
}

//earshot:hot
func (k *liveTrack) deliver(d *taken, b []byte, from netip.AddrPort) {
	switch {
	case d.form == formControl:
		k.state.Counts.RTCPPackets++ // read so that the buffer doesn't fill
	case !k.open():
		k.waitForCommit(b, from, d.at)
	case d.form == formOpened:
		if h, ok := parseHeader(b); ok {
			k.latch.believe(from, d.at)
			k.opened(b, &h, d.at)
		}
	default:
		k.datagram(b, from, d.at)
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
