package peertest

import (
	"encoding/base64"
	"encoding/binary"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/pion/srtp/v3"
)

// liveWait is how long a hole waits for its packet (media.live_wait); stampSlack is what two clocks' reading of one moment
// may differ by.
const (
	liveWait   = 60 * time.Millisecond
	stampSlack = 2 * time.Millisecond
)

// landed is a packet of one source with its place.
type landed struct {
	ext, pos int64 // pos is on the track
	at       time.Duration
	pt, n    int // n: samples; 0 if it holds no audio
	audio    []int16
}

// truth is what a track must be, by what was delivered.
type truth struct {
	samples []int16 // silence where nothing came
	came    []bool
	lost    []bool  // of those that did not come: a sequence number is missing there
	starts  []int64 // where packets begin
}

// checkTruth compares a recording with what was delivered and what tshark saw of it: each sample, each span, each count.
// audio gives a packet's samples at a position of the track. The whole track is compared.
func checkTruth(t *testing.T, r recording, k track, packets []packet, audio func(i int, pos int64) []int16) {
	t.Helper()
	order, _ := bySource(packets)
	if len(k.Epochs) != len(order) {
		t.Fatalf("epochs %+v, want one for each of the sources %x", k.Epochs, order)
	}
	want := truth{make([]int16, k.Samples), make([]bool, k.Samples), make([]bool, k.Samples), nil}
	late := map[int64]int{} // packets that may or must be late: by position, 1 must, 0 may
	var gone, end int64
	var before []landed
	for i, e := range k.Epochs {
		if e.SSRC != order[i] {
			t.Fatalf("epoch %d is of %08x, want %08x", i, e.SSRC, order[i])
		}
		all := placed(packets, e.SSRC, e.Timestamp, e.Pos, audio)
		gone += want.lay(t, all, i == 0)
		if i > 0 { // placed by arrival, as nothing else is known of two sources
			pause := all[0].at - before[0].at
			if d := time.Duration(all[0].pos-before[0].pos)*time.Second/8000 - pause; d.Abs() > 30*time.Millisecond {
				t.Errorf("epoch %d lies %v off the arrival of its first packet", i, d)
			}
		}
		before = all
		lateOf(all, late)
		end = all[len(all)-1].pos + int64(all[len(all)-1].n)
	}
	if k.Samples != end {
		t.Errorf("the track has %d samples, what came ends at %d", k.Samples, end)
	}
	if n := k.Quality.Discarded["too_late"]; n != gone {
		t.Errorf("%d packets too late, want %d", n, gone)
	}
	want.compare(t, r, k, late)
}

// placed gives the packets of a source in the order of their numbers, each once, the first copy.
func placed(packets []packet, ssrc, base uint32, pos int64, audio func(int, int64) []int16) (all []landed) {
	var f follower
	for i, p := range packets {
		if p.ssrc != ssrc {
			continue
		}
		ext, ts, again := f.take(p)
		if again {
			continue
		}
		// Timestamps wrap within a track: the distance to the base is what counts.
		h := landed{ext: ext, pos: pos + int64(int32(uint32(ts)-base)), at: p.at, pt: p.pt}
		if p.hasAudio() {
			h.audio = audio(i, h.pos)
			h.n = len(h.audio)
		}
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b landed) int { return int(a.ext - b.ext) })
	return all
}

// lay puts packets where they belong, and says of holes what they are. It gives the number that came before the track's
// beginning: one that is overtaken by more than the live wait may.
func (w *truth) lay(t *testing.T, all []landed, first bool) (gone int64) {
	t.Helper()
	earliest := slices.MinFunc(all, func(a, b landed) int { return int(a.at - b.at) }).at
	var before *landed // the audio packet before
	for i := range all {
		h := &all[i]
		if h.pos < 0 && first {
			if h.at < earliest+liveWait-stampSlack {
				t.Errorf("the packet at %d came %v after the first, and the track begins behind it", h.pos, h.at-earliest)
			}
			gone++
			continue
		}
		if h.n == 0 {
			continue
		}
		if h.pos+int64(h.n) > int64(len(w.samples)) {
			t.Fatalf("the packet at %d ends behind the track, at %d", h.pos, len(w.samples))
		}
		if before != nil {
			w.hole(before, h, all)
		}
		w.starts = append(w.starts, h.pos)
		copy(w.samples[h.pos:], h.audio)
		for j := range h.n {
			w.came[h.pos+int64(j)] = true
		}
		before = h
	}
	return gone
}

// hole is what lies between two audio packets: as much as the missing ones held is lost, the rest was not sent; lost first
// (docs/format/recording.md).
func (w *truth) hole(a, b *landed, all []landed) {
	missing := b.ext - a.ext - 1
	for _, h := range all { // digits and comfort noise between them came
		if h.ext > a.ext && h.ext < b.ext {
			missing--
		}
	}
	from := a.pos + int64(a.n)
	for p := from; p < min(b.pos, from+missing*int64(max(a.n, b.n))); p++ {
		w.lost[p] = true
	}
}

// lateOf says which packets must be late: those whose hole was given up before they came, a live wait after the first packet
// that overtook them. Where that is a matter of microseconds they may be either.
func lateOf(all []landed, late map[int64]int) {
	for i, h := range all {
		over := time.Duration(1 << 62)
		for _, o := range all[i+1:] {
			over = min(over, o.at)
		}
		switch wait := h.at - over; {
		case wait > liveWait+stampSlack:
			late[h.pos] = 1
		case wait > liveWait-stampSlack:
			late[h.pos] = 0
		}
	}
}

// compare looks at each sample of the recording and each span of the manifest.
func (w *truth) compare(t *testing.T, r recording, k track, late map[int64]int) {
	t.Helper()
	if k.Channel < 0 || k.Channel >= len(r.audio) {
		t.Fatalf("channel %d of %d", k.Channel, len(r.audio))
	}
	got := r.audio[k.Channel][k.OffsetSamples:]
	if int64(len(got)) < k.Samples {
		t.Fatalf("the channel has %d samples from the track's offset on, want %d", len(got), k.Samples)
	}
	kinds := make([]string, k.Samples)
	for _, s := range k.Spans {
		for p := s.Pos; p < s.Pos+s.Samples; p++ {
			kinds[p] = s.Kind
		}
	}
	wrong, lostSamples, gapSamples := 0, int64(0), int64(0)
	for p := range k.Samples {
		kind := ""
		switch {
		case w.came[p] && kinds[p] == "late":
			kind = "late"
		case w.came[p]:
		case w.lost[p]:
			kind = "lost"
			lostSamples++
		default:
			kind = "gap"
			gapSamples++
		}
		if kinds[p] == kind && got[p] == w.samples[p] {
			continue
		}
		if wrong++; wrong <= 5 {
			t.Errorf("position %d: %d, %q; want %d, %q", p, got[p], kinds[p], w.samples[p], kind)
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d positions are wrong; spans %+v", wrong, k.Samples, k.Spans)
	}
	if k.Counts.LostSamples != lostSamples || k.Counts.GapSamples != gapSamples {
		t.Errorf("counts: %d lost, %d gap; want %d, %d", k.Counts.LostSamples, k.Counts.GapSamples, lostSamples, gapSamples)
	}
	w.checkLate(t, k, kinds, late)
}

// checkLate wants late what was overtaken by more than the live wait, and nothing else.
func (w *truth) checkLate(t *testing.T, k track, kinds []string, late map[int64]int) {
	t.Helper()
	for _, p := range w.starts {
		switch must, ok := late[p]; {
		case ok && must == 1 && kinds[p] != "late":
			t.Errorf("the packet at %d came after its hole was given up, and is not late", p)
		case !ok && kinds[p] == "late":
			t.Errorf("the packet at %d came in time, and is late", p)
		}
	}
}

// payloads reads the audio of what the impairer delivered, which tshark must have seen in the same order.
func payloads(t *testing.T, delivered []arrival, packets []packet, l law) func(i int, pos int64) []int16 {
	t.Helper()
	if len(delivered) != len(packets) {
		t.Fatalf("tshark saw %d packets, %d were delivered", len(packets), len(delivered))
	}
	for i, d := range delivered {
		if p := packets[i]; binary.BigEndian.Uint16(d.octets[2:]) != p.seq || binary.BigEndian.Uint32(d.octets[8:]) != p.ssrc {
			t.Fatalf("packet %d: tshark saw %08x number %d, % x was delivered", i, p.ssrc, p.seq, d.octets[:12])
		}
	}
	return func(i int, _ int64) []int16 { return l.decode16(delivered[i].octets[12:]) }
}

// packetsOf takes RTP apart as tshark does.
func packetsOf(delivered []arrival) (all []packet) {
	for _, d := range delivered {
		b := d.octets
		all = append(all, packet{
			at: d.at, ssrc: binary.BigEndian.Uint32(b[8:]), seq: binary.BigEndian.Uint16(b[2:]), ts: binary.BigEndian.Uint32(b[4:]),
			pt: int(b[1] & 0x7f), size: len(b) - 12,
		})
	}
	return all
}

// unsealed decrypts what was delivered with the key that the sender offered, as its trace of SIP shows it (RFC 4568 section 4).
func unsealed(t *testing.T, log string, delivered []arrival) (out []arrival) {
	t.Helper()
	var open *srtp.Context
	for _, m := range offeredKey.FindAllStringSubmatch(log, -1) {
		key, err := base64.StdEncoding.DecodeString(m[1])
		if err != nil || len(key) != 30 {
			t.Fatalf("a=crypto with a key of %d octets: %v", len(key), err)
		}
		c, err := srtp.CreateContext(key[:16], key[16:], srtp.ProtectionProfileAes128CmHmacSha1_80)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = c.DecryptRTP(nil, delivered[0].octets, nil); err == nil {
			open = c // the other side's key is in the trace as well
		}
	}
	if open == nil {
		t.Fatal("no key of the trace opens the first packet")
	}
	for i, d := range delivered {
		plain, err := open.DecryptRTP(nil, d.octets, nil)
		if err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
		out = append(out, arrival{d.at, plain})
	}
	return out
}

var offeredKey = regexp.MustCompile(`a=crypto:\d+ AES_CM_128_HMAC_SHA1_80 inline:([A-Za-z0-9+/=]{40})`)
