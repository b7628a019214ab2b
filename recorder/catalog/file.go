package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/earshot/earshot/recorder"
)

// Name is the catalog's file, in the directory of recordings.
const Name = "catalog.db"

// version is of the tables below.
const version = 1

// columns are those of a recording, in main and in what a Reader adds to it.
const columns = `folder TEXT PRIMARY KEY, day TEXT NOT NULL, started INTEGER NOT NULL, call TEXT NOT NULL, agent TEXT NOT NULL, state TEXT NOT NULL, class TEXT NOT NULL,
 until INTEGER NOT NULL, numbers TEXT NOT NULL, words TEXT NOT NULL, doc TEXT NOT NULL`

const schema = `
CREATE TABLE recording (` + columns + `) WITHOUT ROWID;
CREATE INDEX recording_until ON recording (until) WHERE until > 0;
CREATE INDEX recording_call ON recording (call);
CREATE INDEX recording_agent ON recording (agent, folder);
CREATE INDEX recording_class ON recording (class, folder);
CREATE INDEX recording_day ON recording (day);
CREATE TABLE day (day TEXT PRIMARY KEY, changed INTEGER NOT NULL, live INTEGER NOT NULL) WITHOUT ROWID;
`

// dsn is the file for the driver. Durability is not asked for: what a power cut takes is made anew.
func dsn(dir, mode string) string {
	name, err := filepath.Abs(filepath.Join(dir, Name))
	if err != nil {
		name = filepath.Join(dir, Name)
	}
	u := url.URL{Scheme: "file", Path: name}
	q := url.Values{"mode": {mode}, "_pragma": {"busy_timeout(5000)", "temp_store(memory)", "cache_size(-8000)"}}
	if mode != "ro" {
		q["_pragma"] = append(q["_pragma"], "journal_mode(wal)", "synchronous(normal)", "secure_delete(on)") // what was erased is not to be found in free pages
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// open opens the file with one connection.
func open(dir, mode string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn(dir, mode))
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

var errVersion = errors.New("it is of another version")

// ofOurs sees that the file is whole, and of our version.
func ofOurs(ctx context.Context, db *sql.DB, thorough bool) error {
	var v int
	if err := db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&v); err != nil {
		return err
	}
	if v != version {
		return fmt.Errorf("%w: %d, want %d", errVersion, v, version)
	}
	if !thorough {
		return nil
	}
	var text string
	if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&text); err != nil {
		return err
	}
	if text != "ok" {
		return errors.New(text)
	}
	return nil
}

// remove removes the file and what belongs to it.
func remove(dir string) error {
	var errs error
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(filepath.Join(dir, Name+suffix)); err != nil && !os.IsNotExist(err) {
			errs = errors.Join(errs, err)
		}
	}
	return errs
}

// execer is a connection or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// put adds a recording to a table.
func put(ctx context.Context, to execer, table, day string, l *recorder.Listed) error {
	l.Held, l.Vault = false, "" // holds, and where audio is, are not the catalog's business
	doc, err := json.Marshal(l)
	if err != nil {
		return err
	}
	until := int64(0)
	if !l.Until.IsZero() {
		until = l.Until.Unix()
	}
	_, err = to.ExecContext(ctx, `INSERT OR REPLACE INTO `+table+` VALUES (?,?,?,?,?,?,?,?,?,?,?)`, l.Folder, day, nanos(l.Started), l.CallID, l.Agent,
		string(l.State), l.Class, until, l.Numbers(), l.Words(), string(doc))
	return err
}

// nanos is a time as a number that keeps its order; what lies outside 1678 to 2262 is at their ends.
func nanos(t time.Time) int64 {
	switch {
	case t.Year() < 1678:
		return -1 << 63
	case t.Year() > 2261:
		return 1<<63 - 1
	}
	return t.UnixNano()
}
