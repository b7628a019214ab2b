package stream

// emitSamples is how much goes out at a time; the smallest of rings holds it.
const emitSamples = int(minBuffer / sampleTime)

// output takes what a lane assembles: interleaved samples in order, without holes. ring is one.
type output interface {
	begin(pos int64)
	// room gives where the next n groups go, in one part or two, or none: nobody wants them. done must follow.
	room(n int) (first, second []int16)
	done()
	silence(samples int64)
	// withdraw silences what of a range nobody has read yet, and gives what was read.
	withdraw(from, to int64) (had stretch)
}

// emit sends out what lies before to. Silence that no side breaks goes out as one, however long.
//
//earshot:hot
func (l *lane) emit(to int64) {
	for l.base < to {
		sound := 0
		for i := range l.sources {
			sound = max(sound, len(l.sources[i].buf))
		}
		n := to - l.base
		if sound == 0 {
			l.out.silence(n)
			l.base = to
			return
		}
		n = min(n, int64(min(sound, emitSamples)))
		l.sum(int(n))
		l.base += n
	}
}

// sum takes n samples from each source and adds them up, where they stay: in the output.
//
//earshot:hot
func (l *lane) sum(n int) {
	first, second := l.out.room(n)
	at := len(first) / l.cfg.channels
	l.mix(first, 0)
	l.mix(second, at)
	l.out.done()
	for i := range l.sources {
		s := &l.sources[i]
		s.hear()
		s.buf = s.buf[:copy(s.buf, s.buf[min(n, len(s.buf)):])]
	}
}

// mix fills dst with the sum of the sources from a place in their buffers on.
//
//earshot:hot
func (l *lane) mix(dst []int16, at int) {
	switch {
	case len(dst) == 0:
	case l.cfg.channels == 1:
		m := mono{dst: dst}
		for i := range l.sources {
			if buf := l.sources[i].buf; len(buf) > at {
				m.add(buf[at:min(len(buf), at+len(dst))])
			}
		}
		m.finish()
	default:
		for c := range l.cfg.channels {
			l.mixSide(dst[c:], at, 1<<c)
		}
	}
}

// mixSide fills one channel of dst.
//
//earshot:hot
func (l *lane) mixSide(dst []int16, at int, side uint8) {
	filled := 0
	for i := range l.sources {
		if s := &l.sources[i]; s.sides&side != 0 && len(s.buf) > at {
			filled = addSide(dst, s.buf[at:min(len(s.buf), at+(len(dst)+1)/2)], filled)
		}
	}
	finishSide(dst, filled)
}
