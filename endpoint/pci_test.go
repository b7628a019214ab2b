package endpoint_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/internal/ringsim/trunk"
	"github.com/earshot/earshot/internal/who"
	"github.com/earshot/earshot/stream"
)

// card is a Source that is as loud as G.711 gets while a card number is being said, and quiet else.
type card struct{ said atomic.Bool }

func (c *card) Octet(_ trunk.Law, _ int64) byte {
	if c.said.Load() {
		return 0x80
	}
	return 0xB8
}

// loud is what only a card number is.
const loud = 8500

// masking begins a call whose parties say card numbers, heard by an endpoint that signs.
func masking(t *testing.T, dir string, sim *ringsim.Sim, change func(*endpoint.Config)) (ep *endpoint.Endpoint, stop func()) {
	t.Helper()
	return listeningAs(t, sim, dir, func(c *endpoint.Config) {
		c.Record.Sign = true
		if change != nil {
			change(c)
		}
	})
}

func cardCall(t *testing.T, sim *ringsim.Sim, agent string) (*ringsim.Call, *card) {
	t.Helper()
	k := &card{}
	return begin(t, sim, ringsim.CallSpec{Agent: agent, CustomerAudio: k, AgentAudio: k}), k
}

// goesOnFor waits until so much more audio of a call came, masked or not.
func goesOnFor(t *testing.T, ep *endpoint.Endpoint, id string, long float64) {
	t.Helper()
	length := func() (n float64) {
		for _, c := range ep.Status().Calls {
			if c.ID == id {
				for _, k := range c.Tracks {
					n += k.Seconds / float64(len(c.Tracks))
				}
			}
		}
		return n
	}
	from := length()
	oracle.Eventually(t, 30*time.Second, "more of "+id, func() bool { return length() > from+long })
}

// nothingLoud wants no card number in any recording, and that there is other audio; it gives the recordings.
func nothingLoud(t *testing.T, dir string) []oracle.Recording {
	t.Helper()
	all := oracle.All(t, dir)
	quiet := 0
	for _, r := range all {
		for ch, pcm := range r.PCM {
			for i, v := range pcm {
				if v > loud || v < -loud {
					t.Fatalf("%s: channel %d, sample %d of %d is %d: said under a mask", r.Dir, ch, i, len(pcm), v)
				}
				if v != 0 {
					quiet++
				}
			}
		}
	}
	if quiet == 0 {
		t.Errorf("%d recordings hold nothing at all", len(all))
	}
	return all
}

// masksOf is what a manifest says of masks.
func masksOf(t *testing.T, dir string) (masks []struct {
	By, Why      string
	From         time.Time
	To           *time.Time
	Pos, Samples int64
}) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "recording.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ Masks json.RawMessage }
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if m.Masks != nil {
		if err := json.Unmarshal(m.Masks, &masks); err != nil {
			t.Fatal(err)
		}
	}
	return masks
}

// maskState is what DIR/state/masks holds.
func maskState(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(dir, "state", "masks"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		all.Write(b)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all.String()
}

// TestACardNumberThatIsMaskedIsNowhere: it was being said already when the mask was set. Recording and manifest, stream and listener, evidence log, status and
// figures each say what became of it.
func TestACardNumberThatIsMaskedIsNowhere(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, nil)
	heard := filepath.Join(t.TempDir(), "heard")
	ep, stop := masking(t, dir, sim, func(c *endpoint.Config) {
		c.Stream.Consumers = []stream.Consumer{{
			Name: "asr", Command: []string{"/bin/sh", "-c", "exec cat > " + heard}, Per: stream.PerCall, Buffer: 10 * time.Second,
		}}
	})
	c, k := cardCall(t, sim, "108")
	id := c.SessionID()
	talks(t, ep, id, 2)
	var listened bytes.Buffer
	listener := make(chan error, 1)
	go func() { listener <- ep.Listen(t.Context(), id, "", stream.ListenConfig{}, &listened) }()
	goesOnFor(t, ep, id, 1)
	begun := time.Now()
	k.said.Store(true)
	goesOnFor(t, ep, id, 0.5)
	ctx := who.Because(who.With(t.Context(), "uid 7 (anna), pid 9"), "card number")
	back := time.Since(begun) + 100*time.Millisecond
	m, err := ep.Mask(ctx, "", "108", endpoint.MaskRequest{Back: back})
	if err != nil {
		t.Fatal(err)
	}
	if !m.Masked || !m.Changed || m.Call != id || m.By != "pci" || m.NotDurable != "" || m.CutShort && back < 1900*time.Millisecond {
		t.Errorf("mask: got %+v", m)
	}
	if !strings.Contains(maskState(t, dir), `"call":"`+id+`"`) || !strings.Contains(maskState(t, dir), "card number") {
		t.Errorf("state after the answer: %s", maskState(t, dir))
	}
	st := ep.Status().Calls[0]
	if st.Masked != "pci" || len(st.Masks) != 1 || st.Masks[0].Why != "card number" || !st.Masks[0].Until.Equal(m.Until) {
		t.Errorf("status: %q, %+v", st.Masked, st.Masks)
	}
	goesOnFor(t, ep, id, 1)
	k.said.Store(false)
	goesOnFor(t, ep, id, 0.5)
	u, err := ep.Unmask(ctx, id, "")
	if err != nil || u.Masked || !u.Changed || !u.From.After(m.From) {
		t.Errorf("unmask: got %+v, %v", u, err)
	}
	if again, err := ep.Unmask(ctx, id, ""); err != nil || again.Changed {
		t.Errorf("unmask again: got %+v, %v", again, err)
	}
	goesOnFor(t, ep, id, 1)
	if f := ep.Figures(); f.Masks["pci"] != 1 || f.Unmasks["pci"] != 1 {
		t.Errorf("figures: %v, %v", f.Masks, f.Unmasks)
	}
	c.Hangup()
	<-c.Done()
	if err := <-listener; err != nil {
		t.Errorf("listen: %v", err)
	}
	stop()
	r := nothingLoud(t, dir)[0]
	masks := masksOf(t, r.Dir)
	if len(masks) != 1 || masks[0].By != "pci" || masks[0].Why != "card number" || masks[0].To == nil || masks[0].Pos != m.Pos {
		t.Errorf("masks in the manifest: %+v, want one from sample %d", masks, m.Pos)
	}
	for ch, pcm := range r.PCM {
		for i := masks[0].Pos + 160; i < masks[0].Pos+masks[0].Samples-160; i++ { // to a packet
			if pcm[i] != 0 {
				t.Fatalf("channel %d: sample %d within the mask is %d", ch, i, pcm[i])
			}
		}
	}
	ranges := revokedRanges(t, r.Dir)
	if len(ranges["asr"]) == 0 || len(ranges["listener"]) == 0 {
		t.Errorf("revoked: %v, want ranges of the program and the listener", ranges)
	}
	mono := oracle.S16LE(listened.Bytes())
	for _, v := range ranges["listener"] {
		if v[1]-v[0] > int64(len(mono)) {
			t.Errorf("listener: revoked %v of %d samples", v, len(mono))
		}
	}
	stereo, err := os.ReadFile(heard)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range oracle.S16LE(stereo) {
		told := false
		for _, x := range ranges["asr"] {
			told = told || int64(i/2) >= x[0] && int64(i/2) < x[1]
		}
		if (v > loud || v < -loud) && !told {
			t.Fatalf("the program has sample %d, %d, and was not told: %v", i/2, v, ranges["asr"])
		}
	}
	leaves, _ := os.ReadFile(filepath.Join(dir, "evidence", "log", "leaves.jsonl"))
	for _, want := range []string{
		`"call":"` + id + `","who":"uid 7 (anna), pid 9","act":"mask","why":"card number"`, `"who":"uid 7 (anna), pid 9","act":"unmask","why":"card number"`,
	} {
		if n := strings.Count(string(leaves), want); n != 1 {
			t.Errorf("%d times %s in\n%s", n, want, leaves)
		}
	}
}

// revokedRanges gives what a recording's events say was taken back, by consumer.
func revokedRanges(t *testing.T, dir string) map[string][][2]int64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][][2]int64{}
	for line := range strings.Lines(string(text)) {
		var e struct {
			Type, Consumer string
			From           int64 `json:"from_samples"`
			Samples        int64
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Type == "revoked" {
			out[e.Consumer] = append(out[e.Consumer], [2]int64{e.From, e.From + e.Samples})
		}
	}
	return out
}

// TestAMaskedCallComesBackMasked after a BYE, and in the next process, until somebody ends it.
func TestAMaskedCallComesBackMasked(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, nil)
	ep, stop := masking(t, dir, sim, nil)
	c, k := cardCall(t, sim, "108")
	id := c.SessionID()
	talks(t, ep, id, 2)
	if _, err := ep.Mask(t.Context(), id, "", endpoint.MaskRequest{}); err != nil {
		t.Fatal(err)
	}
	k.said.Store(true)
	goesOnFor(t, ep, id, 0.5)
	if err := sim.Inject(ringsim.Fault{Kind: ringsim.FaultBye}); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 10*time.Second, "joined again", func() bool {
		calls := ep.Status().Calls
		return len(calls) == 1 && len(calls[0].Tracks) == 4 && calls[0].Tracks[3].Seconds > 1
	})
	stop()
	ep, stop = masking(t, dir, sim, nil)
	talks(t, ep, id, 2)
	st := ep.Status().Calls[0]
	if st.Masked != "pci" {
		t.Errorf("in the next process: %+v", st.Masks)
	}
	goesOnFor(t, ep, id, 0.5)
	k.said.Store(false)
	goesOnFor(t, ep, id, 0.5)
	if u, err := ep.Unmask(t.Context(), id, ""); err != nil || !u.Changed || u.Masked {
		t.Errorf("unmask: got %+v, %v", u, err)
	}
	goesOnFor(t, ep, id, 1)
	c.Hangup()
	<-c.Done()
	stop()
	for _, r := range nothingLoud(t, dir) {
		if masks := masksOf(t, r.Dir); len(masks) == 0 {
			t.Errorf("%s names no mask", r.Dir)
		}
	}
}

func TestAMaskEndsByItselfLoudly(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, nil)
	ep, stop := masking(t, dir, sim, func(c *endpoint.Config) { c.MaskMax = 2 * time.Second })
	c, _ := cardCall(t, sim, "108")
	id := c.SessionID()
	talks(t, ep, id, 2)
	if _, err := ep.Mask(t.Context(), id, "", endpoint.MaskRequest{For: 3 * time.Second}); !errors.Is(err, endpoint.ErrBadMask) {
		t.Errorf("longer than the most: got %v", err)
	}
	m, err := ep.Mask(t.Context(), id, "", endpoint.MaskRequest{For: time.Second})
	if err != nil || m.Until.After(time.Now().Add(time.Second)) {
		t.Fatalf("got %+v, %v", m, err)
	}
	oracle.Eventually(t, 10*time.Second, "unmasked", func() bool { return ep.Status().Calls[0].Masked == "" })
	if time.Now().Before(m.Until) {
		t.Errorf("ended before %v", m.Until)
	}
	c.Hangup()
	<-c.Done()
	stop()
	r := oracle.All(t, dir)[0]
	text, _ := os.ReadFile(filepath.Join(r.Dir, "events.jsonl"))
	if strings.Count(string(text), `"mask_over"`) != 1 || strings.Count(string(text), `"mask_off"`) != 1 {
		t.Errorf("events:\n%s", text)
	}
}

// TestAMaskFollowsAnAttendedTransfer into the session in which the call goes on, in the next process too.
func TestAPersonsMaskFollowsAnAttendedTransfer(t *testing.T) {
	dir := t.TempDir()
	sim := unlimited(t, nil)
	ep, stop := masking(t, dir, sim, nil)
	c, k := cardCall(t, sim, "108")
	id := c.SessionID()
	talks(t, ep, id, 2)
	if _, err := ep.Mask(t.Context(), id, "", endpoint.MaskRequest{}); err != nil {
		t.Fatal(err)
	}
	k.said.Store(true)
	consult, err := c.Consult(ringsim.CallSpec{Peer: "109", CustomerAudio: k, AgentAudio: k})
	if err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 10*time.Second, "the consultation between colleagues is excused", func() bool {
		return strings.HasPrefix(waiting(ep, consult.SessionID()), "excused")
	})
	if err := c.TransferAttended(consult); err != nil {
		t.Fatal(err)
	}
	oracle.Eventually(t, 20*time.Second, "the state names the other session", func() bool {
		return strings.Contains(maskState(t, dir), consult.SessionID())
	})
	oracle.Eventually(t, 20*time.Second, "the other agent's audio", func() bool {
		calls := ep.Status().Calls
		return len(calls) == 1 && len(calls[0].Tracks) > 2 && calls[0].Tracks[len(calls[0].Tracks)-1].Seconds > 1 && calls[0].Masked == "pci"
	})
	stop()
	ep, stop = masking(t, dir, sim, nil) // RingCentral shows the other session alone
	oracle.Eventually(t, 20*time.Second, "heard again, masked", func() bool {
		calls := ep.Status().Calls
		return len(calls) == 1 && len(calls[0].Tracks) == 2 && calls[0].Tracks[1].Seconds > 1 && calls[0].Masked == "pci"
	})
	consult.Hangup()
	<-consult.Done()
	stop()
	for _, r := range oracle.All(t, dir) {
		for ch, pcm := range r.PCM {
			for i, v := range pcm {
				if v > loud || v < -loud {
					t.Fatalf("%s: channel %d, sample %d is %d", r.Dir, ch, i, v)
				}
			}
		}
	}
}
