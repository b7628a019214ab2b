package stream

import (
	"unsafe"

	"github.com/earshot/earshot/media"
)

// fetchOctets is how much of what is only written is fetched: the processor sees the rest coming.
const fetchOctets = 256

// fetch has the processor fetch what the lane needs for a batch.
//
//earshot:hot
func (l *lane) fetch() byte {
	return media.Fetch(unsafe.Pointer(l), unsafe.Offsetof(l.spare)) //nolint:gosec // its own memory
}

// fetch has the processor fetch what a message's beginning needs: where a reader keeps up, it lies at the beginning of the ring.
//
//earshot:hot
func (r *ring) fetch() byte {
	buf := unsafe.Pointer(unsafe.SliceData(r.buf)) //nolint:gosec // its own memory, as what follows
	return media.Fetch(unsafe.Pointer(r), unsafe.Sizeof(*r)) + media.Fetch(buf, uintptr(min(2*len(r.buf), fetchOctets)))
}
