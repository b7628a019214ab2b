package media

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

// tapReel keeps what a tap sees.
type tapReel struct{ got []Datagram }

func (r *tapReel) Tap(d *Datagram) {
	c := *d
	c.Octets = slices.Clone(d.Octets)
	r.got = append(r.got, c)
}

func TestTapSeesDatagramsAsTheyCame(t *testing.T) {
	for _, secure := range []bool{false, true} {
		tap := &tapReel{}
		c := newCrowd(t, Config{Tap: tap})
		a, b := c.open(at("198.51.100.1", 4000), secure), c.open(at("198.51.100.2", 4000), secure)
		var want [][]byte
		for i := range 30 {
			if i == 15 && secure {
				a.from = at("203.0.113.5", 77) // found by its key, which decrypts where it stands
			}
			for _, m := range []*member{a, b} {
				c.talk(m)
				want = append(want, slices.Clone(m.port.queue[len(m.port.queue)-1].octets))
			}
			c.sweep()
		}
		c.sweep()
		if len(tap.got) != len(want) {
			t.Fatalf("srtp %v: the tap saw %d datagrams, want %d", secure, len(tap.got), len(want))
		}
		for i, d := range tap.got {
			m := []*member{a, b}[i%2]
			if !bytes.Equal(d.Octets, want[i]) || d.Call != m.line.live.info.ID || d.Track != 1 || d.To != m.port.self || d.Control ||
				d.Captured != time.Duration(i/2)*20*ms {
				t.Fatalf("srtp %v, datagram %d: got %+v", secure, i, d)
			}
		}
	}
}

func TestTapSeesNothingOfWhatIsMasked(t *testing.T) {
	tap := &tapReel{}
	c := newCrowd(t, Config{Tap: tap})
	a := c.open(at("198.51.100.1", 4000), false)
	c.says(a, 20)
	a.line.Hold(HolderPCI, c.now, "")
	c.sweep()
	seen := len(tap.got)
	c.says(a, 20)
	a.line.Release(HolderPCI)
	c.sweep()
	if len(tap.got) != seen {
		t.Errorf("the tap saw %d datagrams of a masked call", len(tap.got)-seen)
	}
	c.says(a, int(2*time.Second/(20*ms)))
	if len(tap.got) > seen+2 {
		t.Errorf("within the archive window after the mask the tap saw %d datagrams", len(tap.got)-seen)
	}
	seen = len(tap.got)
	c.says(a, 20)
	if len(tap.got) < seen+19 {
		t.Errorf("after the mask the tap saw %d datagrams, want 20", len(tap.got)-seen)
	}
}
