package vault

import (
	"context"
	"io"
	"sync"
	"time"
)

// throttle gives all workers together so many octets a second; nil does not hold anybody up.
type throttle struct {
	bytesPerSecond int64

	mu   sync.Mutex
	free time.Time // when all that was given out so far is used up
}

// slice is how much is asked for at a time.
const slice = 32 << 10

// wait waits until n octets may go.
func (t *throttle) wait(ctx context.Context, n int) error {
	if t == nil || t.bytesPerSecond <= 0 {
		return nil
	}
	now := time.Now()
	t.mu.Lock()
	if t.free.Before(now) {
		t.free = now
	}
	d := t.free.Sub(now)
	t.free = t.free.Add(time.Duration(int64(n) * int64(time.Second) / t.bytesPerSecond))
	t.mu.Unlock()
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// paced is a piece of a file as a request's body.
type paced struct {
	ctx  context.Context //nolint:containedctx // it lives as long as one request
	from *io.SectionReader
	t    *throttle
	sent func(int)
}

// Read implements io.Reader.
func (p *paced) Read(b []byte) (int, error) {
	if len(b) > slice {
		b = b[:slice]
	}
	n, err := p.from.Read(b)
	if n > 0 {
		if werr := p.t.wait(p.ctx, n); werr != nil {
			return 0, werr
		}
		p.sent(n)
	}
	return n, err
}

// Seek implements io.Seeker, which minio-go asks for before it sends.
func (p *paced) Seek(offset int64, whence int) (int64, error) { return p.from.Seek(offset, whence) }
