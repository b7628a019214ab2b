package recorder

import (
	"math/rand/v2"
	"testing"
)

// Against the simplest loss map there is: one kind a sample.
func TestALossMapSaysOfEachSampleWhatWasSaidLast(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := newLossMap(maxSpans)
		var want []kind
		for range 60 {
			pos, n, k := rng.Int64N(int64(len(want))+1), rng.Int64N(30)+1, kind(rng.IntN(int(kinds)-1)+1)
			m.set(pos, n, k)
			for i := pos; i < pos+n; i++ {
				if i == int64(len(want)) {
					want = append(want, k)
				}
				want[i] = k
			}
		}
		checkLossMap(t, &m, want)
		if t.Failed() {
			t.Fatalf("seed %d: %v", seed, m.spans)
		}
	}
}

func checkLossMap(t *testing.T, m *lossMap, want []kind) {
	t.Helper()
	if m.end != int64(len(want)) {
		t.Errorf("end: got %d, want %d", m.end, len(want))
	}
	for i, s := range m.spans {
		if s.n <= 0 || s.kind == kindReceived {
			t.Errorf("span %d: got %+v", i, s)
		}
		if i > 0 && (m.spans[i-1].end() > s.pos || m.spans[i-1].end() == s.pos && m.spans[i-1].kind == s.kind) {
			t.Errorf("spans %+v and %+v overlap or should be one", m.spans[i-1], s)
		}
	}
	var total [kinds]int64
	var at int64
	m.each(0, m.end, func(s span) {
		if s.pos != at {
			t.Errorf("piece %+v: want it at %d", s, at)
		}
		for ; at < s.end(); at++ {
			if want[at] != s.kind {
				t.Errorf("sample %d: got %v, want %v", at, s.kind, want[at])
			}
			total[s.kind]++
		}
	})
	if at != m.end || total != m.total {
		t.Errorf("totals: got %v up to %d, want %v up to %d", m.total, at, total, m.end)
	}
}

func TestALossMapKeepsTotalsWhenItIsFull(t *testing.T) {
	m := newLossMap(10)
	for i := range int64(30) {
		m.set(20*i, 10, kindLost)
		m.set(20*i+10, 10, kindReceived)
	}
	if len(m.spans) != 10 || m.until != 200 {
		t.Errorf("got %d spans until %d, want 10 until 200", len(m.spans), m.until)
	}
	if m.total[kindLost] != 300 || m.total[kindReceived] != 300 || m.end != 600 {
		t.Errorf("got %d lost, %d received of %d, want 300, 300 of 600", m.total[kindLost], m.total[kindReceived], m.end)
	}
	m.set(0, 10, kindLate) // what lies in front can still be said
	if m.spans[0] != (span{kindLate, 0, 10}) || m.total[kindLost] != 290 {
		t.Errorf("got %+v, %d lost, want late, 290", m.spans[0], m.total[kindLost])
	}
}
