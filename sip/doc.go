// Package sip is the SIP user agent: it keeps one account registered over one flow that it dialled itself, answers
// the calls that come back on that flow, and follows their dialogs to the end. It does no REST and touches no audio.
//
// The path of a call: datagram or stream -> sipgo's parser and transactions -> the router (one handler for all methods)
// -> an [Invitation] to the [Handler] -> a [Leg], the media side of that one dialog -> our 200 with the answer of package
// offer -> a [Dialog] until BYE. Everything that is decided about offers and answers lies in sip/offer.
//
// From emiago/sipgo come the parser, the read loops and the transactions, nothing else. It never dials: each connection
// is made here (resolver, certificate rules, write deadline, TCP user timeout) and given to it by a listener whose Accept
// returns what was dialled; each UDP datagram goes through a socket that knows whom it listens to. A stream is cut into messages
// here: one that can't be parsed gets its 400 and costs nothing else, where sipgo would close the connection.
//
// # Usage
//
//	a, err := sip.New(sip.Config{Domain: "sip.example.com", Transport: "tls", Username: "200", Password: pw, InstanceID: id, Handler: h})
//	...
//	err = a.Run(ctx) // registers and serves; at the end of ctx: BYE to all, un-register, within 10 s
//
// # States of the registration
//
//	idle --start--> registering --200--> registered --refresh refused--> degraded --200--> registered
//	registering --408, 5xx, no answer, no connection--> backoff --wait is over--> registering
//	registering --403, wrong password--> rejected --5 min doubling to 1 h--> registering
//	registered --flow dead--> backoff (first wait under 2 s) --> registering; then a re-INVITE on every dialog
//	any --Release--> released (no REGISTER; the flow is kept for its dialogs) --Resume--> registering
//	any --stop--> unregistered
//
// # Concurrency
//
// Run starts and awaits: the registrar loop (the only one that dials and registers), one keep-alive goroutine per flow,
// one serving goroutine per socket or listener, and one goroutine per dialog, which owns that dialog's state. sipgo runs
// each received message in a goroutine of its own, so they may arrive in any order; the dialog's goroutine puts them
// back in order. Handler.Invited runs in the goroutine of its INVITE. All calls to one Leg come from one goroutine at a
// time, in order, Ended last.
//
// # Limits
//
// MaxCalls dialogs; 128 header lines a request; Call-ID and tags of 512 octets; 32 waiting requests a dialog; 1,024 requests
// and two INVITEs a call in our hands at once, more INVITEs get 503; the newest 4,096 INVITEs are remembered; 4 MiB a second from a stream, and
// nothing while answers wait to be written, which they do for 5 s before the flow is dead; a message on a stream is whole within 10 s of its
// first octet. Datagrams from sources that are neither a proxy nor in AcceptFrom, and
// what is no SIP message, are dropped, counted, and told in one log line a minute.
//
// A call ends by BYE, by us, by its session timer, or without one when its media is silent (Leg.Silence) and a re-INVITE
// finds nobody: ProbeAfter. A 481 to our re-INVITE ends no call whose media comes in.
//
// # Standards
//
// RFC 3261 (SIP), 3263 (locating), 3311 (UPDATE), 3325 (asserted identity), 3326 (Reason), 3581 (rport), 3891 (Replaces), 4028
// (session timers), 5373 (Answer-Mode), 5806 (Diversion), 6086 (INFO), 7044 (History-Info), 5626
// (outbound: one flow, keep-alive), 5922 (certificates), 5923 (alias), 6026 (2xx), 7616 and 8760 (digest); RingCentral's
// ways where Config.RingCentral is set.
//
// # Testing
//
// The registrar is a pure state machine, tested by tables. The rest is tested against a peer that speaks raw octets over
// UDP, TCP and TLS on 127.0.0.1 and shares no code with this package.
package sip
