// Package media turns packets into frames: it owns the ports of all calls, opens SRTP, puts G.711 in place by its RTP timestamps,
// and gives each call's audio and events to its sinks, batch by batch.
//
// It knows no SIP, SDP, REST or file, and plays nothing: sinks do what needs a pace. What is lost goes out as silence; a sink that fills
// it has a [Concealer].
//
// An [Engine] has shards, a goroutine each. endpoint makes a [Timeline] per call on one of them, opens a [Track] on it per m= line
// ([Plan] binds ports for the answer, [Params] is what the exchange agreed), and attaches a [Sink] per consumer. Each sweep a shard
// reads its ports in batches; a datagram goes through source check or SRTP, RTP header and payload type to the track's
// placer, which gives out a [Frame] at once if it is its turn, or once what is missing before it came or was given up; the frames and events of
// a call's tracks go to its sinks as one [Batch].
//
//	port -> SRTP -> header -> source -> payload type -> placer -> valve -> batch -> sinks
//	                                        \-> digits -> event -^
//
// RTCP is a track's too: reports go out at random times, 5 s apart on average, once RTP of ours has gone out, and to where that
// goes; the far side's sender reports align tracks that have one clock. None of its RTCP is ever needed.
//
// A track's positions begin at its first packet; [TrackState] says where that lies on the call's timeline, and counts what
// came and what did not.
//
// # Usage
//
//	engine, err := media.New(media.Config{PortMin: 20000, PortMax: 29999})
//	go engine.Run(ctx)                                  // awaited by its caller
//	line, err := engine.NewTimeline(call.Info{ID: id})
//	detach := line.Attach(sink)
//	track, err := line.Open(media.Plan{Leg: callID, Toward: far})
//	rtp, rtcp := track.Local()                          // into the answer
//	commit, undo, err := track.Prepare(params)          // before the answer goes out
//	commit()                                            // with the 2xx
//	<-line.Close(cause)                                 // sinks have ended, ports are closed
//
// # Concurrency
//
// All methods of Engine, Timeline and Track are safe for concurrent use and don't block; Open alone makes system calls. They
// leave a post in the shard's mailbox, which takes effect at the next sweep, in the order of the calls; an agreement has one of its
// own at once. Run starts one goroutine per shard, and returns when all have ended; there are no others, no timer per track and
// no lock per packet. Sinks are called by their shard's goroutine only. One that wakes others does so when the sweep's work is done ([Swept]); one that
// is [Fetched] has its memory fetched with the tracks'. A panic in a track or a sink ends that one and is counted; all others live.
// Before Run and after it nothing moves: a channel of Close, Hold or Release that was asked for before Run answers when it runs.
//
// # Limits
//
// A packet holds at most 1,500 octets of G.711, a hole waits with at most 64 packets after it, late packets fill the 128 newest
// holes within the archive window, a timeline has at most 256 tracks. A timestamp is believed up to 10 s ahead of the arrival clock, counted
// from the track's first packet; beyond that, or wholly behind what was given out, two packets in sequence begin an epoch that
// is placed by arrival, its quickest within the live wait. TrackState lists 256 epochs and counts all.
// Number and timestamp must agree, for the newest 1,024 numbers: a number from before with a timestamp from after is
// a sender that counts anew, and two in sequence are believed, placed by their timestamps; both from before is a duplicate. Where both lie
// behind and never came, or came longer ago than the archive window, five in sequence at their own pace are wanted: a replay of old
// packets at their pace while the sender is silent is taken for a sender that begins anew. What was lost at
// the very step of a numbering that steps back is a gap: nobody knows of it. One packet whose number is near and contradicts its timestamp
// is late where nothing came for just that time.
// A sender that stops its clock while it pauses is not found out: its audio goes on without a gap.
// A payload type that was not agreed takes the time of a lost packet: it came, and can't be decoded.
// Plain RTP is told apart by address and port alone. The offered one has 500 ms to begin before another port of its address is heard, what came from
// there being kept; a port that sent beside the one that is heard (5 packets) is not heard until a re-offer.
// SRTP that began before us is found with a roll-over counter up to 8, after a re-key with that of the key before.
// Where packets are missing and the sender was silent as well, nobody knows in which order: lost comes first, a gap after it. A packet
// may be put in front of nothing: what was overtaken by more than the live wait before Pos 0 is too late.
// A port is a descriptor, two with RTCP's: Go raises the soft RLIMIT_NOFILE to the hard one by itself. Tracks whose Remote the offer
// names share one, at most [Config].TracksPerPort and as many as the kernel's buffer holds; docs/decisions/0008-shared-ports.md says
// which, and how a packet finds its own. Plain RTP that moves to another port of its address with another SSRC, unsignalled, is lost where
// tracks of that address share the port.
// A sweep takes 512 packets of a port with up to seven tracks, and comes again after 5 ms where that was not all: what a flood of strangers beyond
// some 100,000 a second has the kernel drop is the call's own as well.
// While all sinks are [Paced] a packet waits as long for its batch as the least of them says, in the kernel and after it; its time is the
// kernel's stamp, so that nothing but the delay changes.
// Masks go by arrival at our port, so by the network's usual delay after the moment of speech; what it brings later than usual is judged by when
// it usually would have come. DTMF events go out once they lie before Final, for an event can't be taken back: 2 s late. At most 32 of
// them wait in a timeline.
//
// # Standards
//
// RFC 3550 (RTP and RTCP; sections 6.2 to 6.4, appendix A.1, A.3 and A.8), RFC 7022 (CNAME), ITU-T G.107 (ratings) and G.711 appendix I (concealment), RFC 3264 (re-offers), RFC 3551 (G.711), RFC 3711 and RFC 4568 (SRTP with SDES keys), RFC 4733
// (telephone-event), RFC 3389 (comfort noise: counted), RFC 5761 (RTP and RTCP on one port), RFC 4961 (symmetric RTP).
//
// # Testing
//
// A rig sweeps a shard by hand over a port that the test fills, with times of its own; a tape stands behind it as a sink and proves in
// every test that frames tile, that only what may change does, that counts fit, and that each octet lies where its
// timestamp says. Sockets are real where sockets are tested, on loopback.
package media
