package stream_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/stream"
	"github.com/zaf/g711"
)

// spoken is the octet at pos of a party: its decoded value is never 0.
func spoken(track media.TrackID, pos int64) byte { return byte((pos+int64(track)*31)%100) + 1 }

// speak sends packets of spoken to a track, one each 20 ms.
func speak(t *testing.T, conn net.Conn, track media.TrackID, packets int64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := range packets {
		b := make([]byte, 12, 12+ptime) // RFC 3550 section 5.1
		b[0], b[1] = 0x80, 0
		binary.BigEndian.PutUint16(b[2:], uint16(65530+i)) //nolint:gosec // it wraps
		binary.BigEndian.PutUint32(b[4:], uint32(1000+i*ptime))
		binary.BigEndian.PutUint32(b[8:], uint32(track))
		for j := range int64(ptime) {
			b = append(b, spoken(track, i*ptime+j))
		}
		if _, err := conn.Write(b); err != nil {
			t.Error(err)
		}
		<-tick.C
	}
}

// open opens a track on the engine, with a socket that speaks to it.
func open(t *testing.T, tl *media.Timeline, role call.Role) (*media.Track, net.Conn) {
	t.Helper()
	pc, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	far := netip.MustParseAddrPort(pc.LocalAddr().String())
	if err := pc.Close(); err != nil {
		t.Fatal(err)
	}
	k, err := tl.Open(media.Plan{Leg: role.String(), Party: call.Party{Role: role}, Toward: far.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	commit, _, err := k.Prepare(media.Params{
		Remote: far, RemoteRTCP: far, Mux: true, Payloads: []media.Payload{{Number: 0, Codec: media.CodecPCMU}}, Receive: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	commit()
	rtp, _ := k.Local()
	conn, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(far), net.UDPAddrFromAddrPort(rtp))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return k, conn
}

func TestPacketsOfARealEngineComeOutInTheirPlace(t *testing.T) {
	dir := t.TempDir()
	h, stop := start(t,
		stream.Consumer{Command: sh(`cat > "$OUT/$CALL_ROLE.raw"`), Env: map[string]string{"OUT": dir}},
		stream.Consumer{Command: sh(`cat > "$OUT/call.raw"`), Per: stream.PerCall, Env: map[string]string{"OUT": dir}},
	)
	e, err := media.New(media.Config{ListenIP: netip.MustParseAddr("127.0.0.1"), Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	tl, err := e.NewTimeline(info())
	if err != nil {
		t.Fatal(err)
	}
	var told record
	tl.Attach(h.Open(info(), stream.Options{Notify: told.notify}))
	agent, toAgent := open(t, tl, call.RoleAgent)
	customer, toCustomer := open(t, tl, call.RoleCustomer)

	const packets = 40
	var wg sync.WaitGroup
	wg.Go(func() { speak(t, toAgent, agent.ID(), packets) })
	wg.Go(func() { speak(t, toCustomer, customer.ID(), packets) })
	wg.Wait()
	waitFor(t, "all packets", func() bool {
		return agent.State().Length == packets*ptime && customer.State().Length == packets*ptime
	})
	offsets := [2]int64{customer.State().Offset, agent.State().Offset}
	<-tl.Close(call.Cause{Code: call.CodeHangup})
	waitFor(t, "3 ends", func() bool { return told.reasons() == "call_ended call_ended call_ended" })
	stop()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	var want [2][]byte
	for side, k := range []*media.Track{customer, agent} {
		for p := range int64(packets * ptime) {
			want[side] = binary.LittleEndian.AppendUint16(want[side], uint16(g711.DecodeUlawFrame(spoken(k.ID(), p))))
		}
		file := []string{"customer.raw", "agent.raw"}[side]
		if got := read(t, filepath.Join(dir, file)); !bytes.Equal(got, want[side]) {
			t.Errorf("%s: %d bytes, want other %d", file, len(got), len(want[side]))
		}
	}
	checkStereo(t, read(t, filepath.Join(dir, "call.raw")), want, offsets)
}

// checkStereo compares the last quarter of a call's stream: by then the tracks are placed.
func checkStereo(t *testing.T, pairs []byte, want [2][]byte, offsets [2]int64) {
	t.Helper()
	for side := range want {
		for p := 30 * ptime; p < len(want[side])/2; p++ {
			at := 4*(offsets[side]+int64(p)) + 2*int64(side)
			if at+2 > int64(len(pairs)) {
				t.Fatalf("side %d: the stream ends before sample %d", side, p)
			}
			if got := pairs[at : at+2]; !bytes.Equal(got, want[side][2*p:2*p+2]) {
				t.Fatalf("side %d: sample %d: got % x, want % x", side, p, got, want[side][2*p:2*p+2])
			}
		}
	}
}
