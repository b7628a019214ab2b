package recorder

import "slices"

// maxSpans bounds a track's loss map, 786 kB of memory, where its older spans can't go to a file: the disk takes nothing, or there
// are so many within spillBehind, as only a hostile sender has them.
const maxSpans = 32_768

// span is a run of samples of one kind on a track.
type span struct {
	kind   kind
	pos, n int64
}

func (s span) end() int64 { return s.pos + s.n }

// lossMap names the ranges of a track that are not received.
//
// Invariant: spans are in order of pos, don't overlap, hold n > 0 and no kindReceived; neighbours that touch differ in kind.
type lossMap struct {
	spans []span
	// end is the first position that nothing was said of: what lies before and in no span is received.
	end int64
	// from is where the detail begins: what lies before was brought elsewhere, and is settled.
	from int64
	// until is where the detail ends, -1 while all of it is there: a map with maxSpans takes no further ones.
	until int64
	limit int
	// total holds samples by kind, also of what lies after until.
	total [kinds]int64
}

func newLossMap(limit int) lossMap { return lossMap{until: -1, limit: limit} }

// set says that [pos, pos+n) is of kind k, whatever was said of it before.
func (m *lossMap) set(pos, n int64, k kind) {
	if pos < m.from {
		pos, n = m.from, n-(m.from-pos)
	}
	if n <= 0 {
		return
	}
	m.forget(pos, n)
	m.total[k] += n
	m.end = max(m.end, pos+n)
	if m.until >= 0 {
		if pos >= m.until {
			return
		}
		n = min(n, m.until-pos)
	}
	if last := len(m.spans) - 1; last < 0 || m.spans[last].end() <= pos {
		m.push(pos, n, k)
		return
	}
	m.splice(pos, n, k)
}

// forget takes out of the totals what is about to be said anew.
func (m *lossMap) forget(pos, n int64) {
	stop := min(pos+n, m.end)
	if m.until >= 0 {
		stop = min(stop, m.until)
	}
	if stop <= pos {
		return
	}
	m.each(pos, stop-pos, func(s span) { m.total[s.kind] -= s.n })
}

// push adds a span behind all others.
func (m *lossMap) push(pos, n int64, k kind) {
	if k == kindReceived {
		return
	}
	if last := len(m.spans) - 1; last >= 0 && m.spans[last].end() == pos && m.spans[last].kind == k {
		m.spans[last].n += n
		return
	}
	if len(m.spans) >= m.limit {
		m.until = pos
		return
	}
	m.spans = append(m.spans, span{k, pos, n})
}

// splice puts a span in the place of what lies in its range.
func (m *lossMap) splice(pos, n int64, k kind) {
	stop := pos + n
	i := m.search(pos)
	j := i
	for j < len(m.spans) && m.spans[j].pos < stop {
		j++
	}
	var room [3]span
	fresh := room[:0]
	if i < j && m.spans[i].pos < pos {
		fresh = append(fresh, span{m.spans[i].kind, m.spans[i].pos, pos - m.spans[i].pos})
	}
	if k != kindReceived {
		fresh = append(fresh, span{k, pos, n})
	}
	if i < j && m.spans[j-1].end() > stop {
		fresh = append(fresh, span{m.spans[j-1].kind, stop, m.spans[j-1].end() - stop})
	}
	m.spans = slices.Replace(m.spans, i, j, fresh...)
	for at := i + len(fresh); at >= i; at-- {
		m.join(at)
	}
}

// join makes one span of spans i-1 and i if they touch and are of one kind.
func (m *lossMap) join(i int) {
	if i <= 0 || i >= len(m.spans) {
		return
	}
	a, b := &m.spans[i-1], m.spans[i]
	if a.kind == b.kind && a.end() == b.pos {
		a.n += b.n
		m.spans = slices.Delete(m.spans, i, i+1)
	}
}

// search gives the index of the first span that ends after pos.
func (m *lossMap) search(pos int64) int {
	i, _ := slices.BinarySearchFunc(m.spans, pos, func(s span, pos int64) int {
		if s.end() <= pos {
			return -1
		}
		return 1
	})
	return i
}

// each gives [pos, pos+n) in pieces of one kind, received ones too. It must not be changed meanwhile.
func (m *lossMap) each(pos, n int64, yield func(span)) {
	stop := pos + n
	for i := m.search(pos); pos < stop; i++ {
		if i >= len(m.spans) || m.spans[i].pos >= stop {
			yield(span{kindReceived, pos, stop - pos})
			return
		}
		s := m.spans[i]
		if s.pos > pos {
			yield(span{kindReceived, pos, s.pos - pos})
			pos = s.pos
		}
		e := min(s.end(), stop)
		yield(span{s.kind, pos, e - pos})
		pos = e
	}
}
