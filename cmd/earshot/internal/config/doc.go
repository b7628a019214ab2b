// Package config reads earshot's configuration: one struct, filled in layers, each value knowing where it came from.
//
// It decides nothing about calls: [Load] gives a checked [Config] or all mistakes at once, and the subcommands hand its
// parts to the rooms.
//
// The layers, each beating the one before: the defaults in the struct's tags, the file, RingCentral's own variables, EARSHOT_*
// variables, --set flags. [ReadEnvFile] fills only what the environment lacks.
//
// # Usage
//
//	l, err := config.Load(config.Input{File: "earshot.yaml", Env: os.Environ()})
//	l.Config.SIP.Domain, l.Source("sip.domain")
//
// # Concurrency
//
// None: everything happens before anything is opened.
//
// # Limits
//
// A file of at most 1 MiB, lists of at most 1000 entries.
//
// # Standards
//
// YAML 1.2 by goccy/go-yaml; .env files by joho/godotenv.
//
// # Testing
//
// Each testdata/*.bad.yaml carries the message that it must give.
package config
