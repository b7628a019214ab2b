package media

import "time"

// maxOldKeys bounds the keys of earlier agreements that are still tried. Exchanges that follow each other within [rekeyGrace] may leave packets of each in flight.
const maxOldKeys = 4

// oldKey is the key of an earlier agreement, for packets in flight (RFC 4568 section 7.1.4).
type oldKey struct {
	*opener
	ends   time.Duration
	before *oldKey // one that ends earlier
}

// retire keeps a key that has been replaced.
func (k *liveTrack) retire(o *opener, now time.Duration) {
	k.old = &oldKey{o, now + rekeyGrace, k.old}
	last := k.old
	for range maxOldKeys - 1 {
		if last.before == nil {
			return
		}
		last = last.before
	}
	last.before = nil
}

// oldOpens opens a packet by an earlier key.
//
//earshot:hot
func (k *liveTrack) oldOpens(b []byte, at time.Duration) ([]byte, bool) {
	for link := &k.old; *link != nil; link = &(*link).before {
		if at > (*link).ends {
			*link = nil
			break
		}
		if plain, ok := (*link).open(k.shard.scratch, b); ok {
			return plain, true
		}
	}
	return nil, false
}

// oldOpensRTCP is oldOpens for RTCP.
func (k *liveTrack) oldOpensRTCP(b []byte, at time.Duration) ([]byte, bool) {
	for o := k.old; o != nil && at <= o.ends; o = o.before {
		if plain, ok := o.openRTCP(k.shard.scratch, b); ok {
			return plain, true
		}
	}
	return nil, false
}
