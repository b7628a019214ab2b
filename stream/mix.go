package stream

import (
	"encoding/binary"
	"unsafe"
)

// Four samples in a word, for sums: their sign bits, and the lowest bits of each.
const (
	wordSigns = 0x8000800080008000
	wordOnes  = 0x0001000100010001
	wordBytes = 8
)

// littleEndian tells that samples lie in memory as s16le has them.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// bytesOf shows samples as the bytes that they are in memory.
func bytesOf(pcm []int16) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(pcm))), 2*len(pcm)) //nolint:gosec // of the same memory, and as long
}

// mixMono adds pcm to dst, of which the first filled samples hold a sum and the others nothing; it gives how many hold one then.
//
//earshot:hot
func mixMono(dst, pcm []int16, filled int) int {
	n := min(filled, len(pcm))
	addTo(dst[:n], pcm[:n])
	if n < len(pcm) {
		copy(dst[n:], pcm[n:])
		return len(pcm)
	}
	return filled
}

// addTo adds samples to those of dst, which is as long, and limits the sums.
//
//earshot:hot
func addTo(dst, pcm []int16) {
	d, p := bytesOf(dst), bytesOf(pcm)
	for len(d) >= wordBytes && len(p) >= wordBytes {
		binary.NativeEndian.PutUint64(d, addWords(binary.NativeEndian.Uint64(d), binary.NativeEndian.Uint64(p)))
		d, p = d[wordBytes:], p[wordBytes:]
	}
	for i := len(dst) - len(d)/2; i < len(dst); i++ {
		dst[i] = clip(int64(dst[i]) + int64(pcm[i]))
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

// mixSide is mixMono for every second value of dst: one channel of two.
//
//earshot:hot
func mixSide(dst, pcm []int16, filled int) int {
	n := min(filled, len(pcm))
	for i, v := range pcm[:n] {
		dst[2*i] = clip(int64(dst[2*i]) + int64(v))
	}
	for i, v := range pcm[n:] {
		dst[2*(n+i)] = v
	}
	return max(filled, len(pcm))
}

// hushSide makes silence of what one channel of dst holds behind the first filled samples.
//
//earshot:hot
func hushSide(dst []int16, channels, filled int) {
	if channels == 1 {
		clear(dst[filled:])
		return
	}
	for i := 2 * filled; i < len(dst); i += 2 {
		dst[i] = 0
	}
}
