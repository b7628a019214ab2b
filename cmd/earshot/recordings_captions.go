package main

import (
	"context"
	"errors"
	"io"

	"github.com/earshot/earshot/recorder"
)

// captions writes what was heard.
func (k exportCmd) captions(ctx context.Context, c *cli, p *process, dir string, ids []recorder.Identity) error {
	lines, err := recorder.ReadTranscript(dir, ids)
	switch {
	case errors.Is(err, recorder.ErrEncrypted):
		return &hinted{err, "--identity FILE names the identity of one of these recipients"}
	case errors.Is(err, recorder.ErrNoTranscript):
		return &hinted{err, "a stream with answers, or a preset that has them, brings one: see docs/transcripts.md"}
	case err != nil:
		return err
	}
	k.note(ctx, c, p, dir)
	return deliver(k.Out, p.out, func(w io.Writer) error { return recorder.WriteVTT(w, lines) })
}
