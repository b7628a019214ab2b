package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
)

type settingCmd struct {
	JSON     bool `help:"as JSON"`
	Markdown bool `help:"the table of docs/configuration.md"`
}

// Run shows every setting, its value and where it came from; with mistakes as well, for what they say refers to it.
func (s settingCmd) Run(c *cli, p *process) error {
	if s.Markdown {
		return config.Markdown(p.out)
	}
	l, bad := c.load(p)
	if err := s.show(l, p); err != nil {
		return err
	}
	return bad
}

func (s settingCmd) show(l *config.Loaded, p *process) error {
	if s.JSON {
		e := json.NewEncoder(p.out)
		e.SetIndent("", "  ")
		return e.Encode(l.Entries())
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, e := range l.Entries() {
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\n", e.Key, e.Value, e.Source); err != nil {
			return err
		}
	}
	return w.Flush()
}
