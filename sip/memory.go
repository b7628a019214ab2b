package sip

import "time"

// memo is what became of an INVITE.
type memo struct {
	tx    txKey
	code  int // 0: not yet answered
	until time.Time
}

// memory keeps what became of INVITEs for memoLife, the newest maxMemos of them at least. Two generations, so that forgetting
// costs no sweep: when the young one is full or old enough it becomes the old one, and what was old is gone.
//
// Invariant: each holds maxMemos at most.
type memory struct {
	young, old map[inviteKey]memo
	since      time.Time // of the young one
}

// put keeps m under k.
func (m *memory) put(k inviteKey, v memo, now time.Time) {
	if m.young == nil || len(m.young) >= maxMemos || now.Sub(m.since) >= memoLife {
		m.young, m.old, m.since = make(map[inviteKey]memo), m.young, now
	}
	m.young[k] = v
}

// get finds what is kept under k and not over.
func (m *memory) get(k inviteKey, now time.Time) (memo, bool) {
	v, ok := m.young[k]
	if !ok {
		v, ok = m.old[k]
	}
	return v, ok && now.Before(v.until)
}
