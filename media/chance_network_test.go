package media

import (
	"math/rand/v2"
	"time"
)

// network is what lies between a sender and us: by chance, but one kind of bad weather for a whole story.
type network struct {
	r      *rand.Rand
	loss   float64
	stays  float64 // the chance that a loss is followed by another
	jitter time.Duration
	late   float64 // beyond the live wait, within the archive window
	tooOld float64 // beyond that
	copies float64
	stall  span // what would arrive within arrives at its end, at once and in order
	held   time.Duration
	losing bool
}

func newNetwork(r *rand.Rand, end time.Duration) *network {
	w := &network{r: r}
	w.loss = []float64{0, 0, 0.01, 0.05, 0.2, 0.3}[r.IntN(6)]
	w.stays = []float64{w.loss, w.loss, 0.5, 0.8}[r.IntN(4)]
	w.jitter = time.Duration(1+r.IntN([]int{1, 5, 30, 30, 55, 90}[r.IntN(6)])) * ms
	w.late = []float64{0, 0, 0.03, 0.1}[r.IntN(4)]
	w.tooOld = []float64{0, 0, 0, 0.01}[r.IntN(4)]
	w.copies = []float64{0, 0, 0.05, 0.5}[r.IntN(4)]
	if r.IntN(4) == 0 {
		from := time.Duration(r.Int64N(int64(end)))
		w.stall = span{from, from + time.Duration(50+r.IntN(250))*ms}
	}
	return w
}

// carry takes all packets of a story to us.
func (s *story) carry(r *rand.Rand) {
	w := newNetwork(r, s.packets[len(s.packets)-1].at)
	for c := range s.chapters {
		for i := s.chapters[c].lo; i < s.chapters[c].hi; i++ {
			calm, soon := s.moves(c, i)
			w.carry(&s.packets[i], calm, soon)
		}
	}
}

// moves tells of a packet whether it must find a calm network, and whether it must come soon, if at all. That is what plain RTP's
// rules for a source that moves ask for: five in a row from the new one, after half a second without the old.
func (s *story) moves(c, i int) (calm, soon bool) {
	for m, h := range s.chapters {
		if s.secure || h.why != turnMove && h.why != turnOffer {
			continue
		}
		calm = calm || m == c && i < h.lo+8 || m > c && s.packets[i].at > s.packets[h.lo-1].at-2500*ms
		soon = soon || m > c
	}
	return calm, soon
}

// carry takes one packet.
func (w *network) carry(p *sent, calm, soon bool) {
	at := p.at + 5*ms
	if calm {
		p.arrivals = append(p.arrivals, at)
		return
	}
	if w.losing = w.r.Float64() < w.loss && (!w.losing || w.r.Float64() < w.stays) || w.losing && w.r.Float64() < w.stays; w.losing {
		return
	}
	at += time.Duration(w.r.Int64N(int64(w.jitter)))
	switch x := w.r.Float64(); {
	case x < w.late:
		at += 60*ms + time.Duration(w.r.IntN(1200))*ms
	case x < w.late+w.tooOld && !soon:
		at += 4*time.Second + time.Duration(w.r.IntN(500))*ms
	}
	if at >= w.stall.from && at < w.stall.to {
		w.held += 20*time.Microsecond + time.Duration(w.r.IntN(1000))*time.Nanosecond
		at = w.stall.to + w.held
	}
	p.arrivals = append(p.arrivals, at)
	for w.r.Float64() < w.copies && len(p.arrivals) < 4 {
		p.arrivals = append(p.arrivals, at+time.Duration(w.r.Int64N(int64(300*ms))))
	}
}
