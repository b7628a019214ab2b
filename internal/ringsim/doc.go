// Package ringsim is a RingCentral that runs in-process: REST API, SIP registrar, and agents' calls that can be supervised,
// for tests, the demonstration, and anybody who develops supervision without a production account.
//
// It has no call log, no recordings, no web hooks, no REST over WebSocket, and no call that the device makes. It is written from the
// protocol documents alone and shares no code with what it tests. It is strict: what RingCentral would refuse it refuses, with
// RingCentral's codes where they are known; a request that it doesn't know, or one that would touch a call (DELETE or PATCH of a
// session or party), is refused and remembered: see [Sim.Violations].
//
// [Sim.StartCall] puts an agent into a [Call]. A client logs in, finds it in the account's presence, and asks to supervise the
// session or its parties; after the rules of the account were looked at, INVITEs go to the supervisor's device through package
// trunk, with the audio that the call's [Form] promises. [Call.Streams] tells which octets of which [trunk.Source] went out in
// which packet, so that each recorded sample can be compared.
//
// # Usage
//
//	sim := ringsim.Start(t, ringsim.Config{})          // in a test; elsewhere New and Run
//	client.Use(sim.URL(), sim.CAFile(), sim.YAML("tls"))
//	c, err := sim.StartCall(ringsim.CallSpec{Agent: "108", Form: ringsim.FormTwoLines})
//	err = c.WaitSupervised(ctx)
//	c.Hangup()
//	<-c.Done()
//
// [DefaultAccount] is the world that a zero [Config] serves: supervisor 101 and agents 108, 109, ... in one group; [Populate]
// makes larger ones. What becomes of a call are methods of [Call]: hold, transfers, park, conferences; each change of a party is an
// event on the feed. [Sim.Inject] makes things go wrong. [Sim.Play] plays a [Scenario] that [ParseScenario] read from a file.
//
// # Concurrency
//
// New opens the listeners and starts nothing. Run owns and awaits every goroutine: the HTTP server, the trunk, the courier of
// events, three for each connection of the feed, and one for each INVITE until its dialog's end, with one that cancels it while it
// rings. What changes is guarded by Sim.mu, which is never held while
// a request to the trunk is under way. All exported methods are safe for concurrent use.
//
// # Limits
//
// Request rates are RingCentral's documented defaults (auth 5, heavy 10, medium 40, light 50 a minute, a penalty of 60 s that each
// request begins again); [Unlimited] switches them off. Five logins per user and application: a sixth ends the oldest. A request's
// body is at most 64 KiB. 4096 INVITEs and hang-ups may wait, 1000 violations are remembered. An ended call can be read for 60 s.
// The feed keeps 100 messages for a client that comes back and 10,000 for one that reads slowly; 100,000 events may be on their way.
// A scenario has at most 10,000 steps.
//
// Codes TAS-100, TAS-106, TAS-112, TAS-113 and TAS-114 are made up: RingCentral documents no list of them, and Switches.RandomCodes
// puts random ones in their place. So are the HTTP status of TAS-120,
// the recoveryErrorCode WSG-901, the events of transfers, park and conferences in their order, and the time between POST and INVITE. Where RingCentral's behaviour is not known or sources contradict each other, [Switches]
// choose.
//
// # Standards
//
// RingCentral's API reference and guides (JWT and refresh flow, error bodies, rate limits, paging, call monitoring groups, devices,
// presence, telephony sessions, their events, WebSocket subscriptions, supervision); RFC 6455 (WebSocket), RFC 6749 section 5.2 (errors of the token endpoint), RFC 7009 (revocation),
// ITU-T G.711. SIP and media: see package trunk.
//
// # Testing
//
// Every rule of the API stands in a table and is asked over the real listener; calls are supervised end to end by a small device of
// the tests' own. RingCentral's SDKs, npm @rc-ex/core, @rc-ex/ws, @ringcentral/sdk, @ringcentral/subscriptions,
// ringcentral-call-control and ringcentral-softphone, work against it unchanged: see package peertest.
package ringsim
