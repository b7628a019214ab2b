package media

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

func TestOffsetIsFixedOnceByTheQuickestPacket(t *testing.T) {
	in := stream(1, 1, 0, 1000*ms, 100)
	for i := range in {
		if i%7 != 3 { // most come up to 30 ms late
			in[i].at += time.Duration(10+i%3*10) * ms
		}
	}
	in[90].at -= 15 * ms // quicker than any in the first 500 ms
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(1500 * ms)
	if s := r.state(); s.Placed {
		t.Errorf("placed after %v of it", 500*ms)
	}
	r.until(1540 * ms)
	if s := r.state(); !s.Placed || s.Offset != 8000 || s.OffsetMethod != OffsetArrival {
		t.Errorf("got placed %v at %d by %q, want 8000 by arrival", s.Placed, s.Offset, s.OffsetMethod)
	}
	r.until(5 * time.Second).close()
	if s := r.state(); s.Offset != 8000 {
		t.Errorf("moved to %d", s.Offset)
	}
	if es := r.tape.typed(call.EventTrackPlaced); len(es) != 1 || es[0].Facts["offset_samples"] != int64(8000) {
		t.Errorf("events: got %v", es)
	}
}

func TestShortTrackIsPlacedAtItsEnd(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(stream(1, 1, 0, 100*ms, 2)...).until(120 * ms).close()
	if s := r.state(); !s.Placed || s.Offset != 800 || !s.Ended {
		t.Errorf("got %+v, want it placed at 800", s)
	}
	r.expect("r320")
}

func TestOffsetIsNeverNegative(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams())
	r.line.live.zero = 500 * ms
	r.send(stream(1, 1, 0, 100*ms, 50)...).until(2 * time.Second).close()
	if s := r.state(); s.Offset != 0 {
		t.Errorf("offset: got %d, want 0", s.Offset)
	}
}

func TestDriftIsEstimated(t *testing.T) {
	in := stream(1, 1, 0, 100*ms, 3000)
	for i := range in { // a clock that is 100 ppm fast, and up to 15 ms of jitter
		in[i].at = 100*ms + time.Duration(i)*20*ms*9999/10000 + time.Duration(i*7%16)*ms
	}
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(61 * time.Second).close()
	if s := r.state(); s.DriftPPM < 80 || s.DriftPPM > 120 || s.OffsetEstimate < 790 || s.OffsetEstimate > 820 {
		t.Errorf("got drift %.1f ppm, offset estimate %d, want 100 and 800", s.DriftPPM, s.OffsetEstimate)
	}
}

func TestMaskHoldsBackAndReachesBackToFinal(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(stream(1, 1, 0, 100*ms, 400)...).until(4 * time.Second)
	applied := r.line.Hold(HolderPCI, 500*ms, "") // long before Final
	r.until(5 * time.Second)
	a := <-applied
	if a.State != ValveMasked || a.At != 4020*ms || a.From != 2000*ms {
		t.Errorf("mask: got %+v, want it from Final, 2 s, at 4.02 s", a)
	}
	applied = r.line.Release(HolderPCI)
	r.until(10 * time.Second)
	if a = <-applied; a.State != ValveOpen || a.From != 5020*ms {
		t.Errorf("open: got %+v, want it from 5.02 s", a)
	}
	r.close()
	r.expect("r15200 m24160 r24640")
	if c := r.state().Counts; c.MaskedSamples != 24160 || c.ReceivedSamples != 39840 {
		t.Errorf("counts: got %+v", c)
	}
	if on, off := r.tape.typed(call.EventMaskOn), r.tape.typed(call.EventMaskOff); len(on) != 1 || len(off) != 1 {
		t.Errorf("events: got %v and %v, want one each", on, off)
	}
}

func TestWhatWasSpokenUnderAMaskIsNotTakenInLate(t *testing.T) {
	in := append(delayed(stream(1, 1, 0, 100*ms, 100), 50, 800*ms), delayed(stream(1, 101, 16000, 2100*ms, 100), 30, 300*ms)...)
	r := newRig(t, Config{}).commit(plainParams()).send(without(in, 40)...).until(500 * ms)
	r.line.Hold(HolderPCI, 800*ms, "")
	r.until(1500 * ms)
	r.line.Release(HolderPCI) // the 51st packet comes after that
	r.until(1510 * ms)
	r.line.Release(HolderPCI)
	r.until(5 * time.Second).close()
	if got := r.tape.runs(1); got[:11] != "r5600 m5760" || r.state().Counts.LateSamples != 160 {
		t.Errorf("got %s, late %d", got, r.state().Counts.LateSamples)
	}
}

func TestPanicEndsOneTrackOnly(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams())
	other, port := r.open()
	commit, _, err := other.Prepare(plainParams())
	if err != nil {
		t.Fatal(err)
	}
	commit()
	r.send(stream(1, 1, 0, 100*ms, 50)...)
	for _, l := range stream(2, 1, 0, 100*ms, 50) {
		l.from = wire
		port.queue, port.now = append(port.queue, l), time.Hour
	}
	r.until(500 * ms)
	r.track.live.placer.out = nil // whatever may break
	r.until(2 * time.Second).close()
	if s := r.state(); !s.Ended || r.port.closed != 1 {
		t.Errorf("broken track: got %+v, closed %d times", s, r.port.closed)
	}
	es := r.tape.typed(call.EventTrackEnded)
	if len(es) != 2 || es[0].Facts["cause"] != string(call.CodeInternal) {
		t.Errorf("ends: got %v, want the first with cause internal", es)
	}
	if got := r.tape.runs(2); got != "r8000" {
		t.Errorf("other track: got %s, want r8000", got)
	}
	if got := r.e.Totals(); got.Panics != 1 || got.Timelines != 0 {
		t.Errorf("totals: got %+v", got)
	}
}

// brittle is a sink that panics at its nth batch.
type brittle struct {
	n, writes int
	ends      []call.Cause
}

func (b *brittle) Write(*Batch) {
	if b.writes++; b.writes == b.n {
		panic("brittle")
	}
}
func (b *brittle) End(c call.Cause) { b.ends = append(b.ends, c); panic("end") }

func TestPanicEndsOneSinkOnly(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(stream(1, 1, 0, 100*ms, 50)...)
	b := &brittle{n: 3}
	r.line.Attach(b)
	r.until(2 * time.Second).close()
	r.expect("r8000")
	if b.writes != 3 || len(b.ends) != 1 || b.ends[0].Code != call.CodeInternal {
		t.Errorf("got %d writes, ends %v", b.writes, b.ends)
	}
}

func TestDetachEndsTheSink(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(stream(1, 1, 0, 100*ms, 50)...)
	second := newTape(t)
	detach := r.line.Attach(second)
	r.until(500 * ms)
	detach(call.Cause{Code: call.CodeReleased})
	detach(call.Cause{Code: call.CodeDisk})
	r.until(2 * time.Second).close()
	if len(second.ended) != 1 || second.ended[0].Code != call.CodeReleased {
		t.Errorf("ends: got %v, want one, released", second.ended)
	}
	late := newTape(t)
	r.line.Attach(late)
	r.until(r.now + 20*ms)
	if len(late.ended) != 1 || late.ended[0].Code != call.CodeHangup {
		t.Errorf("attached after Close: got ends %v, want the timeline's cause", late.ended)
	}
}

func TestEventsComeInOrderAndOverflowIsTold(t *testing.T) {
	r := newRig(t, Config{})
	taken := 0
	for range mailboxEvents + 100 {
		if r.line.Post(call.Event{Type: call.EventHold}) {
			taken++
		}
	}
	stamp := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r.until(20 * ms)
	r.line.Post(call.Event{Type: call.EventResume, Time: stamp, Call: "other"})
	r.until(time.Second).close()
	if got := len(r.tape.typed(call.EventHold)); got != taken || taken >= mailboxEvents+1 || taken < mailboxEvents-10 {
		t.Errorf("events: got %d, taken %d", got, taken)
	}
	es := r.tape.typed(call.EventDropped)
	if len(es) != 1 || es[0].Facts["events"] != int64(mailboxEvents+100-taken) {
		t.Errorf("dropped: got %v", es)
	}
	if e := r.tape.typed(call.EventResume)[0]; !e.Time.Equal(stamp) || e.Call != "other" {
		t.Errorf("event: got %v of %q", e.Time, e.Call)
	}
	if got := r.e.Totals().DroppedEvents; got != int64(mailboxEvents+100-taken) {
		t.Errorf("totals: got %d dropped events", got)
	}
}

func TestFinalMovesOnWithoutAudio(t *testing.T) {
	r := newRig(t, Config{}).until(10 * time.Second)
	if r.tape.final < 7*time.Second || r.tape.batches < 18 || r.tape.batches > 25 {
		t.Errorf("after 10 s: got Final %v, %d batches", r.tape.final, r.tape.batches)
	}
}

func TestSetPartyStandsInTheState(t *testing.T) {
	r := newRig(t, Config{})
	r.line.SetParty(1, call.Party{ID: "p-1", Role: call.RoleAgent})
	r.line.SetParty(9, call.Party{ID: "p-9"})
	r.until(20 * ms)
	if s := r.state(); s.Party.ID != "p-1" || s.Party.Role != call.RoleAgent {
		t.Errorf("got %+v", s.Party)
	}
}

func TestBurstIsGivenOutInSeveralBatches(t *testing.T) {
	var in []letter
	for i := range 500 { // 80 ms each: 320,000 samples at once, more than one batch holds
		in = append(in, letter{at: 100 * ms, octets: spec{ssrc: 1, seq: uint16(i), ts: uint32(i * 640), n: 640}.marshal()})
	}
	r := newRig(t, Config{}).commit(plainParams()).send(in...).until(time.Second).close()
	r.expect("r320000")
}

func TestConfigIsChecked(t *testing.T) {
	for name, c := range map[string]Config{
		"shards":    {Shards: -1},
		"sweep":     {Sweep: time.Second},
		"live wait": {LiveWait: 2 * time.Second},
		"archive":   {ArchiveWindow: 50 * ms},
		"keepalive": {Keepalive: 1},
		"ports":     {PortMin: 5001, PortMax: 5002},
		"backwards": {PortMin: 5010, PortMax: 5000},
		"half":      {PortMax: 5000},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestAfterTheEndNothingHangs(t *testing.T) {
	e, err := New(Config{Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	line, err := e.NewTimeline(call.Info{ID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	before := newTape(t)
	line.Attach(before)
	e.shards[0].shutDown(time.Now(), errors.New("why"))
	after := newTape(t)
	line.Attach(after)(call.Cause{})
	if !slices.Equal(before.ended, []call.Cause{{Code: call.CodeShutdown, Text: "why"}}) || len(after.ended) != 1 {
		t.Errorf("ends: got %v and %v", before.ended, after.ended)
	}
	if _, ok := <-line.Hold(HolderPCI, 0, ""); ok {
		t.Error("Hold: got an answer")
	}
	<-line.Close(call.Cause{})
	if line.Post(call.Event{}) {
		t.Error("Post: taken")
	}
	if _, err := e.NewTimeline(call.Info{}); !errors.Is(err, ErrEnded) {
		t.Errorf("NewTimeline: got %v", err)
	}
}
