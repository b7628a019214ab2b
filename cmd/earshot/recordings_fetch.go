package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/vault"
)

type fetchCmd struct {
	Recording string `arg:"" help:"a recording's folder, its name, or a call's id: all its parts"`
	Why       string `required:"" placeholder:"TEXT" help:"the reason, for the evidence log"`
	JSON      bool   `help:"as JSON"`
}

// errNoVault is why nothing can be asked for what lies in a vault.
var errNoVault = errors.New("no vault is configured: record.vault in earshot.yaml names it (-c FILE)")

// Run fetches.
func (k fetchCmd) Run(ctx context.Context, c *cli, p *process) error {
	all := []json.RawMessage{}
	err := c.careFor(ctx, p, k.Recording, console.CareRequest{Act: console.CareFetch, Why: k.Why}, func(_ console.CareRequest, raw []byte) {
		all = append(all, raw)
		var f recorder.Fetched
		if err := json.Unmarshal(raw, &f); err == nil && !k.JSON {
			fmt.Fprintf(p.out, "fetched %s: %d files, %d octets, from %s\n", plain(f.Folder), f.Files, f.Bytes, plain(f.From))
		}
	})
	if k.JSON {
		err = errors.Join(printJSON(p, all), err)
	}
	return err
}

// vaultOf reads what lies in the vault of a folder of recordings, if one is configured for that; nil: none is. The function given back ends the reading.
func (c *cli) vaultOf(p *process, dir string) (recorder.Fetcher, func()) {
	none := func() {}
	l, _ := config.Peek(c.input(p))
	if l == nil || !sameFolder(l.Config.Record.Dir, dir) {
		return nil, none
	}
	cfg, err := l.Config.VaultConfig()
	if err != nil || cfg == nil {
		return nil, none
	}
	r, err := vault.OpenReader(*cfg)
	if err != nil {
		return nil, none
	}
	return r, func() { _ = r.Close() } // it was only read
}

// hintMoved says what to do about audio that is in the vault.
func hintMoved(dir string, err error) error {
	if !errors.Is(err, recorder.ErrMoved) {
		return err
	}
	return &hinted{err, "earshot recordings fetch " + filepath.Base(dir) + " --why TEXT brings it back"}
}
