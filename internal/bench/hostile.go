package bench

import (
	"bufio"
	"context"
	"io"
	"net"
	"time"
)

// conductCount is how many ways there are to be hostile.
const conductCount = 4

// conducts are what becomes of second consumers, each of a quarter of the tracks.
var conducts = [conductCount]struct {
	name string
	do   func(*consumers, net.Conn)
}{
	{"hang", (*consumers).hang},
	{"crawl", (*consumers).crawl},
	{"reset", (*consumers).reset},
	{"flood", (*consumers).flood},
}

const (
	// hangsFor is how long one that hangs keeps a connection on which it reads nothing: longer than a write of ours is waited for.
	hangsFor = 20 * time.Second
	// One that crawls takes an eighth of what comes.
	crawlOctets = 1024
	crawlEvery  = 500 * time.Millisecond
	// floodOctets is what one that floods sends at a time, as fast as it is taken.
	floodOctets = 64 << 10
)

// second reads like a good consumer until the turn, then does what is its part.
func (c *consumers) second(conn net.Conn) {
	r := bufio.NewReaderSize(conn, 64)
	track, err := c.whose(r)
	if err != nil {
		return
	}
	for b := make([]byte, readOctets); ; {
		select {
		case <-c.turned:
			i := track % len(conducts)
			c.attacks[i].Add(1)
			conducts[i].do(c, conn)
			return
		default:
		}
		if _, err := r.Read(b); err != nil {
			return
		}
	}
}

func (c *consumers) hang(net.Conn) { pause(c.ctx, hangsFor) }

func (c *consumers) crawl(conn net.Conn) {
	for b := make([]byte, crawlOctets); ; pause(c.ctx, crawlEvery) {
		if _, err := io.ReadFull(conn, b); err != nil {
			return
		}
	}
}

// reset leaves what was sent to it unread: the kernel tells the far side that it was.
func (*consumers) reset(net.Conn) {}

func (c *consumers) flood(conn net.Conn) {
	ctx, stop := context.WithCancel(c.ctx)
	defer stop()
	c.work.Go(func() {
		for b := make([]byte, floodOctets); ctx.Err() == nil; {
			n, err := conn.Write(b)
			c.flooded.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	_, _ = io.Copy(io.Discard, conn)
	_ = conn.Close() // frees the write
}
