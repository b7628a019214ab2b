package media

import (
	"slices"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// key is a telephone-event packet.
func key(at time.Duration, seq uint16, ts uint32, code byte, end bool, samples uint16) letter {
	p := []byte{code, 10, byte(samples >> 8), byte(samples)}
	if end {
		p[1] |= 0x80
	}
	return letter{at: at, octets: spec{ssrc: testSSRC, seq: seq, ts: ts, pt: 101, payload: p}.marshal()}
}

type toldDigit struct {
	digit   string
	pos     int64
	samples int64
}

func TestRFC4733EventIsToldOnce(t *testing.T) {
	// The digit 5: five packets of 20 ms from 160*10 on, the last of them three times, and audio around it.
	five := func() []letter {
		in := stream(testSSRC, 100, 0, 100*ms, 10)
		for i := range 5 {
			in = append(in, key(300*ms+time.Duration(i)*20*ms, uint16(110+i), 1600, 5, i == 4, uint16(160*(i+1))))
		}
		in = append(in, key(382*ms, 115, 1600, 5, true, 800), key(384*ms, 116, 1600, 5, true, 800))
		return append(in, stream(testSSRC, 117, 2400, 400*ms, 10)...)
	}
	long := stream(testSSRC, 100, 0, 100*ms, 1)
	for i := range 500 { // 10 s of one key: a second segment after 65,535
		ts, d := uint32(160), 160*(i+1)
		if d > segmentSamples {
			ts, d = ts+segmentSamples, d-segmentSamples
		}
		long = append(long, key(120*ms+time.Duration(i)*20*ms, uint16(101+i), ts, 11, i == 499, uint16(d)))
	}
	for _, c := range []struct {
		name string
		in   []letter
		want []toldDigit
		runs string
	}{
		{"end three times", five(), []toldDigit{{"5", 1600, 800}}, "r1600 g800 r1600"},
		{"one end", without(five(), 15, 16), []toldDigit{{"5", 1600, 800}}, "r1600 l320 g480 r1600"},
		{"all ends lost", without(five(), 14, 15, 16), []toldDigit{{"5", 1600, 640}}, "r1600 l480 g320 r1600"},
		{"only the end", without(five(), 10, 11, 12, 13, 14, 15), []toldDigit{{"5", 1600, 800}}, "r1600 l800 r1600"},
		{"longer than a segment", long, []toldDigit{{"#", 160, 80000}}, "r160"},
		{"two digits, the first without end", append(stream(testSSRC, 100, 0, 100*ms, 1),
			key(120*ms, 101, 160, 1, false, 160), key(220*ms, 103, 960, 2, true, 160), key(222*ms, 104, 960, 2, true, 160)),
			[]toldDigit{{"1", 160, 160}, {"2", 960, 160}}, "r160"},
		{"flash", append(stream(testSSRC, 100, 0, 100*ms, 1), key(120*ms, 101, 160, 16, true, 160)), []toldDigit{{"flash", 160, 160}}, "r160"},
		{"not a digit", append(stream(testSSRC, 100, 0, 100*ms, 1), key(120*ms, 101, 160, 70, true, 160)), nil, "r160"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, Config{}).commit(plainParams()).send(c.in...)
			r.until(c.in[len(c.in)-1].at + time.Second).close()
			var got []toldDigit
			for _, e := range r.tape.typed(call.EventDTMF) {
				got = append(got, toldDigit{e.Facts["digit"].(string), e.Pos, e.Facts["duration_samples"].(int64)})
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("digits: got %v, want %v", got, c.want)
			}
			r.expect(c.runs)
		})
	}
}

func TestDigitsOfAMaskAreNotTold(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(stream(testSSRC, 100, 0, 100*ms, 5)...)
	r.send(key(220*ms, 105, 800, 7, true, 160)).until(150 * ms)
	r.line.Hold(HolderPCI, 200*ms, "")
	r.until(time.Second).close()
	if es := r.tape.typed(call.EventDTMF); len(es) != 0 {
		t.Errorf("told: %v", es)
	}
}
