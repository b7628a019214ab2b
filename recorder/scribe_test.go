package recorder

import (
	"testing"
	"time"
)

// TestWordsOfAnEngineThatCatchesUpAreWaitedFor: stream gives it ten minutes after the call's end; it ends sooner when it is through, and with the store.
func TestWordsOfAnEngineThatCatchesUpAreWaitedFor(t *testing.T) {
	sealed := time.Now()
	at := func(awaited bool) *words { return &words{awaited: awaited, sealed: sealed} }
	w := at(true)
	if w.finished(sealed.Add(10*time.Minute+time.Second), false) {
		t.Error("given up while the engine gets what it missed")
	}
	if kept, _ := w.add(Line{Text: "what it missed"}); !kept {
		t.Error("its words are not taken")
	}
	if !w.finished(sealed.Add(time.Hour), false) {
		t.Error("waited for for ever")
	}
	if !at(false).finished(sealed, false) || !at(true).finished(sealed, true) {
		t.Error("waited for when all engines, or the store, have ended")
	}
}
