package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/recorder"
)

// Run exports, and has the log know the file again.
func (k exportCmd) Run(ctx context.Context, c *cli, p *process) error {
	if err := k.export(ctx, c, p); err != nil || k.Out == "" {
		return err
	}
	folder, err := k.folder(c, p)
	if err != nil {
		return err
	}
	dir, name := home(folder)
	c.exported(ctx, p, dir, name, k.Out)
	return nil
}

// exported has the evidence log name the file that an export of a recording wrote: so an erasure knows it again, and can erase it too.
func (c *cli) exported(ctx context.Context, p *process, dir, folder, file string) {
	sum, err := fileHash(file)
	if err == nil {
		if file, err = filepath.Abs(file); err == nil {
			err = c.note(ctx, p, dir, console.Act{What: recorder.ActExported, Folder: folder, Why: sum + "  " + file})
		}
	}
	if err != nil {
		fmt.Fprintln(p.err, "earshot: warning: the evidence log does not name the exported file:", err)
	}
}

func fileHash(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
