package recorder

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/recorder/evidence"
)

// sealRetry is how long a recording that could not be sealed waits for the next try.
const sealRetry = time.Minute

// seal finishes the recording: what is written is durable and says so, and the folder has its final name. What fails is
// tried again later, from the step that failed.
func (r *Recording) seal(j job) {
	w := &r.w
	x := &r.inbox
	if !w.sealTry.IsZero() && j.now.Sub(w.sealTry) < sealRetry && !r.s.closing.Load() {
		return
	}
	w.sealTry = j.now
	x.mu.Lock()
	res := x.result
	x.mu.Unlock()
	m, err := r.finish(j, res.Ended)
	res.Dir, res.Err = r.dir(), err
	if m != nil {
		res.State, res.Samples, res.Cause.Code, res.Cause.Text = m.State, m.Samples, m.Cause, m.CauseText
		if m.Audio != nil {
			res.SHA256 = m.Audio.SHA256
		}
	}
	if err != nil {
		r.fail(err)
	} else {
		r.s.sealed(r, res)
	}
	r.shelve(j) // who waited for Sealed reads all of it
	x.mu.Lock()
	x.result = res
	x.finished = err == nil
	first := !x.sealed
	x.sealed = true
	x.mu.Unlock()
	if first {
		close(r.done)
	}
}

// finish does the steps of sealing. Each may be done again; once the final manifest is durable it stays as it is: the log may name it.
func (r *Recording) finish(j job, ended time.Time) (*Manifest, error) {
	w := &r.w
	if w.final == nil {
		m, err := r.finalManifest(j, ended)
		if err != nil {
			return m, err
		}
		w.final = m
	}
	if w.renamed {
		return w.final, nil
	}
	if err := r.attest(w.final); err != nil {
		return w.final, err
	}
	if err := r.s.shut(r.day, r.base+partialSuffix, r.base); err != nil {
		return w.final, err
	}
	w.renamed = true
	return w.final, nil
}

// finalManifest finishes all files, and writes the manifest that names them, durably.
func (r *Recording) finalManifest(j job, ended time.Time) (*Manifest, error) {
	w := &r.w
	m := r.describe()
	if m.Samples > 0 && !w.audioShut {
		if err := r.openAudio(); err != nil {
			return m, err
		}
		if err := w.img.close(m.Samples); err != nil {
			return m, err
		}
		w.audioShut = true
	}
	if err := w.closeOctets(); err != nil {
		return m, err
	}
	if err := w.log.close(); err != nil {
		return m, err
	}
	if err := r.closeSpans(m); err != nil {
		return m, err
	}
	if err := r.putSIP(); err != nil {
		return m, err
	}
	r.conclude(m, j.cause, ended)
	m.Retention = r.s.cfg.Retention.Of(m)
	if m.Samples > 0 {
		a, err := r.digest(m)
		if err != nil {
			return m, err
		}
		m.Audio = a
	}
	if m.Previous != nil {
		m.Previous.SHA256 = r.s.manifestHash(m.Previous.Folder)
	}
	if err := r.s.putVCon(r.folder(), m); err != nil {
		return m, err
	}
	var err error
	if m.Files, err = r.s.listFiles(r.folder()); err != nil {
		return m, err
	}
	if err := r.s.syncDir(r.folder()); err != nil { // the names of what the manifest is about to name
		return m, err
	}
	return m, r.s.putManifest(r.folder(), m, true)
}

// attest signs the final manifest, and has the evidence log name it.
func (r *Recording) attest(m *Manifest) error {
	if err := r.s.attest(r.folder(), m); err != nil {
		return err
	}
	r.w.unlisted = true
	if err := r.list(); err != nil {
		return err
	}
	var before []evidence.Leaf
	if r.s.book != nil && r.announced.CompareAndSwap(announceOwed, announceDone) {
		before = append(before, r.opening()) // it was over before its turn came
	}
	err := r.s.testify(inDay(r.day, r.base), m, r.w.attested, before...)
	if err != nil && before != nil {
		r.announced.Store(announceOwed)
	}
	r.w.attested = true
	return err
}

// shut gives a finished folder its final name, durably.
func (s *Store) shut(day, from, to string) error {
	if err := s.syncDir(inDay(day, from)); err != nil {
		return err
	}
	if _, err := s.root.Lstat(inDay(day, to)); err == nil {
		return fmt.Errorf("seal %s: %w", to, fs.ErrExist)
	}
	if err := s.rename(inDay(day, from), inDay(day, to)); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return s.syncDir(day)
}

// digest hashes a finished audio file.
func (s *Store) digest(name, format string) (*Audio, error) {
	if fi, err := s.root.Lstat(name); err != nil || !fi.Mode().IsRegular() { // a pipe would hold us up for ever
		return nil, fmt.Errorf("hash audio: %w", errors.Join(errNotPlain, err))
	}
	f, err := s.root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("hash audio: %w", err)
	}
	defer f.Close()
	var d digester
	sum, err := d.read(f)
	if err != nil {
		return nil, fmt.Errorf("hash audio: %w", err)
	}
	return &Audio{File: AudioName, Format: format, SHA256: sum, Bytes: d.n, Segments: &Segments{segmentBytes, d.pieces}}, nil
}

// manifestHash is the SHA-256 of a sealed part's manifest, empty if there is none yet.
func (s *Store) manifestHash(folder string) string {
	sum, err := manifestHash(s.root, folder)
	if err != nil {
		return ""
	}
	return sum
}

// sealed takes a finished recording off the list, and tells of it.
func (s *Store) sealed(r *Recording, res Result) {
	s.mu.Lock()
	delete(s.open, r)
	s.mu.Unlock()
	s.count.state(res.State)
	s.changed(inDay(r.day, r.base))
	s.log.Debug("recording sealed", attr.Call(res.CallID), slog.String("state", string(res.State)), attr.Cause(res.Cause),
		slog.Duration("length", length(res.Samples)), slog.String("folder", filepath.Base(res.Dir)))
	if r.words.owe(res) {
		return // it is told of, and the folder let go, when its transcript is there
	}
	_ = r.lock.Close() // nothing was written to it
	s.tell(res)
}

// tell tells of a folder that has its final name.
func (s *Store) tell(res Result) {
	if s.cfg.Sealed != nil {
		s.cfg.Sealed(res)
	}
}

// changed tells who keeps a list that a recording is there, or no more.
func (s *Store) changed(folder string) {
	if s.cfg.Changed != nil {
		s.cfg.Changed(folder)
	}
}

// length is how long samples last.
func length(samples int64) time.Duration { return time.Duration(samples) * time.Second / rate }
