package trunk

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// maxTold bounds the violations told of one stream: what repeats comes 50 times a second.
const maxTold = 5

// receive reads one port of a stream until it is closed.
func (s *Stream) receive(port *mediaPort) {
	b := make([]byte, 2048)
	for {
		n, from, err := port.conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of an earlier send
		}
		s.datagram(port, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), b[:n])
	}
}

// datagram looks at one datagram of the device, latches on its source and tells what is wrong with it.
func (s *Stream) datagram(port *mediaPort, from netip.AddrPort, b []byte) {
	if len(b) == 0 {
		return
	}
	take := s.take
	if isRTCP(b) {
		take = func(_ *mediaPort, from netip.AddrPort, b []byte) (string, int) { return s.takeRTCP(from, b) }
	}
	wrong, told := take(port, from, b)
	if wrong != "" && told <= maxTold {
		s.t.violation("%s: %s from %s", s.name, wrong, from)
	}
}

// take also gives how many violations the stream had.
func (s *Stream) take(port *mediaPort, from netip.AddrPort, b []byte) (wrong string, told int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return "", 0
	}
	if wrong = s.takeLocked(port, from, b); wrong != "" {
		s.told++
	}
	return wrong, s.told
}

func (s *Stream) takeLocked(port *mediaPort, from netip.AddrPort, b []byte) string {
	if !s.ready || port != s.port {
		// Media may overtake the 200, or its handling here.
		if len(s.early) < maxEarly {
			s.early = append(s.early, earlyDatagram{port, from, append([]byte(nil), b...)})
		}
		return ""
	}
	first := !port.remote.IsValid()
	p, ok := s.unprotect(b)
	if !ok {
		return s.reject(port, from, b, first)
	}
	port.remote = from // latched: the newest authenticated source
	now := time.Now()
	if s.received.Packets == 0 {
		s.received.First = now
	}
	s.received.Packets++
	s.received.Last = now
	if text := s.audible(p); text != "" {
		return text
	}
	if claimed := s.agreed.claimed.addr; first && s.t.cfg.Strict && claimed.Port() != from.Port() {
		return fmt.Sprintf("media, but the SDP says port %d: a device sends from the port it receives on", claimed.Port())
	}
	return ""
}

// unprotect gives the RTP packet inside a datagram.
func (s *Stream) unprotect(b []byte) (rtpPacket, bool) {
	if s.in == nil {
		return parseRTP(b)
	}
	if s.was == nil {
		return s.in.open(b)
	}
	p, ok := s.in.open(b)
	if !ok {
		p, ok = s.was.open(b)
	}
	return p, ok
}

// reject counts what is no RTP. RingCentral latches on any first datagram; strict wants RTP.
func (s *Stream) reject(port *mediaPort, from netip.AddrPort, b []byte, first bool) string {
	s.received.Rejected++
	if !s.t.cfg.Strict {
		if first {
			port.remote = from
		}
		return ""
	}
	if s.unsure && len(s.early) < maxEarly { // perhaps under a key that is still on its way to us
		s.received.Rejected--
		s.early = append(s.early, earlyDatagram{port, from, append([]byte(nil), b...)})
		return ""
	}
	if s.in != nil {
		return fmt.Sprintf("%d octets that are no SRTP under the answer's key", len(b))
	}
	return fmt.Sprintf("%d octets that are no RTP", len(b))
}

// audible holds a packet against the one rule of a listener: nobody hears it.
func (s *Stream) audible(p rtpPacket) string {
	if p.pt != byte(PCMU) && p.pt != byte(PCMA) {
		s.received.Events++
		if p.pt == 101 {
			return "telephone-event"
		}
		return fmt.Sprintf("payload type %d", p.pt)
	}
	silence := Law(p.pt).Silence()
	for _, o := range p.payload {
		if o != silence {
			s.received.NonSilent++
			return fmt.Sprintf("audible %v: octet %#02x", Law(p.pt), o)
		}
	}
	if p.pt != byte(s.agreed.law) {
		return fmt.Sprintf("payload type %d, but %v was answered", p.pt, s.agreed.law)
	}
	return ""
}
