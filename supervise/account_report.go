package supervise

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// The questions that a [Report] answers.
const (
	AskCalls   = "calls"
	AskDevices = "devices"
	AskGroups  = "groups"
)

// Report is what one login shows of one question, as plain data. The lists of other questions are nil.
type Report struct {
	Owner   Person            `json:"owner"`          // the login's user; empty where he may not be known
	Taken   time.Time         `json:"taken,omitzero"` // when RingCentral was asked
	Calls   []AccountCall     `json:"calls,omitzero"`
	Devices []Device          `json:"devices,omitzero"`
	Groups  []MonitoringGroup `json:"groups,omitzero"`
	Error   string            `json:"error,omitempty"` // RingCentral's code and text, as it gave them
	Hint    string            `json:"hint,omitempty"`  // what to do about it
}

// Reports asks every login the same question, at once.
func Reports(ctx context.Context, accounts []*Account, question string) []Report {
	out := make([]Report, len(accounts))
	var wg sync.WaitGroup
	for i, a := range accounts {
		wg.Go(func() { out[i] = a.report(ctx, question) })
	}
	wg.Wait()
	return out
}

func (a *Account) report(ctx context.Context, question string) Report {
	var r Report
	var err error
	switch question {
	case AskCalls:
		r.Calls, r.Taken, err = a.Calls(ctx)
	case AskDevices:
		r.Devices, r.Taken, err = a.Devices(ctx)
	case AskGroups:
		r.Groups, r.Taken, err = a.Groups(ctx)
	default:
		err = fmt.Errorf("%q: want %s, %s or %s", question, AskCalls, AskDevices, AskGroups)
	}
	if err != nil {
		r.Error, r.Hint = err.Error(), hintFor(err)
		r.Taken = time.Time{}
	}
	if _, ok := errors.AsType[*loginError](err); !ok {
		r.Owner, _ = a.Owner(ctx) // who may not read himself can still read the rest
	}
	return r
}

// hintFor is hintOf, with what to do about a used-up budget.
func hintFor(err error) string {
	if b, ok := errors.AsType[*busyError](err); ok {
		return fmt.Sprintf("the daemon's joins come first: ask again in %s", max(time.Second, time.Until(b.until).Round(time.Second)))
	}
	return hintOf(err)
}
