package media

import "unsafe"

// lineOctets is what the processor fetches at a time.
const lineOctets = 64

// warmRoutes fetches what finding the port's packets reads.
//
//earshot:hot
func (p *port) warmRoutes() byte {
	if p.known == nil {
		return 0
	}
	return fetch(unsafe.Pointer(&p.near), 0, unsafe.Sizeof(p.near))
}

// warm fetches what the turns of the port's tracks read. The processor sleeps through a shard's sleep with others' work, so that all of it is far
// away; in a turn one wait for memory follows the other, here many go on at once, for nothing depends on what is read. It is half of a turn's time.
// What is returned must go somewhere, or nothing would be read.
//
//earshot:hot
func (p *port) warm() (sum byte) {
	const from, to = unsafe.Offsetof(liveTrack{}.plan), unsafe.Sizeof(liveTrack{}) + unsafe.Offsetof(placer{}.align) + unsafe.Offsetof(aligner{}.last)
	for _, k := range p.tracks {
		sum += fetch(unsafe.Pointer(k), from, to) // the placer stands behind it: newLiveTrack
	}
	for _, k := range p.tracks {
		q, g := &k.placer.seq, &k.placer.past
		sum += byte(q.ts[(q.high+1)&(seqWindow-1)]) + byte(g.given[g.slot].pos)
		sum += fetch(unsafe.Pointer(k.state), 0, unsafe.Offsetof(k.state.Leg)) + fetch(unsafe.Pointer(k.line), 0, unsafe.Offsetof(k.line.info))
		if k.agree != nil {
			sum += byte(k.agree.codecs[0]) + k.agree.recv.warm()
		}
	}
	return sum + p.warmSinks()
}

// warmSinks fetches what the sinks will touch, of the timelines whose turn it is.
//
//earshot:hot
func (p *port) warmSinks() (sum byte) {
	for _, k := range p.tracks {
		l := k.line
		if s := l.shard; !l.mailed || l.warmed == s.round || !s.ripe(l) {
			continue
		}
		l.warmed = l.shard.round
		for _, st := range l.seats {
			if st.fetched != nil {
				sum += st.fetched.Fetch()
			}
		}
	}
	return sum
}

// warm fetches what opening a packet reads, as far as it is ours.
//
//earshot:hot
func (o *opener) warm() byte {
	if o == nil || o.cm == nil {
		return 0
	}
	sum := fetch(unsafe.Pointer(o.cm), 0, unsafe.Sizeof(*o.cm))
	if s := o.cm.newest; s != nil {
		sum += fetch(unsafe.Pointer(s), 0, unsafe.Sizeof(*s))
	}
	return sum
}

// Fetch reads a byte of each line from p on. It is for what the caller holds, as large as it says.
//
//earshot:hot
func Fetch(p unsafe.Pointer, octets uintptr) byte { return fetch(p, 0, octets) }

// fetch reads a byte of each line between two offsets. What it reads is looked at by nobody, so nothing depends on who writes there meanwhile.
//
//go:norace
//earshot:hot
func fetch(p unsafe.Pointer, from, to uintptr) (sum byte) {
	for at := from; at < to; at += lineOctets {
		sum += *(*byte)(unsafe.Add(p, at))
	}
	return sum
}
