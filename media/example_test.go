package media_test

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/netip"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// printer is a sink that tells what it gets.
type printer struct{ samples int64 }

func (p *printer) Write(b *media.Batch) {
	for _, f := range b.Frames {
		p.samples += f.Samples // f.PCM is valid until Write returns
	}
}

func (p *printer) End(c call.Cause) { fmt.Println(p.samples, "samples, then", c) }

// One track of one call: five packets come in, and go out in place.
func Example() {
	engine, err := media.New(media.Config{ListenIP: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error)
	go func() { ended <- engine.Run(ctx) }()

	far, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		fmt.Println(err)
		return
	}
	line, _ := engine.NewTimeline(call.Info{ID: "call-1"})
	line.Attach(&printer{})
	track, err := line.Open(media.Plan{}) // its ports go into our answer
	if err != nil {
		fmt.Println(err)
		return
	}
	commit, _, err := track.Prepare(media.Params{
		Remote:   far.LocalAddr().(*net.UDPAddr).AddrPort(),
		Payloads: []media.Payload{{Number: 0, Codec: media.CodecPCMU}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	commit() // the answer went out

	rtp, _ := track.Local()
	for seq := range byte(5) {
		packet := make([]byte, 12+160)
		packet[0], packet[3], packet[6], packet[7] = 0x80, seq, byte(int(seq)*160>>8), byte(int(seq)*160)
		_, _ = far.WriteToUDPAddrPort(packet, rtp)
	}
	<-line.Close(call.Cause{Code: call.CodeHangup}) // reads what came, and ends the sink
	stop()
	fmt.Println(<-ended, far.Close())
	// Output:
	// 800 samples, then hangup
	// <nil> <nil>
}

// A sink that plays what it gets fills what is lost.
func ExampleConcealer() {
	var c media.Concealer
	speech := make([]int16, 480) // a tone of 100 Hz
	for i := range speech {
		speech[i] = int16(8000 * math.Sin(2*math.Pi*float64(i)/80))
	}
	c.Hear(speech[:400])
	lost := make([]int16, 80) // a frame of kind lost, 10 ms
	c.Conceal(lost)
	next := speech[:160] // the frame after it: it begins where a period does
	c.Meet(lost, next)
	c.Hear(next)
	fmt.Println(lost[20], speech[420])
	// Output: 8000 8000
}
