// Command earshot is the supervisor's ear on RingCentral calls: it registers as the supervisor's SIP device, is joined to the
// agents' live calls, and records and streams what it hears.
//
// It holds flags, configuration and wiring only; the work is done by endpoint and the rooms below it. One file per
// subcommand; [run] is the only user of arguments, environment and standard streams.
//
// # Usage
//
//	earshot run -c earshot.yaml
//	earshot demo
//
// # Concurrency
//
// Each subcommand starts what it needs under one context and awaits it; a second signal ends the process at once.
//
// # Limits
//
// SIGTERM: done within 10 s. A take-over that comes to nothing ends within a minute and a half, and the old process works on.
//
// # Standards
//
// Exit codes: 0 done, 1 failed, 2 bad usage or configuration. Standard output carries results only.
//
// # Testing
//
// The binary itself is run by the tests of this folder and of peertest.
package main
