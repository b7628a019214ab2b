// Package setup writes the first earshot.yaml.
//
// It asks nobody: [Plan] is what `earshot init` has found out, [Plan.Write] puts it on disk so that `earshot run` in that
// folder finds everything again. Secrets stay where they were found, or go to files of their own beside it; into the YAML
// only on request.
//
// # Usage
//
//	written, err := setup.Plan{...}.Write("earshot.yaml", false)
//
// # Concurrency
//
// None.
//
// # Limits
//
// One login with one device: what a first configuration has.
//
// # Standards
//
// None but YAML 1.2, double-quoted scalars.
//
// # Testing
//
// What it writes is read again by package config, and run in the acceptance tests.
package setup
