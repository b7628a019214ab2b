// Package strict is the judge of what lies in a folder of recordings: for tests, it holds each manifest and each line of events against
// the schemas of docs/format, and refuses every key, event and cause that they do not name. So a key that nobody documented fails the
// test of whoever wrote it first.
//
// # Usage
//
//	t.Cleanup(func() { strict.Tree(t, dir) })
//
// # Concurrency
//
// Its functions may be called from any goroutine.
//
// # Limits
//
// Tests only: the binary has no validator.
//
// # Standards
//
// JSON Schema 2020-12, as the schemas are.
//
// # Testing
//
// recorder's tests show it keys, words and numbers that it must refuse.
package strict
