package main

import (
	"fmt"

	"github.com/earshot/earshot/recorder"
)

type schemaCmd struct {
	Of string `arg:"" optional:"" default:"recording" enum:"recording,event" help:"recording: of recording.json; event: of a line of events.jsonl; default recording"`
}

// Run prints a schema.
func (k schemaCmd) Run(p *process) error {
	text := recorder.ManifestSchema()
	if k.Of == "event" {
		text = recorder.EventSchema()
	}
	_, err := fmt.Fprint(p.out, text)
	return err
}
