package bench

import (
	"encoding/binary"
	"fmt"

	"github.com/pion/srtp/v3"

	"github.com/earshot/earshot/media"
)

const (
	headerOctets = 12
	keyOctets    = 16
	saltOctets   = 14
)

// flow is one track's packets, as the sender makes them.
type flow struct {
	track int
	n     int64 // packets made
	sent  int64 // those that were not lost
	loss  loss
	buf   []byte
	out   []byte
	ctx   *srtp.Context // nil: plain
}

// firstSeq and firstStamp are where a track's numbers begin: anywhere, and known to both processes.
func firstSeq(track int) uint16   { return uint16(track * 31) }
func firstStamp(track int) uint32 { return uint32(track) * 2654435761 }

// ssrcOf is a track's source.
func ssrcOf(track int) uint32 { return 0xEA000000 + uint32(track) }

func newFlow(track int, secure bool, l loss) (*flow, error) {
	f := &flow{track: track, loss: l, buf: make([]byte, headerOctets+packetSamples), out: make([]byte, 0, 256)}
	f.buf[0] = 2 << 6
	binary.BigEndian.PutUint32(f.buf[8:], ssrcOf(track))
	if !secure {
		return f, nil
	}
	k := keyOf(track, false)
	var err error
	if f.ctx, err = srtp.CreateContext(k.Master, k.Salt, srtp.ProtectionProfileAes128CmHmacSha1_80); err != nil {
		return nil, fmt.Errorf("sender: key: %w", err)
	}
	return f, nil
}

// next makes the flow's next packet, valid until the next call; nil is one that is lost.
func (f *flow) next(p pattern) ([]byte, error) {
	binary.BigEndian.PutUint16(f.buf[2:], firstSeq(f.track)+uint16(f.n))
	binary.BigEndian.PutUint32(f.buf[4:], firstStamp(f.track)+uint32(f.n*packetSamples))
	copy(f.buf[headerOctets:], p.at(f.track, f.n*packetSamples, packetSamples))
	lost := f.loss.takes(f.track, f.n)
	f.n++
	switch {
	case lost:
		return nil, nil
	case f.ctx == nil:
		f.sent++
		return f.buf, nil
	}
	f.sent++
	b, err := f.ctx.EncryptRTP(f.out[:0], f.buf, nil)
	if err != nil {
		return nil, fmt.Errorf("sender: protect: %w", err)
	}
	return b, nil
}

// keyOf is a track's SRTP key: of this measurement alone, known to both processes, no secret.
func keyOf(track int, ours bool) *media.Key {
	k := &media.Key{Suite: media.SuiteAESCM128SHA1x80, Master: make([]byte, keyOctets), Salt: make([]byte, saltOctets)}
	binary.BigEndian.PutUint32(k.Master, uint32(track))
	binary.BigEndian.PutUint32(k.Salt, ^uint32(track))
	if ours {
		k.Master[keyOctets-1] = 1
	}
	return k
}
