// Package powercut is a disk that loses power, for tests of what others write.
//
// A [Disk] stands beside a directory. Who writes there makes files durable through [Disk.Sync], which notes what a disk would
// hold from then on. [Disk.Cut] lays into another directory what could be found after a loss of power in that moment: all that
// was made durable, and of the rest any part, sector by sector and name by name, in no order.
//
// It does not make anything durable itself, and does not know what is written.
//
// # Usage
//
//	d, err := powercut.New(dir)
//	... write in dir, with d.Sync in place of f.Sync ...
//	sure, err := d.Cut(t.TempDir(), rand.New(rand.NewPCG(1, 2)))
//
// # Concurrency
//
// All methods may be called from several goroutines, while others write. While Cut looks, no Sync comes back.
//
// # Limits
//
// The model is the worst that a file system with POSIX semantics may do, but for two things that all in use promise: a rename
// happens whole or not at all, and a sector of 512 octets is old or new. A file that was made longer reads as zeros where its
// octets were lost. What was written twice since the last Sync is found as it was then or as it is now, never as in between. Content
// is held in memory. Hard links, and renames from one folder to another, are not known. Linux only.
//
// # Testing
//
// Tests write with and without Sync and look at what a thousand cuts leave.
package powercut
