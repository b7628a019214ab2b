package stream

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// TestAReaderOfAMaskedRangeEitherNeverHasItOrIsToldOfIt masks at random what a call has said, while a reader takes it from the ring at a pace of its
// own: what he has of it is revoked to the sample, and what he has not he never gets.
func TestAReaderOfAMaskedRangeEitherNeverHasItOrIsToldOfIt(t *testing.T) {
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // a test's
		var sum atomic.Int64
		var told []stretch
		r := newRing(2*time.Second, minMessage, 1, &sum)
		l := newLane(laneConfig{channels: 1, expected: 2, revoked: func(from, n int64) { told = append(told, stretch{from, from + n}) }}, r)
		tracks := []media.TrackState{state(1, call.RoleCustomer, 0, true), state(2, call.RoleAgent, 0, true)}
		var had []int16 // what the reader has
		masked := map[int64]bool{}
		var want []bool // revoked, by position
		for i := range int64(200) {
			b := media.Batch{Zero: zeroAt, Now: at((i + 1) * ptime), Tracks: tracks}
			for _, k := range tracks {
				b.Frames = append(b.Frames, run(k.ID, media.KindReceived, i*ptime, ptime, at(i*ptime)))
			}
			l.write(&b)
			if rnd.IntN(2) == 0 {
				pcm := make([]int16, rnd.IntN(600))
				_, n := r.read(pcm)
				had = append(had, pcm[:n]...)
			}
			if i > 10 && rnd.IntN(20) == 0 {
				from := (i + 1) * ptime
				from -= min(from, 1+rnd.Int64N(4000))
				b.Frames = nil
				for _, k := range tracks {
					b.Frames = append(b.Frames, run(k.ID, media.KindMasked, from, (i+1)*ptime-from, at(i*ptime)))
				}
				for p := from; p < (i+1)*ptime; p++ {
					masked[p] = true
				}
				for len(want) < len(had) {
					want = append(want, false)
				}
				for p := from; p < int64(len(had)); p++ {
					want[p] = true
				}
				before := len(had)
				l.write(&b)
				had = append(had, drain(r)...)
				for p := before; p < len(had); p++ {
					if masked[int64(p)] && had[p] != 0 {
						t.Fatalf("seed %d: sample %d was read after it was masked: %d", seed, p, had[p])
					}
				}
			}
		}
		got := make([]bool, len(want))
		for _, s := range told {
			for p := s.from; p < s.to; p++ {
				got[p] = true
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: revoked %v, and that is not what the reader had", seed, told)
		}
	}
}

// drain reads what a ring holds.
func drain(r *ring) (all []int16) {
	for pcm := make([]int16, 1000); ; {
		_, n := r.read(pcm)
		if n == 0 {
			return all
		}
		all = append(all, pcm[:n]...)
	}
}

// TestWhatWasSaidBeforeATrackWasPlacedIsRevokedWhereItWas: its first samples went out where its first packet's arrival put them.
func TestWhatWasSaidBeforeATrackWasPlacedIsRevokedWhereItWas(t *testing.T) {
	var told []stretch
	var sum atomic.Int64
	r := newRing(5*time.Second, minMessage, 1, &sum)
	l := newLane(laneConfig{channels: 1, expected: 1, revoked: func(from, n int64) { told = append(told, stretch{from, from + n}) }}, r)
	tracks := []media.TrackState{state(1, call.RoleMix, 0, false)}
	var had []int16
	for i := range int64(50) {
		if i == 25 {
			tracks[0] = state(1, call.RoleMix, 40, true) // the first packet came 120 samples late
		}
		b := media.Batch{Zero: zeroAt, Now: at(320 + i*ptime), Tracks: tracks, Frames: []media.Frame{run(1, media.KindReceived, i*ptime, ptime, at(160+i*ptime))}}
		l.write(&b)
		had = append(had, drain(r)...)
	}
	l.write(&media.Batch{Zero: zeroAt, Now: at(320 + 50*ptime), Tracks: tracks, Frames: []media.Frame{run(1, media.KindMasked, 10*ptime, 40*ptime, at(50*ptime))}})
	first := slices.Index(had, sampleAt(1, 10*ptime))
	if len(told) != 1 || told[0].from != int64(first) || told[0].to != int64(len(had)) {
		t.Errorf("revoked %v, want all from %d on, of %d", told, first, len(had))
	}
}

func TestAListenerIsToldWhatItHasOfAMask(t *testing.T) {
	var from, samples int64
	l, err := NewListener(ListenConfig{Revoked: func(f, n int64) { from, samples = f, n }})
	if err != nil {
		t.Fatal(err)
	}
	tracks := []media.TrackState{state(1, call.RoleCustomer, 0, true), state(2, call.RoleAgent, 0, true)}
	write := func(kind media.Kind, pos, n, now int64) {
		b := media.Batch{Zero: zeroAt, Now: at(now), Tracks: tracks}
		for _, k := range tracks {
			b.Frames = append(b.Frames, run(k.ID, kind, pos, n, at(now)))
		}
		l.Write(&b)
	}
	write(media.KindReceived, 0, 1600, 1600)
	got := drain(l.ring)
	write(media.KindReceived, 1600, 1600, 3200)
	write(media.KindMasked, 800, 2400, 3200)
	if from != 800 || samples != 800 || len(got) != 1600 {
		t.Errorf("revoked %d from %d on, want 800 from 800", samples, from)
	}
	l.End(call.Cause{})
	for i, v := range drain(l.ring) {
		if v != 0 {
			t.Fatalf("sample %d after the mask: %d", i, v)
		}
	}
}
