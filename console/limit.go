package console

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// limited is a listener that lets so many connections live at a time: nobody can use up our descriptors, which calls need. One more takes the place of the
// oldest that asks for nothing at the moment, so that who only connects does not keep health checks out; where all ask, it is closed.
type limited struct {
	net.Listener
	most int

	// mu guards the field below, and the connections' busy.
	mu    sync.Mutex
	conns []*placed // the oldest first
}

func limit(l net.Listener, n int) *limited { return &limited{Listener: l, most: n} }

// Accept waits for a connection that there is a place for.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p := &placed{Conn: c, in: l}
		out, fits := l.seat(p)
		if out != nil {
			_ = out.Conn.Close()
		}
		if fits {
			return p, nil
		}
		_ = c.Close()
	}
}

// seat gives a connection a place, that of another if there is no other.
func (l *limited) seat(p *placed) (out *placed, fits bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.conns) >= l.most {
		for i, c := range l.conns {
			if !c.busy {
				out = c
				l.conns = append(l.conns[:i], l.conns[i+1:]...)
				break
			}
		}
		if out == nil {
			return nil, false
		}
	}
	l.conns = append(l.conns, p)
	return out, true
}

// placed gives its place back when it is closed.
type placed struct {
	net.Conn
	in   *limited
	busy bool // a request is being served
}

func (p *placed) Close() error {
	p.in.mu.Lock()
	for i, c := range p.in.conns {
		if c == p {
			p.in.conns = append(p.in.conns[:i], p.in.conns[i+1:]...)
			break
		}
	}
	p.in.mu.Unlock()
	return p.Conn.Close()
}

func (p *placed) serves(on bool) {
	p.in.mu.Lock()
	defer p.in.mu.Unlock()
	p.busy = on
}

type placedKey struct{}

// noteConn is http.Server.ConnContext: it lets keepPlace find the connection's place, under TLS too.
func noteConn(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = t.NetConn()
	}
	p, _ := c.(*placed)
	return context.WithValue(ctx, placedKey{}, p)
}

// keepPlace has a connection keep its place while a request of it is served.
func keepPlace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, _ := r.Context().Value(placedKey{}).(*placed); p != nil {
			p.serves(true)
			defer p.serves(false)
		}
		next.ServeHTTP(w, r)
	})
}
