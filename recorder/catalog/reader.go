package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/earshot/earshot/recorder"
)

// ErrNone says that there is no catalog, or none that can be used: the folders have to be looked at.
var ErrNone = errors.New("no catalog")

// Reader answers from a catalog as it is, which it does not change.
type Reader struct {
	folders
	db     *sql.DB
	at     *sql.Conn // in one transaction: the catalog is as it was when that began, whoever writes meanwhile
	missed error     // days that could not be looked into
}

// Open opens a directory's catalog for reading, and looks into the days that have changed since it was written. ErrNone: there is none, or it is damaged.
func Open(ctx context.Context, dir string) (*Reader, error) {
	if _, err := os.Stat(filepath.Join(dir, Name)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w in %s", ErrNone, dir)
		}
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	cat, err := recorder.OpenCatalog(dir)
	if err != nil {
		return nil, err
	}
	r := &Reader{folders: folders{dir, cat}}
	if r.db, err = open(dir, "ro"); err == nil {
		err = ofOurs(ctx, r.db, false)
	}
	if err == nil {
		r.at, err = r.db.Conn(ctx)
	}
	if err == nil {
		err = r.catchUp(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, errors.Join(err, r.Close()))
	}
	return r, nil
}

// Close ends the reading.
func (r *Reader) Close() error {
	err := r.cat.Close()
	if r.at != nil {
		err = errors.Join(err, r.at.Close())
	}
	if r.db != nil {
		err = errors.Join(err, r.db.Close())
	}
	return err
}

// catchUp lays what has changed since the catalog was written into tables of its own, in memory.
func (r *Reader) catchUp(ctx context.Context) error {
	if _, err := r.at.ExecContext(ctx, `CREATE TEMP TABLE extra (`+columns+`) WITHOUT ROWID; CREATE TEMP TABLE gone (folder TEXT PRIMARY KEY) WITHOUT ROWID`); err != nil {
		return err
	}
	if _, err := r.at.ExecContext(ctx, `BEGIN`); err != nil {
		return err
	}
	known, err := days(ctx, r.at)
	if err != nil {
		return err
	}
	var all []string
	all, r.missed = r.cat.Days()
	now := time.Now()
	for _, day := range all {
		s, ok := known[day]
		delete(known, day)
		if ok && !s.stale(r.stampOf(day, now)) {
			continue
		}
		if err := r.day(ctx, day, now); err != nil {
			return err
		}
	}
	for day := range known {
		if err := r.day(ctx, day, now); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) day(ctx context.Context, day string, now time.Time) error {
	have, err := knownOf(ctx, r.at, day)
	if err != nil {
		return err
	}
	l, err := r.look(ctx, day, have, now)
	if err != nil {
		r.missed = errors.Join(r.missed, err)
		return context.Cause(ctx)
	}
	for i := range l.fresh {
		if err := put(ctx, r.at, "temp.extra", day, &l.fresh[i]); err != nil {
			return err
		}
	}
	for _, folder := range l.gone {
		if _, err := r.at.ExecContext(ctx, `INSERT INTO temp.gone VALUES (?)`, folder); err != nil {
			return err
		}
	}
	return nil
}

// Search gives the recordings that are looked for, the newest first, as recorder.Catalog.Search does. With an error it gives what could be found.
func (r *Reader) Search(ctx context.Context, q recorder.Query) (list []recorder.Listed, err error) {
	if err := q.Check(); err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	where, args, err := r.where(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	rows, err := r.at.QueryContext(ctx, `SELECT doc FROM (
		SELECT folder, doc FROM main.recording WHERE folder NOT IN (SELECT folder FROM temp.gone) AND `+where+`
		UNION ALL SELECT folder, doc FROM temp.extra WHERE `+where+`) ORDER BY folder DESC`, append(args, args...)...)
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	defer rows.Close()
	for len(list) < q.Limit() && rows.Next() {
		var doc []byte
		if err := rows.Scan(&doc); err != nil {
			return list, fmt.Errorf("catalog: %w", err)
		}
		var l recorder.Listed
		if err := json.Unmarshal(doc, &l); err != nil {
			return list, fmt.Errorf("catalog: %w", err)
		}
		l.Held, l.Vault = r.cat.Held(l.Folder), r.cat.Vault(l.Folder)
		if q.Match(&l) {
			list = append(list, l)
		}
	}
	if err := rows.Err(); err != nil {
		return list, fmt.Errorf("catalog: %w", err)
	}
	return list, r.missed
}

// where narrows a question; what is left is compared with the whole of it.
func (r *Reader) where(ctx context.Context, q recorder.Query) (string, []any, error) {
	cond, args := []string{"1"}, []any(nil)
	add := func(c string, a any) { cond, args = append(cond, c), append(args, a) }
	if !q.From.IsZero() {
		add("started >= ?", nanos(q.From))
	}
	if !q.To.IsZero() {
		add("started <= ?", nanos(q.To))
	}
	if q.After != "" {
		add("folder < ?", q.After)
	}
	for column, v := range map[string]string{"agent": q.Agent, "state": string(q.State), "class": q.Class} {
		if v != "" {
			add(column+" = ?", v)
		}
	}
	if q.Call != "" { // or one of its sessions
		cond, args = append(cond, `(call = ? OR words LIKE ? ESCAPE '\')`), append(args, q.Call, like(q.Call))
	}
	if q.Number != "" {
		add(`numbers LIKE ? ESCAPE '\'`, like(digits(q.Number)))
	}
	if q.Party != "" {
		add(`words LIKE ? ESCAPE '\'`, like(q.Party))
	}
	if q.Text != "" {
		add(`words LIKE ? ESCAPE '\'`, like(q.Text))
	}
	if q.Held {
		held, err := r.cat.OnHold()
		r.missed = errors.Join(r.missed, err)
		if _, err := r.at.ExecContext(ctx, `CREATE TEMP TABLE IF NOT EXISTS held (folder TEXT PRIMARY KEY) WITHOUT ROWID; DELETE FROM temp.held`); err != nil {
			return "", nil, err
		}
		for _, folder := range held {
			if _, err := r.at.ExecContext(ctx, `INSERT INTO temp.held VALUES (?), (?)`, folder, folder+partialSuffix); err != nil {
				return "", nil, err
			}
		}
		cond = append(cond, "folder IN (SELECT folder FROM temp.held)")
	}
	return strings.Join(cond, " AND "), args, nil
}

// like is a pattern for text that has s in it, in small letters.
func like(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(strings.ToLower(s)) + "%"
}

func digits(s string) string {
	return strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, s)
}

// Due gives the folders that are to be kept until now or less, by their manifests, the first to go first; for recorder.PruneConfig.
func (r *Reader) Due(ctx context.Context, now time.Time) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if r.missed != nil && !yield("", r.missed) {
			return
		}
		folders, err := r.due(ctx, now)
		for _, folder := range folders {
			if !yield(folder, nil) {
				return
			}
		}
		if err != nil {
			yield("", err)
		}
	}
}

// due reads all of them, some hundred octets each: who erases changes what is read.
func (r *Reader) due(ctx context.Context, now time.Time) (out []string, err error) {
	rows, err := r.at.QueryContext(ctx, `SELECT folder FROM (
		SELECT folder, until FROM main.recording WHERE until > 0 AND until <= ?1 AND folder NOT IN (SELECT folder FROM temp.gone)
		UNION ALL SELECT folder, until FROM temp.extra WHERE until > 0 AND until <= ?1) ORDER BY until, folder`, now.Unix())
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var folder string
		if err := rows.Scan(&folder); err != nil {
			return out, fmt.Errorf("catalog: %w", err)
		}
		if !isLive(folder) {
			out = append(out, folder)
		}
	}
	if err := rows.Err(); err != nil {
		return out, fmt.Errorf("catalog: %w", err)
	}
	return out, nil
}
