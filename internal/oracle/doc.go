// Package oracle knows what a recording must hold: it compares each sample with what the simulator sent, by position. It is
// for tests only.
//
// It reads audio.wav and recording.json by the contract alone and shares no code with what wrote them. A [Recording] of a
// sealed folder goes to [CompareCall] or [Compare] together with the simulator's streams: every delivered sample must lie
// in its place, every missing one must be silent and named, nothing else may be named lost. Where there is no manifest to
// go by (a file cut off by a crash, a pipe), [Find] places audio by its content and [CompareAt] goes on from there.
//
// # Usage
//
//	rec := oracle.ByCall(t, dir)
//	oracle.CompareCall(t, call, rec[call.SessionID()])
//
// # Concurrency
//
// None. Functions may be called from any goroutine that may fail the test.
//
// # Limits
//
// 16-bit PCM at 8000 Hz. [Find] needs a source of which any 64 octets are found once only, as ringsim.Numbered is.
//
// # Standards
//
// RIFF/WAVE by its chunks; ITU-T G.711 by zaf/g711.
//
// # Testing
//
// A wrong, a shifted and a swapped sample must each be seen.
package oracle
