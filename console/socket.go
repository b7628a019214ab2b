package console

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxSocketPath is what a unix socket's address holds on every system we know, in bytes.
const maxSocketPath = 103

// socket is a unix socket with the lock that says whose it is.
type socket struct {
	path     string
	listener *net.UnixListener
	lock     *os.File
}

// takeSocket binds path. The lock beside it is held as long as the process lives and is gone with it, however it ends;
// so two that start at the same time can't both take the socket for a dead one's.
func takeSocket(path string) (*socket, error) {
	if len(path) > maxSocketPath || path == "" {
		return nil, fmt.Errorf("control: socket: %q is %d bytes, want 1 to %d", path, len(path), maxSocketPath)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("control: socket: %w", err)
	}
	lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("control: lock: %w", err)
	}
	s := &socket{path: path, lock: lock}
	if err := s.bind(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// bind takes the lock, removes what a dead process left, and listens.
func (s *socket) bind() error {
	if err := lockFile(s.lock); err != nil {
		return fmt.Errorf("control: %w (%ssocket %s)", ErrRunning, s.owner(), s.path)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if c, err := new(net.Dialer).DialContext(ctx, "unix", s.path); err == nil {
		return errors.Join(fmt.Errorf("control: %w (socket %s)", ErrRunning, s.path), c.Close())
	}
	switch info, err := os.Lstat(s.path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("control: socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("control: socket: %s is there and is no socket", s.path)
	default:
		if err := os.Remove(s.path); err != nil {
			return fmt.Errorf("control: socket: %w", err)
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("control: socket: %w", err)
	}
	if err := errors.Join(os.Chmod(s.path, 0o600), s.sign()); err != nil {
		return errors.Join(fmt.Errorf("control: socket: %w", err), l.Close())
	}
	s.listener = l
	return nil
}

// sign writes our process id into the lock.
func (s *socket) sign() error {
	if err := s.lock.Truncate(0); err != nil {
		return err
	}
	_, err := s.lock.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	return err
}

// owner names the process that signed the lock, for the error.
func (s *socket) owner() string {
	b := make([]byte, 20)
	n, _ := s.lock.ReadAt(b, 0)
	if pid := strings.TrimSpace(string(b[:n])); pid != "" {
		return "process " + pid + ", "
	}
	return ""
}

// close removes the socket, then gives up the lock. The lock's file stays: to remove it would let two hold one each.
func (s *socket) close() error {
	err := s.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	if e := s.lock.Close(); e != nil && !errors.Is(e, fs.ErrClosed) {
		err = errors.Join(err, e)
	}
	if err != nil {
		return fmt.Errorf("control: socket: %w", err)
	}
	return nil
}
