package stream

import "time"

// pace is how long things may take; tests are quicker.
type pace struct {
	grace    time.Duration // from the end of the call to SIGTERM
	term     time.Duration // from SIGTERM to SIGKILL
	hurry    time.Duration // at most for each of the two once Run is to end
	backoff  time.Duration // before the first restart; doubles
	longest  time.Duration // back-off's bound
	steady   time.Duration // a program that ran so long has not failed in a row, nor a connection that hangs then
	settled  time.Duration // what held so long is made anew soon
	prompt   time.Duration // the longest back-off of a connection that catches up, in the first promptly of an outage
	promptly time.Duration
	write    time.Duration // for which a connection may take no octet; then it is taken for dead, and made anew
	renew    time.Duration // after which a session that may not last is to be made anew
	pipeWait time.Duration // for what an ended program's children still write
	rate     int64         // of a catching up, see catchUpRate
}

// forCatchUp is the pace of a consumer that catches up: it was there, so it is expected back soon.
func (p pace) forCatchUp() pace {
	p.settled = min(p.settled, 2*p.prompt)
	return p
}

var defaultPace = pace{
	grace: 5 * time.Second, term: 2 * time.Second, hurry: 1200 * time.Millisecond, backoff: 500 * time.Millisecond, longest: 30 * time.Second, steady: time.Minute, settled: 5 * time.Second, prompt: 500 * time.Millisecond, promptly: 30 * time.Second, write: 5 * time.Second,
	renew: renewAfter, pipeWait: time.Second, rate: catchUpRate,
}

// restarts decides whether an ended program is started again. It is pure.
type restarts struct {
	policy string
	most   int
	pace   pace

	inRow int
	delay time.Duration
}

// next gives the wait before the next start. again is false when there is none; givenUp then tells that there would be, had
// it not failed too often.
func (r *restarts) next(failed bool, ran time.Duration) (wait time.Duration, again, givenUp bool) {
	if r.policy == RestartNever || (r.policy == RestartOnFailure && !failed) {
		return 0, false, false
	}
	if ran >= r.pace.settled {
		r.delay = 0
	}
	if ran >= r.pace.steady {
		r.inRow = 0
	}
	if r.inRow >= r.most {
		return 0, false, true
	}
	r.inRow++
	r.delay = min(max(2*r.delay, r.pace.backoff), r.pace.longest)
	return r.delay, true, false
}
