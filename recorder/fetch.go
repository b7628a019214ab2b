package recorder

import (
	"unsafe"

	"github.com/earshot/earshot/media"
)

const (
	// fetchOctets is how much room for audio is fetched: the processor sees the rest coming. fetchOps is what a batch of two tracks adds.
	fetchOctets = 256
	fetchOps    = 2
	// inboxHot and bufferHot are what each batch needs.
	inboxHot  = unsafe.Offsetof(Recording{}.inbox) + unsafe.Offsetof(inbox{}.states)
	bufferHot = unsafe.Offsetof(buffer{}.tracks) + (1+fetchOps)*unsafe.Sizeof(queued{})
)

// ahead is where the next batch will go, unless a worker takes the buffer first.
type ahead struct {
	in   *buffer
	data *[fetchOctets]byte // nil: there is no such room left
	ops  *[fetchOps]op
}

// ahead looks where the next batch will go.
//
//earshot:hot
func (b *buffer) ahead() ahead {
	a := ahead{in: b}
	if n := len(b.data); cap(b.data)-n >= fetchOctets {
		a.data = (*[fetchOctets]byte)(b.data[n : n+fetchOctets])
	}
	if n := len(b.ops); cap(b.ops)-n >= fetchOps {
		a.ops = (*[fetchOps]op)(b.ops[n : n+fetchOps])
	}
	return a
}

// Fetch implements media.Fetched.
//
//earshot:hot
func (r *Recording) Fetch() byte {
	sum := media.Fetch(unsafe.Pointer(r), inboxHot) //nolint:gosec // its own memory, as what follows
	a := &r.ahead
	if a.in != nil {
		sum += media.Fetch(unsafe.Pointer(a.in), bufferHot)
	}
	if a.data != nil {
		sum += media.Fetch(unsafe.Pointer(a.data), fetchOctets)
	}
	if a.ops != nil {
		sum += media.Fetch(unsafe.Pointer(a.ops), unsafe.Sizeof(*a.ops))
	}
	return sum
}
