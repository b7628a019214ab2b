package stream

const (
	// deskSamples is a batch of the longest message, what was left over before it, and some more.
	deskSamples = 2048
	// ownSamples is what a source has room for by itself: two packets.
	ownSamples = 320
	// desks is how many are kept: one for each shard that is at a batch.
	desks = 16
)

// desk is where a lane works while it has a batch. All lanes work there one after the other, so it stays in the cache; what is left
// over, which is less than a packet where two sides are in step, goes to the source's own few lines.
type desk struct {
	bufs [2][deskSamples]int16
}

// freeDesks holds those that nobody works at.
var freeDesks = make(chan *desk, desks)

// spread lays out what the first sources hold on a desk.
//
//earshot:hot
func (l *lane) spread() *desk {
	var d *desk
	select {
	case d = <-freeDesks:
	default:
		d = new(desk)
	}
	for i := range min(len(l.sources), len(d.bufs)) {
		if s := &l.sources[i]; s.taken && len(s.buf) <= ownSamples {
			s.buf, s.lent = append(d.bufs[i][:0], s.buf...), true
		}
	}
	return d
}

// clearUp takes what is left off the desk, and leaves that to others.
//
//earshot:hot
func (l *lane) clearUp(d *desk) {
	for i := range min(len(l.sources), len(d.bufs)) {
		s := &l.sources[i]
		s.hear()
		if s.own == nil && s.lent {
			s.own = make([]int16, 0, ownSamples)
		}
		if s.lent {
			s.buf, s.lent = append(s.own[:0], s.buf...), false
		}
		s.own = s.buf
	}
	select {
	case freeDesks <- d:
	default:
	}
}
