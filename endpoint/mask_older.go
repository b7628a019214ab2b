package endpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/internal/who"
	"github.com/earshot/earshot/media"
)

// A call that the older process hears is masked by it, though who asks reaches this one: both read and write the call's page of the mask
// book. This one writes what is wanted, the older one looks once a second and writes what it did.

// olderWithin is how long the older process may take to answer.
const olderWithin = 3 * time.Second

// errOlder: the older process has not answered.
var errOlder = errors.New("the older process, which hears this call, has not answered yet: it does as soon as it looks")

// elsewhere gives the call that the older process hears; nil: it hears none such.
func (e *Endpoint) elsewhere(id, agent string) *Held {
	if e.olderStatus() == nil {
		return nil
	}
	ids := []string{id}
	for _, p := range e.pools {
		for _, c := range p.sup.Status().Calls {
			if agent != "" && c.Agent == agent {
				ids = append(ids, c.Session)
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.older.held {
		if slices.ContainsFunc(ids, func(id string) bool { return id != "" && (h.Call == id || slices.Contains(h.Sessions, id)) }) {
			return &h
		}
	}
	return nil
}

// maskElsewhere has the older process mask a call, from a time on.
func (e *Endpoint) maskElsewhere(ctx context.Context, h *Held, req MaskRequest) (Masked, error) {
	long := req.For
	if long == 0 {
		long = e.cfg.MaskMax
	}
	now := time.Now().UTC()
	asked := now.Add(-req.Back)
	p, err := e.pageOf(h)
	if err != nil {
		return Masked{}, err
	}
	changed := p.on(now) == nil
	if m := p.on(now); m != nil {
		m.Until, m.Applied = later(m.Until, now.Add(long)), time.Time{}
		m.From = earlier(m.From, asked)
	} else {
		p.Masks = append(p.Masks, maskLine{From: asked, Until: now.Add(long), Why: who.Why(ctx), Who: who.From(ctx)})
	}
	done, err := e.tellOlder(ctx, p, func(p *maskPage) bool { m := p.on(time.Now()); return m != nil && !m.Applied.IsZero() })
	if err != nil {
		return Masked{}, fmt.Errorf("mask %s: %w", h.Call, err)
	}
	e.Note(ctx, actMask, About{Call: h.Call})
	m := done.on(time.Now())
	return Masked{
		Call: h.Call, Masked: true, By: media.HolderPCI.String(), From: m.Applied, Pos: m.Pos, Dir: h.Dir, Asked: asked,
		CutShort: m.Applied.After(asked), Until: m.Until, Changed: changed,
	}, nil
}

// unmaskElsewhere has the older process end a call's mask.
func (e *Endpoint) unmaskElsewhere(ctx context.Context, h *Held) (Masked, error) {
	p, err := e.pageOf(h)
	if err != nil {
		return Masked{}, err
	}
	now := time.Now().UTC()
	m := p.on(now)
	if m == nil {
		return Masked{Call: h.Call, Dir: h.Dir, From: now}, nil
	}
	m.To, m.Applied = now, time.Time{}
	done, err := e.tellOlder(ctx, p, func(p *maskPage) bool { return len(p.Masks) > 0 && !p.Masks[len(p.Masks)-1].Applied.IsZero() })
	if err != nil {
		return Masked{}, fmt.Errorf("unmask %s: %w", h.Call, err)
	}
	e.Note(ctx, actUnmask, About{Call: h.Call})
	last := done.Masks[len(done.Masks)-1]
	return Masked{Call: h.Call, Dir: h.Dir, From: last.Applied, Pos: last.Pos, Changed: true}, nil
}

// pageOf is what is known of a call that the older process hears.
func (e *Endpoint) pageOf(h *Held) (maskPage, error) {
	found, err := e.book.find([]string{h.Call})
	for _, p := range found {
		if p.Call == h.Call {
			return p, nil
		}
	}
	return maskPage{Call: h.Call, Sessions: h.Sessions}, err
}

// tellOlder writes what is wanted, and waits until the older process has done it.
func (e *Endpoint) tellOlder(ctx context.Context, p maskPage, done func(*maskPage) bool) (*maskPage, error) {
	err := e.book.write(p, time.Now())
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, olderWithin)
	defer cancel()
	var now maskPage
	if !until(limited, func() bool {
		now, err = e.pageOf(&Held{Call: p.Call})
		return err == nil && done(&now)
	}) {
		return nil, errOlder
	}
	return &now, nil
}

// heedBook does, in the older process, what the younger one wrote of the call.
func (c *Call) heedBook(ctx context.Context) {
	if !c.e.shift.lent.Load() {
		return
	}
	p, err := c.e.pageOf(&Held{Call: c.id})
	if err != nil || len(p.Masks) == 0 {
		return
	}
	c.masking.Lock()
	defer c.masking.Unlock()
	last := &p.Masks[len(p.Masks)-1]
	now := time.Now().UTC()
	if !last.Applied.IsZero() {
		return
	}
	c.pci.page.Masks = p.Masks
	reply := c.letOut
	if on := p.on(now); on != nil {
		from := max(c.e.engine.Now()-now.Sub(on.From), c.timeline.Zero(), 1)
		reply = func(h media.Holder) <-chan media.Applied { return c.holdBack(h, from, on.Why) }
	}
	applied, err := answered(ctx, reply(media.HolderPCI))
	if err != nil {
		return // at the next look
	}
	c.pci.on = p.on(now) != nil
	out := c.answer(applied, true)
	last.Applied, last.Pos = out.From.UTC(), out.Pos
	if c.pci.on {
		last.From = earlier(last.From, last.Applied)
	}
	_ = c.keepMask(now) // told there
	c.e.log.Info("call's mask turned by the next process", attr.Call(c.id), "masked", out.Masked)
}
