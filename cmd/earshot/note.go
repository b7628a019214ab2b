package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/who"
	"github.com/earshot/earshot/recorder/evidence"
)

// Note writes what a command says that it does into the evidence log; see console.Noter.
func (b backend) Note(ctx context.Context, a console.Act) error {
	select {
	case err := <-b.ep.Note(ctx, a.What, endpoint.About{Call: a.Call, Folder: a.Folder, Why: a.Why}):
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// note has the evidence log of a folder of recordings name what this command does: by the daemon, where one runs, else by itself. Recordings without
// a log, or a copy of them without the private key, have nothing to be noted in: nil.
func (c *cli) note(ctx context.Context, p *process, dir string, a console.Act) error {
	socket, keyFile := filepath.Join(dir, "earshot.sock"), ""
	if l, _ := config.Peek(c.input(p)); l != nil && sameFolder(l.Config.Record.Dir, dir) {
		socket, keyFile = l.Config.SocketPath(), l.Config.Record.KeyFile
	}
	cl, err := console.Dial(ctx, socket)
	if err == nil {
		defer cl.Close() //nolint:errcheck // idle connections only
		return cl.Note(ctx, a)
	}
	if n := (*console.NotRunningError)(nil); !errors.As(err, &n) {
		return err
	}
	err = evidence.Note(dir, keyFile, evidence.Leaf{
		Type: evidence.LeafAct, Act: a.What, Folder: a.Folder, Call: a.Call, Why: a.Why, Who: self(),
	})
	if errors.Is(err, evidence.ErrNoLog) || errors.Is(err, evidence.ErrNoKey) {
		return nil
	}
	return err
}

// self is this process by its user.
func self() string { return who.Process(uint32(os.Getuid()), int32(os.Getpid())) }

// unwritable tells whether a log is kept from us on purpose: another user's, or on a disk that is read only.
func unwritable(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// sameFolder tells whether two names mean one folder.
func sameFolder(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// home splits a recording's folder into the folder of recordings and its name there, as in DIR/2026/11/23/NAME.
func home(folder string) (dir, name string) {
	abs, err := filepath.Abs(folder)
	if err != nil {
		return "", ""
	}
	dir = filepath.Clean(filepath.Join(abs, "..", "..", "..", ".."))
	name, err = filepath.Rel(dir, abs)
	if err != nil {
		return "", ""
	}
	return dir, filepath.ToSlash(name)
}
