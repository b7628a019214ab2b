package recorder

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// dropTorn takes the lines out of a folder's events.jsonl that are none: a power loss may leave holes in what was not durable, and
// good lines behind them.
func (s *Store) dropTorn(folder string) error {
	name := inDay(folder, EventsName)
	f, err := openFile(s.root, name)
	if err != nil {
		return err
	}
	defer f.Close()
	torn := false
	if err := goodLines(f, func(_ []byte, good bool) error { torn = torn || !good; return nil }); err != nil || !torn {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	out, err := s.openWrite(name+tempSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	err = goodLines(f, func(line []byte, good bool) error {
		if !good {
			return nil
		}
		_, err := w.Write(line)
		return err
	})
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = s.sync(out)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return s.rename(name+tempSuffix, name)
}

// goodLines gives the pieces of a file: whole lines of JSON, and what lies between.
func goodLines(f io.Reader, yield func(line []byte, good bool) error) error {
	r := bufio.NewReaderSize(f, 2*maxLineBytes)
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			if err := yield(line, err == nil && json.Valid(line)); err != nil {
				return err
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

// dropTemp removes what a crash left of files that were about to take the place of others.
func (s *Store) dropTemp(folder string) error {
	names, err := s.names(folder)
	if err != nil {
		return err
	}
	for _, name := range names {
		of, ok := strings.CutSuffix(name, tempSuffix)
		if !ok || !slices.Contains([]string{ManifestName, SignatureName, SIPName, EventsName, VConName}, of) {
			continue
		}
		if err := s.root.Remove(inDay(folder, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("repair: %w", err)
		}
	}
	return nil
}
