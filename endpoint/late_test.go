package endpoint_test

import (
	"testing"
	"time"

	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
)

// TestCallThatIsFoundLateSaysSince: a call that was on before anybody listened is whole from its first sample on, and its record
// says since when it went unheard, and why.
func TestCallThatIsFoundLateSaysSince(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sim := ringsim.Start(t, ringsim.Config{Limits: plenty})
	began := time.Now()
	early, err := sim.StartCall(ringsim.CallSpec{Agent: "108"})
	if err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 10*time.Second, "two seconds of talk", func() bool { return time.Since(began) > 2*time.Second })
	_, stop := listening(t, sim, "udp", "party", dir)
	if err := early.WaitSupervised(t.Context()); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 10*time.Second, "a feed", func() bool { return sim.Subscribers() == 1 })
	prompt := begin(t, sim, ringsim.CallSpec{Agent: "109"})
	for _, c := range []*ringsim.Call{early, prompt} {
		if err := c.WaitSupervised(t.Context()); err != nil {
			t.Fatal(err)
		}
		said(t, c)
		c.Hangup()
		<-c.Done()
	}
	stop()
	rec := oracle.ByCall(t, dir)
	r := rec[early.SessionID()]
	oracle.CompareCall(t, early, r)
	switch {
	case r.State != "recorded":
		t.Errorf("state %s: all that was sent to us is there", r.State)
	case r.Late == nil:
		t.Error("the record does not say that it began late")
	case r.Late.Cause != "late" || r.Late.Text == "" || r.Late.Samples < 16000 || r.Late.Samples > int64(8000*time.Since(began).Seconds()):
		t.Errorf("late: %+v", *r.Late)
	}
	if l := rec[prompt.SessionID()].Late; l != nil {
		t.Errorf("a call that was joined by its event: late %+v", *l)
	}
}
