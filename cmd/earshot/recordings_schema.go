package main

import (
	"fmt"

	"github.com/earshot/earshot/recorder"
)

type schemaCmd struct {
	Of string `arg:"" optional:"" default:"recording" enum:"recording,event,transcript" help:"recording: of recording.json; event: of a line of events.jsonl; transcript: of a line of transcript.jsonl; default recording"`
}

// Run prints a schema.
func (k schemaCmd) Run(p *process) error {
	text := recorder.ManifestSchema()
	switch k.Of {
	case "event":
		text = recorder.EventSchema()
	case "transcript":
		text = recorder.TranscriptSchema()
	}
	_, err := fmt.Fprint(p.out, text)
	return err
}
