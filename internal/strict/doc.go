// Package strict is the judge of what lies in a folder of recordings: for tests, it holds each manifest and each line of events against
// the schemas of docs/format, and refuses every key, event and cause that they do not name. So a key that nobody documented fails the
// test of whoever wrote it first.
package strict
