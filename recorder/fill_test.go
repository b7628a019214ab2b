package recorder_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// lossyTalk is a random track of all kinds; some lost packets come late.
func lossyTalk(rnd *rand.Rand, k *talker) (frames []media.Frame) {
	frames = append(frames, k.speaks(30)...)
	for range 100 {
		switch rnd.IntN(6) {
		case 0:
			frames = append(frames, k.frame(media.KindGap, 1+rnd.IntN(900)))
		case 1:
			frames = append(frames, k.frame(media.KindMasked, 1+rnd.IntN(300)))
		default:
			n := 160 * (1 + rnd.IntN(5))
			pos := int64(len(k.kinds))
			frames = append(frames, k.frame(media.KindLost, n))
			frames = append(frames, k.speaks(1+rnd.IntN(4))...)
			if rnd.IntN(3) == 0 {
				frames = append(frames, k.behind(media.KindLate, pos+160*rnd.Int64N(int64(n/160)), 160))
			}
		}
		frames = append(frames, k.speaks(1+rnd.IntN(4))...)
	}
	return frames
}

// TestConcealmentChangesNothingThatCame: nor a pause, a mask or a word of the manifest; it stands only where packets are lost.
func TestConcealmentChangesNothingThatCame(t *testing.T) {
	for _, c := range []struct {
		format string
		law    media.Law
	}{{recorder.FormatWAV, media.LawPCMU}, {recorder.FormatMulaw, media.LawPCMU}, {recorder.FormatWAV, media.LawPCMA}} {
		t.Run(c.format+" "+c.law.String(), func(t *testing.T) {
			s, _ := start(t, recorder.Config{Format: c.format, Fill: recorder.FillConceal, Buffer: time.Minute})
			r := open(t, s, stereoInfo("s-fill"))
			customer, agent := newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, 777)
			customer.Law, agent.Law = c.law, c.law
			rnd := rand.New(rand.NewPCG(5, 6))
			left, right := lossyTalk(rnd, customer), lossyTalk(rnd, agent)
			for i := range max(len(left), len(right)) { // a frame of each in a batch: lost and what follows need not come together
				var b []media.Frame
				if i < len(left) {
					b = append(b, left[i])
				}
				if i < len(right) {
					b = append(b, right[i])
				}
				r.Write(batch(time.Duration(i)*time.Millisecond, b, customer, agent))
			}
			customer.Ended, agent.Ended = true, true
			r.Write(batch(time.Second, nil, customer, agent))
			res, m := seal(t, r)
			if m.Fill != recorder.FillConceal || res.State != recorder.StateRecorded {
				t.Errorf("fill %q, state %s: want conceal, recorded", m.Fill, res.State)
			}
			w, length := readWave(t, res.Dir), max(customer.end(), agent.end())
			for ch, k := range []*talker{customer, agent} {
				checkSpans(t, m.Tracks[ch], k)
				checkConcealed(t, w.pcm(ch), expect(length, k), k)
			}
		})
	}
}

// checkConcealed compares a channel with what silence for all that is lost would be.
func checkConcealed(t *testing.T, got, silent []int16, k *talker) {
	t.Helper()
	if len(got) != len(silent) {
		t.Fatalf("got %d samples, want %d", len(got), len(silent))
	}
	concealed := 0
	for i := range got {
		if got[i] == silent[i] {
			continue
		}
		if kind := k.kindAt(int64(i) - k.Offset); kind != lost {
			t.Fatalf("sample %d (%s): got %d, want %d", i, kind, got[i], silent[i])
		}
		concealed++
	}
	if concealed < 1000 {
		t.Errorf("%d samples of concealment, want more than 1000", concealed)
	}
}

// TestNothingOfAMaskIsHeardInConcealment: what a mask took back is not what a lost packet after it is filled with.
func TestNothingOfAMaskIsHeardInConcealment(t *testing.T) {
	s, _ := start(t, recorder.Config{Fill: recorder.FillConceal})
	r := open(t, s, monoInfo("pci"))
	k := newTalker(1, call.RoleMix, 0)
	frames := k.speaks(40)
	frames = append(frames, k.behind(media.KindMasked, 5000, 1400), k.frame(media.KindLost, 160), k.frame(media.KindReceived, 160))
	frames = append(frames, k.frame(media.KindMasked, 160), k.frame(media.KindLost, 160), k.frame(media.KindReceived, 160))
	k.Ended = true
	r.Write(batch(time.Second, frames, k))
	res, _ := seal(t, r)
	sameSamples(t, "mono", readWave(t, res.Dir).pcm(0), expect(int64(len(k.kinds)), k))
}
