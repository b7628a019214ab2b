package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/earshot/earshot/internal/secret"
)

// Secret is a secret and how `earshot run` finds it without our help.
type Secret struct {
	Text secret.Text
	// Found says where it stands already, such as "RINGCENTRAL_JWT in .env"; empty: nowhere that lasts.
	Found string
	// File is the file that holds it already, if one does.
	File string
}

// Plan is what the configuration is made of.
type Plan struct {
	Server, ClientID  string
	ClientSecret, JWT Secret
	Login             string // who logs in, for a comment
	Device            Choice
	Groups            []Choice
	Agents            []string // instead of Groups
	Inline            bool     // secrets go into the YAML, in clear
}

// Choice is an id with a comment.
type Choice struct{ ID, Comment string }

// ErrExists says that something is there already, and was not to be overwritten.
var ErrExists = errors.New("is there already")

// secretsFolder is where secrets go that stand nowhere else, beside the YAML.
const secretsFolder = "earshot-secrets"

// Write writes the configuration, and secrets that need a file of their own, for their owner's eyes only. It gives the
// files that it wrote.
func (p Plan) Write(path string, force bool) (written []string, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(path); err == nil && !force {
		return nil, fmt.Errorf("%s: %w", path, ErrExists)
	}
	for _, s := range []struct {
		name   string
		secret *Secret
	}{{"client_secret", &p.ClientSecret}, {"jwt", &p.JWT}} {
		if p.Inline || s.secret.Found != "" || s.secret.File != "" {
			continue
		}
		s.secret.File = filepath.Join(filepath.Dir(path), secretsFolder, s.name)
		if err := os.MkdirAll(filepath.Dir(s.secret.File), 0o700); err != nil {
			return written, err
		}
		if err := write(s.secret.File, []byte(s.secret.Text.Reveal()+"\n"), force); err != nil {
			return written, err
		}
		written = append(written, s.secret.File)
	}
	if err := write(path, p.YAML(), force); err != nil {
		return written, err
	}
	return append(written, path), nil
}

// write puts a file in place whole or not at all.
func write(path string, b []byte, force bool) error {
	if !force {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: %w", path, ErrExists)
		}
		if err != nil {
			return err
		}
		_, err = f.Write(b)
		return errors.Join(err, f.Sync(), f.Close())
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".earshot-*") // made with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// YAML is the configuration.
func (p Plan) YAML() []byte {
	var b strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	w("# Written by `earshot init` for the login of %s. All keys: docs/configuration.md, or `earshot config`.", oneLine(p.Login))
	w("ringcentral:")
	w("  server: %s", quote(p.Server))
	w("  client_id: %s", quote(p.ClientID))
	p.secret(w, "client_secret", p.ClientSecret)
	p.secret(w, "jwt", p.JWT)
	w("supervise:")
	w("  device_id: %s  # %s", quote(p.Device.ID), oneLine(p.Device.Comment))
	if len(p.Agents) > 0 {
		w("  agents:")
		for _, a := range p.Agents {
			w("    - %s", quote(a))
		}
	} else {
		w("  groups:  # the monitored members of these; or name some: agents: [\"108\", \"109\"]")
		for _, g := range p.Groups {
			w("    - %s  # %s", quote(g.ID), oneLine(g.Comment))
		}
	}
	return []byte(b.String())
}

// secret writes how the secret is found.
func (p Plan) secret(w func(string, ...any), key string, s Secret) {
	switch {
	case p.Inline:
		w("  %s: %s", key, quote(s.Text.Reveal()))
	case s.File != "":
		w("  %s_file: %s", key, quote(s.File))
	default:
		w("  # %s: from %s", key, oneLine(s.Found))
	}
}

// quote writes a double-quoted scalar; strconv's escapes are YAML's too (YAML 1.2 section 5.7) for what is not ASCII.
func quote(s string) string { return strconv.QuoteToASCII(s) }

// oneLine keeps foreign text inside its comment.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 }), " ")
}
