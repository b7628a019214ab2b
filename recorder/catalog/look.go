package catalog

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/earshot/earshot/recorder"
)

// settled is how long a folder must have been left alone for its time of change to be trusted: two changes may come within one tick of the file system's clock.
const settled = 2 * time.Second

const partialSuffix = ".partial"

// stamp is what the catalog knows of a day.
type stamp struct {
	changed int64 // of its folder, in nanoseconds; 0: not known
	live    int   // recordings that were being written
}

// folders is where recordings lie.
type folders struct {
	dir string
	cat *recorder.Catalog
}

// stampOf gives when a day's folder was changed; 0: it may not be trusted yet, or there is none.
func (f folders) stampOf(day string, now time.Time) int64 {
	fi, err := os.Stat(f.cat.Dir(day))
	if err != nil || now.Sub(fi.ModTime()) < settled || fi.ModTime().After(now) {
		return 0
	}
	return fi.ModTime().UnixNano()
}

// stale tells whether a day must be looked into.
func (s stamp) stale(changed int64) bool { return s.live > 0 || changed == 0 || s.changed != changed }

// dayLook is what a look into a day's folder found, compared with what was known.
type dayLook struct {
	stamp stamp
	fresh []recorder.Listed // not known, or live
	gone  []string          // known, and not there
}

// look compares a day's folder with what is known of it.
func (f folders) look(ctx context.Context, day string, known map[string]bool, now time.Time) (dayLook, error) {
	out := dayLook{stamp: stamp{changed: f.stampOf(day, now)}}
	names, err := f.cat.Folders(day)
	if err != nil {
		return out, err
	}
	there := make(map[string]bool, len(names))
	for _, folder := range names {
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
		there[folder] = true
		if known[folder] {
			continue
		}
		if l, ok := f.cat.Look(folder); ok {
			out.fresh = append(out.fresh, l)
			there[l.Folder] = true
			if l.Live || l.Error != "" { // what can't be read now may be read later
				out.stamp.live++
			}
		}
	}
	for folder := range known {
		if !there[folder] {
			out.gone = append(out.gone, folder)
		}
	}
	return out, nil
}

// days gives the stamps that a catalog has.
func days(ctx context.Context, db execer) (map[string]stamp, error) {
	rows, err := db.QueryContext(ctx, `SELECT day, changed, live FROM day`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]stamp{}
	for rows.Next() {
		var day string
		var s stamp
		if err := rows.Scan(&day, &s.changed, &s.live); err != nil {
			return nil, err
		}
		out[day] = s
	}
	return out, rows.Err()
}

// knownOf gives the folders of a day that a catalog has.
func knownOf(ctx context.Context, db execer, day string) (map[string]bool, error) {
	rows, err := db.QueryContext(ctx, `SELECT folder FROM recording WHERE day = ?`, day)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", day, err)
	}
	defer rows.Close()
	out := map[string]bool{}
	for rows.Next() {
		var folder string
		if err := rows.Scan(&folder); err != nil {
			return nil, err
		}
		out[folder] = true
	}
	return out, rows.Err()
}

func isLive(folder string) bool { return strings.HasSuffix(folder, partialSuffix) }
