package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/stream"
)

// The sockets of the consumers' process, behind a name that it is told: they are in no folder, whose name might be too long for one.
const (
	goodSocket   = "-good"
	secondSocket = "-second"
)

// firstLine is what a consumer is told before the audio: which call's and which track it is.
const firstLine = "{call} {track}"

// consumersOf are what the hub is configured with: a consumer for each track, and a second one where half turn hostile.
func consumersOf(socket string, second bool) []stream.Consumer {
	one := stream.Consumer{
		Type: stream.TypeUnix, Address: socket + goodSocket, First: firstLine, Per: stream.PerTrack, Message: packetTime,
	}
	if !second {
		return []stream.Consumer{one}
	}
	two := one
	two.Address = socket + secondSocket
	return []stream.Consumer{one, two}
}

// consume opens the consumers.
type consume struct {
	Socket string `json:"socket"`
	Board  string `json:"board"`
	Tracks int    `json:"tracks"`
	Loss   loss   `json:"loss,omitempty"`
}

// heard is what the good consumers had: delays since it was last asked for, samples since the beginning.
type heard struct {
	InOrder Delay `json:"in_order"`
	Behind  Delay `json:"behind"`
	Right   int64 `json:"right"`
	Wrong   int64 `json:"wrong"`
	// Attacks are connections of each conduct since the turn, Flooded what was sent back on them, in bytes.
	Attacks [conductCount]int64 `json:"attacks"`
	Flooded int64               `json:"flooded"`
}

// consumers are the third process: who takes the audio, and tells when it came.
type consumers struct {
	// Set by open, then constant.
	consume
	audio     []byte // the pattern as s16le
	board     board
	clock     clock
	ctx       context.Context //nolint:containedctx // of the connections, ended by close
	stop      context.CancelFunc
	listeners []net.Listener
	turned    chan struct{} // closed by the order to turn hostile

	work    sync.WaitGroup
	attacks [conductCount]atomic.Int64
	flooded atomic.Int64

	// mu guards the fields below.
	mu      sync.Mutex
	inOrder delays
	behind  delays
	right   int64 // octets, as wrong
	wrong   int64
}

// Consume is the consumers: it does what it is ordered on in, and answers on out, until in ends.
func Consume(in io.Reader, out io.Writer) error {
	c := &consumers{turned: make(chan struct{})}
	lines, answers := bufio.NewScanner(in), json.NewEncoder(out)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return errors.Join(fmt.Errorf("consumers: order: %w", err), c.close())
		}
		if err := answers.Encode(c.obey(o)); err != nil {
			return errors.Join(fmt.Errorf("consumers: answer: %w", err), c.close())
		}
	}
	return errors.Join(lines.Err(), c.close())
}

// obey does what an order says.
func (c *consumers) obey(o order) (r report) {
	switch {
	case o.Consume != nil && c.board == nil:
		c.consume = *o.Consume
		if err := c.open(); err != nil {
			r.Err = err.Error()
		}
	case o.Turn:
		select {
		case <-c.turned:
		default:
			close(c.turned)
		}
	case o.Hear:
		h := c.tell()
		r.Heard = &h
	default:
		r.Err = "consumers: order: none that is known"
	}
	return r
}

// open maps the board and begins to take connections.
func (c *consumers) open() error {
	var err error
	if c.clock, err = newClock(); err != nil {
		return err
	}
	if c.board, err = openBoard(c.Board, c.Tracks); err != nil {
		return err
	}
	for _, o := range newPattern() {
		c.audio = binary.LittleEndian.AppendUint16(c.audio, uint16(linear[o]))
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	for name, serve := range map[string]func(net.Conn){goodSocket: c.good, secondSocket: c.second} {
		l, err := new(net.ListenConfig).Listen(c.ctx, "unix", c.Socket+name)
		if err != nil {
			return fmt.Errorf("consumers: %w", err)
		}
		c.listeners = append(c.listeners, l)
		c.work.Go(func() { c.accept(l, serve) })
	}
	return nil
}

func (c *consumers) accept(l net.Listener, serve func(net.Conn)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		c.work.Go(func() {
			stop := context.AfterFunc(c.ctx, func() { _ = conn.Close() })
			defer stop()
			defer conn.Close() //nolint:errcheck // whatever is left of it
			serve(conn)
		})
	}
}

// close ends all connections and awaits them.
func (c *consumers) close() error {
	if c.board == nil {
		return nil
	}
	c.stop()
	for _, l := range c.listeners {
		_ = l.Close()
	}
	c.work.Wait()
	return c.board.close()
}

// tell gives what was heard, and begins the delays anew.
func (c *consumers) tell() heard {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := heard{InOrder: c.inOrder.sum(), Behind: c.behind.sum(), Right: c.right / 2, Wrong: (c.wrong + 1) / 2, Flooded: c.flooded.Load()}
	for i := range h.Attacks {
		h.Attacks[i] = c.attacks[i].Load()
	}
	c.inOrder, c.behind = delays{}, delays{}
	return h
}

// readOctets is what a consumer reads at a time: half a second.
const readOctets = 8192

// good reads a track's audio to its end, compares it with what was sent, and tells of each packet how long it was on its way.
func (c *consumers) good(conn net.Conn) {
	r := bufio.NewReaderSize(conn, 64)
	track, err := c.whose(r)
	if err != nil {
		return // then its audio is missing
	}
	at := int64(0) // octets read
	for b := make([]byte, readOctets); ; {
		n, err := r.Read(b)
		c.took(track, at, b[:n], c.clock.now())
		if at += int64(n); err != nil {
			return
		}
	}
}

// whose reads the first line.
func (c *consumers) whose(r *bufio.Reader) (track int, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	var of, id int
	if _, err := fmt.Sscanf(string(line), callName+" %d\n", &of, &id); err != nil {
		return 0, err
	}
	if track = of*tracksPerCall + id - 1; id < 1 || id > tracksPerCall || track < 0 || track >= c.Tracks {
		return 0, fmt.Errorf("consumers: %q: no track of this measurement", line)
	}
	return track, nil
}

// packetOctets are a packet's samples in s16le.
const packetOctets = 2 * packetSamples

// silence is what a stream goes on with when a track's sender has stopped and its call has not ended yet.
var silence [packetOctets]byte

// took takes octets that stand at a place in a track's stream and came at a time. What was lost on the way to us is concealed, and compared with nothing;
// silence in the place of what was sent is missing in right.
func (c *consumers) took(track int, at int64, b []byte, now time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(b) > 0 {
		packet := at / packetOctets
		part := b[:min(int64(len(b)), (packet+1)*packetOctets-at)]
		b, at = b[len(part):], at+int64(len(part))
		switch from := 2*((int64(track)*phaseStep)&(patternOctets-1)) + at - int64(len(part)); {
		case c.Loss.takes(track, packet):
			continue
		case bytes.Equal(part, c.audio[from%(2*patternOctets):][:len(part)]):
			c.right += int64(len(part))
		case bytes.Equal(part, silence[:len(part)]):
			continue
		default:
			c.wrong += int64(len(part))
			continue
		}
		if at%packetOctets != 0 {
			continue // it is not whole yet
		}
		d := now - time.Duration(atomic.LoadInt64(c.board.of(track, packet)))
		if c.Loss.behind(track, packet) {
			c.behind.add(d)
		} else {
			c.inOrder.add(d)
		}
	}
}
