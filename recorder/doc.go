// Package recorder writes calls to disk: a [Store] owns a directory, each [Recording] one folder in it with audio.wav,
// recording.json and events.jsonl.
//
// It doesn't receive, decode for listening, encrypt or delete, and conceals only if told to ([FillConceal]). It never resamples and never moves a sample of
// a recording: a sample's place is its track's offset plus its position on the track. What is written besides, for who wants to listen, may be laid by better
// knowledge: [OpenExport]. [OpenCatalog] looks at what lies in a folder of recordings.
//
// A [media.Batch] is copied by [Recording.Write] into a bounded buffer. A worker lays the frames at their places in
// audio.wav; what a frame says of its samples (late, lost, gap, masked) goes into the track's loss map, and from there
// into the [Manifest]. [Recording.End] seals: the file is made durable and hashed, the manifest says what is there and what
// is not, and the folder loses its .partial.
//
// [Recording.Shelf] reads what is written, while it is and after, up to where nothing changes any more. It needs nothing of the worker's but what that lays down after each step: so readers hold nothing up.
//
// # Usage
//
//	store, err := recorder.New(recorder.Config{Dir: "/var/lib/earshot"})
//	go store.Run(ctx)
//	rec, err := store.Open(info, recorder.Anchor{Wall: time.Now(), Mono: engine.Now()})
//	timeline.Attach(rec)
//	<-rec.Sealed() // after the timeline has called rec.End
//	m, err := recorder.ReadManifest(rec.Result().Dir)
//
// # Concurrency
//
// New starts nothing. Run starts two writers, the group sync with at most eight files at a time, and the repair of what
// earlier processes left; it awaits them all. A recording is worked on by one of them at a time. Write, End, Update,
// Sealed and Result take a lock that is held for copying only, never over a system call, so a shard never waits for the
// disk; [Store.Open] does.
//
// When Run's context ends, open recordings have 8 s to be ended by who opened them; then the store ends them.
//
// # Limits
//
// Of each track [Config].Buffer (8 s) may wait for the disk. What comes beyond is silence in the file, a span of kind disk
// in the manifest, a line in events.jsonl, and state partial. The same holds for a disk that is full or broken; what was
// written stays, and once the disk has room again the recording goes on at the right place.
//
// A kill -9 costs what was not handed to the kernel, at most two [Config].Sync; a power loss what was not made durable,
// the same. From 32 open recordings on they are made durable with one sync of the file system; what headers name is then a round
// older, and a file system that others keep busy (a sync takes longer than [Config].Sync) is synced file by file for a minute. A manifest is written after
// the samples that it names are durable. After a sync that failed, all since the last good one is written again. [Store.Disk] tells of faults, of writes that do not come back
// (0.8 s), and of the room that is left. A recording has at most 256 tracks; a loss map some thousand spans in memory, the older ones being in a file
// beside the recording, and 32,768 where that can't be written, then totals; a file 128 GiB, RF64 from 4 GiB
// (37 h of stereo PCM) on. A track in another law than audio.wav's has a file, 16 KiB of memory and a descriptor more. An open recording has one descriptor more, which locks its folder: a process that shares the directory for a while
// ([Store.Release], [Store.Claim]) leaves it alone. A pause costs no room in PCM files. New looks through the names of all recordings for unfinished ones: a second or
// two for a million.
//
// # Standards
//
// The folder and the manifest are described in docs/format/recording.md; in short:
//
//		DIR/2026/11/23/20261123T101500Z_<call-id>[_<n>]/   .partial while the call lives; folders 0700, files 0600
//
//	  - The time is [call.Info].Started, UTC. In <call-id> only [A-Za-z0-9_-] is kept, others become _, cut to 48; where that
//	    changed anything, _ and the first 8 hex digits of the original's SHA-256 follow. _<n>, from 2, tells recordings of one
//	    call and second apart.
//	  - audio.wav begins with RIFF, a JUNK chunk of 28 bytes, fmt, for G.711 fact, data. PCM: tag 1, 16 bit, samples at octet
//	    80. Mu-law: tag 7, A-law: tag 6, 8 bit, at octet 94. The RIFF and data sizes (and fact's samples) are brought up after each sync.
//	  - Octets are stored bit for bit by [FormatMulaw]: audio.wav has the law of what was laid into it first; what comes in the other
//	    one is transcoded there, and as it came in audio-<track>.wav, an [OctetsFile], whose index is the position on the track.
//	  - call.vcon.json, with [Config].VCon, is package vcon's, made when the folder is sealed.
//	  - recording.json is [Manifest]. pos + offset_samples is the index in audio.wav. Spans name what is not received: late (in
//	    the file, but came after it had been given up), lost, gap, masked, disk (came, could not be written), unknown (the tail
//	    after the last manifest of a process that was killed: in the file as far as it was received; or a hole that media left). No spans touch that
//	    are of one kind. All but late and unknown are silence in the file.
//	  - cause is, of a partial recording, why: disk, crash, no_media, no_invite or refused (a promised stream never came),
//	    protocol (more parties at a time than channels), internal, or the end of a dialog that left a gap. end_cause is why the
//	    call ended. missing lists everything that is missing, gaps the stretches of a channel in which nobody could listen; both
//	    come from the events of the call.
//	  - Channels are fixed when the part opens: two if two streams or more are expected. Left is the customer, right the
//	    agent, where roles are known when a track's place is fixed; else by m= line, else by order. A later track of a party goes on
//	    its channel; where two overlap the newer is heard, the older's overlaps say so. A third party at a time has channel -1
//	    and is not in the audio.
//	  - A later part of the same call names the one before in previous, with the SHA-256 of its recording.json.
//	  - events.jsonl holds one [call.Event] a line; a torn last line is cut off at the next start.
//
// WAV: "Multimedia Programming Interface and Data Specifications 1.0" (RIFF) and RFC 2361. Both laws: ITU-T G.711.
//
// # Testing
//
// Tests compare whole files with arrays built from the same frames, kill a child process while it records, cut the power (internal/powercut), and put a slow,
// a full and a broken disk behind the writer. EARSHOT_KILLS, EARSHOT_CUTS and EARSHOT_STALL say how often, and with how many recordings.
package recorder
