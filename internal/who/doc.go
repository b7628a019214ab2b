// Package who carries with a context who asks for something, and why: who listens, who masks, who erases. The evidence log names
// them.
//
// It imports the standard library only and may be imported by every room.
//
// # Usage
//
//	ctx = who.With(ctx, who.Process(uid, pid)) // where a request comes in
//	name := who.From(ctx)                      // where what it does is written down
//
// # Concurrency
//
// Safe from any goroutine.
package who
