package recorder

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"time"
)

const (
	partialSuffix = ".partial"
	stampLayout   = "20060102T150405Z"
	maxIDChars    = 48
	// maxSameName bounds the search for a free folder name.
	maxSameName = 1000
)

// cleanID makes a call id safe as a part of a folder's name: only [A-Za-z0-9_-] stay, others become _, 48 characters
// at most. Where that changed it, _ and the first 8 hex digits of the original's SHA-256 follow, so that two ids don't
// share a name.
func cleanID(id string) string {
	clean := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
			return c
		}
		return '_'
	}, id)
	clean = clean[:min(len(clean), maxIDChars)]
	if clean == id && id != "" {
		return clean
	}
	sum := sha256.Sum256([]byte(id))
	return clean + "_" + hex.EncodeToString(sum[:4])
}

// dayDir is the folder of a day, relative to the store's.
func dayDir(t time.Time) string { return t.UTC().Format("2006/01/02") }

// baseName is a recording's folder name without .partial; same tells recordings of one second and id apart, from 1.
func baseName(started time.Time, id string, same int) string {
	name := started.UTC().Format(stampLayout) + "_" + cleanID(id)
	if same > 1 {
		name += fmt.Sprintf("_%d", same)
	}
	return name
}

// namesCall tells whether a folder's name could be that of a part of the call with this cleaned id.
func namesCall(name, clean string) bool {
	_, rest, ok := splitName(strings.TrimSuffix(name, partialSuffix))
	return ok && (rest == clean || strings.HasPrefix(rest, clean+"_"))
}

// splitName takes a folder's name without .partial apart.
func splitName(base string) (started time.Time, id string, ok bool) {
	stamp, id, ok := strings.Cut(base, "_")
	if !ok {
		return time.Time{}, "", false
	}
	started, err := time.Parse(stampLayout, stamp)
	return started, id, err == nil
}

// inDay joins a day's folder, a recording's and a file's name.
func inDay(elem ...string) string { return path.Join(elem...) }

func trimPartial(name string) string { return strings.TrimSuffix(name, partialSuffix) }
