package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/recorder"
)

const (
	// maxQueue bounds the folders that wait to be written; what finds no room is found by the next look.
	maxQueue = 4096
	// lookEvery is how often all days are compared with the catalog, by their times of change.
	lookEvery = 15 * time.Minute
	// againAfter is how long a catalog that could not be written waits for the next try.
	againAfter = time.Minute
	// batch is how many recordings are written at a time at most.
	batch = 256
)

// Config holds a catalog's settings.
type Config struct {
	// Dir is the directory of recordings. Required.
	Dir string
	// Log takes what goes wrong; nil discards.
	Log *slog.Logger
}

// DB keeps the catalog of a directory in step with its folders.
type DB struct {
	// Set by New, then constant.
	cfg   Config
	queue chan string
	look  chan struct{} // size 1: something was lost

	lost atomic.Int64
}

// New checks the settings.
func New(cfg Config) (*DB, error) {
	if cfg.Dir == "" {
		return nil, errors.New("catalog: dir: empty, want the directory of recordings")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &DB{cfg: cfg, queue: make(chan string, maxQueue), look: make(chan struct{}, 1)}, nil
}

// Changed notes that a recording is there, or no more; for recorder.Config.
func (d *DB) Changed(folder string) {
	select {
	case d.queue <- folder:
	default:
		d.lost.Add(1)
		select {
		case d.look <- struct{}{}:
		default:
		}
	}
}

// Lost counts the changes that found no room, and were left to the next look.
func (d *DB) Lost() int64 { return d.lost.Load() }

// Run keeps the catalog until ctx ends. A catalog that can't be kept costs nothing but the time of who searches, so it is tried again and Run goes on.
func (d *DB) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := d.keep(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if damaged(err) {
			d.cfg.Log.Warn("catalog damaged, made anew from the folders", slog.String("file", filepath.Join(d.cfg.Dir, Name)), attr.Err(err))
			if err = remove(d.cfg.Dir); err == nil {
				continue
			}
		}
		d.cfg.Log.Error("catalog not written: recordings are found all the same, more slowly", attr.Err(err))
		again := time.NewTimer(againAfter)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
		}
	}
	return nil
}

// keep opens the catalog and keeps it until something fails.
func (d *DB) keep(ctx context.Context) (err error) {
	cat, err := recorder.OpenCatalog(d.cfg.Dir)
	if err != nil {
		return err
	}
	w := &writer{folders: folders{d.cfg.Dir, cat}, log: d.cfg.Log}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.open(ctx); err != nil {
		return err
	}
	if err := w.reconcile(ctx); err != nil {
		return err
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return d.last(w)
		case folder := <-d.queue:
			err = w.changed(ctx, d.more(folder))
		case <-d.look:
			err = w.reconcile(ctx)
		case <-tick.C:
			err = w.reconcile(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// more takes what else waits.
func (d *DB) more(first string) []string {
	out := []string{first}
	for len(out) < batch {
		select {
		case f := <-d.queue:
			out = append(out, f)
		default:
			return out
		}
	}
	return out
}

// last writes what came before the end.
func (d *DB) last(w *writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), settled)
	defer cancel()
	for {
		select {
		case folder := <-d.queue:
			if err := w.changed(ctx, d.more(folder)); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// writer is an open catalog.
type writer struct {
	folders
	log *slog.Logger
	db  *sql.DB
	is  os.FileInfo // the file that db has open
	// wipe: a recording was taken out, and its names and numbers may stand in the log before the file still.
	wipe bool
}

// still tells whether our file is the one under the catalog's name: what is written to another nobody reads.
func (w *writer) still() error {
	fi, err := os.Lstat(filepath.Join(w.dir, Name))
	if err != nil || !os.SameFile(fi, w.is) {
		return fmt.Errorf("catalog: %w: the file was taken away, or another put in its place", errDamaged)
	}
	return nil
}

func (w *writer) close() error {
	err := w.cat.Close()
	if w.db != nil {
		err = errors.Join(err, w.db.Close())
	}
	return err
}

// open opens the file, and makes it where there is none.
func (w *writer) open(ctx context.Context) (err error) {
	name := filepath.Join(w.dir, Name)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600) // SQLite would let others read it
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	fi, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	w.is = fi
	if w.db, err = open(w.dir, "rw"); err != nil {
		return err
	}
	if fi.Size() == 0 {
		if _, err := w.db.ExecContext(ctx, fmt.Sprintf("BEGIN;%s;PRAGMA user_version = %d;COMMIT", schema, version)); err != nil {
			return fmt.Errorf("catalog: %w", err)
		}
		return nil
	}
	if err := ofOurs(ctx, w.db, true); err != nil {
		if ctx.Err() == nil && !busy(err) {
			err = fmt.Errorf("%w: %w", errDamaged, err)
		}
		return fmt.Errorf("catalog: %w", err)
	}
	return nil
}

// reconcile looks into each day that is not as it was when it was looked into last.
func (w *writer) reconcile(ctx context.Context) error {
	if err := w.still(); err != nil {
		return err
	}
	if err := w.wiped(ctx); err != nil {
		return err
	}
	known, err := days(ctx, w.db)
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	all, missed := w.cat.Days()
	if missed != nil {
		w.log.Warn("days not looked into for the catalog", attr.Err(missed))
	}
	for _, day := range all {
		s, ok := known[day]
		delete(known, day)
		if ok && !s.stale(w.stampOf(day, time.Now())) {
			continue
		}
		if err := w.day(ctx, day); err != nil {
			return err
		}
	}
	for day := range known { // gone as a whole
		if _, err := os.Lstat(w.cat.Dir(day)); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := w.day(ctx, day); err != nil {
			return err
		}
	}
	return nil
}

// day brings a day up to its folder.
func (w *writer) day(ctx context.Context, day string) error {
	have, err := knownOf(ctx, w.db, day)
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	l, err := w.look(ctx, day, have, time.Now())
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		w.log.Warn("day not looked into for the catalog", attr.Err(err))
		return nil
	}
	return w.write(ctx, func(tx execer) error {
		for i := range l.fresh {
			if l.fresh[i].Live || l.fresh[i].Error != "" {
				continue
			}
			if err := put(ctx, tx, "recording", day, &l.fresh[i]); err != nil {
				return err
			}
		}
		for _, folder := range l.gone {
			if err := w.take(ctx, tx, folder); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO day VALUES (?,?,?)`, day, l.stamp.changed, l.stamp.live)
		return err
	})
}

// changed brings some recordings up to their folders. Their days' times of change are those of before, so that a Reader looks into them until the next look.
func (w *writer) changed(ctx context.Context, some []string) error {
	if err := w.still(); err != nil {
		return err
	}
	slices.Sort(some)
	some = slices.Compact(some)
	return w.write(ctx, func(tx execer) error {
		for _, folder := range some {
			l, ok := w.cat.Look(folder)
			var err error
			if ok && !l.Live && l.Error == "" {
				err = put(ctx, tx, "recording", path.Dir(folder), &l)
			} else {
				err = w.take(ctx, tx, folder)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// take takes a recording out.
func (w *writer) take(ctx context.Context, tx execer, folder string) error {
	res, err := tx.ExecContext(ctx, `DELETE FROM recording WHERE folder = ?`, folder)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n > 0 {
		w.wipe = true
	}
	return nil
}

// wiped has what was taken out be gone from the disk too: secure_delete has overwritten it, and the log before the file, which has what was, is cut. Where somebody reads
// just now it stays until the next change or look.
func (w *writer) wiped(ctx context.Context) error {
	if !w.wipe {
		return nil
	}
	var reads, n, m int
	if err := w.db.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&reads, &n, &m); err != nil && !busy(err) {
		return fmt.Errorf("catalog: %w", err)
	} else if err == nil {
		w.wipe = reads != 0
	}
	return nil
}

// write does something in one transaction.
func (w *writer) write(ctx context.Context, do func(execer) error) error {
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	if err := do(tx); err != nil {
		return fmt.Errorf("catalog: %w", errors.Join(err, tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	return w.wiped(ctx)
}
