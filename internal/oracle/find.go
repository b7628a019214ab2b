package oracle

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// probeSamples are enough to find a place by content.
const probeSamples = 64

// PCM is what a source says from index from on.
func PCM(law trunk.Law, s trunk.Source, from int64, n int) []int16 {
	out := make([]int16, n)
	for i := range out {
		out[i] = Decode(law, s.Octet(law, from+int64(i)))
	}
	return out
}

// Find looks for pcm on a source between from and to, by content: at is the source's index of pcm[0]. Silence at the
// beginning of pcm is passed over.
func Find(pcm []int16, law trunk.Law, s trunk.Source, from, to int64) (at int64, ok bool) {
	skip := 0
	for skip < len(pcm) && pcm[skip] == 0 {
		skip++
	}
	if len(pcm)-skip < probeSamples || to <= from {
		return 0, false
	}
	probe, hay := octets(pcm[skip:skip+probeSamples]), octets(PCM(law, s, from, int(to-from)))
	for base := 0; ; {
		i := bytes.Index(hay[base:], probe)
		if i < 0 {
			return 0, false
		}
		if i += base; i%2 == 0 {
			return from + int64(i/2) - int64(skip), true
		}
		base = i + 1
	}
}

func octets(pcm []int16) []byte {
	b := make([]byte, 0, 2*len(pcm))
	for _, v := range pcm {
		b = binary.LittleEndian.AppendUint16(b, uint16(v))
	}
	return b
}

// FindStream is Find for all that a stream has sent so far; ok false fails the test.
func FindStream(t TB, where string, pcm []int16, s ringsim.Stream) (at int64, ok bool) {
	t.Helper()
	sent := s.Sent()
	if len(sent) == 0 {
		t.Errorf("%s: the stream sent nothing", where)
		return 0, false
	}
	last := sent[len(sent)-1]
	at, ok = Find(pcm, s.Law(), s.Source, sent[0].Pos, last.Pos+int64(last.Octets))
	if !ok {
		t.Errorf("%s: nothing in %d samples is of %s", where, len(pcm), s.Role)
	}
	return at, ok
}

// CompareAt holds pcm, whose sample 0 is index at of the stream's source, against each packet that was delivered until
// then: what was sent before sure must be there and right, what came after it may be missing, or be silent. It gives how
// much of the end pcm lacks.
func CompareAt(t TB, where string, pcm []int16, at int64, s ringsim.Stream, sure, until time.Time) (short time.Duration) {
	t.Helper()
	seen, end, right := tally{}, int64(0), int64(0)
	for _, p := range delivered(s, until) {
		for n := range int64(p.Octets) {
			idx := p.Pos + n - at
			if idx < 0 || !p.Delivered {
				continue
			}
			end = max(end, idx+1)
			want := Decode(s.Law(), s.Source.Octet(s.Law(), p.Pos+n))
			switch inside := idx < int64(len(pcm)); {
			case !p.At.After(sure), inside && pcm[idx] != 0:
				seen.look(pcm, idx, want)
			}
			if idx < int64(len(pcm)) && pcm[idx] == want {
				right = max(right, idx+1)
			}
		}
	}
	seen.report(t, where)
	return time.Duration(end-right) * time.Second / 8000
}
