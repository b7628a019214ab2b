package trunk

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Stream is the media of one m= line: a port of its own, what is sent to the device, and what came from it. All methods are
// safe for concurrent use.
type Stream struct {
	// Set by Invite, then constant.
	t    *Trunk
	name string // for violations: call and line
	line Line

	// mu guards the fields below. It is held while a datagram is written: a UDP write does not wait for its receiver.
	mu       sync.Mutex
	port     *mediaPort
	next     *mediaPort // of a re-INVITE whose answer is not here yet
	agreed   agreed
	ready    bool // agreed is set
	unsure   bool // a re-INVITE is under way: keys may already be the new ones
	stopped  bool
	quiet    bool // by Pause
	early    []earlyDatagram
	in, was  *srtpContext // was: the keys before the last re-INVITE, for what is still on its way
	out      *srtpContext
	sender   sender
	received Received
	reports  []Report
	told     int // violations
}

// mediaPort is a socket and the address that it latched on.
type mediaPort struct {
	conn   *net.UDPConn
	remote netip.AddrPort
}

type earlyDatagram struct {
	port *mediaPort
	from netip.AddrPort
	b    []byte
}

// maxEarly bounds what is kept of media that overtakes the 200.
const maxEarly = 32

// Packet is one RTP packet as it went out, or would have.
type Packet struct {
	Seq       uint16
	Timestamp uint32
	SSRC      uint32
	Pos       int64 // index of its first octet on the source
	Octets    int   // of payload
	Delivered bool  // false: it was lost by Impairment.Loss, or the stream ended before it was due
	Count     int   // how often it was sent: 2 when duplicated
	At        time.Time
}

// Received counts what the device sent on one stream.
type Received struct {
	Packets     int64 // RTP packets taken
	NonSilent   int64 // of them, with an audible octet: each a violation
	Events      int64 // of them, telephone-events: each a violation
	Rejected    int64 // datagrams that were no RTP, or whose SRTP tag was wrong
	First, Last time.Time
}

// openStream binds the stream's port: even, as RFC 3550 section 11 wants it.
func (t *Trunk) openStream(name string, line Line) (*Stream, error) {
	port, err := t.openPort()
	if err != nil {
		return nil, err
	}
	if line.Source == nil {
		line.Source = Pattern(0)
	}
	if line.Plan.Ptime <= 0 {
		line.Plan.Ptime = 20 * time.Millisecond
	}
	s := &Stream{t: t, name: name, line: line, port: port}
	seed := line.Plan.Seed
	if seed == 0 {
		seed = 1
	}
	s.sender = sender{rng: rand.New(rand.NewPCG(uint64(seed), 0)), rtcpIndex: randomIndex()}
	return s, nil
}

// openPort looks for an even port; where the kernel gives odd ones only it takes that.
func (t *Trunk) openPort() (*mediaPort, error) {
	var odd []*net.UDPConn
	defer func() {
		for _, c := range odd {
			_ = c.Close()
		}
	}()
	for {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(t.cfg.MediaIP, 0)))
		if err != nil {
			return nil, fmt.Errorf("stream: port: %w", err)
		}
		if portOf(conn)%2 == 0 || len(odd) == 16 {
			return &mediaPort{conn: conn}, nil
		}
		odd = append(odd, conn)
	}
}

func portOf(c *net.UDPConn) uint16 { return c.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

// Sent is a copy of all that went out, or was lost on purpose, in order of sequence.
func (s *Stream) Sent() []Packet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sender.log)
}

// Received is what came from the device so far.
func (s *Stream) Received() Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received
}

// Law is the one that the answer chose.
func (s *Stream) Law() Law {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.agreed.law
}

// Accepted is false where the device answered with port 0.
func (s *Stream) Accepted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready && !s.agreed.refused
}

// Remote is the source the stream latched on, which is where it sends; invalid before the device's first packet.
func (s *Stream) Remote() netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.port.remote
}

// Local is the stream's own port.
func (s *Stream) Local() netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return netip.AddrPortFrom(s.t.cfg.MediaIP, portOf(s.port.conn))
}

// agree takes the outcome of an exchange, and looks again at what came before it.
func (s *Stream) agree(a agreed) {
	s.mu.Lock()
	if s.next != nil {
		// The old socket is left open by nobody: what still comes to it is lost, as when a media server moves.
		_ = s.port.conn.Close()
		s.port, s.next = s.next, nil
	}
	if a.send != nil {
		if !slices.Equal(a.send, s.agreed.send) || a.suite != s.agreed.suite {
			s.out = newSRTP(a.suite, a.send)
			s.sender.rekeyed()
		}
		if !slices.Equal(a.reply, s.agreed.reply) || a.suite != s.agreed.suite {
			s.was, s.in = s.in, newSRTP(a.suite, a.reply)
		}
	}
	s.agreed, s.ready, s.unsure = a, true, false
	early := s.early
	s.early = nil
	s.mu.Unlock()
	for _, e := range early {
		s.datagram(e.port, e.from, e.b)
	}
}

// renewPort opens a second port for a re-INVITE, which replaces the first with its answer.
func (s *Stream) renewPort() (*mediaPort, error) {
	port, err := s.t.openPort()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.next != nil {
		_ = port.conn.Close()
		return nil, ErrEnded
	}
	s.next = port
	return port, nil
}

// pending tells that a re-INVITE is under way, or that it came to nothing.
func (s *Stream) pending(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsure = on
	if !on && s.next != nil {
		_ = s.next.conn.Close()
		s.next, s.early = nil, nil
	}
}

// Pause stops the packets, or lets them go on; timestamps, and the index on the source, go on in any case.
func (s *Stream) Pause(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet = on
}

// stop sends what was delayed, then nothing more. It is safe twice; the port stays open until closePorts.
func (s *Stream) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.stopped = true
		s.flush(time.Now())
	}
}

func (s *Stream) closePorts() {
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.port.conn.Close()
	if s.next != nil {
		_ = s.next.conn.Close()
	}
}

// heard is when the device's last packet came.
func (s *Stream) heard() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received.Last
}
