// Package supervise talks to RingCentral's REST API: it finds the calls of the monitored agents and asks RingCentral to
// let the supervisor's device listen to them.
//
// It knows no SIP and no audio. It says which calls should be heard, asks for them, and names the INVITEs that follow;
// endpoint answers those and reports back which dialogs are up.
//
// The way of the data: the event feed (feed.go, a WebSocket with one subscription) tells of every change of a call; each
// telephony session has a view (view.go) in which events, by sequence, and session readings make one picture. The pure core
// (reconcile.go, follow.go, chain.go, decide.go) compares what should be heard with what is heard and answers with actions,
// the shell in run.go performs them (session GET, supervise POST, calls of the [Handler]) and hands the results back. A
// look at the account's presence, rare while events come, finds what they did not tell; an event whose number stays away brings it
// forward (gap.go). Where the logins' budgets are short, reserve.go says whose turn it is. [Supervisor.Match] names the party that an INVITE
// carries, also when the INVITE overtakes the answer to the POST; [Supervisor.Answered] and [Supervisor.Ended] close the
// circle: a dialog that ends while the call goes on is asked for again.
//
// A call is a chain of sessions: after an attended transfer or a pick-up from park it goes on in another one, and
// [Join].Chain says so. Only the account's feed tells where; else the old session is read, once, and what may be the same call
// waits for that, two seconds at most (seek.go). [Policy] decides which calls are wanted; the others are excused, with the rule.
//
// A user's word stands above policy: [Supervisor.Supervise] (force.go, steps.go, byhand.go) has a call wanted that policy leaves
// alone, on the same path, and shows each step; [Supervisor.Release] (released.go) gives the supervisor's place to a human. Both are
// kept with the session's view, so they hold for the sessions in which the call goes on.
//
// [Supervisor.Drain] asks for nothing that was not asked for before; [Supervisor.Elsewhere] leaves calls alone that another process
// of ours hears (handover.go).
//
// The call itself is left alone: the client has a closed list of operations (operations.go), and none of them can
// change or end a session or a party of others.
//
// Those who only look have an [Account]: one login that shows calls, devices and groups, and that [Check] examines. It shares the
// Supervisor's login and leaves the request budget to the joins. [Size] says how large a pool a load asks for.
//
// # Usage
//
//	s, err := supervise.New(supervise.Config{
//		Server: "https://platform.ringcentral.com", ClientID: id, ClientSecret: clientSecret, JWT: jwt,
//		Agents: []string{"108"}, Registered: account.Registered, Handler: h,
//	})
//	info, err := s.SIPInfo(ctx, 0)   // register the device with it, then
//	err = s.Run(ctx)              // until ctx ends
//
// # Concurrency
//
// New starts nothing. Run starts a goroutine each for presence, for agents and device, and for the feed (with one more per
// connection), eight that perform requests and four that ask the policy's hook; all end before Run returns. The [Handler] is called from Run's own goroutine, one call at a time. All other
// methods may be called from any goroutine, before, during and after Run; none of them blocks on the network except
// those that take a context.
//
// # Limits
//
// A Supervisor is a pool of logins, each with a budget of requests, and their devices (pool.go): a call is on one device, and asked for
// by that device's owner. One login looks at the account, another one takes over where it can't. Where the feed is down a call is found by presence,
// which RingCentral limits to 10 requests a minute: it is known after at most Config.Poll (8 s). Up to 100 agents have an
// event filter each, which names the agents' own parties only: a party mode join then needs one session reading, and a third person
// from outside who joins later is not noticed: the two streams go on without that voice. More have
// the account's filter, which names all. Answers over 16 MiB and requests over 10 s are errors; at most 20,000 sessions are
// kept in mind.
//
// # Standards
//
// RFC 6455 (WebSocket), RFC 6749 (OAuth 2.0), RFC 7523 section 2.1 (JWT as authorization grant), RFC 9110 section 10.2.3 (Retry-After). The
// REST API is RingCentral's; where it is not documented the comment says which reading is accepted.
//
// # Testing
//
// The core is tested by tables without sockets, and by a model of RingCentral in which chance loses and shuffles events,
// refuses and forgets requests (model_test.go). The feed runs through three days of simulated time. The client and the loop are tested against an HTTP server in the test
// files, those with timers under testing/synctest without sockets. Random histories hold the core to its invariants. JSON
// decoders are fuzzed.
package supervise
