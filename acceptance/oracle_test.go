package acceptance

import (
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
)

// deaf is an oracle.TB that counts what it is told.
type deaf struct{ errors int }

func (*deaf) Helper()                 {}
func (d *deaf) Errorf(string, ...any) { d.errors++ }
func (d *deaf) Fatalf(string, ...any) { d.errors++ }

func TestTheOracleSeesAWrongAShiftedAndASwappedSample(t *testing.T) {
	t.Parallel()
	sim := ringCentral(t, 1)
	d := write(t, string(sim.YAML("tls"))).runReady(t, quick)
	calls := begin(t, sim, 1, func(int) ringsim.CallSpec {
		return ringsim.CallSpec{Impair: ringsim.Impair{Customer: trunk.Impairment{Loss: 0.1}}}
	})
	said(t, calls, 2*time.Second)
	hangUp(t, calls)
	d.sealed(t, 1, 3*time.Second)
	d.terminate(t)
	compareAll(t, d, calls)

	lossy := func(r *oracle.Recording) *oracle.Track {
		i := slices.IndexFunc(r.Tracks, func(k oracle.Track) bool { return k.Role == "customer" })
		return &r.Tracks[i]
	}
	lost := func(r *oracle.Recording) int {
		return slices.IndexFunc(lossy(r).Spans, func(s oracle.Span) bool { return s.Kind == "lost" })
	}
	for name, spoil := range map[string]func(*oracle.Recording){
		"one wrong sample": func(r *oracle.Recording) { r.PCM[1][len(r.PCM[1])/2]++ },
		"shifted":          func(r *oracle.Recording) { r.PCM[1] = append([]int16{0}, r.PCM[1]...) },
		"swapped":          func(r *oracle.Recording) { r.PCM[0], r.PCM[1] = r.PCM[1], r.PCM[0] },
		"cut":              func(r *oracle.Recording) { r.PCM[1] = r.PCM[1][:len(r.PCM[1])-800] },
		"out of step": func(r *oracle.Recording) {
			k := lossy(r)
			k.Offset += 200
			r.PCM[k.Channel] = append(make([]int16, 200), r.PCM[k.Channel]...)
		},
		"loss not named": func(r *oracle.Recording) { k := lossy(r); i := lost(r); k.Spans = slices.Delete(k.Spans, i, i+1) },
		"loss invented": func(r *oracle.Recording) {
			k := lossy(r)
			k.Spans = append(k.Spans, oracle.Span{Kind: "lost", Pos: k.Spans[lost(r)].Pos + 1600, Samples: 1})
		},
		"loss filled": func(r *oracle.Recording) {
			k := lossy(r)
			r.PCM[k.Channel][k.Spans[lost(r)].Pos+k.Offset] = 77
		},
		"stream missing": func(r *oracle.Recording) { r.Tracks = r.Tracks[:1] },
	} {
		r := oracle.All(t, d.dir)[0]
		spoil(&r)
		var tb deaf
		oracle.Compare(&tb, name, calls[0].Streams(), r, oracle.Limits{ApartSamples: apartSamples})
		if tb.errors == 0 {
			t.Errorf("%s: the oracle saw nothing", name)
		}
	}
}
