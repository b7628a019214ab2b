package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/stream"
)

// ErrNoCall is returned when there is no such call to listen to.
var ErrNoCall = errors.New("no such call")

// errWhich is returned where several calls are live and none was named.
var errWhich = errors.New("name one by its id or its agent, see `earshot status`")

// Listen writes the audio of a call to w, from now on until the call ends (nil), ctx ends, or w fails. The call is named by
// its id, or by its agent's extension; with neither it is the only live one. Where there is none yet, Listen waits
// for the next one, unless an id was given.
func (e *Endpoint) Listen(ctx context.Context, id, agent string, cfg stream.ListenConfig, w io.Writer) error {
	var heard atomic.Pointer[Call]
	cfg.Revoked = func(from, samples int64) {
		if c := heard.Load(); c != nil {
			c.post(call.Event{Type: call.EventRevoked, Facts: map[string]any{"consumer": "listener", "from_samples": from, "samples": samples}})
		}
	}
	if cfg.Since > 0 && e.store == nil {
		return errNoArchive
	}
	if cfg.Since > 0 {
		cfg.Archive = callArchive{e, &heard}
	}
	cfg.Started = func() time.Time { return e.engine.Wall(heard.Load().timeline.Zero()) }
	l, err := stream.NewListener(cfg)
	if err != nil {
		return err
	}
	c, err := e.await(ctx, id, agent)
	if err != nil {
		return err
	}
	heard.Store(c)
	if cfg.Archive != nil {
		defer e.listensBack(c.id)()
	}
	if err := c.has(cfg.Track); err != nil {
		return err
	}
	e.Note(ctx, actListen, About{Call: c.id})
	detach := c.timeline.Attach(&follower{sink: l})
	stop := context.AfterFunc(ctx, func() { l.Close() }) //nolint:errcheck // it has nothing to say
	defer stop()
	_, err = l.WriteTo(w)
	detach(call.Cause{Code: call.CodeReleased, Text: "the listener went away"})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// has tells whether the call can have such a track.
func (c *Call) has(track string) error {
	if track != stream.HearAgent && track != stream.HearCustomer {
		return nil
	}
	for _, p := range c.description().Expected {
		if p.Role.String() == track {
			return nil
		}
	}
	for _, t := range c.states() {
		if t.Party.Role.String() == track {
			return nil
		}
	}
	return fmt.Errorf("call %s has one stream, with everybody in it: listen to the mix", c.id)
}

// await finds the call, waiting for it where that makes sense.
func (e *Endpoint) await(ctx context.Context, id, agent string) (*Call, error) {
	stop := context.AfterFunc(ctx, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.joined.Broadcast()
	})
	defer stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		c, err := e.pickLocked(id, agent)
		if c != nil || err != nil {
			return c, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		e.joined.Wait()
	}
}

// pickLocked gives the call that is meant; nil and no error: none yet.
func (e *Endpoint) pickLocked(id, agent string) (*Call, error) {
	if id != "" {
		if c := e.calls[id]; c != nil && c.ready() {
			return c, nil
		}
		return nil, fmt.Errorf("%w: %q: see `earshot status`", ErrNoCall, id)
	}
	var found *Call
	for _, c := range e.calls {
		if !c.ready() || agent != "" && c.who() != agent {
			continue
		}
		if found != nil && agent == "" {
			return nil, fmt.Errorf("%d calls are live: %w", len(e.calls), errWhich)
		}
		if found == nil || c.started.After(found.started) {
			found = c
		}
	}
	return found, nil
}
