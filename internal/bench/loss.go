package bench

import "math"

const (
	// behindPackets is after how many packets a hole holds nobody up any more: live wait, a sweep, and one packet more.
	behindPackets = 5
	// firstLoss is a track's first packet that may be lost: which packet is the first decides where all others are, and that holes are behind others.
	firstLoss = 25
)

// loss says which packets never arrive: a share of them by chance, and by the same chance in every process.
type loss uint64

// lossOf makes it of a share.
func lossOf(share float64) loss { return loss(share * math.MaxUint32) }

// takes tells whether a track's packet is lost.
func (l loss) takes(track int, packet int64) bool {
	if l == 0 || packet < firstLoss {
		return false
	}
	// The finalizer of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
	x := uint64(track)<<40 + uint64(packet)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return loss(x>>32) < l
}

// behind tells whether a packet comes when a hole before it may be open yet.
func (l loss) behind(track int, packet int64) bool {
	for i := range min(int64(behindPackets), packet) {
		if l.takes(track, packet-1-i) {
			return true
		}
	}
	return false
}
