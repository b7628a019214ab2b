package evidence

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"
)

// Kinds of findings.
const (
	Changed    = "changed"
	Removed    = "removed"
	Added      = "added"
	CutOff     = "cut_off"
	RolledBack = "rolled_back"
	Moved      = "moved"
	Unsigned   = "unsigned" // a signature is missing, or is not the key's
	Unreadable = "unreadable"
)

// Finding is one thing that is not as it was signed.
type Finding struct {
	Kind string `json:"kind"`
	// What is a path in the directory of recordings, with a line number where that says more.
	What string `json:"what"`
	Text string `json:"text,omitempty"`
}

// LogReport is what CheckLog found.
type LogReport struct {
	// Leaves is how many the newest checkpoint names.
	Leaves int64
	// Proven is how many leaves are those of a signed checkpoint: all before it are there, in order, unchanged.
	Proven   int64
	Findings []Finding
	// Holds says of each checkpoint that was kept whether its leaves are this log's first.
	Holds []bool
}

func (r *LogReport) find(kind, what, format string, args ...any) {
	r.Findings = append(r.Findings, Finding{kind, what, fmt.Sprintf(format, args...)})
}

// CheckLog checks the log in a folder (evidence/log, say) of a directory of recordings against its checkpoint, and against others that were kept elsewhere.
// It reads only, in one pass and bounded memory, what was there when it began: others may append meanwhile. visit sees each
// leaf that a checkpoint names, in order, whether it is right or not. The error is of reading; what is wrong with the log is in the report.
func CheckLog(dir, name string, p *Public, kept []*Checkpoint, visit func(n int64, leaf []byte)) (*LogReport, error) {
	c := newLogCheck(dir, name, p, kept)
	if err := c.run(visit); err != nil {
		return c.report, err
	}
	for i, k := range kept {
		c.judgeKept(k, c.report.Holds[i])
	}
	return c.report, nil
}

// CheckOldLog is CheckLog for a log that was put aside. Kept checkpoints that it does not hold may be of another log: Holds says so, no finding.
func CheckOldLog(dir, name string, p *Public, kept []*Checkpoint, visit func(n int64, leaf []byte)) (*LogReport, error) {
	c := newLogCheck(dir, name, p, kept)
	return c.report, c.run(visit)
}

func newLogCheck(dir, name string, p *Public, kept []*Checkpoint) *logCheck {
	return &logCheck{report: &LogReport{}, dir: filepath.Join(dir, filepath.FromSlash(name)), name: name, public: p, kept: kept}
}

// run reads the log and judges it.
func (c *logCheck) run(visit func(int64, []byte)) error {
	leaves, hashes, err := c.begin()
	if err != nil {
		return err
	}
	if leaves != nil {
		defer leaves.Close()
	}
	if hashes != nil {
		defer hashes.Close()
	}
	if err := c.read(leaves, visit); err != nil {
		return err
	}
	c.judge()
	return nil
}

// begin opens the log as it is between two appends.
func (c *logCheck) begin() (leaves, hashes *os.File, err error) {
	if leaves, err = openPlain(filepath.Join(c.dir, leavesName)); err == nil {
		if lockShared(leaves) == nil {
			defer func() { _ = unlock(leaves) }() // it goes with the file at the latest
		} // else a file system without locks: an append in our midst looks like one that was cut short
		var fi fs.FileInfo
		if fi, err = leaves.Stat(); err == nil {
			c.octets = fi.Size()
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.report.find(Removed, c.path(leavesName), "there are no leaves")
	case errors.Is(err, errNotPlain):
		c.report.find(Changed, c.path(leavesName), "%v", err)
	case err != nil:
		return leaves, nil, fmt.Errorf("check: %w", err)
	}
	if err := c.head(); err != nil {
		return leaves, nil, err
	}
	if hashes, err = openPlain(filepath.Join(c.dir, hashesName)); err == nil {
		if fi, err := hashes.Stat(); err == nil {
			c.hashes, c.hashOctets = hashes, fi.Size()
		}
	}
	return leaves, hashes, nil
}

var errNotPlain = errors.New("it is no plain file")

// openPlain opens a file, but nothing that would hold us up.
func openPlain(name string) (*os.File, error) {
	fi, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, errNotPlain
	}
	return os.Open(name)
}

type logCheck struct {
	report *LogReport
	dir    string
	name   string
	public *Public
	kept   []*Checkpoint

	top    *Checkpoint // nil: there is none that can be trusted
	lines  roots       // of the lines as they are
	octets int64       // of leaves, when we began
	hashes *os.File    // nil: there is none
	// hashOctets is how long it was when we began.
	hashOctets int64
	diff       diff
	atKept     map[int64]tlog.Hash
}

func (c *logCheck) path(file string) string { return c.name + "/" + file }

// head reads the checkpoint.
func (c *logCheck) head() error {
	f, err := openPlain(filepath.Join(c.dir, checkpointName))
	if errors.Is(err, fs.ErrNotExist) {
		c.report.find(Removed, c.path(checkpointName), "there is no checkpoint")
		return nil
	}
	if errors.Is(err, errNotPlain) {
		c.report.find(Changed, c.path(checkpointName), "%v", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxCheckpointOctets+1))
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if c.top, err = OpenCheckpoint(b, c.public); err != nil {
		c.top = nil
		c.report.find(Unsigned, c.path(checkpointName), "%v", err)
		return nil
	}
	c.report.Leaves = c.top.Size
	return nil
}

// read goes through the leaves once; nil: there are none.
func (c *logCheck) read(leaves *os.File, visit func(int64, []byte)) error {
	c.atKept = map[int64]tlog.Hash{}
	for _, k := range c.kept {
		c.atKept[k.Size] = tlog.Hash{}
	}
	c.noteRoot()
	c.diff.noted = c.noted
	if leaves == nil {
		return nil
	}
	r := bufio.NewReaderSize(io.NewSectionReader(leaves, 0, c.octets), MaxLeafOctets+1)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("check: %w", err)
		}
		if len(line) == 0 {
			return nil
		}
		c.line(bytes.TrimSuffix(line, []byte("\n")), err == nil, visit)
	}
}

// line takes one line, or a piece of one that is too long or has no end.
func (c *logCheck) line(b []byte, whole bool, visit func(int64, []byte)) {
	n, h := c.lines.n, tlog.RecordHash(b)
	if !whole {
		h = tlog.Hash{} // of no leaf
	}
	c.diff.line(n, h)
	c.lines.add(h)
	c.noteRoot()
	if visit != nil {
		visit(n, b)
	}
}

// noted is the hash that the log noted of a leaf.
func (c *logCheck) noted(leaf int64) (tlog.Hash, bool) {
	if c.hashes == nil || c.top != nil && leaf >= c.top.Size {
		return tlog.Hash{}, false
	}
	h, err := hashFile{c.hashes}.ReadHashes([]int64{tlog.StoredHashIndex(0, leaf)})
	if err != nil {
		return tlog.Hash{}, false
	}
	return h[0], true
}

// noteRoot keeps the root where a checkpoint that was kept elsewhere names one.
func (c *logCheck) noteRoot() {
	if _, ok := c.atKept[c.lines.n]; ok {
		c.atKept[c.lines.n] = c.lines.root()
	}
}

// judge says what the hashes mean.
func (c *logCheck) judge() {
	if c.top != nil {
		if c.lines.n == c.top.Size && c.lines.root() == c.top.Root {
			c.report.Proven = c.top.Size
			if !c.hashesGood() {
				c.report.find(Changed, c.path(hashesName), "these are not the hashes of the leaves, which are good")
			}
		} else {
			c.sayWhich()
		}
	}
	for _, k := range c.kept {
		holds := c.lines.n >= k.Size && c.atKept[k.Size] == k.Root
		c.report.Holds = append(c.report.Holds, holds)
		if holds {
			c.report.Proven = max(c.report.Proven, k.Size)
		}
	}
}

// judgeKept says what a checkpoint that was kept elsewhere means.
func (c *logCheck) judgeKept(k *Checkpoint, holds bool) {
	switch {
	case c.top != nil && c.top.Size < k.Size:
		c.report.find(RolledBack, c.path(checkpointName), "the log has %d leaves, the checkpoint that was kept elsewhere %d: %d are gone", c.top.Size, k.Size, k.Size-c.top.Size)
	case c.lines.n < k.Size:
		c.report.find(CutOff, c.path(leavesName), "the checkpoint that was kept elsewhere names %d leaves, %d are there", k.Size, c.lines.n)
	case !holds:
		c.report.find(Changed, c.path(leavesName), "the first %d leaves are not those of the checkpoint that was kept elsewhere", k.Size)
	}
}

// hashesGood tells whether the hashes that the log noted are those of a tree with the checkpoint's root, and nothing else.
func (c *logCheck) hashesGood() bool {
	if c.hashes == nil {
		return false
	}
	r := bufio.NewReader(io.NewSectionReader(c.hashes, 0, c.hashOctets))
	var t roots
	var h tlog.Hash
	for range c.top.Size {
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return false
		}
		for _, parent := range t.add(h) {
			if _, err := io.ReadFull(r, h[:]); err != nil || h != parent {
				return false
			}
		}
	}
	_, err := r.ReadByte()
	return t.root() == c.top.Root && errors.Is(err, io.EOF)
}

// sayWhich names the lines that are wrong, by the hashes that the log noted of each leaf, as far as those are the checkpoint's.
func (c *logCheck) sayWhich() {
	leaves := c.path(leavesName)
	if !c.hashesGood() {
		c.report.find(Changed, leaves, "the lines are not those of the checkpoint; the hashes that would tell which are gone or wrong too")
		return
	}
	d := &c.diff
	d.end(c.top.Size)
	at := map[tlog.Hash]int64{}
	for _, g := range d.gone {
		at[g.hash] = g.at
	}
	for _, s := range append(d.strange, d.changed...) {
		if leaf, ok := at[s.hash]; ok {
			c.report.find(Moved, fmt.Sprintf("%s:%d", leaves, s.at+1), "this is leaf %d", leaf+1)
			delete(at, s.hash)
		} else if s.leaf >= c.top.Size {
			c.report.find(Added, fmt.Sprintf("%s:%d", leaves, s.at+1), "behind the checkpoint, and signed by nobody: an append that a crash cut short, or put there by somebody else")
		} else {
			c.report.find(Changed, fmt.Sprintf("%s:%d", leaves, s.at+1), "this line was put in, or is not the one that was signed")
		}
	}
	tail := int64(0) // of leaves in a row, up to the end
	for _, g := range d.gone {
		if _, ok := at[g.hash]; !ok {
			continue
		}
		if c.top.Size-g.at <= c.top.Size-c.lines.n {
			tail++
			continue
		}
		c.report.find(Removed, fmt.Sprintf("%s: leaf %d", leaves, g.at+1), "this leaf was signed, and is not there")
	}
	if tail > 0 {
		c.report.find(CutOff, leaves, "the last %d leaves were signed, and are not there", tail)
	}
	if d.more {
		c.report.find(Changed, leaves, "more lines are wrong than are named")
	}
}
