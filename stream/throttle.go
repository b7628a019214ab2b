package stream

import (
	"bytes"
	"io"
	"net"
	"sync"
	"time"
)

// What a consumer sends is read no faster than this: far more than any engine says, and far less than one can send that wants to keep us busy. What is
// more waits on its side, and in the end it does.
const (
	answerRate  = 256 << 10 // octets a second: an agent that speaks sends its words as fast as it makes them
	answerBurst = 64 << 10  // octets at once
	// answerLeast is what a read costs at least, however little came, and a message besides its octets: it is work too, a ping even an answer.
	answerLeast = 256
	// receiveBuffer bounds what stands in the kernel of what we did not read: left to itself, that grows to megabytes.
	receiveBuffer = 64 << 10
)

// debt is what of reading is not paid for by time yet.
type debt struct {
	// mu guards the fields below.
	mu     sync.Mutex
	octets int64
	paid   time.Time
}

// owe adds to the debt, and gives how long it takes until more may be read.
func (d *debt) owe(octets int64) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.octets = max(0, d.octets-int64(now.Sub(d.paid).Seconds()*answerRate)) + octets
	d.paid = now
	return time.Duration(max(0, d.octets-answerBurst)) * time.Second / answerRate
}

// throttled is a connection that is read at a bounded rate. One goroutine at a time calls Read; Close frees it.
type throttled struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
	debt   debt
}

// throttle bounds how fast a connection is read, and what the kernel keeps of it.
func throttle(conn net.Conn) *throttled {
	if b, ok := conn.(interface{ SetReadBuffer(n int) error }); ok {
		_ = b.SetReadBuffer(receiveBuffer) // without it only more memory is used
	}
	return &throttled{Conn: conn, closed: make(chan struct{}), debt: debt{paid: time.Now()}}
}

// Read reads when what was read before is paid for.
func (t *throttled) Read(b []byte) (int, error) {
	if d := t.debt.owe(0); d > 0 {
		t.wait(d)
	}
	n, err := t.Conn.Read(b[:min(len(b), answerBurst)])
	t.debt.owe(max(int64(n), answerLeast))
	return n, err
}

// message counts one.
func (t *throttled) message() { t.debt.owe(answerLeast) }

func (t *throttled) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.closed:
	}
}

// Close implements net.Conn.
func (t *throttled) Close() error {
	t.once.Do(func() { close(t.closed) })
	return t.Conn.Close()
}

// paced passes a program's output on no faster than a connection is read: what is more waits in its pipe, and in the end the program does. Its line is what a connection's
// message is. Write's caller, who reads the pipe, waits as long as it takes to send answerBurst, at most: the program's end must not wait for a flood to be paid for.
type paced struct {
	to   io.Writer
	debt debt
}

func slowly(to io.Writer) *paced { return &paced{to: to, debt: debt{paid: time.Now()}} }

// Write implements io.Writer.
func (p *paced) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	cost := max(int64(len(b)), answerLeast*int64(bytes.Count(b, []byte("\n"))))
	time.Sleep(p.debt.owe(min(cost, answerBurst)))
	return n, err
}
