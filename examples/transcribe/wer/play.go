package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

const (
	packetSamples = 160 // 20 ms
	packetTime    = packetSamples * time.Second / media.SampleRate
	// samplesBytes is what a sample at 8000 Hz becomes: two at 16000 Hz, of two bytes.
	samplesBytes = 4
	// patience bounds the wait for what was sent.
	patience = time.Minute
)

// The ways to fill what is lost.
const (
	fillConcealed = "concealed" // as live consumers get it
	fillSilent    = "silent"
)

// silent hands on what is lost as a pause, which no consumer hears filled.
type silent struct{ to media.Sink }

func (s silent) Write(b *media.Batch) {
	c := *b
	c.Frames = slices.Clone(b.Frames)
	for i := range c.Frames {
		if f := &c.Frames[i]; f.Kind == media.KindLost {
			f.Kind, f.PCM = media.KindGap, nil
		}
	}
	s.to.Write(&c)
}

func (s silent) End(c call.Cause) { s.to.End(c) }

// line is one utterance on its way: a call with one track.
type line struct {
	octets   []byte // PCMU
	lost     []bool // by packet
	timeline *media.Timeline
	track    *media.Track
	conn     *net.UDPConn
}

// play sends each utterance's packets but the lost ones, all side by side and in real time, and gives what consumers heard of each, s16le at
// 16000 Hz, by fill and utterance.
func play(ctx context.Context, octets [][]byte, lost [][]bool) (_ map[string][][]byte, err error) {
	e, err := media.New(media.Config{ListenIP: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		return nil, err
	}
	heard, err := newEar()
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 2)
	go func() { ended <- e.Run(running) }()
	go func() { ended <- heard.run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended, <-ended)
	}()

	lines := make([]*line, len(octets))
	for i := range lines {
		if lines[i], err = dial(e, heard, i); err != nil {
			return nil, err
		}
		defer lines[i].conn.Close() //nolint:errcheck // it has sent all
		lines[i].octets, lines[i].lost = octets[i], lost[i]
	}
	if err := speak(ctx, lines); err != nil {
		return nil, err
	}
	for _, l := range lines {
		if err := l.end(ctx); err != nil {
			return nil, err
		}
	}
	all, err := heard.await(ctx, len(lines))
	for _, pcm := range all {
		for i := range pcm { // a shorter one's call goes on, silent, until the longest is over
			pcm[i] = pcm[i][:min(len(pcm[i]), samplesBytes*len(octets[i]))]
		}
	}
	return all, err
}

// dial begins the call of one utterance.
func dial(e *media.Engine, heard *ear, i int) (*line, error) {
	l := &line{}
	var err error
	if l.conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		return nil, err
	}
	if l.timeline, err = e.NewTimeline(call.Info{ID: name(fillConcealed, i)}); err != nil {
		return nil, err
	}
	l.timeline.Attach(heard.open(name(fillConcealed, i)))
	l.timeline.Attach(silent{heard.open(name(fillSilent, i))})
	far := l.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	if l.track, err = l.timeline.Open(media.Plan{Leg: "leg", Toward: far.Addr()}); err != nil {
		return nil, err
	}
	commit, _, err := l.track.Prepare(media.Params{
		Remote: far, RemoteRTCP: far, Mux: true, Receive: true, Payloads: []media.Payload{{Number: 0, Codec: media.CodecPCMU}},
	})
	if err != nil {
		return nil, err
	}
	commit()
	return l, nil
}

func name(fill string, i int) string { return fmt.Sprintf("%s-%d", fill, i) }

// speak sends one packet of each line each 20 ms.
func speak(ctx context.Context, lines []*line) error {
	tick := time.NewTicker(packetTime)
	defer tick.Stop()
	for n, more := 0, true; more; n++ {
		more = false
		for _, l := range lines {
			if n*packetSamples >= len(l.octets) {
				continue
			}
			more = true
			if err := l.send(n); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (l *line) send(n int) error {
	if l.lost[n] {
		return nil
	}
	b := make([]byte, 12, 12+packetSamples) // RFC 3550 section 5.1
	b[0] = 0x80
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	binary.BigEndian.PutUint32(b[4:], uint32(n*packetSamples))
	rtp, _ := l.track.Local()
	_, err := l.conn.WriteToUDPAddrPort(append(b, l.octets[n*packetSamples:(n+1)*packetSamples]...), rtp)
	return err
}

// end waits until all of the line is there, and ends its call.
func (l *line) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(packetTime)
	defer tick.Stop()
	for l.track.State().Length < int64(len(l.octets)) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d samples came: %w", l.track.State().Length, len(l.octets), ctx.Err())
		}
	}
	<-l.timeline.Close(call.Cause{Code: call.CodeHangup})
	return nil
}
