package recorder

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	// spillAt is how many spans a track has in memory before the older ones go to its file, all but the newest spillKeep of them.
	spillAt   = 4096
	spillKeep = 1024
	// spillBehind is how far behind the track's end a span is left alone: what comes late, or is masked, may change those before.
	spillBehind = 32 * rate
	// spillRetry is how long a file that could not be written is left alone.
	spillRetry = time.Second
	// maxSpanLine bounds a line of it.
	maxSpanLine = 256
)

// SpansFile is where the older spans of a track stand that has many.
type SpansFile struct {
	File   string `json:"file"`
	Spans  int64  `json:"spans"` // lines
	Until  int64  `json:"until"` // Track.Spans are those from this position on
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256,omitempty"` // when sealed
}

// spill is a track's file of spans.
type spill struct {
	SpansFile // Bytes is what of it is durable
	tried     time.Time
	err       error
}

func spansName(id uint32) string { return fmt.Sprintf("spans-%d.jsonl", id) }

// spill brings the older spans of all tracks that have many into their files. What can't be written stays in memory, up to
// maxSpans.
func (r *Recording) spill(now time.Time) {
	for _, t := range r.w.tracks {
		if len(t.loss.spans) < spillAt || now.Sub(t.spill.tried) < spillRetry && t.spill.err != nil {
			continue
		}
		n := t.loss.settled()
		if n == 0 {
			continue
		}
		t.spill.tried, t.spill.err = now, r.appendSpans(t, t.loss.spans[:n])
		if t.spill.err != nil {
			r.fail(t.spill.err)
			continue
		}
		t.loss.drop(n)
		t.spill.Until = t.loss.from
	}
}

// settled is how many spans nothing changes any more.
func (m *lossMap) settled() int {
	return min(m.search(m.end-spillBehind), len(m.spans)-spillKeep)
}

// drop forgets the first n spans.
func (m *lossMap) drop(n int) {
	m.from = m.spans[n-1].end()
	m.spans = append(m.spans[:0:0], m.spans[n:]...) // the old array goes
}

// appendSpans writes spans behind those that the file has, durably.
func (r *Recording) appendSpans(t *track, spans []span) (err error) {
	s := &t.spill
	s.File = spansName(uint32(t.id))
	var b []byte
	for _, x := range spans {
		line, err := json.Marshal(Span{Kind: x.kind.String(), Pos: x.pos, Samples: x.n})
		if err != nil {
			return fmt.Errorf("%s: %w", s.File, err)
		}
		b = append(append(b, line...), '\n')
	}
	f, err := r.s.openWrite(r.file(s.File), os.O_WRONLY|os.O_CREATE)
	if err != nil {
		return fmt.Errorf("%s: %w", s.File, err)
	}
	// At its place: what an earlier try left behind is written over.
	if _, err = f.WriteAt(b, s.Bytes); err == nil {
		err = r.s.sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%s: %w", s.File, err)
	}
	s.Bytes += int64(len(b))
	s.Spans += int64(len(spans))
	r.w.unlisted = true
	return nil
}

// closeSpans hashes the files of spans, and cuts off what a failed try left behind the last line.
func (r *Recording) closeSpans(m *Manifest) error {
	for i := range m.Tracks {
		if sf := m.Tracks[i].SpansFile; sf != nil {
			if err := r.s.sealSpans(r.folder(), sf); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) sealSpans(folder string, sf *SpansFile) error {
	f, err := s.openWrite(inDay(folder, sf.File), os.O_RDWR)
	if err != nil {
		return fmt.Errorf("%s: %w", sf.File, err)
	}
	h := sha256.New()
	if err = f.Truncate(sf.Bytes); err == nil {
		_, err = io.Copy(h, f)
	}
	if err == nil {
		err = s.sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%s: %w", sf.File, err)
	}
	sf.SHA256 = hex.EncodeToString(h.Sum(nil))
	return nil
}

// repairSpans brings a track's file of spans to what its manifest says of it, and no further than the track goes. Where it has less
// than that, it is unknown what the spans between were.
func (s *Store) repairSpans(folder string, t *Track) error {
	sf := t.SpansFile
	if sf == nil {
		return nil
	}
	if sf.File != spansName(t.ID) {
		return fmt.Errorf("spans_file: got %q, want %q", sf.File, spansName(t.ID))
	}
	f, err := s.openWrite(inDay(folder, sf.File), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return fmt.Errorf("%s: %w", sf.File, err)
	}
	want, totals := *sf, map[string]int64{}
	sf.Spans, sf.Bytes, sf.Until = 0, 0, 0
	err = readSpans(io.LimitReader(f, want.Bytes), func(x Span, bytes int64) bool {
		if x.Pos+x.Samples > t.Samples {
			return false
		}
		sf.Spans, sf.Bytes, sf.Until = sf.Spans+1, sf.Bytes+bytes, x.Pos+x.Samples
		totals[x.Kind] += x.Samples
		return true
	})
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%s: %w", sf.File, err)
	}
	if whole := min(want.Until, t.Samples); sf.Until < whole && sf.Bytes < want.Bytes {
		t.Spans = append([]Span{{Kind: kindUnknown.String(), Pos: sf.Until, Samples: whole - sf.Until}}, t.Spans...)
	}
	if t.SpansUntil == nil {
		for _, x := range t.Spans {
			totals[x.Kind] += x.Samples
		}
		t.SpanTotals, totals[kindReceived.String()] = totals, t.Samples
		for kind, n := range totals {
			if kind != kindReceived.String() {
				totals[kindReceived.String()] -= n
			}
		}
	}
	return s.sealSpans(folder, sf)
}

// readSpans gives the whole lines of a file of spans, in order, and how many bytes each has; what is no span ends it.
func readSpans(r io.Reader, yield func(x Span, bytes int64) bool) error {
	b := bufio.NewReaderSize(r, maxSpanLine)
	end := int64(0)
	for {
		line, err := b.ReadSlice('\n')
		if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) {
			return nil
		}
		if err != nil {
			return err
		}
		var x Span
		if json.Unmarshal(line, &x) != nil || x.Kind == "" || x.Pos < end || x.Samples <= 0 || x.Pos+x.Samples < 0 {
			return nil
		}
		end = x.Pos + x.Samples
		if !yield(x, int64(len(line))) {
			return nil
		}
	}
}
