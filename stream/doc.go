// Package stream brings a call's audio to live consumers: programs that read PCM from their standard input, sockets, WebSockets of several
// dialects, and listeners over the control socket.
//
// It does not record, and it is never in the recording's way: a [Hub] gives each call one [media.Sink] that copies samples
// into a bounded ring per consumer; from there on a consumer may hang, crawl or die.
//
// Data goes media.Batch -> lane (a gap-free run of samples in call time: one track, the mix, or stereo) -> ring (bounded in
// time, oldest audio lost first) -> rate and format -> program, connection or listener.
//
// # Usage
//
//	hub, err := stream.New(stream.Config{Consumers: []stream.Consumer{{Command: []string{"transcribe"}, Per: stream.PerTrack}}})
//	go hub.Run(ctx)
//	detach := timeline.Attach(hub.Open(info, stream.Options{Notify: func(e call.Event) { timeline.Post(e) }}))
//
// # Call time
//
// What a consumer reads has no holes: lost, gap and masked frames are silence of the same length, so sample n of a stream
// is sample n of the call (a [Hub]'s stream of a call begins with the recording's first sample, its stream of a track with
// the track's Pos 0, a [Listener] with the moment it came). A frame that comes late is not put in; the recording has it.
// A mask that reaches back silences what a ring still holds; what its reader has is told by the event revoked, with its range.
// The alignment of a track is known 500 ms after its first packet: a stream of the call waits for that, so that it is what the recording is;
// a [Listener] does not, and moves the track when its offset is known. When one side falls silent on the wire
// (hold, a stalled network) and another goes on, the stream waits for it ([Config].Wait, 100 ms), then goes on with silence in
// its place; when all are silent, it waits 1 s, so that a short stall costs nothing. Where a consumer takes longer messages than 20 ms, it waits
// as much longer. What comes for a place that is gone is
// counted in [Totals] as LateSamples; a side of which nothing else comes for 2 s is moved to the present, which the call's events say too.
//
// Who wants to see it in the stream has a header before each message ([HeaderOctets]): the position, and when the packet with that sample was
// captured, exact to a packet. [Hub.Live] says who has which call's audio, how far behind, and what it lost; [Hub.Consumers] counts by name.
//
// # Time shift
//
// With [Consumer].CatchUp a ring has a past: the [Archive], which is the call's recording. Then what was read stays in the ring until its place is needed, and what falls over is not lost: the reader has
// it from a [Shelf], by its own goroutine, 200 ms at a time and at most 8 times as fast as it was spoken, until it meets the ring, which is as long as the archive lags behind. A connection that broke is followed by one that begins earlier, by what
// the kernel may have held of it. What nobody has is silence, and told as lost. A [Listener] with Since begins in the past.
//
// # Concurrency
//
// A sink belongs to the shard that calls it; it copies and returns. A consumer's goroutine is woken when a message is there ([Consumer].Message,
// [ListenConfig].Message), and a sink's batches may wait as long: that is most of what a live consumer costs. [Hub.Run] starts and awaits a goroutine per program and
// its helpers, and one per connection with two or three for what comes back. A [Listener] starts none: who calls [Listener.WriteTo] lends it his.
//
// # Limits
//
// A ring holds 5 s unless configured; two sides of a mix may lie at most 2 s apart. What stands in
// the kernel's pipe or socket (64 KiB each way) besides the ring is lost uncounted when a consumer dies that does not catch up. A consumer may catch up for 10 minutes after its call's end. At most 256 programs wait to be started.
//
// # Standards
//
// WebSocket (RFC 6455); Twilio Media Streams, WebSocket messages; OpenAI's realtime API (GA) for transcription; Genesys AudioHook, version 2, and HTTP message signatures (RFC 9421) in it; G.711 (ITU-T) for mulaw and alaw; the WAV header of [FormatWAV] has sizes of 0xFFFFFFFF, as readers of pipes expect it.
//
// # Testing
//
// Lanes are tested against a model with random batches, rings with a past against an archive that is late and has holes, programs as real child processes whose bytes are compared.
package stream
