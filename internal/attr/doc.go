// Package attr makes the log attributes of earshot, so that a fact has one key everywhere, and keeps a repeated warning
// from filling the log.
//
// It knows no other room: values are plain. A constructor such as [Call] or [Err] gives a [log/slog.Attr]; [Limit] wraps a
// handler.
//
// # Usage
//
//	log := slog.New(attr.Limit(slog.NewTextHandler(os.Stderr, nil), time.Minute))
//	log.Warn("upload failed", attr.Call(id), attr.Err(err))
//
// # Concurrency
//
// The constructors are pure. A handler made by [Limit] may be used by any number of goroutines; it starts none, so what
// was counted after the last line of a kind is told with the next line of that kind, or never.
//
// # Limits
//
// [Limit] remembers at most 256 different lines; what comes beyond shares one entry.
//
// # Testing
//
// Time is faked by testing/synctest.
package attr
