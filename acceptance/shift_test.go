package acceptance

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/internal/ringsim"
)

// shift is a contact centre at work: calls begin at an even rate, with agents by chance who have none, ring, are answered,
// and end when the customer hangs up.
type shift struct {
	sim    *ringsim.Sim
	agents []string
	rate   float64       // calls a second
	length time.Duration // of a call, on average: each lasts 60 to 140 percent of it
	seed   uint64

	mu sync.Mutex
	// mu guards the fields below.
	free  []string // agents without a call
	calls []*handled
	live  int
	most  int // live calls at once
}

// handled is one call of a shift.
type handled struct {
	*ringsim.Call
	agent           string
	answered, ended time.Time // as the people on the line would say
}

// work lets calls begin for so long, and returns when the last has ended.
func (s *shift) work(ctx context.Context, t *testing.T, d time.Duration) {
	t.Helper()
	s.free = slices.Clone(s.agents)
	r := rand.New(rand.NewPCG(s.seed, 1))
	var lines sync.WaitGroup
	defer lines.Wait()
	begun := time.Now()
	for n := 0; ; n++ {
		at := time.Duration(float64(n) / s.rate * float64(time.Second))
		if at >= d || !pass(ctx, time.Until(begun.Add(at))) {
			return
		}
		who, ok := s.take(r)
		if !ok {
			t.Errorf("call %d: no agent is free", n)
			return
		}
		rings := 300*time.Millisecond + time.Duration(r.Int64N(int64(1200*time.Millisecond)))
		talks := time.Duration((0.6 + 0.8*r.Float64()) * float64(s.length))
		c, err := s.sim.StartCall(ringsim.CallSpec{Agent: who, Ringing: true, Outbound: r.IntN(3) == 0})
		if err != nil {
			t.Error(err)
			return
		}
		lines.Go(func() { s.talk(ctx, c, who, rings, talks) })
	}
}

// talk is one call from its ringing to its end.
func (s *shift) talk(ctx context.Context, c *ringsim.Call, who string, rings, talks time.Duration) {
	const pause = time.Second // between two calls of one agent
	if !pass(ctx, rings) {
		c.Hangup()
		return
	}
	h := &handled{Call: c, agent: who, answered: time.Now()}
	c.Answer()
	s.mu.Lock()
	s.calls = append(s.calls, h)
	s.live++
	s.most = max(s.most, s.live)
	s.mu.Unlock()
	pass(ctx, talks)
	ended := time.Now()
	c.Hangup()
	s.mu.Lock()
	h.ended = ended
	s.live--
	s.mu.Unlock()
	<-c.Done() // bounded: the simulator waits five seconds for an answer to its BYE
	pass(ctx, pause)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, who)
}

func (s *shift) take(r *rand.Rand) (who string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 {
		return "", false
	}
	i := r.IntN(len(s.free))
	who = s.free[i]
	s.free = slices.Delete(s.free, i, i+1)
	return who, true
}

func (s *shift) liveNow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live
}

// pass waits; false: ctx ended.
func pass(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
