package media

import "time"

const (
	// watchEvery is how often the numbers that came are looked over.
	watchEvery = time.Second
	// watchSeconds make a window of Quality.
	watchSeconds = 10
	// watchPackets is the least that a window must hold to be rated: one of ten packets lost says nothing.
	watchPackets = 50
	// watchMarks reach back further than the longest archive window.
	watchMarks = int(maxArchive/watchEvery) + 2
)

// lossWatch counts losses and their runs, a second at a time and so late that no packet can fill them any more. No packet
// pays for it: it walks over the numbers that sequence remembers.
//
// Invariant: each number below cursor is judged.
type lossWatch struct {
	next   time.Duration
	cursor int64
	run    int64 // numbers missing just before cursor
	// floor is the lowest number of the present numbering that is not judged: cursor, or its base while old.
	floor int64
	// old: cursor counts in the numbering before, whose packets may still be on their way; skipped is how many the step
	// to the present one leaves out.
	old     bool
	skipped int64

	now watchSecond
	*watched
}

// watched is what the watch remembers.
type watched struct {
	marks   [watchMarks]watchMark // newest last
	n       int
	seconds [watchSeconds]watchSecond // a ring
	count   int
}

// watchMark is where a track was at a second's end.
type watchMark struct{ next, front int64 }

// watchSecond is what was judged in one turn.
type watchSecond struct{ pos, end, expected, lost, runs int64 }

// begin starts the watch: number is the first that counts.
func (w *lossWatch) begin(number int64, at time.Duration) {
	w.cursor, w.floor, w.next = number, number, at+watchEvery
}

// watch takes the second that is over.
//
//earshot:hot
func (p *placer) watch(now time.Duration) {
	w := &p.losses
	if !p.started || now < w.next {
		return
	}
	if w.next += watchEvery; w.next <= now { // the shard was held up
		w.next = now + watchEvery
	}
	q := &p.state.Quality
	p.align.summarize(q)
	if w.old && now-p.prev.at > p.archive {
		p.judgeOld()
	}
	if w.n == watchMarks {
		copy(w.marks[:], w.marks[1:])
		w.n--
	}
	w.marks[w.n] = watchMark{p.seq.next, p.front}
	w.n++
	late := w.n - 1 - int((p.archive+watchEvery-1)/watchEvery)
	if w.old || late < 0 {
		return
	}
	p.judge(&p.seq, w.marks[late].next)
	w.now.end = w.marks[late].front
	p.endSecond(false)
}

// judge looks at the numbers of a sequence up to an end.
func (p *placer) judge(s *sequence, end int64) {
	w := &p.losses
	for ; w.cursor < end; w.cursor++ {
		w.now.expected++
		if s.came(w.cursor) {
			w.run = 0
			continue
		}
		p.miss(1)
	}
	if s == &p.seq {
		w.floor = w.cursor
	}
}

// miss counts n numbers in a row.
func (p *placer) miss(n int64) {
	w, q := &p.losses, &p.state.Quality
	if w.run == 0 {
		w.now.runs++
		q.LossRuns++
	}
	w.run += n
	w.now.lost += n
	if w.run > q.LongestRunPackets {
		q.LongestRunPackets, q.LongestRunSamples = w.run, w.run*p.lastSamples
	}
}

// leap is for a number so far ahead that sequence forgets some that are not judged.
func (p *placer) leap(ext int64) {
	w := &p.losses
	if w.old {
		p.judgeOld()
	}
	p.judge(&p.seq, min(p.seq.high+1, ext-seqWindow+1))
	if n := ext - seqWindow + 1 - w.cursor; n > 0 {
		w.now.expected += n
		p.miss(n)
		w.cursor += n
	}
	w.floor = w.cursor
}

// watchLeave is for a numbering that ends: it is judged when its packets can't come any more.
func (p *placer) watchLeave() {
	w := &p.losses
	if w.old {
		p.judgeOld()
	}
	w.old, w.n = true, 0
}

// judgeOld judges what is left of the numbering before, and goes over to the present one.
func (p *placer) judgeOld() {
	w := &p.losses
	p.judge(&p.prev.seq, p.prev.seq.next)
	if w.skipped > 0 {
		w.now.expected += w.skipped
		p.miss(w.skipped)
	} else {
		w.run = 0
	}
	w.old, w.skipped = false, 0
	w.cursor, w.floor = p.seq.base, p.seq.base
}

// endSecond writes down what was judged, and what it makes of the newest 10 s and of the whole.
func (p *placer) endSecond(last bool) {
	w, q := &p.losses, &p.state.Quality
	w.seconds[w.count%watchSeconds] = w.now
	w.count++
	q.ExpectedPackets += w.now.expected
	q.LostPackets += w.now.lost
	w.now = watchSecond{pos: w.now.end, end: w.now.end}
	q.Rating = rate(q.ExpectedPackets, q.LostPackets, q.LossRuns)
	var sum watchSecond
	have := min(w.count, watchSeconds)
	sum.pos = w.seconds[(w.count-have)%watchSeconds].pos
	for _, s := range w.seconds[:have] {
		sum.expected, sum.lost, sum.runs = sum.expected+s.expected, sum.lost+s.lost, sum.runs+s.runs
		sum.end = max(sum.end, s.end)
	}
	q.Recent = Window{
		Pos: sum.pos, Samples: sum.end - sum.pos, ExpectedPackets: sum.expected, LostPackets: sum.lost,
		Rating: rate(sum.expected, sum.lost, sum.runs),
	}
	full := have == watchSeconds && sum.expected >= watchPackets
	if first := q.Worst.ExpectedPackets == 0 && (full || last); first || full && q.Recent.R < q.Worst.R {
		q.Worst = q.Recent
	}
}

// watchEnd judges all that is left.
func (p *placer) watchEnd() {
	w := &p.losses
	if w.old {
		p.judgeOld()
	}
	p.judge(&p.seq, p.seq.next)
	p.align.summarize(&p.state.Quality)
	w.now.end = p.front
	p.endSecond(true)
}
