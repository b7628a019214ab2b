// Package outbox is a durable queue: a [Box] is a folder with one small file for each item that is owed to somebody, and a [Ledger] the lists, by day, of what
// was done. It knows neither what an item is nor how it is delivered.
//
// An item's file is named by its key, which begins with a time (20060102T150405Z), and holds its body, its tries and since when it waits; the file's modification time is when it is due.
// So what is owed survives kill -9 and power loss, any number of items take the memory of some thousand keys, and two processes may put into one box, while
// one of them, who holds its lock, delivers.
//
// What answers for one item alone ([Later]) waits by itself, longer each time. Where the other side is not there at all ([Down]) nothing else is tried: one
// item at a time finds out whether it is back.
//
// # Usage
//
//	b, err := outbox.New(outbox.Config{Dir: dir})
//	added, err := b.Put(key, body)
//	go b.Run(ctx, func(ctx context.Context, it outbox.Item) outbox.Verdict { ... })
//
// # Concurrency
//
// Run starts up to Config.Workers deliveries at a time, each in a goroutine, and awaits them. Put and Remove wait for the disk, never for a delivery.
//
// # Limits
//
// An item has 64 KiB at most, a key 200 octets. 1,024 keys are held in memory; looking through a folder of 100,000 takes a fraction of a second, and is done every 30 s, or
// more seldom where it takes long.
//
// # Standards
//
// None but its own: a file is {"queued", "tries", "body"} as JSON, written beside and renamed, and synced with its folder.
//
// # Testing
//
// Days pass in synctest's time, over real files.
package outbox
