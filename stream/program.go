package stream

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
)

// Why a program's stream ended; the reason of stream_ended.
const (
	endedCall    = "call_ended" // it ended after its input had
	endedExit    = "exited"     // it ended by itself, without an error
	endedRenewed = "renewed"    // another connection goes on from there
	endedFailed  = "failed"     // it ended with an error, or could not be started
	endedKilled  = "killed"     // it did not end after its input had
	endedGivenUp = "given_up"   // it failed too often
)

// program is one consumer of one call or track: a ring, and the process that reads it, started again as configured.
type program struct {
	outlook
	env []string // set by newProgram, then constant
	// encoder serves one process after the other: what it holds back goes to the next. Owned by run, and by pump meanwhile.
	encoder *encoder
}

func newProgram(o outlook, env []string) *program {
	return &program{outlook: o, env: env, encoder: o.makeEncoder()}
}

// outcome is how one process ended.
type outcome struct {
	reason string
	err    error
	stderr string // its last line
	ran    time.Duration
}

// run keeps the process going until the call ends, or it is given up.
func (p *program) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, p.ring.hurry)
	defer stop()
	defer p.ring.letGo()
	r := restarts{policy: p.consumer.Restart, most: max(0, p.consumer.MaxRestarts), pace: p.hub.pace}
	if p.ring.past != nil {
		r.pace = r.pace.forCatchUp()
	}
	for {
		from := p.from()
		o := p.once(ctx)
		if o.reason == endedCall || o.reason == endedKilled {
			p.leave(o, 0)
			return
		}
		var wait time.Duration
		again, givenUp := false, false
		if !p.ringEnded() || p.ring.past != nil && ctx.Err() == nil {
			wait, again, givenUp = r.next(o.reason == endedFailed, o.ran)
		}
		if givenUp {
			p.hub.count.givenUp.Add(1)
			o.reason = endedGivenUp
		}
		p.leave(o, wait)
		if !again || !p.pause(ctx, wait) {
			return
		}
		if overlap := p.consumer.overlapSamples(p.channels); p.ring.past != nil && overlap > 0 {
			p.ring.rewind(overlap+p.encoder.held(), from)
			p.encoder = p.makeEncoder()
		}
		p.hub.count.restarts.Add(1)
	}
}

// from is the position of the first sample that the next process is given.
func (p *program) from() int64 { return p.ring.resume(p.encoder) }

// pause waits before a restart; false: the call ended meanwhile, and what the program lacks of it is lost.
func (p *program) pause(ctx context.Context, wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	over := p.ring.ended
	if p.ring.past != nil {
		over = nil
	}
	select {
	case <-t.C:
		return true
	case <-over:
	case <-ctx.Done():
	}
	p.giveUp(p.encoder)
	return false
}

// once runs the process to its end. The goroutines it starts end before it does.
func (p *program) once(ctx context.Context) outcome {
	began := time.Now()
	fail := func(err error) outcome { return outcome{reason: endedFailed, err: err, ran: time.Since(began)} }
	in, audio, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	defer func() { _ = audio.Close() }() // closed below, in good order; this is for early returns
	// What kills a process must outlive ctx: at its end the process still has its grace.
	life, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	p.hearing.begin()
	defer p.hearing.end()
	var out io.Writer = p.lines("stdout")
	if p.hearing != nil {
		said := &answerLines{hearing: p.hearing}
		defer said.end()
		out = said
	}
	errs := p.lines("stderr")
	cmd := exec.CommandContext(life, p.consumer.Command[0], p.consumer.Command[1:]...) //nolint:gosec // the user's own program
	cmd.Env = append(slices.Clone(p.env), "CALL_FROM_SAMPLES="+strconv.FormatInt(p.from(), 10))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, slowly(out), slowly(errs)
	cmd.WaitDelay = p.hub.pace.pipeWait
	ownGroup(cmd)
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		return fail(err)
	}
	defer p.connected()()

	var wg sync.WaitGroup
	exited := make(chan struct{})
	var quit atomic.Bool
	wg.Go(func() { err = cmd.Wait(); close(exited) })
	given := make(chan struct{})
	wg.Go(func() { defer close(given); p.pump(audio, &quit) })
	p.awaitAudio(ctx, exited, given)
	forced := p.await(ctx, cmd, exited, kill)
	quit.Store(true)
	p.ring.stir()
	_ = audio.Close() // frees a write that hangs
	wg.Wait()
	return outcomeOf(err, forced, p.ringEnded() && !p.cutOff(err), errs.lastLine(), time.Since(began))
}

// outcomeOf names the way a process ended.
func outcomeOf(err error, forced, callEnded bool, stderr string, ran time.Duration) outcome {
	o := outcome{reason: endedExit, err: err, stderr: stderr, ran: ran}
	if errors.Is(err, exec.ErrWaitDelay) { // it ended well, a child of its own holds its output
		o.err = nil
	}
	switch {
	case forced:
		o.reason = endedKilled
	case callEnded:
		o.reason = endedCall
	case o.err != nil:
		o.reason = endedFailed
	}
	return o
}

// cutOff tells whether a process ended before it can have had what there is for it, and may have it still: it was slain, or did not take all.
func (p *program) cutOff(err error) bool {
	e, ok := errors.AsType[*exec.ExitError](err)
	return ok && p.ring.past != nil && (!e.Exited() || !p.ring.empty())
}

// awaitAudio lets a process that catches up have what it missed, also when the call has ended, for as long as it takes some, but not for ever: its grace begins then.
func (p *program) awaitAudio(ctx context.Context, exited, given <-chan struct{}) {
	if p.ring.past == nil {
		return
	}
	select {
	case <-exited:
		return
	case <-p.ring.ended:
	}
	last := time.NewTimer(catchUpWithin - p.ring.sinceEnd())
	defer last.Stop()
	tick := time.NewTicker(p.hub.pace.grace)
	defer tick.Stop()
	for at := int64(-1); at != p.ring.position(); {
		at = p.ring.position()
		select {
		case <-tick.C:
		case <-last.C:
			return
		case <-exited:
			return
		case <-given:
			return
		case <-ctx.Done():
			return
		}
	}
}

// await returns when the process has ended, and sees to it that it does after the call has. forced: it had to be told.
func (p *program) await(ctx context.Context, cmd *exec.Cmd, exited <-chan struct{}, kill func()) (forced bool) {
	defer func() { killGroup(cmd) }() // it may have left children in its group, however it ended
	select {
	case <-exited:
		return false
	case <-p.ring.ended:
	}
	if p.within(ctx, p.hub.pace.grace, exited) {
		return false
	}
	terminate(cmd)
	p.within(ctx, p.hub.pace.term, exited)
	kill() // also when it ended
	killGroup(cmd)
	<-exited
	return true
}

// within waits for done, but not for long, and less long once Run is to end: then the whole process has to be gone soon.
func (p *program) within(ctx context.Context, d time.Duration, done <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	case <-ctx.Done():
	}
	t.Reset(min(d, p.hub.pace.hurry))
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// pump writes the ring's audio to the process until the ring ends, the process takes no more, or quit.
func (p *program) pump(audio *os.File, quit *atomic.Bool) {
	ended := p.ring.relay(p.encoder, quit, func(pos int64, b []byte) bool {
		p.hearing.give(pos, len(b))
		n, err := audio.Write(b)
		p.sent(n)
		return err == nil // else it closed its input, or ended: await sees which; the ring counts what it misses, this too
	})
	if ended {
		_ = audio.Close()
	}
}

// leave tells how a process ended, and what comes next: wait > 0 is a restart.
func (p *program) leave(o outcome, wait time.Duration) {
	if wait == 0 {
		p.giveUp(p.encoder)
	}
	p.tellLost()
	facts := map[string]any{"consumer": p.consumer.Name, "reason": o.reason}
	if o.err != nil {
		facts["error"] = o.err.Error()
		p.progress.enter(StateWaiting, o.err.Error())
		if o.stderr != "" {
			facts["stderr"] = o.stderr
		}
	}
	if wait > 0 {
		facts["restart_in_ms"] = wait.Milliseconds()
	}
	p.event(call.EventStreamEnded, facts)
	log := p.hub.log.With(attr.Call(p.call), attr.Track(p.track), attr.Sink(p.consumer.Name))
	switch o.reason {
	case endedExit, endedCall:
		log.Debug("stream program ended", attr.Reason(o.reason), attr.Err(o.err))
	default:
		log.Warn("stream program failed", attr.Reason(o.reason), attr.Err(o.err), "stderr", o.stderr, "restart_in", wait)
	}
}
