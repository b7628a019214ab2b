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

// taken is a datagram that waits for its track's turn.
type taken struct {
	octets []byte // in intake.data
	from   netip.AddrPort
	at     time.Duration
	next   int32 // the track's next one, by index plus 1; 0: none
	form   form
}

// intake is what one sweep took from all ports, in a list per track.
//
// Invariant: octets of list lie in data[:used]; both are empty once all tracks had their turn.
type intake struct {
	list []taken
	data []byte
	used int
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
	n := copy(t.data[t.used:], b)
	t.list = append(t.list, taken{octets: t.data[t.used : t.used+n : t.used+n], from: from, at: at, form: f})
	t.used += n
	i := int32(len(t.list))
	if k.last == 0 {
		k.first = i
	} else {
		t.list[k.last-1].next = i
	}
	k.last = i
	k.line.mailed = true
}

//earshot:hot
func (t *intake) reset() { t.list, t.used = t.list[:0], 0 }

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
	list := k.shard.intake.list
	for i != 0 {
		d := &list[i-1]
		i = d.next
		k.deliver(d)
	}
	k.settle()
}

//earshot:hot
func (k *liveTrack) deliver(d *taken) {
	switch {
	case d.form == formControl:
		k.state.Counts.RTCPPackets++ // read so that the buffer doesn't fill
	case !k.open():
		k.waitForCommit(d)
	case d.form == formOpened:
		if h, ok := parseHeader(d.octets); ok {
			k.latch.believe(d.from, d.at)
			k.opened(d.octets, &h, d.at)
		}
	default:
		k.datagram(d.octets, d.from, d.at)
	}
}

// waitForCommit keeps what came to a shared port before the agreement is in force: the answer is on its way. The oldest
// makes room.
func (k *liveTrack) waitForCommit(d *taken) {
	if k.early == nil {
		k.early = new(early)
	}
	w := k.early
	if w.n == len(w.slots) {
		k.shard.pool.release(w.slots[0])
		copy(w.slots[:], w.slots[1:])
		w.n--
		k.stray(1, d.at)
	}
	s := k.shard.pool.keep(&packet{octets: d.octets, arrival: d.at})
	s.from = d.from
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
