package recorder

import (
	"bytes"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/earshot/earshot/recorder/vcon"
)

// VConName is the vCon of a recording, with Config.VCon.
const VConName = "call.vcon.json"

// maxInline is the largest audio that a vCon takes in: it is held in memory, and read as one string.
const maxInline = 64 << 20

// VConConfig says how a vCon names the audio.
type VConConfig struct {
	// URL is where audio.wav can be had, https; empty: it lies beside the vCon.
	URL string
	// Inline puts the audio into the vCon, up to 64 MiB of it.
	Inline bool
}

// WriteVCon writes the vCon of a recording's folder. The recording stays as it is.
func WriteVCon(w io.Writer, dir string, cfg VConConfig) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("vcon: %w", err)
	}
	defer root.Close()
	m, err := readManifest(root, ManifestName)
	if err == nil {
		err = m.here(root) // its hash is to be told
	}
	if err != nil {
		return fmt.Errorf("vcon: %w", err)
	}
	b, err := vconOf(root, ".", m, cfg)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// vconOf makes the vCon of a folder by its manifest.
func vconOf(root *os.Root, folder string, m *Manifest, cfg VConConfig) ([]byte, error) {
	manifest, err := m.encode()
	if err != nil {
		return nil, err
	}
	o := vcon.Options{URL: cfg.URL}
	if m.Samples > 0 && m.State != StateNoMedia {
		if o, err = audioOf(root, inDay(folder, AudioName), o, cfg.Inline); err != nil {
			return nil, fmt.Errorf("vcon: %w", err)
		}
	}
	if o.TranscriptSHA512, err = sha512Of(root, inDay(folder, TranscriptName)); err != nil {
		return nil, fmt.Errorf("vcon: %w", err)
	}
	var events io.Reader
	f, err := openFile(root, inDay(folder, EventsName))
	switch {
	case err == nil:
		defer f.Close()
		events = f
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("vcon: %w", err)
	}
	v, err := vcon.Build(manifest, events, o)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("vcon: %w", err)
	}
	return out.Bytes(), nil
}

// audioOf hashes the audio, or takes it in. A call that goes on has none before its first sample.
func audioOf(root *os.Root, name string, o vcon.Options, inline bool) (vcon.Options, error) {
	if !inline {
		var err error
		o.SHA512, err = sha512Of(root, name)
		return o, err
	}
	f, err := openFile(root, name)
	if errors.Is(err, fs.ErrNotExist) {
		return o, nil
	}
	if err != nil {
		return o, err
	}
	defer f.Close()
	o.Inline, err = io.ReadAll(io.LimitReader(f, maxInline+1))
	if len(o.Inline) > maxInline {
		return o, fmt.Errorf("%s: larger than the %d MiB that a vCon takes in: leave it beside, or name its url", AudioName, maxInline>>20)
	}
	return o, err
}

// sha512Of hashes a file; nil: it is not there.
func sha512Of(root *os.Root, name string) ([]byte, error) {
	f, err := openFile(root, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

// putVCon writes the vCon of a folder that is about to be sealed, if that is wanted.
func (s *Store) putVCon(folder string, m *Manifest) error {
	if !s.cfg.VCon {
		return nil
	}
	b, err := vconOf(s.root, folder, m, VConConfig{})
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return s.putFile(inDay(folder, VConName), b, true)
}
