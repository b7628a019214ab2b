// Package outbox is a durable queue: a [Box] is a folder with one small file for each item that is owed to somebody, and a [Ledger] the lists, by day, of what
// was done. It knows neither what an item is nor how it is delivered.
//
// An item's file is named by its key, which begins with a time (20060102T150405Z), and holds its body, its tries and since when it waits; the file's modification time is when it is due.
// So what is owed survives kill -9 and power loss, any number of items take the memory of [window] keys, and two processes may put into one box, while
// one of them, who holds its lock, delivers.
//
// What answers for one item alone ([Later]) waits by itself, longer each time. Where the other side is not there at all ([Down]) nothing else is tried: one
// item at a time finds out whether it is back.
package outbox
