package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"
)

// order is what the measuring process asks of its sender or of its consumers, one JSON object a line; a report answers each.
type order struct {
	// Tracks opens so many sources, on IP.
	Tracks int        `json:"tracks,omitempty"`
	IP     netip.Addr `json:"ip,omitzero"`
	// To begins to send: to one address per track, or to the same one if there is one only.
	To   []netip.AddrPort `json:"to,omitempty"`
	SRTP bool             `json:"srtp,omitempty"`
	// Only so many of the sources send; 0: all.
	Only int `json:"only,omitempty"`
	// Loss is the packets that are made and not sent.
	Loss loss `json:"loss,omitempty"`
	// Stop ends the sending.
	Stop bool `json:"stop,omitempty"`

	// Consume, of the consumers, opens them. Turn makes half of them hostile, Hear asks what the others had.
	Consume *consume `json:"consume,omitempty"`
	Turn    bool     `json:"turn,omitempty"`
	Hear    bool     `json:"hear,omitempty"`
}

// report answers an order.
type report struct {
	Err     string           `json:"err,omitempty"`
	Sources []netip.AddrPort `json:"sources,omitempty"`
	// Packets that each track sent, and how far behind its time the sender was at worst.
	Packets []int64       `json:"packets,omitempty"`
	Late    time.Duration `json:"late,omitempty"`
	// Heard is the consumers'.
	Heard *heard `json:"heard,omitempty"`
}

const (
	// slices is into how many parts a sender cuts the 20 ms of a packet: it is never more than a part of the tracks ahead of the others.
	slices     = 20
	packetTime = 20 * time.Millisecond
	// maxSenderTracks bounds what a sender opens.
	maxSenderTracks = 16000
)

// sender is the other process: sources, one socket each, and what they send.
type sender struct {
	socks []source
	flows []*flow
	audio pattern
	late  time.Duration
}

// Send is the sender: it does what it is ordered on in, and answers on out, until in ends.
func Send(in io.Reader, out io.Writer) error {
	s := &sender{audio: newPattern()}
	orders := make(chan order)
	over := make(chan struct{})
	var failure error
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(over)
		defer s.close()
		failure = s.loop(orders, json.NewEncoder(out))
	})
	err := read(in, orders, over)
	close(orders)
	wg.Wait()
	return errors.Join(err, failure)
}

// read hands on orders until in ends, or nobody takes them.
func read(in io.Reader, to chan<- order, over <-chan struct{}) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return fmt.Errorf("sender: order: %w", err)
		}
		select {
		case to <- o:
		case <-over:
			return nil
		}
	}
	return lines.Err()
}

// loop obeys, and sends what is due, until orders is closed.
func (s *sender) loop(orders <-chan order, answers *json.Encoder) error {
	tick := time.NewTicker(packetTime / slices)
	defer tick.Stop()
	var next time.Time
	for slice := 0; ; {
		select {
		case o, more := <-orders:
			if !more {
				return nil
			}
			if err := answers.Encode(s.obey(o)); err != nil {
				return fmt.Errorf("sender: answer: %w", err)
			}
			next, slice = time.Now(), 0
		case <-tick.C:
			for now := time.Now(); len(s.flows) > 0 && !next.After(now); {
				s.late = max(s.late, now.Sub(next))
				if err := s.send(slice); err != nil {
					return err
				}
				next, slice = next.Add(packetTime/slices), (slice+1)%slices
			}
		}
	}
}

// obey does what an order says.
func (s *sender) obey(o order) report {
	var r report
	err := func() error {
		switch {
		case o.Tracks > 0:
			if o.Tracks > maxSenderTracks {
				return fmt.Errorf("sender: tracks: got %d, want at most %d", o.Tracks, maxSenderTracks)
			}
			return s.open(o, &r)
		case len(o.To) > 0:
			return s.begin(o)
		case o.Stop:
			for _, f := range s.flows {
				r.Packets = append(r.Packets, f.sent)
			}
			r.Late, s.flows, s.late = s.late, nil, 0
			return nil
		}
		return errors.New("sender: order: empty")
	}()
	if err != nil {
		r.Err = err.Error()
	}
	return r
}

func (s *sender) open(o order, r *report) error {
	s.close()
	for range o.Tracks {
		k, at, err := openSource(o.IP)
		if err != nil {
			return fmt.Errorf("sender: source %d of %d: %w", len(s.socks)+1, o.Tracks, err)
		}
		s.socks = append(s.socks, k)
		r.Sources = append(r.Sources, at)
	}
	return nil
}

func (s *sender) close() {
	for _, k := range s.socks {
		k.close()
	}
	s.socks, s.flows = nil, nil
}

// begin makes the flows anew and points the sources at where they shall send.
func (s *sender) begin(o order) error {
	if o.Only == 0 {
		o.Only = len(s.socks)
	}
	if len(o.To) != o.Only && len(o.To) != 1 || o.Only > len(s.socks) {
		return fmt.Errorf("sender: to: got %d addresses for %d of %d sources", len(o.To), o.Only, len(s.socks))
	}
	flows := make([]*flow, o.Only)
	for i := range flows {
		var err error
		if flows[i], err = newFlow(i, o.SRTP, o.Loss); err != nil {
			return err
		}
		if err := s.socks[i].connect(o.To[i%len(o.To)]); err != nil {
			return fmt.Errorf("sender: to %v: %w", o.To[i%len(o.To)], err)
		}
	}
	s.flows, s.late = flows, 0
	return nil
}

// send sends a slice's packets.
func (s *sender) send(slice int) error {
	n := len(s.flows)
	for i := slice * n / slices; i < (slice+1)*n/slices; i++ {
		b, err := s.flows[i].next(s.audio)
		if err != nil {
			return err
		}
		if b == nil {
			continue
		}
		if err := s.socks[i].write(b); err != nil {
			return fmt.Errorf("sender: source %d: %w", i, err)
		}
	}
	return nil
}
