package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

const (
	// maxWaiting bounds the consumers that wait to be started.
	maxWaiting = 256
	// tellEvery is how often a call's record is told what a slow consumer lost.
	tellEvery = time.Second
)

// Config is the hub's configuration.
type Config struct {
	Consumers []Consumer
	// Wait is how long a mix waits for a side that is behind another: two sweeps and media's live wait. Default 100 ms, at
	// most 1 s.
	Wait time.Duration
	// Grace is how long a consumer has to end by itself after the end of its call. Default 5 s.
	Grace time.Duration
	// Log gets warnings about programs, and at debug what they write; nil discards.
	Log *slog.Logger
}

// Hub starts the configured consumers for calls.
type Hub struct {
	// Set by New, then constant.
	cfg    Config // without Consumers
	log    *slog.Logger
	pace   pace
	starts chan taker
	closed atomic.Bool
	// consumers are those of calls to come.
	consumers atomic.Pointer[[]Consumer]

	count counters

	// mu guards the fields below.
	mu      sync.Mutex
	running map[taker]struct{} // and those given up, while their call lives
	tallies map[string]*tally  // by name
}

// counters are Totals, counted.
type counters struct {
	late, revoked, running, open, started, restarts, givenUp, refused atomic.Int64

	answersPartial, answersFinal, answersWords, answersMalformed, answersRefused, answersRevoked, answersRepeated atomic.Int64
}

// Totals counts since start, for metrics.
type Totals struct {
	DroppedSamples int64 // lost because a consumer was too slow, or dead
	LateSamples    int64 // came after their place in a live stream was gone
	RevokedSamples int64 // a mask took back what a consumer had
	Running        int64 // programs that run
	Open           int64 // consumers of calls that have audio and have not ended, running or not
	Started        int64 // programs that were started, restarts included
	Restarts       int64
	GivenUp        int64 // consumers that were given up in a call
	Refused        int64 // times that a consumer could not even wait to be started
	Answers        Answers
}

// Answers counts what consumers' engines told.
type Answers struct {
	Partial, Final int64 // utterances
	Words          int64 // in the final ones
	Malformed      int64 // messages that could not be read
	Refused        int64 // utterances beyond what an engine may tell in a second, or of a track that has no place in its call
	Revoked        int64 // utterances that were not told, as a mask had taken back what they are about
	Repeated       int64 // utterances that were not told again, by a connection that was given again what the one before had heard
}

// Options of one call's streams.
type Options struct {
	// Notify takes events for the call's record: stream_started, stream_dropped, revoked, stream_ended, transcript, transcript_revoked. It must not block; it is
	// called from goroutines of Run and by the sink's caller: with revoked and transcript_revoked, with transcript of what was heard before its track was placed, and with
	// stream_dropped of who was never started. Nil discards.
	Notify func(call.Event)
	// Ended is called once, when no transcript comes any more: the sink has ended, and every consumer that answers has. It must not block. Nil: nobody is told.
	Ended func()
	// Archive is the call's recording, for consumers that catch up. Nil: there is none, and they don't.
	Archive Archive
}

// New checks the configuration. The hub needs no Close: it owns nothing before Run.
func New(cfg Config) (*Hub, error) {
	consumers, err := checked(cfg.Consumers)
	if err := errors.Join(err, checkWait(&cfg.Wait)); err != nil {
		return nil, err
	}
	cfg.Consumers = nil
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	h := &Hub{
		cfg: cfg, log: cfg.Log, pace: defaultPace, starts: make(chan taker, maxWaiting), running: map[taker]struct{}{}, tallies: map[string]*tally{},
	}
	if cfg.Grace > 0 {
		h.pace.grace = cfg.Grace
	}
	consumers = h.tallied(consumers)
	h.consumers.Store(&consumers)
	return h, nil
}

// checked gives consumers that are complete, or all that is wrong with them.
func checked(in []Consumer) ([]Consumer, error) {
	out := make([]Consumer, len(in))
	var errs []error
	names := map[string]int{}
	for i, c := range in {
		if err := c.check(); err != nil {
			errs = append(errs, fmt.Errorf("stream[%d]: %w", i, err))
		}
		if names[c.Name]++; names[c.Name] > 1 { // two of one program: status, metrics and events tell them apart
			c.Name += "-" + strconv.Itoa(names[c.Name])
		}
		out[i] = c
	}
	return out, errors.Join(errs...)
}

// Reload changes the consumers of calls to come; those of calls that are opened stay. On an error nothing changes. Safe from
// anywhere.
func (h *Hub) Reload(consumers []Consumer) error {
	list, err := checked(consumers)
	if err != nil {
		return err
	}
	list = h.tallied(list)
	h.consumers.Store(&list)
	return nil
}

// Run starts programs as calls need them, until ctx ends; then it treats every call as ended, awaits the programs (1.2 s for
// one that heeds the end of its input, 2.4 s for one that does not), and returns nil.
func (h *Hub) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer h.refuse()
	defer h.closed.Store(true)
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case p := <-h.starts:
			wg.Go(func() {
				h.keep(p, true)
				defer h.count.open.Add(-1)
				defer h.keep(p, false)
				p.run(ctx)
				p.ended()
				p.rest(ctx)
			})
		case <-tick.C:
			h.tell()
		case <-ctx.Done():
			return nil
		}
	}
}

// refuse has nobody wait to be started any more: Run has ended, or ends. Who puts somebody there looks at closed afterwards and calls it too, so that none is left. Safe from anywhere.
func (h *Hub) refuse() {
	for {
		select {
		case p := <-h.starts:
			h.count.open.Add(-1)
			p.never()
		default:
			return
		}
	}
}

// keep has or has not p among those that are told what they lost.
func (h *Hub) keep(p taker, runs bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if runs {
		h.running[p] = struct{}{}
	} else {
		delete(h.running, p)
	}
}

// tell puts what slow consumers lost into their calls' records.
func (h *Hub) tell() {
	for _, p := range h.takers() {
		p.report()
	}
}

// takers are those at work.
func (h *Hub) takers() []taker {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Keys(h.running))
}

// Open gives the sink that feeds all consumers that a call is for. It is attached before the call's first audio. Safe from anywhere.
func (h *Hub) Open(info call.Info, o Options) media.Sink {
	consumers := chosen(*h.consumers.Load(), &info)
	if len(consumers) == 0 || h.closed.Load() {
		if o.Ended != nil {
			o.Ended()
		}
		return discard{}
	}
	if o.Notify == nil {
		o.Notify = func(call.Event) {}
	}
	return newFeed(h, consumers, info, o)
}

// Totals gives the counters; safe from anywhere.
func (h *Hub) Totals() Totals {
	c := &h.count
	return Totals{
		DroppedSamples: h.dropped(), LateSamples: c.late.Load(), RevokedSamples: c.revoked.Load(), Running: c.running.Load(), Open: c.open.Load(), Started: c.started.Load(),
		Restarts: c.restarts.Load(), GivenUp: c.givenUp.Load(), Refused: c.refused.Load(),
		Answers: Answers{
			Partial: c.answersPartial.Load(), Final: c.answersFinal.Load(), Words: c.answersWords.Load(), Malformed: c.answersMalformed.Load(),
			Refused: c.answersRefused.Load(), Revoked: c.answersRevoked.Load(), Repeated: c.answersRepeated.Load(),
		},
	}
}

// discard is a sink for nobody.
type discard struct{}

func (discard) Write(*media.Batch)  {}
func (discard) End(call.Cause)      {}
func (discard) Pace() time.Duration { return time.Hour }
func (discard) Coded() bool         { return true }
