package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/call"
)

const (
	// workers are the requests of joins that may be under way at once.
	workers       = 8
	agentsEvery   = 5 * time.Minute
	deviceEvery   = time.Minute
	upkeepRetry   = 15 * time.Second
	urgentSpacing = 2 * time.Second
	calmSpacing   = 15 * time.Second // while events come, which confirm as well
	revokeTimeout = 3 * time.Second
)

// Run finds calls and joins them until ctx ends; then it revokes the login. It may be called once. Errors of RingCentral
// and of the network don't end it: they are logged, stand in Status, and are tried again.
func (s *Supervisor) Run(ctx context.Context) error {
	work := make(chan action)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() { s.serve(ctx, work) })
	}
	ready := make(chan struct{})
	group.Go(func() { s.upkeep(ctx, ready) })
	group.Go(func() { s.watch(ctx, ready) })
	if !s.cfg.NoFeed {
		group.Go(func() {
			select {
			case <-ctx.Done():
			case <-ready: // agents and device are known: one subscription has them all
				s.feed.run(ctx)
			}
		})
	}
	hooks := make(chan action) // their own workers: a slow hook must not hold up the joins
	for range hookWorkers {
		group.Go(func() { s.serve(ctx, hooks) })
	}
	s.loop(ctx, work, hooks)
	group.Wait()
	s.log.flush(true)
	return s.Close()
}

// Close revokes the login of a Supervisor that was not run; safe twice, and after Run.
func (s *Supervisor) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	s.end(ctx)
	return nil
}

// loop is the core's owner while Run lasts: it ticks it, calls the Handler and hands requests to the workers.
func (s *Supervisor) loop(ctx context.Context, work, hookWork chan<- action) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var pending, hooks []action // bounded by the core: one GET a session, one POST a join, one hook a call
	for ctx.Err() == nil {
		registered := s.registered()
		now := time.Now()
		budgets := s.budgets(now)
		barred := s.barred()
		s.mu.Lock()
		s.core.barred = barred
		s.core.afford(now, budgets)
		next := s.core.tick(now, registered...)
		actions := s.core.take()
		s.mu.Unlock()
		for _, a := range actions {
			if _, ok := a.(actHook); ok {
				hooks = append(hooks, a)
			} else if !s.tell(a) {
				pending = append(pending, a)
			}
		}
		if !next.IsZero() {
			timer.Reset(max(time.Until(next), time.Millisecond))
		}
		out, first := head(work, pending)
		hookOut, firstHook := head(hookWork, hooks)
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.C:
		case out <- first:
			pending = pending[1:]
		case hookOut <- firstHook:
			hooks = hooks[1:]
		}
	}
}

// head gives what a select needs to send the first of a queue: no channel where it is empty.
func head(work chan<- action, queue []action) (chan<- action, action) {
	if len(queue) == 0 {
		return nil, nil
	}
	return work, queue[0]
}

// kick has the loop look at the core again. It must be called without s.mu.
func (s *Supervisor) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// change does something to the core and wakes the loop.
func (s *Supervisor) change(f func(now time.Time)) {
	now := time.Now()
	s.mu.Lock()
	f(now)
	s.mu.Unlock()
	s.kick()
}

// tell logs an action or hands it to the Handler; false means that it is a request, for a worker.
func (s *Supervisor) tell(a action) bool {
	h := s.cfg.Handler
	s.observe(a)
	switch a := a.(type) {
	case actReleased, actHanded:
		s.tellPlace(a)
	case actWanted:
		s.cfg.Log.Debug("call wanted", slog.String("call", a.call.Session), slog.String("agent", a.call.Agent.Extension))
		if h != nil {
			h.Wanted(a.call)
		}
	case actGone:
		s.cfg.Log.Debug("call gone", slog.String("call", a.session), slog.String("agent", a.agent))
		if h != nil {
			h.Gone(a.session)
		}
	case actAsked:
		s.cfg.Log.Info("join asked", slog.String("call", a.session), slog.String("agent", a.agent), slog.String("mode", a.mode), slog.String("party", a.role))
	case actJoined:
		s.cfg.Log.Info("join joined", slog.String("call", a.session), slog.String("agent", a.agent), slog.String("mode", a.mode), slog.String("party", a.role))
		s.hurry()
	case actConfirmed:
		if a.seen {
			s.cfg.Log.Info("join confirmed", slog.String("call", a.session), slog.String("agent", a.agent))
		} else {
			s.log.say(slog.LevelWarn, "unconfirmed", "join not confirmed", slog.String("call", a.session), slog.String("agent", a.agent),
				slog.String("reason", "presence does not show the supervisor's party, although its dialog is up"))
		}
	case actExcused:
		s.cfg.Log.Info("call excused", slog.String("call", a.call.Session), slog.String("agent", a.call.Agent.Extension), slog.String("reason", a.rule))
		if h, ok := h.(ExcuseHandler); ok {
			h.Excused(a.call, a.rule)
		}
	case actTurned:
		s.cfg.Log.Info("join tried elsewhere", slog.String("call", a.session), slog.String("agent", a.agent), slog.String("device", s.deviceID(a.device)),
			slog.String("err", refusal(a.err).Text))
	case actProbe:
		if h, ok := h.(ProbeHandler); ok {
			h.Probe(a.device)
		}
	case actShort:
		s.cfg.Log.Error("pool too small", slog.String("reason", a.text),
			slog.String("hint", "calls are missed: more supervisors or devices are needed, see docs/sizing.md"))
	case actLearned:
		s.log.say(slog.LevelWarn, "learned", "device full", slog.String("device", s.deviceID(a.device)), slog.Int("dialogs", a.dialogs),
			slog.String("hint", "requests were granted and no INVITE came while this many dialogs were up: more devices are needed, or max_dialogs is to be set"))
	case actMoved:
		s.cfg.Log.Info("call moved", slog.String("call", a.from), slog.String("to", a.to))
		if h, ok := h.(MoveHandler); ok {
			h.Moved(a.from, a.to)
		}
	case actAgent:
		s.tellAgent(a)
	case actSilent:
		s.feedSilent(a.missed)
	case actLost:
		s.log.say(slog.LevelWarn, "events lost", "events lost", slog.String("hint", "numbers are missing among a call's events: presence is looked at, for others may be missing too"))
		s.lookNow()
	case actFailed:
		if a.look {
			return false // the worker looks first
		}
		s.failed(a)
	default:
		return false
	}
	return true
}

func (s *Supervisor) failed(a actFailed) {
	attrs := []slog.Attr{slog.String("call", a.session), slog.String("agent", a.agent), slog.String("party", a.party.Role.String()),
		slog.String("cause", string(a.cause.Code))}
	if a.err != nil {
		attrs = append(attrs, slog.String("err", a.err.Error()))
	} else {
		attrs = append(attrs, slog.String("reason", a.cause.Text))
	}
	if _, seen, ok := strings.Cut(a.cause.Text, looked); ok {
		attrs = append(attrs, slog.String("looked", seen))
	}
	if hint := hintOf(a.err); hint != "" {
		attrs = append(attrs, slog.String("hint", hint))
	}
	key := string(a.cause.Code)
	if e, ok := errors.AsType[*APIError](a.err); ok {
		key += " " + e.Op + " " + e.Code
	}
	s.log.say(slog.LevelWarn, "join "+key, "join failed", attrs...)
	if s.cfg.Handler != nil {
		s.cfg.Handler.Failed(a.session, a.cause, a.err)
		s.tellStream(a)
	}
}

// serve performs requests until ctx ends.
func (s *Supervisor) serve(ctx context.Context, work <-chan action) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-work:
			s.perform(ctx, a)
		}
	}
}

func (s *Supervisor) perform(ctx context.Context, a action) {
	switch a := a.(type) {
	case actRead:
		parties, err := s.readSession(ctx, a.session)
		o, until := judge(err, time.Now())
		if o == outcomeUnclear || o == outcomeRefused {
			s.failing("session", err)
		} else if o == outcomeDone {
			s.failing("session", nil)
		}
		s.change(func(now time.Time) { s.core.read(now, a.session, parties, o, until, err) })
	case actAsk:
		own, err := s.supervise(ctx, a)
		o, until := judge(err, time.Now())
		s.change(func(now time.Time) {
			s.core.asked(now, a.session, a.party, own, o, until, err)
			close(s.answers) // Await looks again
			s.answers = make(chan struct{})
		})
	case actHook:
		s.mu.Lock()
		hook := s.core.policy.Hook
		s.mu.Unlock()
		said := s.askHook(ctx, hook, a.call)
		s.change(func(now time.Time) { s.core.hookSaid(now, a.call.Call, said) })
	case actFailed:
		a.look = false
		if a.cause.Code == call.CodeNoInvite {
			a.cause.Text += s.deviceText(ctx, a.at)
		} else {
			a.cause.Text += s.refusalText(ctx, a)
		}
		s.change(func(time.Time) { s.core.explained(a) })
	}
}

// deviceText says what there is to know of the device when an INVITE did not come.
func (s *Supervisor) deviceText(ctx context.Context, device int) string {
	const check = "; see that the registration is this program's alone and its connection lives, and that the device has room for one call more"
	d, err := s.Device(ctx, max(0, device))
	if err != nil {
		return "; the device's status could not be read" + check
	}
	return "; RingCentral shows device " + d.ID + " as " + d.Status + check
}

// watch looks at presence, as often as configured and the request budget allows.
func (s *Supervisor) watch(ctx context.Context, ready <-chan struct{}) {
	if agents, _ := s.configuredAgents(); len(agents) == 0 { // before a group's members are known, a look shows nothing of interest
		select {
		case <-ctx.Done():
			return
		case <-ready:
		}
	}
	fails := 0
	wait := time.Duration(0)
	for {
		if !s.somebody(ctx) || !s.pause(ctx, wait, fails > 0) {
			return
		}
		pages, err := s.look(ctx)
		if ctx.Err() != nil {
			return
		}
		s.failing("presence", err)
		wait = time.Duration(pages) * s.lead().limits.spacing(groupHeavy, shareLook)
		if err == nil {
			fails = 0
			continue
		}
		wait = backoff(firstRetryWait, maxRetryWait, fails) // the budget sees to it that it is not too soon
		if fails++; fails > 1 {
			s.nextLead() // it may be this login that is refused
		}
		if _, until := judge(err, time.Now()); !until.IsZero() {
			wait = max(wait, time.Until(until))
		}
	}
}

// somebody waits until there are agents; false: ctx ended.
func (s *Supervisor) somebody(ctx context.Context) bool {
	for ctx.Err() == nil {
		if agents, groups := s.configuredAgents(); len(agents)+len(groups) > 0 || s.byHand() {
			return true
		}
		select {
		case <-ctx.Done():
		case <-s.urge:
		}
	}
	return false
}

// pause waits until the next look is due: after Poll, or Check while events come, and not before least has passed; or
// earlier if a new dialog is to be confirmed, or events were lost.
func (s *Supervisor) pause(ctx context.Context, least time.Duration, failed bool) bool {
	start := time.Now()
	if least == 0 {
		return ctx.Err() == nil // the first
	}
	for {
		s.mu.Lock()
		every, spacing := s.cfg.Poll, urgentSpacing
		if !s.core.feed.since.IsZero() && !s.core.feed.silent {
			every, spacing = s.cfg.Check, calmSpacing
		}
		urgent := s.core.unconfirmed()
		if !urgent.IsZero() {
			// One look serves all dialogs that wait for it; the budget has more for looks than the steady ones use.
			urgent = later(urgent, start.Add(spacing))
		}
		urgent = earlier(urgent, s.lookWanted)
		s.mu.Unlock()
		left := max(every, least) - time.Since(start)
		if failed {
			left = least - time.Since(start)
		} else if !urgent.IsZero() {
			left = min(left, time.Until(urgent))
		}
		if left <= 0 {
			return ctx.Err() == nil
		}
		t := time.NewTimer(left)
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-s.urge:
			t.Stop()
		case <-t.C:
		}
	}
}

// hurry has watch think again about when to look.
func (s *Supervisor) hurry() {
	select {
	case s.urge <- struct{}{}:
	default:
	}
}

// look reads all pages of presence and gives them to the core. A look that lacks a page says nothing: a call that is
// missing there would seem to be over.
func (s *Supervisor) look(ctx context.Context) (int, error) {
	taken := time.Now()
	var records []presenceRecord
	r := request{op: opPresence, share: shareLook, query: url.Values{"detailedTelephonyState": {"true"}, "sipData": {"true"}}, patience: setupPatience}
	by := s.lead()
	pages, err := by.pages(ctx, r, func(raw json.RawMessage) (paging, error) {
		page, err := parseList[presenceRecord](raw)
		records = append(records, page...)
		return parsePaging(raw), err
	})
	if err != nil {
		return pages, err
	}
	s.shown(by, records, taken)
	s.change(func(now time.Time) {
		s.core.look(now, s.core.snapshot(records, taken))
		s.lookWanted = time.Time{}
	})
	s.refilter()
	return pages, nil
}

// upkeep keeps agents, devices and coverage known, and lets the log's held back lines out. It closes ready once the agents are
// known as well as they can be.
func (s *Supervisor) upkeep(ctx context.Context, ready chan<- struct{}) {
	var agentsAt, deviceAt time.Time
	var agentFails, deviceFails int
	for ctx.Err() == nil {
		if now := time.Now(); !now.Before(deviceAt) {
			err := s.each(func(login int) error { return s.checkDevices(ctx, login) })
			deviceAt = now.Add(again(err, deviceEvery, &deviceFails))
			s.refilter() // our own extensions may be known only now
		}
		if now := time.Now(); !now.Before(agentsAt) {
			err := s.refreshAgents(ctx)
			if agentsAt.IsZero() {
				close(ready)
			}
			err = errors.Join(err, s.each(func(login int) error { return s.refreshCoverage(ctx, login) }))
			agentsAt = now.Add(again(err, agentsEvery, &agentFails))
		}
		for _, l := range s.logins {
			l.client.auth.tidy(ctx)
		}
		s.log.flush(false)
		t := time.NewTimer(min(upkeepRetry, time.Until(earlier(agentsAt, deviceAt))))
		select {
		case <-ctx.Done():
			t.Stop()
		case <-s.reload:
			t.Stop()
			agentsAt = time.Now()
			s.hurry()
			s.lookNow()
		case <-t.C:
		}
	}
}

// again is when to read anew: soon after a failure, for the state of what failed stands in Status until then.
func again(err error, every time.Duration, fails *int) time.Duration {
	if err == nil {
		*fails = 0
		return every
	}
	*fails++
	wait := backoff(firstRetryWait, upkeepRetry, *fails-1)
	if now := time.Now(); busy(err) {
		_, until := judge(err, now)
		wait = min(max(until.Sub(now), time.Second), upkeepRetry)
	}
	return wait
}

// deviceID names a device of the pool.
func (s *Supervisor) deviceID(device int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if device < 0 || s.devices[device].device.ID == "" {
		return "unknown"
	}
	return s.devices[device].device.ID
}

// failing keeps for Status what fails at present, and logs it; nil means that it works.
func (s *Supervisor) failing(what string, err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		s.mu.Lock()
		delete(s.errs, what)
		s.mu.Unlock()
		return
	}
	text := err.Error()
	attrs := []slog.Attr{slog.String("err", text)}
	if hint := hintOf(err); hint != "" {
		text += "; " + hint
		attrs = append(attrs, slog.String("hint", hint))
	}
	s.mu.Lock()
	s.errs[what] = text
	s.mu.Unlock()
	s.log.say(slog.LevelWarn, "failing "+what, "ringcentral not read", attrs...)
}
