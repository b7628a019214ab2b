package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// link is one connection of the event feed.
type link struct {
	// Set by newLink, then constant.
	s       *Supervisor
	sock    socket
	ctx     context.Context //nolint:containedctx // read's, which has no caller that could pass one
	cancel  context.CancelFunc
	done    chan struct{} // closed when read ends
	hello   chan frame    // size 1
	answers chan frame    // size 4: answers to our requests

	// Owned by read until done is closed.
	err error // why it ended

	// Owned by the feed's run.
	details   feedDetails
	id        string // of the subscription; empty: none yet
	filters   []string
	account   bool // the filter is the account's
	disabled  []disabledFilter
	since     time.Time // when the subscription was made
	renewAt   time.Time
	beatAt    time.Time
	recovered bool

	mu     sync.Mutex    // guards the fields below
	wsc    recoveryToken // the newest
	first  int64         // sequence of the greeting
	jumped bool          // sequence numbers were missing
	heard  time.Time     // the newest message
}

func newLink(s *Supervisor, sock socket) *link {
	ctx, cancel := context.WithCancel(context.Background())
	return &link{s: s, sock: sock, ctx: ctx, cancel: cancel, done: make(chan struct{}), hello: make(chan frame, 1), answers: make(chan frame, 4)}
}

// close ends the connection and waits for read.
func (l *link) close() {
	l.cancel()
	_ = l.sock.Close() // the far side may have closed it already
	<-l.done
}

// token is what the connection can be taken up again with.
func (l *link) token() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.wsc.Token)
}

// read takes what comes until the connection ends.
func (l *link) read() {
	defer close(l.done)
	for {
		b, err := l.sock.Read(l.ctx)
		if err != nil {
			if l.err == nil {
				l.err = err
			}
			return
		}
		f, err := parseFrame(b)
		if err != nil {
			l.s.dropped("feed message", err)
			continue
		}
		l.keepToken(f)
		switch f.kind {
		case frameDetails:
			offer(l.hello, f)
		case frameRequest:
			offer(l.answers, f)
		case frameEvent:
			l.notified(f)
		case frameError:
			l.refused(f)
		default: // a heartbeat's echo, or a kind of the future
		}
	}
}

// feedError reads the error that an answer over the feed carries.
func feedError(f frame) *APIError {
	e := parseAPIError(opFeedToken, int(f.status), f.body)
	e.Op = "subscribe to events"
	return e
}

// offer hands a frame over, unless somebody sends more of them than were asked for.
func offer(c chan<- frame, f frame) {
	select {
	case c <- f:
	default:
	}
}

// refused keeps an error that no request of ours has caused, for instance that the connection's time is over. The server
// closes the connection after it.
func (l *link) refused(f frame) {
	l.err = fmt.Errorf("feed: %w", feedError(f))
	offer(l.answers, f)
	offer(l.hello, f)
}

// keepToken keeps the newest recovery token.
func (l *link) keepToken(f frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = time.Now()
	n := f.wsc.Sequence.integer()
	if f.wsc.Token == "" {
		return
	}
	if l.wsc.Token == "" {
		l.first = n
	} else if n <= l.wsc.Sequence.integer() {
		return
	}
	l.wsc = f.wsc
}

// gap says whether the place that a connection took up is behind the one where the lost connection stood. The numbers of
// single messages are not documented to be without holes, so holes within a connection say nothing.
func (l *link) gap(lost *link) bool {
	l.mu.Lock()
	first := l.first
	l.mu.Unlock()
	lost.mu.Lock()
	defer lost.mu.Unlock()
	return first > lost.wsc.Sequence.integer()+recoveryBuffer
}

// recoveryBuffer is how many messages the server keeps for a lost connection.
const recoveryBuffer = 100

func (l *link) notified(f frame) {
	ev, err := parseEvent(f.body)
	if err != nil {
		l.s.dropped("feed event", err)
		return
	}
	l.s.notified(ev)
}

// greeted waits for the server's first message: before it nothing may be sent.
func (l *link) greeted(ctx context.Context) error {
	select {
	case f := <-l.hello:
		if f.kind == frameError {
			return fmt.Errorf("feed: greeting: %w", feedError(f))
		}
		l.details = f.details()
		now := time.Now()
		l.since, l.beatAt = now, now.Add(l.details.idle/3)
		l.renewAt = now.Add(l.details.absolute - l.details.absolute/renewMargin)
		return nil
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return fmt.Errorf("feed: no greeting within %s", openWithin)
	}
}

// subscribe makes the connection's one subscription, or changes its filters.
func (l *link) subscribe(ctx context.Context, filters []string, account bool) error {
	method, path := "POST", subscribePath
	if l.id != "" {
		method, path = "PUT", subscribePath+"/"+l.id
	}
	f, err := l.request(ctx, method, path, filters)
	if err != nil {
		return err
	}
	sub := f.subscription()
	if sub.id != "" {
		l.id = sub.id
	}
	l.filters, l.account, l.disabled = filters, account, sub.disabled
	return nil
}

// request sends one request and waits for its answer; notifications may come before it.
func (l *link) request(ctx context.Context, method, path string, filters []string) (frame, error) {
	limited, cancel := context.WithTimeout(ctx, replyWithin)
	defer cancel()
	id := messageID()
	if err := l.sock.Write(limited, clientRequest(id, method, path, filters)); err != nil {
		return frame{}, err
	}
	for {
		select {
		case f := <-l.answers:
			switch {
			case f.kind == frameRequest && f.id != id:
			case f.status >= 300 || f.kind == frameError:
				return frame{}, fmt.Errorf("feed: %w", feedError(f))
			default:
				return f, nil
			}
		case <-l.done:
			return frame{}, l.err
		case <-limited.Done():
			if ctx.Err() != nil {
				return frame{}, context.Cause(ctx)
			}
			return frame{}, errors.New("feed: subscribe: no answer within " + replyWithin.String())
		}
	}
}

// alive sends what keeps the connection open and finds out whether it is.
func (l *link) alive(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, pongWithin)
	defer cancel()
	if now := time.Now(); !now.Before(l.beatAt) {
		// Pings may not count as traffic, so that the idle limit would be reached.
		l.beatAt = now.Add(l.details.idle / 3)
		if err := l.sock.Write(limited, heartbeat(messageID())); err != nil {
			return err
		}
	}
	if err := l.sock.Ping(limited); err != nil {
		if limited.Err() != nil && ctx.Err() == nil {
			return fmt.Errorf("feed: no pong within %s", pongWithin)
		}
		return err
	}
	return nil
}

// dropped notes a message that could not be read.
func (s *Supervisor) dropped(what string, err error) {
	s.mu.Lock()
	s.feedUnread++
	s.mu.Unlock()
	s.log.say(slog.LevelWarn, what, "feed message unread", slog.String("err", err.Error()))
}
