package evidence

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
)

// Leaves gives the leaves of a directory's log, and of those that were put aside, that have one of some texts in them (none: all), the oldest first. Nothing is verified; who
// must be sure uses CheckLog. A line that is no leaf is passed over.
func Leaves(dir string, texts []string, each func(Leaf)) error {
	logs, err := filepath.Glob(filepath.Join(dir, DirName, LogName+"*", leavesName))
	if err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	// The one that is written now is the newest, and its name the first.
	current := filepath.Join(dir, DirName, LogName, leavesName)
	if i := slices.Index(logs, current); i >= 0 {
		logs = append(slices.Delete(logs, i, i+1), current)
	}
	for _, name := range logs {
		if err := readLeaves(name, texts, each); err != nil {
			return fmt.Errorf("evidence: %s: %w", name, err)
		}
	}
	return nil
}

func readLeaves(name string, texts []string, each func(Leaf)) error {
	f, err := openPlain(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, MaxLeafOctets+1)
	for {
		line, err := r.ReadSlice('\n')
		if hasAny(line, texts) {
			if l, err := ParseLeaf(bytes.TrimSuffix(line, []byte("\n"))); err == nil {
				each(l)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}

func hasAny(line []byte, texts []string) bool {
	for _, t := range texts {
		if bytes.Contains(line, []byte(t)) {
			return true
		}
	}
	return len(texts) == 0
}

// Tail gives the newest leaves of a directory's log, some ten thousand, oldest first; ErrNoLog: there is none.
func Tail(dir string) ([]Leaf, error) {
	f, err := openPlain(filepath.Join(dir, DirName, LogName, leavesName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("evidence: %w", ErrNoLog)
	}
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	from := max(0, fi.Size()-recentOctets)
	b := make([]byte, fi.Size()-from)
	if n, err := f.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("evidence: %w", err)
	} else {
		b = b[:n]
	}
	if from > 0 { // the first may be half a line
		_, b, _ = bytes.Cut(b, []byte("\n"))
	}
	var out []Leaf
	for line := range bytes.Lines(b) {
		if l, err := ParseLeaf(bytes.TrimSpace(line)); err == nil {
			out = append(out, l)
		}
	}
	return out, nil
}
