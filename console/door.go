package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// door is what a server listens at. It may be given up, for another process, and taken back, while the server runs: what was
// accepted before goes on.
type door struct {
	mu      sync.Mutex
	in      net.Listener  // nil: given up
	changed chan struct{} // closed and replaced with each change
}

func newDoor(l net.Listener) *door { return &door{in: l, changed: make(chan struct{})} }

// listener gives the present one, nil if there is none, and what is closed when it is another.
func (d *door) listener() (net.Listener, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.in, d.changed
}

// set changes the listener and gives the one before.
func (d *door) set(l net.Listener) net.Listener {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.in
	d.in = l
	close(d.changed)
	d.changed = make(chan struct{})
	return old
}

// shut closes it.
func (d *door) shut() error {
	l := d.set(nil)
	if l == nil {
		return nil
	}
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("console: %w", err)
	}
	return nil
}

// serve serves until ctx ends, then lets the requests under way end, but not for long.
func serve(ctx context.Context, s *http.Server, d *door) error {
	done := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
		defer cancel()
		err := s.Shutdown(end)
		if err != nil {
			err = s.Close()
		}
		done <- err
	})
	err := serveDoor(ctx, s, d)
	if !stop() {
		err = <-done
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("console: %w", err)
	}
	return nil
}

// serveDoor serves each listener that the door has, one after the other, until ctx ends or one fails.
func serveDoor(ctx context.Context, s *http.Server, d *door) error {
	for ctx.Err() == nil {
		l, changed := d.listener()
		if l != nil {
			err := s.Serve(l)
			if now, _ := d.listener(); now == l {
				return err
			}
			continue // it was given up
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil
}
