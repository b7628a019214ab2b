package endpoint

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/earshot/earshot/recorder/vault"
)

type eraser struct{ err error }

func (e eraser) Erase(context.Context, string) error { return e.err }

func TestAnObjectLockIsNotAskedBeforeItEnds(t *testing.T) {
	lock := &vault.LockedError{Folder: "f", Mode: vault.LockCompliance, Until: time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)}
	err := vaultEraser{eraser{lock}}.Erase(t.Context(), "f")
	u, ok := errors.AsType[interface {
		error
		Until() time.Time
	}](err)
	if !ok || !u.Until().Equal(lock.Until) || !errors.Is(err, error(lock)) || err.Error() != lock.Error() {
		t.Errorf("got %v, want the lock with its end", err)
	}
	for _, other := range []error{nil, errors.New("no route to host"), &vault.LockedError{Folder: "f", Hold: true}} {
		if err := (vaultEraser{eraser{other}}).Erase(t.Context(), "f"); err != other {
			t.Errorf("got %v, want %v as it is", err, other)
		}
	}
}
