// Package trunk is the SIP and media side of a simulated RingCentral: a registrar with digest on UDP, TCP and TLS, a caller
// that sends the INVITEs of a supervision on the flow a device registered over, and the RTP or SRTP of the parties.
//
// It knows no telephony session and no REST: what an INVITE carries is given by its caller. It imports the standard library
// only and is written from the protocol documents alone, so that a mistake in what it tests is not mirrored here. It is
// strict: what RingCentral would refuse it refuses, and what a supervisor's device must never do (audible media, DTMF, calls
// of its own) is told to [Config].OnViolation.
//
// A device registers and becomes a binding. [Trunk.Invite] calls the newest binding, checks the answer and gives a [Dialog]
// with a [Stream] for each m= line. A stream sends nothing before the device's first packet came, as RingCentral does, then
// the octets of its [Source], one packet every 20 ms, damaged as its [Impairment] says. [Stream.Sent] tells exactly what
// went out.
//
// # Usage
//
//	t, err := trunk.New(trunk.Config{Domain: "sip.ringcentral.com", UDP: "127.0.0.1:0", User: lookup})
//	go t.Run(ctx)
//	d, err := t.Invite(ctx, trunk.Invite{UserName: "12055550101", FromUser: "108", Lines: []trunk.Line{{Source: trunk.Pattern(1)}}})
//	err = d.Bye(ctx)
//
// # Concurrency
//
// New opens the listeners and starts nothing. Run owns and awaits every goroutine: one per listener and connection, one
// sender with one ticker for all streams, one receiver per stream, one housekeeper, and one per 200 of ours that waits for
// its ACK. Invite and the dialog's requests run in the caller's goroutine. Trunk.mu guards the signalling of all dialogs,
// Stream.mu one stream; where both are held, Trunk.mu was taken first. Callbacks are called without a lock.
//
// # Limits
//
// G.711 only, RTCP by [Impairment] alone, IPv4 or IPv6 by Config.MediaIP. A message is at most 64 KiB. A stream remembers its first million
// packets. Nothing is sent when Run ends: the devices see their connections close.
//
// # Standards
//
// RFC 3261, 3264, 3311, 3550, 3551, 3711, 4028, 4566, 4568, 5626, digest by RFC 2069 and RFC 2617 qop=auth.
//
// # Testing
//
// A tiny raw device in the tests registers over all three transports and answers. SRTP is held against the vectors of
// RFC 3711 appendix B.3, and readers of foreign octets have fuzz targets.
package trunk
