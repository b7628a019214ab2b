package endpoint

import (
	"context"
	"errors"
	"time"

	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/vault"
)

// erasers are who keeps copies of recordings elsewhere.
func (k *keeper) erasers() []recorder.Eraser {
	if k.vault == nil {
		return nil
	}
	return []recorder.Eraser{vaultEraser{k.vault}}
}

// vaultEraser erases in the vault, and says of what is locked there until when it need not be asked again.
type vaultEraser struct{ recorder.Eraser }

func (v vaultEraser) Erase(ctx context.Context, folder string) error {
	err := v.Eraser.Erase(ctx, folder)
	if l, ok := errors.AsType[*vault.LockedError](err); ok && !l.Until.IsZero() {
		return lockedUntil{err, l.Until}
	}
	return err
}

// lockedUntil is an error that stands until a time.
type lockedUntil struct {
	error
	until time.Time
}

func (l lockedUntil) Unwrap() error    { return l.error }
func (l lockedUntil) Until() time.Time { return l.until }
