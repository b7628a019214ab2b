package sip

import (
	"strconv"
	"testing"
	"time"
)

func TestMemoryOfInvitesForgetsTheOldestAndStaysBounded(t *testing.T) {
	var m memory
	now := time.Unix(1e9, 0)
	key := func(i int) inviteKey { return inviteKey{callID: strconv.Itoa(i)} }
	const n = 5 * maxMemos
	for i := range n {
		m.put(key(i), memo{code: i, until: now.Add(memoLife)}, now)
		if len(m.young) > maxMemos || len(m.old) > maxMemos {
			t.Fatalf("after %d: %d and %d kept, want %d at most", i, len(m.young), len(m.old), maxMemos)
		}
	}
	for i := n - maxMemos; i < n; i++ {
		if v, ok := m.get(key(i), now); !ok || v.code != i {
			t.Fatalf("number %d of %d: got %+v, %t; want it kept", i, n, v, ok)
		}
	}
	if _, ok := m.get(key(0), now); ok {
		t.Error("the oldest is still there")
	}
}

func TestMemoryOfInvitesForgetsAfterAMinute(t *testing.T) {
	var m memory
	now := time.Unix(1e9, 0)
	k := inviteKey{callID: "x"}
	m.put(k, memo{code: 486, until: now.Add(memoLife)}, now)
	if _, ok := m.get(k, now.Add(memoLife-1)); !ok {
		t.Error("forgotten within its life")
	}
	if _, ok := m.get(k, now.Add(memoLife)); ok {
		t.Error("kept beyond its life")
	}
	for i := range 2 { // what nobody asks for goes too
		m.put(inviteKey{seq: uint32(i + 1)}, memo{}, now.Add(time.Duration(i+1)*memoLife))
	}
	if _, ok := m.old[k]; ok || len(m.young)+len(m.old) != 2 {
		t.Errorf("%d kept after two lives, want 2", len(m.young)+len(m.old))
	}
}
