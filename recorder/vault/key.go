package vault

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/internal/outbox"
)

// folderName is how a sealed recording's folder is named: the time of its start, and the call's id.
var folderName = regexp.MustCompile(`^\d{8}T\d{6}Z_[A-Za-z0-9_-]+$`)

// folderOf gives the folder of a recording below the folder of recordings, by its last element: that begins with its day.
func folderOf(name string) string { return name[:4] + "/" + name[4:6] + "/" + name[6:8] + "/" + name }

// nameOf gives the last element of a recording's folder.
func nameOf(folder string) (string, error) {
	name := path.Base(folder)
	if !folderName.MatchString(name) || folderOf(name) != path.Clean(folder) {
		return "", fmt.Errorf("%.80q: want a recording's folder, such as 2026/11/23/20261123T101500Z_call", folder)
	}
	return name, nil
}

// dayOf is the day of a recording, as the ledger names it.
func dayOf(name string) string { return name[:4] + "-" + name[4:6] + "-" + name[6:8] }

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// CheckKey tells what is wrong with a template of Config.Key.
func CheckKey(template string) error {
	for _, p := range placeholder.FindAllString(template, -1) {
		switch p {
		case "{yyyy}", "{mm}", "{dd}", "{folder}", "{call}":
		default:
			return fmt.Errorf("%s: no such part: want {yyyy}, {mm}, {dd}, {call}, {folder}", p)
		}
	}
	if !strings.Contains(template, "{folder}") {
		return fmt.Errorf("%s: lacks {folder}, without which two recordings would share a place", template)
	}
	plain := placeholder.ReplaceAllString(template, "x")
	switch {
	case strings.HasPrefix(plain, "/"), strings.HasSuffix(plain, "/"), strings.Contains(plain, "//"), strings.ContainsAny(plain, "{}\\"):
		return fmt.Errorf("%s: want names with single slashes between, and none at the ends", template)
	case len(template) > 512:
		return errors.New("longer than 512 characters")
	}
	for e := range strings.SplitSeq(plain, "/") {
		if e == "." || e == ".." {
			return fmt.Errorf("%s: %s is no name in a bucket", template, e)
		}
	}
	return nil
}

// prefixOf fills a template in.
func prefixOf(template, name string) string {
	_, id, _ := strings.Cut(name, "_")
	return strings.NewReplacer("{yyyy}", name[:4], "{mm}", name[4:6], "{dd}", name[6:8], "{folder}", name, "{call}", id).Replace(template)
}

// Period is a time by the calendar: years and days, or hours and less.
type Period struct {
	Years, Days int
	Rest        time.Duration
}

// ParsePeriod reads 5y, 90d, 2y6d or what time.ParseDuration does, such as 36h.
func ParsePeriod(s string) (p Period, err error) {
	bad := fmt.Errorf("%s: want a time such as 5y, 90d or 36h", s)
	rest := s
	for _, u := range []struct {
		unit string
		at   *int
	}{{"y", &p.Years}, {"d", &p.Days}} {
		n, after, ok := strings.Cut(rest, u.unit)
		if !ok {
			continue
		}
		if *u.at, err = strconv.Atoi(n); err != nil || *u.at < 0 || *u.at > 36_500 {
			return Period{}, bad
		}
		rest = after
	}
	if rest != "" {
		if p.Rest, err = time.ParseDuration(rest); err != nil || p.Rest < 0 {
			return Period{}, bad
		}
	}
	if p.IsZero() && s != "0" || p.Years > 200 {
		return Period{}, bad
	}
	return p, nil
}

// IsZero tells whether it is no time at all.
func (p Period) IsZero() bool { return p == Period{} }

// After gives the moment so much later.
func (p Period) After(t time.Time) time.Time { return t.UTC().AddDate(p.Years, 0, p.Days).Add(p.Rest) }

// stamp is the layout of a folder's beginning.
const stamp = outbox.Stamp

// String gives it as ParsePeriod takes it.
func (p Period) String() string {
	var b strings.Builder
	if p.Years > 0 {
		fmt.Fprintf(&b, "%dy", p.Years)
	}
	if p.Days > 0 {
		fmt.Fprintf(&b, "%dd", p.Days)
	}
	if p.Rest > 0 || b.Len() == 0 {
		b.WriteString(p.Rest.String())
	}
	return b.String()
}
