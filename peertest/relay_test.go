package peertest

import (
	"net"
	"sync"
	"testing"
)

// relay stands between earshot and its registrar, and cuts a connection in the middle of what comes next.
type relay struct {
	ln net.Listener
	to string
	wg sync.WaitGroup

	mu   sync.Mutex
	cut  direction
	cuts int
	open map[net.Conn]bool
}

// direction is whose octets are cut.
type direction int

const (
	neither direction = iota
	toEarshot
	toRegistrar
)

func newRelay(t *testing.T, at, to string) *relay {
	t.Helper()
	ln, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{ln: ln, to: to, open: map[net.Conn]bool{}}
	r.wg.Go(r.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		r.mu.Lock()
		for c := range r.open {
			_ = c.Close()
		}
		r.mu.Unlock()
		r.wg.Wait()
	})
	return r
}

func (r *relay) accept() {
	for {
		near, err := r.ln.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", r.to)
		if err != nil {
			_ = near.Close()
			continue
		}
		r.mu.Lock()
		r.open[near], r.open[far] = true, true
		r.mu.Unlock()
		r.wg.Go(func() { r.pipe(near, far, toRegistrar) })
		r.wg.Go(func() { r.pipe(far, near, toEarshot) })
	}
}

// pipe carries what from says; when it is that direction's turn to be cut, the first half of the next piece is the last.
func (r *relay) pipe(from, to net.Conn, d direction) {
	defer func() {
		_ = from.Close()
		_ = to.Close()
		r.mu.Lock()
		delete(r.open, from)
		r.mu.Unlock()
	}()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		r.mu.Lock()
		cut := n > 1 && r.cut == d
		if cut {
			r.cut = neither
			r.cuts++
		}
		r.mu.Unlock()
		if cut {
			_, _ = to.Write(b[:n/2])
			return
		}
		if _, werr := to.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

// next cuts the next piece of that direction in two.
func (r *relay) next(d direction) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = d
}

func (r *relay) cutsDone() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cuts
}
