package stream

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zaf/g711"
)

// upsampled runs pcm through an upsampler in random pieces.
func upsampled(pcm []int16, factor, channels int, rnd *rand.Rand) []int16 {
	u := newUpsampler(factor, channels)
	var out []int16
	for len(pcm) > 0 {
		n := min(len(pcm), (1+rnd.IntN(300))*channels)
		out = u.next(out, pcm[:n])
		pcm = pcm[n:]
	}
	return u.flush(out)
}

func TestUpsamplingKeepsEverySampleInItsPlace(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for factor := 2; factor <= maxUpsample; factor++ {
		for channels := 1; channels <= 2; channels++ {
			in := make([]int16, 5000*channels)
			for i := range in {
				in[i] = int16(rnd.Int())
			}
			out := upsampled(in, factor, channels, rnd)
			if len(out) != factor*len(in) {
				t.Fatalf("%d channels: %d values out of %d, want %d times as many", channels, len(out), len(in), factor)
			}
			for i, v := range in {
				if got := out[i/channels*factor*channels+i%channels]; got != v {
					t.Fatalf("factor %d, %d channels: value %d: got %d, want %d", factor, channels, i, got, v)
				}
			}
		}
		if got := newUpsampler(factor, 1).flush(nil); len(got) != 0 {
			t.Errorf("nothing in: %d samples out", len(got))
		}
	}
}

func TestNothingIsHeldBackAfterTheLast(t *testing.T) {
	e := newEncoder(FormatS16LE, 16000, 1)
	got := []int64{e.held()}
	for _, last := range []bool{false, true} {
		e.encode(nil, make([]int16, 160), last)
		got = append(got, e.held())
	}
	if want := []int64{0, upsampleAhead, 0}; !slices.Equal(got, want) {
		t.Errorf("held before, between and after: got %v, want %v", got, want)
	}
}

// power is the mean square of pcm at hz, in the middle of it, by the Goertzel sum.
func power(pcm []int16, hz, rate float64) float64 {
	mid := pcm[1600 : len(pcm)-1600]
	var re, im float64
	for i, v := range mid {
		w := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(mid)))
		a := 2 * math.Pi * hz * float64(i) / rate
		re += w * float64(v) * math.Cos(a)
		im += w * float64(v) * math.Sin(a)
	}
	n := float64(len(mid)) / 4
	return (re*re + im*im) / (n * n)
}

func TestUpsamplerResponse(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for factor := 2; factor <= maxUpsample; factor++ {
		rate := 8000 * float64(factor)
		for hz := 100.0; hz <= 3400; hz += 300 {
			in := make([]int16, 16000)
			for i := range in {
				in[i] = int16(math.Round(10000 * math.Sin(2*math.Pi*hz*float64(i)/8000)))
			}
			out := upsampled(in, factor, 1, rnd)
			if level := 10 * math.Log10(power(out, hz, rate)/1e8); math.Abs(level) > 0.02 {
				t.Errorf("%g Hz at %g Hz: level %.3f dB, want 0", hz, rate, level)
			}
			images := []float64{8000 - hz}
			if factor == 3 { // above that lies half of the rate
				images = append(images, 8000+hz)
			}
			for _, image := range images {
				if db := 10 * math.Log10(power(out, image, rate)/1e8); db > -68 {
					t.Errorf("%g Hz at %g Hz: image at %g Hz is %.1f dB, want below -68", hz, rate, image, db)
				}
			}
		}
	}
}

func TestFormats(t *testing.T) {
	pcm := []int16{0, 1, -1, 0x1234, math.MaxInt16, math.MinInt16}
	s16 := []byte{0, 0, 1, 0, 0xff, 0xff, 0x34, 0x12, 0xff, 0x7f, 0, 0x80}
	if got := newEncoder(FormatS16LE, 8000, 1).encode(nil, pcm, true); !bytes.Equal(got, s16) {
		t.Errorf("s16le: got % x, want % x", got, s16)
	}
	for octet := range 256 {
		got := newEncoder(FormatMulaw, 8000, 1).encode(nil, []int16{g711.DecodeUlawFrame(uint8(octet))}, true)
		want := byte(octet)
		if want == 0x7f { // minus zero is zero
			want = 0xff
		}
		if len(got) != 1 || got[0] != want {
			t.Errorf("mulaw %#x: got % x", octet, got)
		}
	}
	wav := newEncoder(FormatWAV, 16000, 1).header(nil)
	want := "RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00data\xff\xff\xff\xff"
	if string(wav) != want {
		t.Errorf("wav header: got %q, want %q", wav, want)
	}
	if got := newEncoder(FormatS16LE, 8000, 1).header(nil); len(got) != 0 {
		t.Errorf("s16le header: got %q, want none", got)
	}
}
