package recorder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/recorder/evidence"
)

// A transcript is written while the call goes on, so that a crash costs few words of it, but not in the recording's folder: that is sealed three seconds after the call's end, and
// an engine may need longer for its last words. When the consumers have ended, the log names the finished file, and then it moves into the folder. A crash on the way is
// finished at the next start.

const (
	// scribeEvery is how often it is looked what is to be written, and linesEvery how often a transcript that grows is, at most.
	scribeEvery = 250 * time.Millisecond
	linesEvery  = 5 * time.Second
	// wordsWait is how long after its seal a recording's consumers may bring words: longer than a consumer has to end, which with catch_up is ten minutes. That they have ended is told
	// by EndWords, so only what fails to is waited for so long.
	wordsWait = 12 * time.Minute
	// lastWords is how long they may when the store is to end.
	lastWords = 3 * time.Second
)

// scribe is what the goroutine that writes transcripts keeps of one.
type scribe struct {
	wrote, retry time.Time
	on           bool // the file is there
	stale        bool // it has, maybe, words that were taken back
}

// transcribes puts a recording on the list of those that have a transcript.
func (s *Store) transcribes(r *Recording) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.heard[r] == nil {
		s.heard[r] = &scribe{}
	}
}

// owe notes that a recording is sealed, and tells whether its transcript is still to come; then who keeps it is told later.
func (w *words) owe(res Result) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sealed = time.Now()
	w.owed, w.res = w.awaited || len(w.lines) > 0, res
	return w.owed
}

// finished tells whether nothing is added any more, and has it be so.
func (w *words) finished(now time.Time, last bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = w.over || !w.sealed.IsZero() && (!w.awaited || last || now.Sub(w.sealed) >= wordsWait)
	return w.over
}

// writeTranscripts writes transcripts until stop, and then finishes them.
func (s *Store) writeTranscripts(stop <-chan struct{}) {
	tick := time.NewTicker(scribeEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.transcribe(now, false)
			continue
		case <-stop:
		}
		break
	}
	tick.Reset(endPoll)
	end := time.Now().Add(lastWords)
	for s.transcribe(time.Now(), false) > 0 && time.Now().Before(end) {
		<-tick.C
	}
	s.transcribe(time.Now(), true)
}

// transcribe writes what has changed and finishes what is over; it gives how many transcripts are still to come. last: none is waited for.
func (s *Store) transcribe(now time.Time, last bool) (left int) {
	s.mu.Lock()
	list := make(map[*Recording]*scribe, len(s.heard))
	for r, c := range s.heard {
		list[r] = c
	}
	s.mu.Unlock()
	for r, c := range list {
		if now.Before(c.retry) && !last && !r.words.hasty() {
			continue
		}
		done, err := s.writeLines(r, c, now, last)
		switch {
		case err != nil:
			if c.retry = now.Add(sealRetry); c.stale {
				c.retry = now.Add(linesEvery)
			}
			s.complain(err, r.opened.Call)
		case !done:
			left++
		}
	}
	return left
}

// writeLines does what there is to do for one transcript, and tells whether it is finished.
func (s *Store) writeLines(r *Recording, c *scribe, now time.Time, last bool) (done bool, err error) {
	w := &r.words
	if w.finished(now, last) {
		if err := s.finishLines(r, c); err != nil {
			return false, err
		}
		s.mu.Lock()
		delete(s.heard, r)
		s.mu.Unlock()
		if w.owed { // nobody writes it any more
			_ = r.lock.Close() // nothing was written to it
			s.tell(w.res)
		}
		return true, nil
	}
	every := linesEvery + time.Duration(s.openNow())*perOpenRecording
	if now.Sub(c.wrote) < every && !w.hasty() && !c.stale {
		return false, nil
	}
	lines, changed, revoked := w.take()
	if !changed {
		return false, nil
	}
	c.wrote, c.on, c.stale = now, true, c.stale || revoked
	if err = s.keepLines(r, c, lines); err != nil {
		w.again()
	}
	return false, err
}

// keepLines writes the pending file, unless the recording was erased meanwhile: that may be once it is sealed.
func (s *Store) keepLines(r *Recording, c *scribe, lines []Line) error {
	s.care.Lock()
	defer s.care.Unlock()
	if folder := inDay(r.day, r.base); !s.isDir(folder) && !s.isDir(folder+partialSuffix) {
		c.stale = false
		return nil
	}
	return s.replaceLines(r, c, lines)
}

// replaceLines writes the pending file. Where the disk takes no other one, and that which is there has words that were taken back, it goes: that needs no room, and the rest of the
// words is in memory. Else those would be there until there is room, and after a crash in the recording's folder. care is held.
func (s *Store) replaceLines(r *Recording, c *scribe, lines []Line) error {
	err := s.putLines(r, lines)
	if err == nil {
		c.stale = false
	} else if c.stale {
		e := s.dropPending(inDay(r.day, r.base))
		c.stale, err = e != nil, errors.Join(err, e)
	}
	return err
}

// hasty tells whether words were taken back that are on the disk still.
func (w *words) hasty() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.revoked
}

// again has the lines written once more: they were not.
func (w *words) again() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changed = true
}

// putLines writes the pending file, durably.
func (s *Store) putLines(r *Recording, lines []Line) error {
	if r.key != nil {
		if err := s.keep(r.key); err != nil {
			return err
		}
	}
	b, err := encodeLines(lines, r.key)
	if err != nil {
		return err
	}
	name := pendingName(inDay(r.day, r.base), r.key != nil)
	if err := s.root.MkdirAll(path.Dir(name), dirMode); err != nil {
		return fmt.Errorf("%s: %w", TranscriptName, err)
	}
	return s.putFile(name, b, true)
}

// finishLines brings a finished transcript into its folder.
func (s *Store) finishLines(r *Recording, c *scribe) error {
	s.care.Lock()
	defer s.care.Unlock()
	folder := inDay(r.day, r.base)
	lines, _, revoked := r.words.take()
	c.stale = c.stale || revoked
	if len(lines) == 0 || !s.isDir(folder) { // nothing was said, or it was erased meanwhile
		if !c.on {
			return nil
		}
		return s.dropPending(folder)
	}
	if err := s.replaceLines(r, c, lines); err != nil {
		return err
	}
	if err := s.syncUp(path.Dir(pendingName(folder, r.key != nil))); err != nil {
		return err
	}
	return s.shutTranscript(folder, r.key != nil, r.opened.Call, r.part)
}

// shutTranscript has the log name a pending transcript that is durable, and moves it into its sealed folder. care is held.
func (s *Store) shutTranscript(folder string, encrypted bool, id string, part int) error {
	pending := pendingName(folder, encrypted)
	sum, err := s.sumOf(pending)
	if err != nil {
		return fmt.Errorf("%s: %w", TranscriptName, err)
	}
	name := TranscriptName + suffixOf(encrypted)
	if s.book != nil {
		if err := s.book.Ensure(evidence.Leaf{Type: evidence.LeafTranscript, Folder: folder, Call: id, Part: part, File: name, SHA256: sum}); err != nil {
			return err
		}
	}
	if err := s.did("transcript leaf"); err != nil {
		return err
	}
	if err := s.rename(pending, inDay(folder, name)); err != nil {
		return fmt.Errorf("%s: %w", TranscriptName, err)
	}
	if err := errors.Join(s.syncDir(folder), s.syncDir(path.Dir(pending))); err != nil {
		return err
	}
	_ = s.root.Remove(path.Dir(pending)) // the day's folder, if it was the last one
	s.changed(folder)
	return nil
}

func (s *Store) sumOf(name string) (string, error) {
	f, err := openFile(s.root, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var d digester
	return d.read(f)
}

// finishTranscripts brings into their folders what earlier processes left, and tells whether something is another process's still.
func (s *Store) finishTranscripts(ctx context.Context) (left bool) {
	days, err := daysUnder(s.root, TranscriptsName)
	for _, day := range days {
		names, e := dirNames(s.root, day)
		err = errors.Join(err, e)
		for _, n := range names {
			if ctx.Err() != nil {
				return true
			}
			folder, encrypted, ok := folderOfPending(path.Join(day, strings.TrimSuffix(n, tempSuffix)))
			if !ok || s.writesLines(folder) {
				continue
			}
			e := s.finishPending(folder, encrypted)
			if errors.Is(e, errHeld) {
				left = true
				continue
			}
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		s.count.errors.Add(1)
		s.log.Error("transcripts of earlier calls not finished, tried again", attr.Err(err))
	}
	return left || err != nil
}

// writesLines tells whether a folder's transcript is ours to write.
func (s *Store) writesLines(folder string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.heard {
		if inDay(r.day, r.base) == folder {
			return true
		}
	}
	return false
}

// finishPending brings the transcript that a process left into its sealed folder. Where that is not sealed yet, or another process's, errHeld; where there is none, the recording
// was erased, and so is this.
func (s *Store) finishPending(folder string, encrypted bool) error {
	s.care.Lock()
	defer s.care.Unlock()
	if s.isDir(folder + partialSuffix) {
		return errHeld
	}
	pending := pendingName(folder, encrypted)
	if err := s.remove(pending + tempSuffix); err != nil {
		return err
	}
	if !s.isDir(folder) {
		return s.remove(pending)
	}
	lock, err := s.takeFolder(folder)
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := s.root.Lstat(pending); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	id, part, err := s.identify(folder)
	if err != nil {
		return err
	}
	return s.shutTranscript(folder, encrypted, id, part)
}

// finishOf brings the transcript of a folder that was just repaired into it, before who keeps it is told.
func (s *Store) finishOf(folder string) {
	for _, encrypted := range []bool{false, true} {
		if _, err := s.root.Lstat(pendingName(folder, encrypted)); err != nil {
			continue
		}
		if err := s.finishPending(folder, encrypted); err != nil {
			s.complain(err, "")
		}
	}
}

// dropPending erases what is pending of a recording.
func (s *Store) dropPending(folder string) error {
	var errs error
	for _, encrypted := range []bool{false, true} {
		name := pendingName(folder, encrypted)
		errs = errors.Join(errs, s.remove(name), s.remove(name+tempSuffix))
	}
	return errs
}
