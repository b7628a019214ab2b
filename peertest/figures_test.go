package peertest

import "math"

// figures are what RFC 3550 says of packets in the order they came, of one SSRC.
type figures struct {
	packets, unique, expected, duplicates int64
	behind                                int64 // unique ones that came after one with a higher number
	runs, longestRun                      int64 // of missing numbers in a row
	fromFirst                             int64 // numbers from the packet that came first to the one that came last, both included
	audio                                 int64 // packets that the jitter looks at
	jitter, maxJitter, sumJitter          float64
}

// follower reads packets one after the other.
type follower struct {
	figures
	base, high, first int64 // extended sequence numbers
	came              map[int64]bool
	highTS            int64
	transit           float64
}

// take reads one packet and gives its extended sequence number and timestamp. Unwrapped is to the value nearest to the
// highest.
func (f *follower) take(p packet) (ext, ts int64, again bool) {
	if f.packets == 0 {
		f.came = map[int64]bool{}
		f.base, f.high, f.first, f.highTS = int64(p.seq), int64(p.seq), int64(p.seq), int64(p.ts)
	}
	ext, ts = f.high+int64(int16(p.seq-uint16(f.high))), f.highTS+int64(int32(p.ts-uint32(f.highTS)))
	f.packets++
	again = f.came[ext]
	f.came[ext] = true
	switch {
	case again:
		f.duplicates++
	case ext < f.high:
		f.behind++
	}
	if ext > f.high {
		f.high, f.highTS = ext, ts
	}
	f.base = min(f.base, ext)
	if p.hasAudio() {
		f.jitterOf(p, ts)
	}
	f.unique, f.expected, f.fromFirst = int64(len(f.came)), f.high-f.base+1, ext-f.first+1
	return ext, ts, again
}

// hasAudio: digits have the timestamp of their beginning, and comfort noise is no speech.
func (p packet) hasAudio() bool { return p.pt == ulaw.number || p.pt == alaw.number }

// jitterOf is RFC 3550 appendix A.8, for each packet that is received, in the order of arrival.
func (f *follower) jitterOf(p packet, ts int64) {
	transit := p.at.Seconds()*8000 - float64(ts)
	if f.audio++; f.audio > 1 {
		f.jitter += (math.Abs(transit-f.transit) - f.jitter) / 16
		f.maxJitter = max(f.maxJitter, f.jitter)
		f.sumJitter += f.jitter
	}
	f.transit = transit
}

// meanJitter is over all but the first packet, which has none before it.
func (f figures) meanJitter() float64 { return f.sumJitter / float64(max(1, f.audio-1)) }

// figuresOf reads all packets of one source.
func figuresOf(packets []packet) figures {
	var f follower
	for _, p := range packets {
		f.take(p)
	}
	run := int64(0)
	for e := f.base; e <= f.high; e++ {
		if f.came[e] {
			run = 0
			continue
		}
		if run++; run == 1 {
			f.runs++
		}
		f.longestRun = max(f.longestRun, run)
	}
	return f.figures
}

// add sums the sources of a track; the jitter at the end is that of the last.
func (f *figures) add(o figures) {
	f.packets += o.packets
	f.unique += o.unique
	f.expected += o.expected
	f.duplicates += o.duplicates
	f.behind += o.behind
	f.runs += o.runs
	f.longestRun = max(f.longestRun, o.longestRun)
	f.audio += o.audio
	if f.sumJitter > 0 {
		f.audio-- // each source has a packet without one before it
	}
	f.jitter, f.maxJitter, f.sumJitter = o.jitter, max(f.maxJitter, o.maxJitter), f.sumJitter+o.sumJitter
}

// once leaves out the copies of packets of one source.
func once(packets []packet) (out []packet) {
	var f follower
	for _, p := range packets {
		if _, _, again := f.take(p); !again {
			out = append(out, p)
		}
	}
	return out
}

// bySource sorts packets by SSRC, in the order in which sources began.
func bySource(packets []packet) (order []uint32, of map[uint32][]packet) {
	of = map[uint32][]packet{}
	for _, p := range packets {
		if of[p.ssrc] == nil {
			order = append(order, p.ssrc)
		}
		of[p.ssrc] = append(of[p.ssrc], p)
	}
	return order, of
}
