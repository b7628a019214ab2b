package recorder

import _ "embed" // the schemas

//go:embed schema/recording.schema.json
var manifestSchema string

//go:embed schema/event.schema.json
var eventSchema string

//go:embed schema/transcript.schema.json
var transcriptSchema string

// ManifestSchema is the JSON Schema (2020-12) of recording.json, as in docs/format/recording.schema.json. It takes keys that it doesn't
// name, as readers shall.
func ManifestSchema() string { return manifestSchema }

// EventSchema is that of a line of events.jsonl.
func EventSchema() string { return eventSchema }

// TranscriptSchema is that of a line of transcript.jsonl.
func TranscriptSchema() string { return transcriptSchema }
