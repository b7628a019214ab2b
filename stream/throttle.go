package stream

import (
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

// throttled is a connection that is read at a bounded rate. One goroutine at a time calls Read; Close frees it.
type throttled struct {
	net.Conn
	closed chan struct{}
	once   sync.Once

	// mu guards the fields below.
	mu   sync.Mutex
	debt int64 // octets that were read and are not paid for by time
	paid time.Time
}

// throttle bounds how fast a connection is read, and what the kernel keeps of it.
func throttle(conn net.Conn) *throttled {
	if b, ok := conn.(interface{ SetReadBuffer(n int) error }); ok {
		_ = b.SetReadBuffer(receiveBuffer) // without it only more memory is used
	}
	return &throttled{Conn: conn, closed: make(chan struct{}), paid: time.Now()}
}

// Read reads when what was read before is paid for.
func (t *throttled) Read(b []byte) (int, error) {
	if over := t.owe(0) - answerBurst; over > 0 {
		t.wait(time.Duration(over) * time.Second / answerRate)
	}
	n, err := t.Conn.Read(b[:min(len(b), answerBurst)])
	t.owe(max(int64(n), answerLeast))
	return n, err
}

// message counts one.
func (t *throttled) message() { t.owe(answerLeast) }

// owe adds to the debt, and gives what is left of it at this moment.
func (t *throttled) owe(octets int64) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	t.debt = max(0, t.debt-int64(now.Sub(t.paid).Seconds()*answerRate)) + octets
	t.paid = now
	return t.debt
}

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
