package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/stream"
)

// ear is a live consumer: a socket that a stream connects to for each call.
type ear struct {
	hub    *stream.Hub
	socket net.Listener
	dir    string

	// mu guards the fields below.
	mu    sync.Mutex
	heard map[string][]byte // by call, whole
	errs  []error
}

func newEar() (*ear, error) {
	dir, err := os.MkdirTemp("", "wer")
	if err != nil {
		return nil, err
	}
	e := &ear{dir: dir, heard: map[string][]byte{}}
	address := filepath.Join(dir, "ear")
	e.hub, err = stream.New(stream.Config{Consumers: []stream.Consumer{{Type: stream.TypeUnix, Address: address, Rate: 2 * media.SampleRate, First: "{call}"}}})
	if err == nil {
		e.socket, err = new(net.ListenConfig).Listen(context.Background(), "unix", address)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return e, nil
}

// run serves until ctx ends.
func (e *ear) run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := e.socket.Accept()
			if err != nil {
				return // closed below
			}
			wg.Go(func() { e.take(conn) })
		}
	})
	err := e.hub.Run(ctx) // ends all its connections
	err = errors.Join(err, e.socket.Close())
	wg.Wait()
	return errors.Join(err, os.RemoveAll(e.dir))
}

// take reads one call's audio to its end.
func (e *ear) take(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // read to its end
	r := bufio.NewReader(conn)
	id, err := r.ReadString('\n')
	pcm, end := io.ReadAll(r)
	if err := errors.Join(err, end); err != nil {
		e.fail(err)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard[strings.TrimSpace(id)] = pcm
}

// open gives the sink of a call.
func (e *ear) open(id string) media.Sink {
	return e.hub.Open(call.Info{ID: id}, stream.Options{Notify: func(ev call.Event) {
		if ev.Type == call.EventStreamDropped {
			e.fail(fmt.Errorf("call %s lost audio on its way: %v", id, ev.Facts))
		}
	}})
}

func (e *ear) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.errs = append(e.errs, err)
}

// await gives what was heard of n calls with each fill, when all of it is there.
func (e *ear) await(ctx context.Context, n int) (map[string][][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(packetTime)
	defer tick.Stop()
	for e.count() < 2*n {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d calls were heard: %w", e.count(), 2*n, ctx.Err())
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	out := map[string][][]byte{}
	for _, fill := range []string{fillConcealed, fillSilent} {
		for i := range n {
			out[fill] = append(out[fill], e.heard[name(fill, i)])
		}
	}
	return out, errors.Join(e.errs...)
}

func (e *ear) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.heard)
}
