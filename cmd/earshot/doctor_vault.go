package main

import (
	"context"
	"fmt"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/endpoint"
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
	var out []supervise.Finding
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
