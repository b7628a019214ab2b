package supervise

import (
	"net/http"
	"sync"
	"time"
)

// clockOffset is how far the server's clock is ahead of ours, as the Date header of its newest answer tells it (RFC 9110
// section 6.6.1).
type clockOffset struct {
	mu     sync.Mutex // guards the fields below
	ahead  time.Duration
	within time.Duration // what the reading may be wrong by
	known  bool
}

// note reads an answer's Date: whole seconds, written somewhere between sent and got.
func (c *clockOffset) note(h http.Header, sent, got time.Time) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	middle := sent.Add(got.Sub(sent) / 2)
	c.ahead = date.Add(time.Second / 2).Sub(middle).Round(time.Second / 10)
	c.within = got.Sub(sent)/2 + time.Second/2
	c.known = true
}

func (c *clockOffset) read() (ahead, within time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead, c.within, c.known
}
