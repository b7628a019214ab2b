// Package needs is for tests that call programs of others: where one is missing the test is skipped, in CI it fails.
//
// # Usage
//
//	needs.Programs(t, "ffmpeg", "sox")
//
// # Concurrency
//
// Its function may be called from a test's own goroutine only, as all that ends a test.
//
// # Limits
//
// Tests only. CI is what says so in its environment: CI=true.
//
// # Standards
//
// None.
//
// # Testing
//
// The tests that use it.
package needs
