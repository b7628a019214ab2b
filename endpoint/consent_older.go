package endpoint

import (
	"context"
	"fmt"
	"time"

	"github.com/earshot/earshot/internal/attr"
)

// What is said of a call that the older process hears reaches it as a mask does: this one writes it into the consent book, the older one looks
// once a second, does it, and writes since when it holds.

// consentElsewhere has the older process heed what somebody says of a call.
func (e *Endpoint) consentElsewhere(ctx context.Context, h *Held, req ConsentRequest) (Consented, error) {
	before, err := e.consents.read(h.Call)
	if err != nil {
		return Consented{}, fmt.Errorf("consent %s: %w", h.Call, err)
	}
	said := e.said(ctx, req)
	if err := e.consents.write(h.Call, h.Sessions, said, time.Time{}); err != nil {
		return Consented{}, fmt.Errorf("consent %s: %w", h.Call, err)
	}
	e.noteConsent(ctx, h.Call, said)
	limited, cancel := context.WithTimeout(ctx, olderWithin)
	defer cancel()
	var since time.Time
	if !until(limited, func() bool {
		p, err := e.consents.page(h.Call)
		since = p.Applied
		return err == nil && !since.IsZero() && !p.Consent.At.Before(said.At)
	}) {
		return Consented{}, fmt.Errorf("consent %s: %w", h.Call, errOlder)
	}
	return Consented{Call: h.Call, State: said.State, From: since, Dir: h.Dir, Changed: before.State != said.State}, nil
}

// heedConsent does, in the older process, what the younger one wrote of the call.
func (c *Call) heedConsent(ctx context.Context) {
	if !c.e.shift.lent.Load() || c.e.cfg.Consent.Mode != ConsentRequired {
		return
	}
	c.consenting.Lock()
	defer c.consenting.Unlock()
	p, err := c.e.consents.page(c.id)
	if err != nil || !p.Applied.IsZero() || !p.Consent.At.After(c.description().Consent.At) {
		return
	}
	applied, err := answered(ctx, c.turnConsent(p.Consent))
	if err != nil {
		return // it has ended, or has it in its mailbox
	}
	if err := c.e.consents.write(c.id, c.description().Sessions, p.Consent, c.e.engine.Wall(applied.From).UTC()); err != nil {
		c.e.log.Error("consent not durable", attr.Call(c.id), attr.Err(err), "hint", diskHint)
	}
	c.e.log.Info("consent told by the next process", attr.Call(c.id), "state", p.Consent.State)
}
