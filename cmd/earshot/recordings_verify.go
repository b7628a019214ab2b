package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/evidence"
)

type verifyCmd struct {
	Key        []string `placeholder:"FILE|KEY" help:"the public key that was kept, then those of before a rotation; default those beside the recordings, which prove less"`
	Checkpoint []string `placeholder:"FILE" help:"a checkpoint of the log that was kept elsewhere; any number of them"`
	Identity   string   `placeholder:"FILE" help:"age identities: encrypted audio is decrypted and compared too"`
	Vault      bool     `help:"read audio that was moved to the vault there, all of it, and compare it, too"`
	JSON       bool     `help:"as JSON"`
	Recording  []string `arg:"" optional:"" help:"recordings' folders, names, or calls' ids; default all, and that none is missing"`
}

// errNotVerified ends a verify that found something: exit code 1.
var errNotVerified = errors.New("recordings verify: not all is as it was signed")

// maxCheckpointFile bounds what is read as a checkpoint.
const maxCheckpointFile = 16 << 10

// Run verifies.
func (k verifyCmd) Run(ctx context.Context, c *cli, p *process) error {
	cat, err := c.catalog(p)
	if err != nil {
		return err
	}
	defer cat.Close() //nolint:errcheck // nothing was written
	cfg, err := k.config(cat)
	if err != nil {
		return err
	}
	if k.Vault {
		from, end := c.vaultOf(p, cat.Dir(""))
		defer end()
		if from == nil {
			return &usageError{err: fmt.Errorf("recordings verify: --vault: %w", errNoVault)}
		}
		cfg.Vault = from
	}
	v, err := cat.Verify(ctx, cfg)
	if err != nil {
		return err
	}
	a := console.Act{What: "verify", Why: fmt.Sprintf("%d good, %d findings", v.Good, len(v.Findings))}
	if err := c.note(ctx, p, cat.Dir(""), a); err != nil && !unwritable(err) && !errors.Is(err, evidence.ErrDamaged) {
		fmt.Fprintln(p.err, "earshot: warning: the evidence log does not name this check:", err)
	}
	if k.JSON {
		if err := printJSON(p, v); err != nil {
			return err
		}
	} else {
		k.tell(p, v, cfg)
	}
	if len(v.Findings) > 0 {
		return &hinted{errNotVerified, "docs/evidence.md says what each finding means"}
	}
	return nil
}

func (k verifyCmd) config(cat *recorder.Catalog) (cfg recorder.VerifyConfig, err error) {
	names := k.Key
	if len(names) == 0 {
		names = []string{cat.Dir(evidence.DirName + "/" + evidence.PublicKeyName)}
		older, err := filepath.Glob(cat.Dir(evidence.DirName + "/key-*.pub"))
		if err != nil {
			return cfg, err
		}
		names = append(names, older...)
	}
	for i, name := range names {
		key, err := evidence.LoadPublic(name)
		if err != nil {
			hint := "--key FILE names a public key, as evidence/" + evidence.PublicKeyName + " in the folder of recordings is"
			if len(k.Key) == 0 {
				hint = "these recordings were made without record.sign, or their evidence was taken away; " + hint
			}
			return cfg, &usageError{err: err, hint: hint}
		}
		if i == 0 {
			cfg.Key = key
		} else {
			cfg.Older = append(cfg.Older, key)
		}
	}
	if cfg.Identities, err = identities(k.Identity); err != nil {
		return cfg, err
	}
	for _, f := range k.Checkpoint {
		b, err := os.ReadFile(f)
		if err == nil && len(b) > maxCheckpointFile {
			err = errors.New("too large for a checkpoint")
		}
		var kept *evidence.Checkpoint
		if err == nil {
			kept, err = evidence.OpenCheckpoint(b, cfg.Key.With(cfg.Older...))
		}
		if err != nil {
			return cfg, &usageError{err: fmt.Errorf("recordings verify: --checkpoint %s: %w", f, err), hint: "a checkpoint is a copy of evidence/log/checkpoint in the folder of recordings"}
		}
		cfg.Kept = append(cfg.Kept, kept)
	}
	for _, r := range k.Recording {
		list, err := cat.Find(filepath.Base(r))
		if err != nil {
			return cfg, err
		}
		if len(list) == 0 { // the log knows of it, maybe
			cfg.Names = append(cfg.Names, filepath.Base(r))
		}
		for _, l := range list {
			cfg.Only = append(cfg.Only, l.Folder)
		}
	}
	return cfg, nil
}

// tellMoved says whose audio is in the vault.
func (k verifyCmd) tellMoved(p *process, v *recorder.Verified) {
	if v.Moved == 0 {
		return
	}
	if len(k.Recording) > 0 {
		for _, a := range v.Away {
			fmt.Fprintf(p.out, "moved       %s: audio since %s in bucket %s at %s, %s\n", plain(a.Folder), a.Since.UTC().Format(time.DateTime), plain(a.Bucket), plain(a.Endpoint), plain(a.Prefix))
		}
	}
	read := "not read there: --vault does"
	if k.Vault {
		read = fmt.Sprintf("read there, and as it was sealed: that of %d", v.Read)
	}
	fmt.Fprintf(p.out, "audio moved to the vault, as the log says: that of %d recordings; %s\n", v.Moved, read)
}

// tell says in words what was found.
func (k verifyCmd) tell(p *process, v *recorder.Verified, cfg recorder.VerifyConfig) {
	for _, f := range v.Findings {
		fmt.Fprintf(p.out, "%-12s%s: %s\n", strings.ToUpper(f.Kind), plain(f.What), plain(f.Text))
	}
	if len(k.Recording) > 0 {
		for _, e := range v.Erasures {
			fmt.Fprintf(p.out, "erased      %s: %s by %s: %s\n", plain(e.Folder), e.Time.UTC().Format(time.DateTime), plain(e.Who), plain(e.Why))
		}
	} else if len(v.Erasures) > 0 {
		e := v.Erasures[len(v.Erasures)-1]
		fmt.Fprintf(p.out, "erased on purpose, the last of %d: %s, %s by %s: %s; --json names all\n", len(v.Erasures), plain(e.Folder), e.Time.UTC().Format(time.DateTime), plain(e.Who), plain(e.Why))
	}
	k.tellMoved(p, v)
	if v.Erasing > 0 {
		fmt.Fprintf(p.out, "being erased: %d; the daemon finishes it, at the latest when it starts\n", v.Erasing)
	}
	fmt.Fprintf(p.out, "recordings as they were signed: %d; findings: %d; being written: %d; erased, as the log says: %d\n", v.Good, len(v.Findings), v.Live, v.Erased)
	if v.Unannounced > 0 {
		fmt.Fprintf(p.out, "note: %d of them were finished after a crash, and the log does not say that they were begun: their manifests say unannounced\n", v.Unannounced)
	}
	fmt.Fprintf(p.out, "log: %d of %d leaves proven complete, by the key %s\n", v.Proven, v.Leaves, cfg.Key.ID())
	if len(k.Key) == 0 {
		fmt.Fprintln(p.out, "note: the key was taken from beside the recordings; whoever could change those could change it: --key with one that was kept elsewhere proves more")
	}
	if len(cfg.Kept) == 0 {
		fmt.Fprintln(p.out, "note: without a --checkpoint that was kept elsewhere, a disk that was put back to an older state looks whole")
	}
}
