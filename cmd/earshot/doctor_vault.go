package main

import (
	"context"
	"fmt"
	"time"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/vault"
	"github.com/earshot/earshot/supervise"
)

// vaultFindings asks the vault's server for all that is needed, and tells what the daemon knows of its queue; st is nil where none runs.
func vaultFindings(ctx context.Context, c config.Config, st *endpoint.Status) []supervise.Finding {
	const what = "vault"
	cfg, err := c.VaultConfig()
	if err != nil || cfg == nil {
		return nil // the configuration's findings tell of an error
	}
	marks := map[string]string{vault.MarkOK: supervise.MarkOK, vault.MarkWarn: supervise.MarkWarn, vault.MarkFail: supervise.MarkFail}
	found, err := vault.Probe(ctx, *cfg)
	if err != nil {
		return []supervise.Finding{{Mark: supervise.MarkFail, What: what, Found: err.Error(), Do: "docs/vault.md"}}
	}
	out := keepFindings(*cfg)
	out = append(out, lockFindings(*cfg, c.Record.Retention.Policy(), time.Now())...)
	for _, f := range found {
		out = append(out, supervise.Finding{Mark: marks[f.Mark], What: what, Found: f.Found, Do: f.Do})
	}
	if st != nil && st.Vault != nil {
		f := supervise.Finding{Mark: supervise.MarkOK, What: what, Found: fmt.Sprintf("%d recordings wait", st.Vault.Queued)}
		if st.Vault.Trouble != "" {
			f.Mark, f.Do = supervise.MarkFail, st.Vault.Hint
			f.Found += fmt.Sprintf("; it takes nothing since %s: %s", st.Vault.Since.UTC().Format("2006-01-02 15:04 MST"), st.Vault.Trouble)
		}
		out = append(out, f)
	}
	return out
}

// keepFindings names what leaves a recording's audio in one place, where somebody may remove it.
func keepFindings(v vault.Config) []supervise.Finding {
	if v.KeepLocal == nil || v.Lock != "" || v.LegalHold {
		return nil
	}
	return []supervise.Finding{{
		Mark: supervise.MarkWarn, What: "vault", Found: "record.vault.keep_local leaves the vault's copy the only one, and no lock keeps that from being removed",
		Do: "set record.vault.lock, or keep audio on this disk: keep_local: forever (docs/vault.md)",
	}}
}

// lockFindings names where the vault keeps what record.retention says must go: once it is uploaded nobody can take that back.
func lockFindings(v vault.Config, r recorder.Retention, now time.Time) (out []supervise.Finding) {
	warn := func(found, do string) {
		out = append(out, supervise.Finding{Mark: supervise.MarkWarn, What: "vault", Found: found, Do: do})
	}
	ends := func(class string, keep recorder.Period) {
		until := keep.From(now.UTC())
		switch {
		case until.IsZero(): // kept for ever
		case v.LegalHold:
			warn(fmt.Sprintf("record.retention erases class %s after %s, and record.vault.legal_hold keeps its copies in the vault without a date", class, keep),
				"take the holds off at the server in time, or remove record.vault.legal_hold")
		case v.Lock != "" && v.For.After(now.UTC()).After(until):
			warn(fmt.Sprintf("record.retention erases class %s after %s, and record.vault.lock keeps its copies in the vault for %s", class, keep, v.For),
				"make record.vault.lock.for no longer than record.retention (docs/vault.md)")
		}
	}
	ends(recorder.DefaultClass, r.Default)
	for _, c := range r.Classes {
		ends(c.Name, c.Keep)
	}
	return out
}
