// Package bench measures how many calls this machine carries: real packets from another process, through media and recorder, into files
// whose every sample is compared, beside the cheapest loop that takes the same packets from the kernel: the floor.
//
// It decides nothing and is imported by nothing but the command line. What it measures is the production code, with no part
// left out and none replaced.
//
// [Run] goes through [Config].Steps: for each it starts a sender (this program again, in a process of its own, see [Send]), measures the floor, loads the
// engine, reads the process's own CPU time over the window, and reads the recordings back ([Step]). [Result] can be printed, encoded and plotted.
//
//	sender process -> loopback -> media.Engine -> recorder, listener -> files -> compared
//	            \--> loopback -> one socket, recvmmsg, thrown away: the floor
//
// With [Config].Delay a third process takes the audio of each track over a socket ([Consume]), compares it, and tells how long each packet was on its way: a
// sink notes when the kernel had it, in memory that both processes share. With [Config].Hostile half of the consumers turn against us after a while.
//
//	sender process -> loopback -> media.Engine -> stream.Hub -> unix socket -> consumers' process
//
// # Usage
//
//	r, err := bench.Run(ctx, bench.Config{Steps: []int{500}, For: 10 * time.Second, Program: exe, Args: []string{"bench-sender"}})
//	r.WriteText(os.Stdout)
//
// # Concurrency
//
// Run blocks; it starts and awaits the engine, the store, the hub, a goroutine per live listener and the other processes, and leaves nothing behind. Send
// starts none, Consume one per connection and two more; they end when their standard input does.
//
// # Limits
//
// The floor needs recvmmsg, so Linux, as do delays (memfd, abstract sockets). Both processes share the machine: what the sender takes is not counted, but it is taken. Calls per core is CPU
// time per packet turned round, for the step's number of calls; it leaves no room for anything else.
//
// # Standards
//
// RFC 3550 and RFC 3551: 20 ms of PCMU a packet. RFC 3711: AES_CM_128_HMAC_SHA1_80.
//
// # Testing
//
// A test runs a small step as a whole, with the test binary as the sender; others swap and shift audio and want to be told, or let consumers be
// hostile.
package bench
