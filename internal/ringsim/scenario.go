package ringsim

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// pattern is the n-th call of a scenario: forms take turns, agents too, all of real speech. The mixed form has a third
// person on the line, which is why RingCentral gives only the session's mix.
func (s *Sim) pattern(n int, length time.Duration) CallSpec {
	customer, agent := Speech()
	spec := CallSpec{CustomerAudio: customer, AgentAudio: agent, For: length, Outbound: n%2 == 1}
	if agents := s.monitored(); len(agents) > 0 {
		spec.Agent = agents[n%len(agents)]
	}
	spec.Form = []Form{FormTwoDialogs, FormTwoLines, FormMixed}[n%3]
	spec.ThirdParty = spec.Form == FormMixed
	return spec
}

// DemoCalls starts so many concurrent calls of real speech, one of each form in turn, each of that length; zero or fewer
// calls mean 3, zero or less length means 20 s. The calls are live when it returns.
func (s *Sim) DemoCalls(calls int, length time.Duration) ([]*Call, error) {
	const usualCalls, usualLength = 3, 20 * time.Second
	if calls <= 0 {
		calls = usualCalls
	}
	if length <= 0 {
		length = usualLength
	}
	out := make([]*Call, 0, calls)
	for n := range calls {
		c, err := s.StartCall(s.pattern(n, length))
		if err != nil {
			return out, fmt.Errorf("demo: call %d: %w", n+1, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// Every starts a supervisable call of real speech at once and then each period, until ctx ends; forms and agents take turns.
// A call lasts as long as length says; zero or less means twice the period.
func (s *Sim) Every(ctx context.Context, period, length time.Duration) error {
	if period <= 0 {
		return fmt.Errorf("ringsim: every: period %s: want more than 0", period)
	}
	if length <= 0 {
		length = 2 * period
	}
	t := time.NewTicker(period)
	defer t.Stop()
	for n := 0; ; n++ {
		c, err := s.StartCall(s.pattern(n, length))
		if err != nil {
			return err
		}
		s.log.Info("call waits to be supervised", slog.String("call", c.SessionID()), slog.String("agent", c.spec.Agent))
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}
