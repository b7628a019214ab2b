package media

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"
)

func TestPortRestsAfterItWasFreed(t *testing.T) {
	p := newPortPool(5000, 5005)
	p.next = 5000 // it begins anywhere
	var got []int
	now := time.Minute
	take := func(resting bool) {
		for range 3 {
			if port, ok := p.reserve(resting, now); ok {
				got = append(got, port)
				return
			}
		}
		got = append(got, 0)
	}
	take(false)
	p.release(5000, now)
	take(false)
	take(false)
	take(false) // only 5000 is left, and it rests
	take(true)
	p.release(5000, now)
	now += portRest
	take(false)
	if want := []int{5000, 5002, 5004, 0, 5000, 5000}; !slices.Equal(got, want) {
		t.Errorf("ports: got %v, want %v", got, want)
	}
}

func TestKernelsPortRests(t *testing.T) {
	p := newPortPool(0, 0)
	p.release(6001, time.Minute)
	if !p.rests(6000, time.Minute+time.Second) || !p.rests(6001, time.Minute) || p.rests(6002, time.Minute) {
		t.Error("6000 and 6001 must rest, 6002 not")
	}
	if p.rests(6000, time.Minute+portRest) || len(p.freed) != 0 {
		t.Error("6000 rests too long")
	}
}

// TestReceiversAgree: the kernel's batches and Go's own sockets give the same datagrams.
func TestReceiversAgree(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:0")
	own, err := listen(at, socketBuffer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]receiver{"own": own, "PacketConn": newPacketConn(c)} {
		far, err := listen(at, socketBuffer)
		if err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		const n = batchSize + 10
		for i := range n {
			if err := far.writeTo([]byte{1, byte(i), 3}, r.local()); err != nil {
				t.Fatal(err)
			}
		}
		var b batch
		for i := 0; i < n; {
			got := r.readBatch(&b)
			if got == 0 {
				t.Fatalf("%s: %d datagrams, want %d", name, i, n)
			}
			for _, d := range b.got[:got] {
				stamp := time.Unix(0, d.stamp)
				if len(d.octets) != 3 || d.octets[1] != byte(i) || d.source != far.local() || stamp.Before(before.Add(-time.Millisecond)) || time.Since(stamp) < 0 {
					t.Fatalf("%s: datagram %d: got %v from %v at %v", name, i, d.octets, d.source, stamp)
				}
				i++
			}
		}
		if r.readBatch(&b) != 0 || r.kernelDrops() != 0 {
			t.Errorf("%s: more than was sent", name)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := far.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestNoDescriptorsIsToldAtOnce: what no other port would cure is not tried on each of thousands, and the port is free again.
func TestNoDescriptorsIsToldAtOnce(t *testing.T) {
	p, tries := newPortPool(20000, 29999), 0
	p.listen = func(netip.AddrPort, int) (receiver, error) {
		tries++
		return nil, syscall.EMFILE
	}
	if _, err := p.bindRange(netip.MustParseAddr("127.0.0.1"), false, socketBuffer, 0); !errors.Is(err, syscall.EMFILE) || tries != 1 || len(p.taken) != 0 {
		t.Errorf("got %v after %d tries, %d ports taken", err, tries, len(p.taken))
	}
}
