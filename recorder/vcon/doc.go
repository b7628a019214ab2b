// Package vcon makes an IETF vCon of a recording: one JSON object that says who talked, when, and where the audio is, in the form
// that programs for conversations exchange.
//
// It is a second reader of docs/format/recording.md: it takes the octets of recording.json and events.jsonl, never the recorder's
// own types, and knows no folder, no file and no clock. It neither signs nor encrypts: recording.sig signs the manifest, which names
// the vCon's hash.
//
// [Build] reads a manifest and the events into a [VCon], which encoding/json writes.
//
// # Usage
//
//	v, err := vcon.Build(manifest, events, vcon.Options{SHA512: sum, URL: "https://records.example.com/audio.wav"})
//	b, err := json.MarshalIndent(v, "", "  ")
//
// # Concurrency
//
// None: Build is a function of its arguments.
//
// # Limits
//
// Lines of events longer than 64 KiB, and more than 10,000 entries of a party history, are passed over. The digits of a keypad are left out,
// whatever the events say: they may be those of a card. A transcript is named, not taken in.
//
// # Standards
//
// draft-ietf-vcon-vcon-core at its commit 2342aba of 2026-07-01 (syntax 0.4.0), and the role and interaction_id of
// draft-ietf-vcon-cc-extension-02. The draft may change until it is an RFC: what it decides is in this package alone. The uuid is of
// version 8 with the recording's beginning in its first 48 bits; the hash in its last 62 is of call, part and beginning, where the draft proposes a
// host's name, so that one recording has one uuid wherever it is exported.
//
// # Testing
//
// What is built is held against the working group's schema.
package vcon
