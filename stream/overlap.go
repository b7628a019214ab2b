package stream

import (
	"fmt"
	"time"
)

const (
	maxOverlap = 5 * time.Minute
	// pipeOctets is what a pipe holds (pipe(7)).
	pipeOctets = 64 << 10
	// shortBuffer is sendBuffer for a consumer that catches up: what waits for it is kept by the ring, and need not be given twice.
	shortBuffer = 16 << 10
	// unixOctets is what a unix socket holds: the kernel doubles what it was asked for. Measured, by a peer that reads nothing: 32,704.
	unixOctets = 2 * shortBuffer
	// tcpOctets is what a TCP connection holds: that, and what the far side's kernel takes before anybody reads (tcp(7), tcp_rmem). Measured on the loopback: 168,960.
	tcpOctets = unixOctets + 144<<10
	// handOctets is what a consumer may have read and done nothing with yet.
	handOctets = 16 << 10
)

// checkCatchUp completes what is said of catching up.
func (c *Consumer) checkCatchUp() error {
	if c.Overlap > maxOverlap {
		return fmt.Errorf("overlap: got %v, want up to %v", c.Overlap, maxOverlap)
	}
	if c.Overlap != 0 && !c.CatchUp {
		return fmt.Errorf("overlap: got %v, which goes with catch_up only", c.Overlap)
	}
	return nil
}

// sendBuffer is how much the kernel is asked to hold.
func (c *Consumer) sendBuffer() int {
	if c.CatchUp {
		return shortBuffer
	}
	return sendBuffer
}

// overlapSamples is how much is given again to a consumer that comes back: what stood in the kernel when it left was never read, and what it had in its hands was not kept.
func (c *Consumer) overlapSamples(channels int) int64 {
	if c.Overlap != 0 {
		return int64(max(0, c.Overlap) / sampleTime)
	}
	holds := tcpOctets
	switch c.Type {
	case TypeExec, TypeFIFO:
		holds = pipeOctets
	case TypeUnix:
		holds = unixOctets
	}
	size := map[string]int{FormatMulaw: 1, FormatAlaw: 1, FormatF32LE: 4}[c.Format]
	if size == 0 || c.Type == TypeTwilio { // whose mu-law is JSON and base64
		size = 2
	}
	return int64(min((holds+handOctets)/(size*channels*c.Rate/8000), int(maxOverlap/sampleTime)))
}
