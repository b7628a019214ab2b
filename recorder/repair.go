package recorder

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/attr"
)

// brokenSuffix is added to a manifest that can't be read: it is kept beside the one that takes its place.
const brokenSuffix = ".broken"

// leftover is a folder that an earlier process didn't seal.
type leftover struct{ day, name string }

// findUnfinished lists what an earlier process left. It reads names only: a million recordings take a second or two.
func (s *Store) findUnfinished() ([]leftover, error) {
	days := []string{"."}
	for _, digits := range []int{4, 2, 2} {
		var next []string
		for _, d := range days {
			names, err := s.names(d)
			if err != nil {
				return nil, fmt.Errorf("recorder: look for unfinished recordings: %w", err)
			}
			for _, n := range names {
				if allDigits(n, digits) && s.isDir(path.Join(d, n)) {
					next = append(next, path.Join(d, n))
				}
			}
		}
		days = next
	}
	var out []leftover
	for _, d := range days {
		names, err := s.names(d)
		if err != nil {
			return nil, fmt.Errorf("recorder: look for unfinished recordings: %w", err)
		}
		for _, n := range names {
			if strings.HasSuffix(n, partialSuffix) && s.isDir(path.Join(d, n)) {
				out = append(out, leftover{d, n})
			}
		}
	}
	slices.SortFunc(out, func(a, b leftover) int { return strings.Compare(a.day+a.name, b.day+b.name) })
	return out, nil
}

func allDigits(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789") == ""
}

func (s *Store) isDir(name string) bool {
	fi, err := s.root.Lstat(name)
	return err == nil && fi.IsDir()
}

// repairAll finishes what was left, and gives back what another process still writes. Nothing of it is ever deleted; what
// can't be finished stays for the next start.
func (s *Store) repairAll(ctx context.Context, left []leftover) (held []leftover) {
	for _, l := range left {
		if ctx.Err() != nil {
			return nil
		}
		lock, err := s.takeFolder(inDay(l.day, l.name))
		switch {
		case errors.Is(err, errHeld):
			held = append(held, l)
			continue
		case errors.Is(err, fs.ErrNotExist): // who wrote it has sealed it
			continue
		}
		res := Result{Dir: l.name, Err: err}
		if err == nil {
			res = s.repair(l)
			_ = lock.Close() // nothing was written to it
		}
		if res.Err != nil {
			s.log.Error("recording not finished", attr.Call(res.CallID), slog.String("folder", l.name), attr.Err(res.Err))
			s.count.errors.Add(1)
		} else {
			s.count.repairedFolder.Add(1)
			s.count.state(res.State)
			s.finishOf(inDay(l.day, filepath.Base(res.Dir)))
			s.changed(inDay(l.day, filepath.Base(res.Dir)))
			s.log.Warn("recording finished after a crash", attr.Call(res.CallID), slog.String("state", string(res.State)),
				slog.Duration("length", length(res.Samples)), slog.String("folder", filepath.Base(res.Dir)))
			s.tell(res)
		}
		s.mu.Lock()
		s.repaired = append(s.repaired, res)
		s.mu.Unlock()
	}
	return held
}

// repair finishes one folder.
func (s *Store) repair(l leftover) Result {
	folder := inDay(l.day, l.name)
	k, err := s.named(l)
	if err != nil || k.Erased || len(k.Manifests) > 0 {
		return s.repairNamed(l, k, err)
	}
	m, err := s.salvage(l)
	m.Unannounced = s.book != nil && !k.Opened
	res := Result{
		Dir: filepath.Join(s.cfg.Dir, filepath.FromSlash(folder)), CallID: m.Call.ID, Part: m.Part, State: m.State, Started: m.Started,
	}
	if err == nil {
		err = s.dropTemp(folder)
	}
	if err == nil && !s.finished(folder, m) {
		err = s.complete(folder, m)
	}
	if err == nil {
		var base string
		if base, err = s.freeName(l); err == nil {
			err = s.attestRepaired(l, base, m)
		}
		if err == nil {
			err = s.shut(l.day, l.name, base)
			res.Dir = filepath.Join(s.cfg.Dir, filepath.FromSlash(inDay(l.day, base)))
		}
	}
	res.State, res.Samples, res.Err = m.State, m.Samples, err
	res.Cause = call.Cause{Code: m.Cause, Text: m.CauseText}
	if m.Ended != nil {
		res.Ended = *m.Ended
	}
	if m.Audio != nil {
		res.SHA256 = m.Audio.SHA256
	}
	return res
}

// whole tells whether audio.wav is the one that a final manifest names.
func (s *Store) whole(folder string, m *Manifest) bool {
	if m.Ended == nil {
		return false
	}
	if m.Encryption != nil {
		files, err := s.listFiles(folder)
		return err == nil && slices.Equal(files, m.Files)
	}
	if m.Audio == nil {
		return m.State == StateNoMedia
	}
	a, err := s.digest(inDay(folder, AudioName), m.Audio.Format)
	return err == nil && a.SHA256 == m.Audio.SHA256 && a.Bytes == m.Audio.Bytes
}

// finished tells whether only the last step, the folder's name, was missing: all that the manifest names is there as it says. A power loss
// may leave a manifest and not the names beside it.
func (s *Store) finished(folder string, m *Manifest) bool {
	files, err := s.listFiles(folder)
	if err != nil || !s.whole(folder, m) {
		return false
	}
	return !slices.ContainsFunc(m.Files, func(f File) bool { return !slices.Contains(files, f) })
}

// salvage reads the folder's manifest. Where there is none that can be read, the folder's name has to do.
func (s *Store) salvage(l leftover) (*Manifest, error) {
	name := inDay(l.day, l.name, ManifestName)
	m, err := readManifest(s.root, name)
	if err == nil {
		return m, nil
	}
	started, id, ok := splitName(strings.TrimSuffix(l.name, partialSuffix))
	if !ok {
		if started, err = time.Parse("2006/01/02", l.day); err != nil {
			started = time.Unix(0, 0).UTC()
		}
		id = strings.TrimSuffix(l.name, partialSuffix)
	}
	m = &Manifest{
		Version: manifestVersion, Software: s.cfg.Software, Call: ManifestCall{ID: id}, Part: 1, State: StatePartial, Started: started, Rate: rate,
	}
	if _, err := s.root.Lstat(name); err == nil {
		if err := s.rename(name, name+brokenSuffix); err != nil {
			return m, fmt.Errorf("repair: %w", err)
		}
	}
	return m, nil
}

// complete brings audio, events and manifest of a folder to what a crash left of them.
func (s *Store) complete(folder string, m *Manifest) error {
	last, err := s.completeEvents(folder)
	if err == nil {
		err = s.dropTorn(folder)
	}
	if err != nil {
		return fmt.Errorf("repair %s: %w", EventsName, err)
	}
	audio := s.completeAudio
	if s.isEncrypted(folder) {
		audio = func(string, wavLayout) (wavLayout, int64, error) { return s.completeSegments(folder, m) }
	}
	l, samples, err := audio(inDay(folder, AudioName), newLayout(m.lawOf(s.cfg.Format), min(max(len(m.Channels), 1), 2)))
	if err != nil {
		return fmt.Errorf("repair %s: %w", AudioName, err)
	}
	if err := s.completeOctets(folder, m, l); err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	ended := m.Started.Add(length(samples))
	if last.After(ended) {
		ended = last
	}
	cause := call.Cause{Code: call.CodeCrash, Text: Missing{}.text(nil)}
	m.Samples, m.Ended, m.Cause, m.CauseText, m.EndCause = samples, &ended, cause.Code, cause.Text, &cause
	m.State, m.Audio = StateNoMedia, nil
	for i := range m.Tracks {
		m.Tracks[i].cutAt(samples)
	}
	if err := s.remaskRepaired(folder, m, l, samples); err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	for i := range m.Tracks {
		if err := s.repairSpans(folder, &m.Tracks[i]); err != nil {
			return fmt.Errorf("repair: %w", err)
		}
	}
	if samples > 0 {
		m.State = StatePartial
		m.Missing = append(m.Missing, Missing{What: "tail", Cause: call.CodeCrash})
		for ch := len(m.Channels); ch < l.channels; ch++ {
			m.Channels = append(m.Channels, call.RoleUnknown.String())
		}
		if m.Encryption != nil {
			m.Audio = l.joined(samples)
		} else if m.Audio, err = s.digest(inDay(folder, AudioName), l.format()); err != nil {
			return fmt.Errorf("repair: %w", err)
		}
	}
	if m.Previous != nil {
		m.Previous.SHA256 = s.manifestHash(m.Previous.Folder)
	}
	m.Retention = s.cfg.Retention.Of(m)
	if err := s.putVCon(folder, m); err != nil {
		return err
	}
	if m.Files, err = s.listFiles(folder); err != nil {
		return err
	}
	if err := s.syncDir(folder); err != nil { // the names of what the manifest is about to name
		return err
	}
	return s.putManifest(folder, m, true)
}

// cutAt brings a track of a live manifest to the length of the file: what came after the manifest is unknown, what did
// not reach the file is not there.
func (t *Track) cutAt(samples int64) {
	stop := max(0, samples-t.OffsetSamples)
	if t.OffsetMethod == "" || t.Channel < 0 {
		return
	}
	if t.Samples < stop {
		if !t.Ended {
			t.Spans = append(t.Spans, Span{Kind: kindUnknown.String(), Pos: t.Samples, Samples: stop - t.Samples})
			t.Samples = stop
		}
		return
	}
	t.Samples = stop
	t.Spans = slices.DeleteFunc(t.Spans, func(s Span) bool { return s.Pos >= stop })
	for i := range t.Spans {
		t.Spans[i].Samples = min(t.Spans[i].Samples, stop-t.Spans[i].Pos)
	}
}

func (l wavLayout) format() string {
	switch l.tag {
	case tagMulaw:
		return FormatMulaw
	case tagAlaw:
		return FormatAlaw
	}
	return FormatWAV
}

// completeEvents cuts a torn line off and gives the time of the last event.
func (s *Store) completeEvents(folder string) (last time.Time, err error) {
	f, err := s.openWrite(inDay(folder, EventsName), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return last, err
	}
	line, err := repairEvents(f)
	if err == nil {
		err = s.sync(f)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return last, err
	}
	var e struct{ Time time.Time }
	if len(line) > 0 && json.Unmarshal(line, &e) == nil {
		last = e.Time
	}
	return last, nil
}

// completeAudio makes the header say what the file holds, ours where there is none. A file without a sample goes: such a call has no audio.wav.
func (s *Store) completeAudio(name string, ours wavLayout) (l wavLayout, samples int64, err error) {
	f, err := s.openWrite(name, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return l, 0, nil
	}
	if err != nil {
		return l, 0, err
	}
	l, samples, err = repairWAV(f, ours)
	if err == nil {
		err = s.sync(f)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return l, 0, err
	}
	if samples == 0 {
		return l, 0, s.root.Remove(name)
	}
	return l, samples, nil
}

// wavFile is what a repair needs of a file.
type wavFile interface {
	io.ReaderAt
	io.WriterAt
	io.Seeker
	Truncate(int64) error
}

// repairWAV brings the sizes in the header to the file's length, in whole blocks. A header that is no header is written
// anew, as ours.
func repairWAV(f wavFile, ours wavLayout) (l wavLayout, samples int64, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return l, 0, err
	}
	l, err = parseWAV(f, size)
	torn := err != nil
	if torn {
		l = ours
	}
	if size <= l.dataAt {
		return l, 0, nil
	}
	bytes := size - l.dataAt
	if !torn && l.dataBytes&1 == 1 && bytes == l.dataBytes+1 {
		bytes-- // the pad byte of a file that was finished
	}
	samples = min(bytes/l.block(), l.maxSamples())
	bytes = samples * l.block()
	if err := f.Truncate(l.dataAt + bytes); err != nil {
		return l, 0, err
	}
	if bytes&1 == 1 {
		if _, err := f.WriteAt([]byte{0}, l.dataAt+bytes); err != nil {
			return l, 0, err
		}
	}
	promised := l.dataBytes // 0 where there is no header to say it
	if err := hushHoles(f, l, l.dataAt+promised, l.dataAt+bytes); err != nil {
		return l, 0, err
	}
	if torn {
		_, err := f.WriteAt(l.header(samples, true), 0)
		return l, samples, err
	}
	return l, samples, l.patch(f, samples)
}

// patch writes the sizes into a header, wherever they stand.
func (l wavLayout) patch(f io.WriterAt, samples int64) error {
	bytes := samples * l.block()
	put := func(v, at int64) error {
		_, err := f.WriteAt(binary.LittleEndian.AppendUint32(nil, uint32(v)), at)
		return err
	}
	riff := l.dataAt - 8 + bytes + bytes&1
	big := riff > maxRIFF
	if l.factAt != 0 {
		if err := put(int64(size32(samples, big)), l.factAt); err != nil {
			return err
		}
	}
	if err := put(int64(size32(bytes, big)), l.dataAt-4); err != nil || !l.large {
		return errors.Join(err, put(riff, 4))
	}
	_, err := f.WriteAt(l.top(riff, bytes, samples), 0)
	return err
}

// freeName gives the folder's final name, or the next one like it if something has that.
func (s *Store) freeName(l leftover) (string, error) {
	base := strings.TrimSuffix(l.name, partialSuffix)
	for same := 1; same <= maxSameName; same++ {
		name := base
		if same > 1 {
			name = fmt.Sprintf("%s_%d", base, same)
		}
		if _, err := s.root.Lstat(inDay(l.day, name)); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
	}
	return "", fmt.Errorf("repair: %s: %w", base, fs.ErrExist)
}
