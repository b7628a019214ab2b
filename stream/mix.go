package stream

import (
	"encoding/binary"
	"unsafe"
)

// Four samples in a word, for sums: their sign bits, and the lowest bits of each. A step is four words.
const (
	wordSigns = 0x8000800080008000
	wordOnes  = 0x0001000100010001
	stepBytes = 32
)

// littleEndian tells that samples lie in memory as s16le has them.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// bytesOf shows samples as the bytes that they are in memory.
func bytesOf(pcm []int16) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(pcm))), 2*len(pcm)) //nolint:gosec // of the same memory, and as long
}

// addSamples makes dst the sums of a and b, limited; all are as long, and dst may be one of them.
//
//earshot:hot
func addSamples(dst, a, b []int16) {
	d, x, y := bytesOf(dst), bytesOf(a), bytesOf(b)
	for len(d) >= stepBytes && len(x) >= stepBytes && len(y) >= stepBytes {
		to, p, q := (*[stepBytes]byte)(d), (*[stepBytes]byte)(x), (*[stepBytes]byte)(y)
		binary.NativeEndian.PutUint64(to[0:], addWords(binary.NativeEndian.Uint64(p[0:]), binary.NativeEndian.Uint64(q[0:])))
		binary.NativeEndian.PutUint64(to[8:], addWords(binary.NativeEndian.Uint64(p[8:]), binary.NativeEndian.Uint64(q[8:])))
		binary.NativeEndian.PutUint64(to[16:], addWords(binary.NativeEndian.Uint64(p[16:]), binary.NativeEndian.Uint64(q[16:])))
		binary.NativeEndian.PutUint64(to[24:], addWords(binary.NativeEndian.Uint64(p[24:]), binary.NativeEndian.Uint64(q[24:])))
		d, x, y = d[stepBytes:], x[stepBytes:], y[stepBytes:]
	}
	for i := len(dst) - len(d)/2; i < len(dst); i++ {
		dst[i] = clip(int64(a[i]) + int64(b[i]))
	}
}

// addWords adds four samples to four: a sum whose sign is neither's is beyond the limit on the side of that sign. Nothing depends on
// the order of the bytes.
//
//earshot:hot
func addWords(a, b uint64) uint64 {
	sum := (a&^wordSigns + b&^wordSigns) ^ (a^b)&wordSigns
	over := ^(a ^ b) & (a ^ sum) & wordSigns
	if over == 0 {
		return sum
	}
	mask := over >> 15 * 0xFFFF
	limit := wordSigns - wordOnes + a>>15&wordOnes // 0x7FFF, and 0x8000 where a is negative
	return sum&^mask | limit&mask
}

// mono is a sum in the making: the first source is not copied before there is a second, or none.
type mono struct {
	dst   []int16
	first []int16
	// filled is how many samples of dst hold a sum; 0: first is all there is.
	filled int
}

// add takes one more source, no longer than dst.
//
//earshot:hot
func (m *mono) add(pcm []int16) {
	so := m.dst[:m.filled]
	if m.filled == 0 {
		so, m.first = m.first, nil
	}
	if len(so) == 0 {
		m.first = pcm
		return
	}
	n := min(len(so), len(pcm))
	addSamples(m.dst[:n], so[:n], pcm[:n])
	copy(m.dst[n:], so[n:]) // one of both has no more
	copy(m.dst[n:], pcm[n:])
	m.filled = max(len(so), len(pcm))
}

// finish makes silence of what no source had.
//
//earshot:hot
func (m *mono) finish() {
	if m.filled == 0 {
		m.filled = copy(m.dst, m.first)
	}
	clear(m.dst[m.filled:])
}

// addSide adds a source to every second value of dst, one channel of two, of which the first filled hold a sum already; it gives how many
// do then.
//
//earshot:hot
func addSide(dst, pcm []int16, filled int) int {
	n := min(filled, len(pcm))
	for i, v := range pcm[:n] {
		dst[2*i] = clip(int64(dst[2*i]) + int64(v))
	}
	for i, v := range pcm[n:] {
		dst[2*(n+i)] = v
	}
	return max(filled, len(pcm))
}

// finishSide makes silence of what no source had.
//
//earshot:hot
func finishSide(dst []int16, filled int) {
	for i := 2 * filled; i < len(dst); i += 2 {
		dst[i] = 0
	}
}
