package evidence

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// maxCheckpointOctets bounds what is read as a checkpoint.
const maxCheckpointOctets = 16 << 10

// Checkpoint is the state of a log that was signed: its first Size leaves have the root Root.
type Checkpoint struct {
	Size int64
	Root tlog.Hash
	text []byte
}

// Text is the signed note, to be kept elsewhere.
func (c *Checkpoint) Text() string { return string(c.text) }

// seal signs a tree's head.
func seal(k *Key, size int64, root tlog.Hash) (*Checkpoint, error) {
	text, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", Origin, size, root)}, k.signer)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return &Checkpoint{size, root, text}, nil
}

// ErrForeignKey is returned by OpenCheckpoint for one that another key signed.
var ErrForeignKey = errors.New("checkpoint: signed by another key")

// OpenCheckpoint reads a signed checkpoint.
func OpenCheckpoint(text []byte, p *Public) (*Checkpoint, error) {
	if len(text) > maxCheckpointOctets {
		return nil, fmt.Errorf("checkpoint: more than %d octets", maxCheckpointOctets)
	}
	n, err := note.Open(text, note.VerifierList(p.verifiers()...))
	var unknown *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unknown):
		return nil, ErrForeignKey
	case err != nil:
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	for _, sig := range n.Sigs { // the bits that base64 leaves over are signed by nobody
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			return nil, fmt.Errorf("checkpoint: signature: %w", err)
		}
	}
	c, err := parseHead(n.Text)
	if err != nil {
		return nil, err
	}
	c.text = text
	return c, nil
}

// parseHead reads a checkpoint's text, whoever signed it.
func parseHead(text string) (c *Checkpoint, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] != Origin {
		return nil, errors.New("checkpoint: want three lines: earshot, size, root")
	}
	c = &Checkpoint{}
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.Size < 0 || strconv.FormatInt(c.Size, 10) != lines[1] {
		return nil, fmt.Errorf("checkpoint: size: got %q, want a number", lines[1])
	}
	if c.Root, err = tlog.ParseHash(lines[2]); err != nil {
		return nil, fmt.Errorf("checkpoint: root: %w", err)
	}
	return c, nil
}
