package recorder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/earshot/earshot/internal/attr"
	"github.com/earshot/earshot/recorder/evidence"
)

const (
	// fetchingDir is where audio lies that is being fetched: outside the recording's folder, in which nothing may lie that was not sealed.
	fetchingDir = "state/fetching"
	// actFetch is the act of who brings audio back.
	actFetch = "fetch"
)

// Fetcher reads what lies in a vault.
type Fetcher interface {
	// Open reads a file of a recording. What comes is checked by who reads it. The caller closes it.
	Open(ctx context.Context, place Place, f PlacedFile) (io.ReadCloser, error)
}

// Fetched is audio that was brought back.
type Fetched struct {
	Folder string `json:"folder"`
	Call   string `json:"call,omitempty"`
	Files  int    `json:"files"`
	Bytes  int64  `json:"bytes"`
	From   string `json:"from"` // the place, for people
}

// ErrHere is why nothing is fetched: all audio of the recording is on this disk.
var ErrHere = errors.New("its audio is on this disk")

func fetchingName(folder string) string {
	return path.Join(fetchingDir, strings.ReplaceAll(folder, "/", "-"))
}

// Fetch brings audio back that was moved to the vault. Each file is compared with the hash that was sealed before it is put in its place, and the evidence log names who asked. The
// copy in the vault stays.
func (s *Store) Fetch(ctx context.Context, from Fetcher, folder, who, why string) (*Fetched, error) {
	f, err := s.fetch(ctx, from, folder, who, why)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", folder, err)
	}
	return f, nil
}

func (s *Store) fetch(ctx context.Context, from Fetcher, folder, who, why string) (*Fetched, error) {
	if err := s.mayCare(folder, who, why); err != nil {
		return nil, err
	}
	s.fetching.Lock()
	defer s.fetching.Unlock()
	moved, files, err := s.toFetch(folder)
	if err != nil {
		return nil, err
	}
	if err := s.leaf(evidence.Leaf{Type: evidence.LeafAct, Act: actFetch, Folder: folder, Call: moved.Call, Who: who, Why: why}); err != nil {
		return nil, err
	}
	dir := fetchingName(folder)
	if err := s.root.RemoveAll(fetchingDir); err != nil { // what a crash left
		return nil, err
	}
	if err := s.root.MkdirAll(dir, dirMode); err != nil {
		return nil, err
	}
	err = s.download(ctx, from, moved, files, dir)
	if err == nil {
		err = s.putBack(moved, files, dir)
	}
	if e := s.root.RemoveAll(fetchingDir); err == nil {
		err = e
	}
	if err != nil {
		return nil, err
	}
	out := &Fetched{Folder: folder, Call: moved.Call, Files: len(files), From: moved.String()}
	for _, f := range files {
		out.Bytes += f.Bytes
	}
	s.log.Info("recording's audio fetched from the vault", attr.Call(moved.Call), slog.String("folder", folder), slog.String("who", who), slog.String("why", why))
	return out, nil
}

// toFetch tells what of a recording is not here, and where it is.
func (s *Store) toFetch(folder string) (*Moved, []File, error) {
	m, err := readManifest(s.root, inDay(folder, ManifestName))
	if err != nil {
		return nil, nil, err
	}
	moved, err := readMoved(s.root, folder)
	if err != nil {
		return nil, nil, err
	}
	if moved == nil {
		return nil, nil, ErrHere
	}
	sum, err := manifestHash(s.root, folder)
	if err == nil && (moved.Manifest != sum || moved.Folder != folder) {
		err = fmt.Errorf("%s is not of this recording: look at it with `earshot recordings verify`", MovedName)
	}
	if err != nil {
		return nil, nil, err
	}
	var files []File
	need := int64(0)
	for _, f := range m.audioFiles() {
		if _, ok := moved.of(f); !ok {
			return nil, nil, fmt.Errorf("%s does not name %s as it was sealed", MovedName, f.File)
		}
		if _, err := s.root.Lstat(inDay(folder, f.File)); errors.Is(err, fs.ErrNotExist) {
			files = append(files, f)
			need += f.Bytes
		}
	}
	return moved, files, s.roomFor(need)
}

// roomFor tells whether there is room for so much beside what calls need.
func (s *Store) roomFor(bytes int64) error {
	free, total, err := diskRoom(s.cfg.Dir)
	if err == nil && free-bytes < max(0, s.cfg.Refuse.Of(total)) {
		return fmt.Errorf("it has %d octets, and of %d that are free here calls need %d: make room first", bytes, free, max(0, s.cfg.Refuse.Of(total)))
	}
	return err
}

// download brings the files, each as it was sealed.
func (s *Store) download(ctx context.Context, from Fetcher, moved *Moved, files []File, dir string) error {
	for _, f := range files {
		o, _ := moved.of(f)
		r, err := from.Open(ctx, moved.Place, o)
		if err != nil {
			return err
		}
		to, err := s.openWrite(inDay(dir, f.File), os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		if err != nil {
			return errors.Join(err, r.Close())
		}
		err = sameOctets(to, r, f)
		if err == nil {
			err = s.sync(to)
		}
		if err := errors.Join(err, to.Close()); err != nil {
			return err
		}
		if err := s.did("downloaded"); err != nil {
			return err
		}
	}
	return nil
}

// sameOctets copies what a vault gives, and closes it; it must be the file that was sealed.
func sameOctets(to io.Writer, r io.ReadCloser, f File) error {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, h), io.LimitReader(r, f.Bytes+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("%s in the vault: %w", f.File, err)
	}
	if n != f.Bytes || hex.EncodeToString(h.Sum(nil)) != f.SHA256 {
		return fmt.Errorf("%s in the vault is not as it was sealed: %w", f.File, errNotSame)
	}
	return nil
}

var errNotSame = errors.New("other octets")

// putBack puts what was brought into the recording's folder. What says that the audio is elsewhere goes last: until then the move stands.
func (s *Store) putBack(moved *Moved, files []File, dir string) error {
	s.care.Lock()
	defer s.care.Unlock()
	now, err := readMoved(s.root, moved.Folder)
	if err != nil {
		return err
	}
	if now == nil || now.Manifest != moved.Manifest || !slices.Equal(now.Objects, moved.Objects) {
		return fmt.Errorf("it was erased, or moved anew, meanwhile: %w", fs.ErrNotExist)
	}
	for _, f := range files {
		if err := s.rename(inDay(dir, f.File), inDay(moved.Folder, f.File)); err != nil {
			return err
		}
		if err := s.did("put back"); err != nil {
			return err
		}
	}
	if err := s.syncDir(moved.Folder); err != nil {
		return err
	}
	if err := s.remove(inDay(moved.Folder, MovedName)); err != nil {
		return err
	}
	delete(s.empty, moved.Folder)
	delete(s.empty, path.Dir(moved.Folder))
	s.changed(moved.Folder)
	return s.did("fetched")
}
