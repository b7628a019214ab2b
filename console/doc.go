// Package console shows what earshot does: [Server] answers health checks and Prometheus over HTTP, [Control] answers the
// command line over a unix socket, and [Client] is the command line's side of that.
//
// A Backend that is a [ByHand], too, joins and releases calls by hand; a join is answered with a line of JSON for each step.
//
// It decides nothing and knows no room but call: what it shows comes from a [Source] and a [Backend], which endpoint
// implements; what it is told to do goes to an [Operator].
//
// Socket and port can be given up while it runs, for another process that takes over ([Control.GiveUp], [Server.GiveUp]): who
// was connected stays so. The two processes talk over a [Link], lines of JSON on a connection of the control socket.
//
// # Usage
//
//	s, err := console.New(console.Config{Listen: "127.0.0.1:8080", Source: source})
//	c, err := console.NewControl(console.ControlConfig{Socket: "recordings/earshot.sock", Backend: backend})
//	go s.Run(ctx)
//	go c.Run(ctx)
//
//	client, err := console.Dial(ctx, "recordings/earshot.sock")
//	err = client.Listen(ctx, console.ListenRequest{Agent: "108"}, os.Stdout)
//
// # Concurrency
//
// [New] and [NewControl] open their sockets; Run serves until its context ends and awaits every request and link. [Source],
// [Backend] and [Operator] are called from many goroutines.
//
// # Limits
//
// 64 connections each, 8 KiB of request header within 5 s; HTTP answers have 10 s to go out, a listener's audio has no
// limit but its ring. A line of a Link has 8 MiB at most and 5 s to go out.
//
// # Standards
//
// The metrics are in the Prometheus text format.
//
// # Testing
//
// Over real sockets on the loopback; the metric names are golden in server_test.go, and docs/metrics.md is held against them.
package console
