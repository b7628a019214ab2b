package sip_test

import (
	"fmt"
	"runtime"
	"testing"
)

// What a call that is up may cost: its dialog's goroutine, and what sipgo keeps.
const (
	goroutinesADialog = 1
	heapADialogBytes  = 48 << 10
)

// A dialog's price, and that nothing of it stays. The peer lives in this process too: it keeps a few hundred octets a dialog.
func TestDialogCostsOneGoroutineAndGivesAllBack(t *testing.T) {
	networks(t, func(t *testing.T, network string) {
		p, h := start(t, network, nil)
		warm := p.newDialog("warm")
		warm.establish(sdpOne)
		h.leg(0, func(l *leg) bool { return l.dialog != nil })
		warm.ask("BYE", "")
		h.ended(0)
		const n = 500
		goroutines, heap := settled(t, func(int, uint64) bool { return true })
		ds := make([]*dialog, n)
		for i := range ds {
			ds[i] = p.newDialog(fmt.Sprint("cost", i))
			ds[i].seq = 10 * i // a CSeq of its own, by which the peer finds the answer
			ds[i].establish(sdpOne)
		}
		eventually(t, func() bool { return h.counter("dialogs_established") == n+1 })
		up, upHeap := settled(t, func(g int, _ uint64) bool { return g <= goroutines+n*goroutinesADialog })
		if up < goroutines+n*goroutinesADialog {
			t.Errorf("%d goroutines, want %d for %d dialogs: is this test blind?", up-goroutines, n*goroutinesADialog, n)
		}
		if cost := (int64(upHeap) - int64(heap)) / n; cost > heapADialogBytes {
			t.Errorf("%d octets of heap a dialog, want %d at most", cost, heapADialogBytes)
		} else {
			t.Logf("%s: %d goroutine and %d octets of heap a dialog", network, (up-goroutines)/n, cost)
		}
		for _, d := range ds {
			d.ask("BYE", "")
		}
		eventually(t, func() bool { return h.counter("dialogs_ended") == n+1 && h.acc.State().Dialogs == 0 })
		settled(t, func(g int, _ uint64) bool { return g <= goroutines })
	})
}

// settled waits until ok holds for the goroutines and the heap that is in use, and gives both.
func settled(t *testing.T, ok func(goroutines int, heap uint64) bool) (goroutines int, heap uint64) {
	t.Helper()
	eventually(t, func() bool {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		goroutines, heap = runtime.NumGoroutine(), m.HeapAlloc
		return ok(goroutines, heap)
	})
	return goroutines, heap
}
