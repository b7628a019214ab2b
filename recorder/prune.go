package recorder

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path"
	"strings"
	"time"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/recorder/evidence"
)

// PruneConfig says what is to be erased by its time.
type PruneConfig struct {
	// Who and Why stand in the evidence log; Who is required.
	Who, Why string
	// Now is the time, default the clock's.
	Now time.Time
	// Most bounds the erasures of one run; default 1,000.
	Most int
	// DryRun tells what would be erased, and erases nothing.
	DryRun bool
	// Reclass: how long a recording is kept is told by this Retention instead of by its manifest; that may be longer or shorter. nil: by the manifest.
	Reclass *Retention
	// ClockIsRight: somebody says so; it is noted, and the clock is not doubted.
	ClockIsRight bool
	// Due gives folders that may be due, from a list that is kept; they are looked at again. nil: all recordings are looked at.
	Due iter.Seq2[string, error]
}

const (
	defaultPrune = 1000
	// maxNamed bounds what a run names of each kind; the rest is counted.
	maxNamed = 1000
)

// Pruned is what a run did, or with DryRun would have done.
type Pruned struct {
	DryRun bool `json:"dry_run,omitempty"`
	Looked int  `json:"looked"` // recordings that were looked at
	Erased int  `json:"erased"`
	Held   int  `json:"held"`   // past their time, and on legal hold
	Failed int  `json:"failed"` // past their time, and not erased; Items say why
	More   bool `json:"more"`   // there may be more to erase: the run was cut at Most, or ended
	// Items name them, some thousand at most.
	Items []PrunedItem `json:"items"`
	// Pending are erasures whose copies elsewhere could not be erased yet, of this run and of earlier ones.
	Pending []Erasure `json:"pending"`
}

// PrunedItem is one recording past its time.
type PrunedItem struct {
	Folder string    `json:"folder"`
	Call   string    `json:"call,omitempty"`
	Class  string    `json:"class"`
	Until  time.Time `json:"until"`
	State  string    `json:"state"` // erased, due (with DryRun), held, failed
	Text   string    `json:"text,omitempty"`
}

// String is the run in one line.
func (p *Pruned) String() string {
	what := "erased"
	if p.DryRun {
		what = "due"
	}
	text := fmt.Sprintf("%d recordings looked at, %d %s, %d past their time on legal hold, %d failed, %d with copies elsewhere that are not erased yet", p.Looked, p.Erased, what, p.Held, p.Failed, len(p.Pending))
	if p.More {
		text += "; there may be more: the next run goes on"
	}
	return text
}

// Prune erases what is past its time and on no legal hold. It works through some recordings only, see PruneConfig.Most, and where the clock can't be right (ErrClock)
// through none. What could not be erased is named, and tried again by the next run.
func (s *Store) Prune(ctx context.Context, cfg PruneConfig) (*Pruned, error) {
	c := &Catalog{s.root, s.cfg.Dir}
	if cfg.DryRun {
		return c.PruneDry(ctx, cfg)
	}
	if !s.claimed() {
		return nil, fmt.Errorf("prune: %s: %w", s.cfg.Dir, ErrInUse)
	}
	if cfg.ClockIsRight {
		if err := s.leaf(evidence.Leaf{Type: evidence.LeafAct, Act: actClock, Who: cfg.Who, Why: "the clock is right"}); err != nil {
			return nil, fmt.Errorf("prune: %w", err)
		}
	}
	p := &pruner{c: c, cfg: cfg, out: &Pruned{Items: []PrunedItem{}}}
	if p.cfg.Why == "" {
		p.cfg.Why = "retention"
	}
	err := p.run(ctx, func(items []PrunedItem) { s.pruneSome(ctx, p, items) })
	if err == nil {
		err = s.leaf(evidence.Leaf{Type: evidence.LeafAct, Act: "prune", Who: cfg.Who, Why: p.out.String()})
	}
	if err != nil {
		return p.out, fmt.Errorf("prune: %w", err)
	}
	return p.out, nil
}

// pruneSome erases some recordings, of whose exports the log is read once.
func (s *Store) pruneSome(ctx context.Context, p *pruner, items []PrunedItem) {
	folders := map[string]bool{}
	for _, i := range items {
		folders[i.Folder] = true
	}
	known, err := exportsOf(s.cfg.Dir, folders)
	for _, i := range items {
		if err == nil {
			s.care.Lock()
			_, e := s.erase(ctx, i.Folder, p.cfg.Who, fmt.Sprintf("%s: class %s, kept until %s", p.cfg.Why, i.Class, i.Until.Format(time.DateOnly)), known)
			s.care.Unlock()
			p.note(i, "erased", e)
			continue
		}
		p.note(i, "erased", err)
	}
}

// PruneDry tells what Prune would do.
func (c *Catalog) PruneDry(ctx context.Context, cfg PruneConfig) (*Pruned, error) {
	p := &pruner{c: c, cfg: cfg, out: &Pruned{DryRun: true, Items: []PrunedItem{}}}
	err := p.run(ctx, func(items []PrunedItem) {
		for _, i := range items {
			p.note(i, "due", nil)
		}
	})
	if err != nil {
		return p.out, fmt.Errorf("prune: %w", err)
	}
	return p.out, nil
}

// pruner is one run.
type pruner struct {
	c    *Catalog
	cfg  PruneConfig
	out  *Pruned
	done int
}

// pruneBatch is how many are erased at a time.
const pruneBatch = 100

func (p *pruner) run(ctx context.Context, do func([]PrunedItem)) error {
	if p.cfg.Now.IsZero() {
		p.cfg.Now = time.Now()
	}
	if p.cfg.Most <= 0 {
		p.cfg.Most = defaultPrune
	}
	if !p.cfg.ClockIsRight {
		if err := p.c.checkClock(p.cfg.Now); err != nil {
			return err
		}
	}
	due := p.cfg.Due
	if due == nil {
		due = p.c.All()
	}
	var errs error
	var some []PrunedItem
	batch := func() {
		some = p.asSealed(some)
		p.done += len(some)
		do(some)
		some = nil
	}
	for folder, err := range due {
		if ctx.Err() != nil || p.done >= p.cfg.Most {
			p.out.More = true
			break
		}
		if err != nil {
			errs = errors.Join(errs, err)
			continue
		}
		if item, ok := p.look(folder); ok {
			some = append(some, item)
		}
		if len(some) == min(pruneBatch, p.cfg.Most-p.done) {
			batch()
		}
	}
	batch()
	p.out.Pending, _ = p.c.Erasing() // one that can't be read is told of by who retries it
	return errors.Join(errs, context.Cause(ctx))
}

// look tells whether a recording is past its time, and free to go.
func (p *pruner) look(folder string) (PrunedItem, bool) {
	if !isFolder(folder) {
		return PrunedItem{}, false
	}
	p.out.Looked++
	m, err := readManifest(p.c.root, path.Join(folder, ManifestName))
	if err != nil {
		return PrunedItem{}, false // that it can't be read is told by list and verify; it says of no time when it might go
	}
	kept := m.Retention
	if p.cfg.Reclass != nil {
		kept = p.cfg.Reclass.Of(m)
	}
	if kept == nil || kept.Until == nil || kept.Until.After(p.cfg.Now) {
		return PrunedItem{}, false
	}
	item := PrunedItem{Folder: folder, Call: m.Call.ID, Class: kept.Class, Until: *kept.Until}
	if f, err := readHolds(p.c.root, folder); f != nil || err != nil {
		p.note(item, "held", errors.Join(onHold(f), err))
		return item, false
	}
	return item, true
}

// note counts one, and names it while there is room.
func (p *pruner) note(i PrunedItem, state string, err error) {
	switch {
	case errors.Is(err, ErrOnHold): // maybe it was held just now
		state = "held"
		p.out.Held++
	case err != nil:
		state = "failed"
		p.out.Failed++
	default:
		p.out.Erased++
	}
	if len(p.out.Items) >= maxNamed {
		return
	}
	if i.State = state; err != nil {
		i.Text = err.Error()
	}
	p.out.Items = append(p.out.Items, i)
}

// All gives every sealed recording's folder, the oldest first.
func (c *Catalog) All() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		days, err := c.days()
		if err != nil && !yield("", err) {
			return
		}
		for _, d := range days {
			names, err := c.recordings(d)
			if err != nil && !yield("", err) {
				return
			}
			for _, n := range names {
				if !strings.HasSuffix(n, partialSuffix) && !yield(path.Join(d, n), nil) {
					return
				}
			}
		}
	}
}

// PruneDaily prunes once a day until ctx ends, at a time of the day in a time zone. due gives what may be due then; nil: all recordings are looked at.
func (s *Store) PruneDaily(ctx context.Context, at time.Duration, zone *time.Location, due func(now time.Time) iter.Seq2[string, error]) error {
	for {
		timer := time.NewTimer(time.Until(nextDaily(time.Now(), at, zone)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		if !s.claimed() {
			continue // who has the lock prunes
		}
		cfg := PruneConfig{Who: "earshot", Why: "retention"}
		if due != nil {
			cfg.Due = due(time.Now())
		}
		p, err := s.Prune(ctx, cfg)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, ErrClock):
			s.log.Error("recordings not pruned: if the clock is right, say so with `earshot recordings prune --clock-is-right`", attr.Err(err))
		case err != nil:
			s.count.errors.Add(1)
			s.log.Error("recordings not pruned", attr.Err(err))
		default:
			s.log.Info("recordings pruned", slog.Int("looked", p.Looked), slog.Int("erased", p.Erased), slog.Int("held", p.Held), slog.Int("failed", p.Failed),
				slog.Int("pending", len(p.Pending)), slog.Bool("more", p.More))
		}
	}
}

// nextDaily gives the next time of a day after now; on a day that lacks it (the clock is put forward), what stands for it there.
func nextDaily(now time.Time, at time.Duration, zone *time.Location) time.Time {
	local := now.In(zone)
	for days := 0; ; days++ {
		t := time.Date(local.Year(), local.Month(), local.Day()+days, 0, int(at/time.Minute), 0, 0, zone)
		if t.After(now) {
			return t
		}
	}
}
