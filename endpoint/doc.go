// Package endpoint puts supervisors and their devices to work: it registers, asks to be joined to the calls of the
// monitored agents, answers what comes, and hands each call's audio to its sinks. It is what another Go program embeds.
//
// It knows no SIP, RTP or REST of its own: [Endpoint] ties [sip.Account], [media.Engine], [supervise.Supervisor],
// [recorder.Store] and [stream.Hub] together. The path of a call: an INVITE reaches [Endpoint] as a [sip.Invitation], is
// matched to a join that was asked for, becomes a leg of a [Call], whose [media.Timeline] feeds the sinks; when the
// last leg is gone, and RingCentral shows the call no more, the timeline is closed and the recording sealed. A leg that has no
// place on the channels of the call's recording begins the call's next part: a folder and streams of its own, which see of the
// timeline what is theirs (window.go).
//
// [Endpoint.Supervise] joins a call by hand, [Endpoint.Release] gives the supervisor's place of one to a human. A call that the policy's
// hook wants masked has its valve shut before its first track is open; [Endpoint.Mask] holds back what is said for a while, in this process and
// the next (pci.go, maskbook.go), and one that is on hold where Config.MaskHolds says so (holds.go).
//
// What is sealed goes to the vault and is told to services, where Config names any (keep.go); what a crash kept from either is found by comparing
// the folders.
//
// # Usage
//
//	e, err := endpoint.New(endpoint.Config{Devices: []endpoint.Device{{Account: sip.Config{...}}}, Sink: mySink})
//	err = e.Run(ctx)
//
// Two processes may share devices and directory for a while, so that one takes over from the other in the middle of calls
// (shift.go, handover.go, takeover.go): the old one does [Endpoint.GiveUp], then [Endpoint.HandedOver] or [Endpoint.TakeBack]; the new one is
// made with Config.Standby and does [Endpoint.Warm], [Endpoint.TakeOver] and [Endpoint.Settle]. [Endpoint.Held] of the old one goes to
// [Endpoint.Older] of the new one, which leaves those calls alone. How they talk is the caller's affair.
//
// # Concurrency
//
// New starts nothing. Run starts the rooms' Run loops and one goroutine per call, and awaits them all: first the devices
// (BYE to every dialog, un-registered), then the calls (sealed), then media and recorder. Status, Listen and Ready may be
// called from anywhere.
//
// # Limits
//
// Calls are bounded by sip.Config.MaxCalls and by the media ports. A call without legs stays open at most
// Config.RejoinTimeout. After a hand-over it does not: the next process joins it.
//
// # Standards
//
// None of its own.
//
// # Testing
//
// Against internal/ringsim, a whole RingCentral in the same process, sample by sample.
package endpoint
