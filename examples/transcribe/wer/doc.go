// Command wer measures what lost packets cost a speech engine, and what concealment gives back: the word error rate of known sentences that
// went through calls.
//
// It is the measurement behind docs/transcription.md, and no part of earshot.
//
// Data goes sentence -> synthesiser, or a human's recording -> G.711 -> packets of which some are lost -> [media.Engine] -> [stream.Hub], once as
// it is and once with silence in the holes -> samples at 16000 Hz -> the engine of examples/transcribe -> words, aligned with the sentence.
//
// # Usage
//
//	make wer
//
// # Concurrency
//
// Utterances are played side by side, in real time, each as a call of its own; play awaits all that it starts.
//
// # Limits
//
// English. Which packets are lost is drawn from a seed, so two runs lose the same ones. It needs flite, sox and node.
//
// # Standards
//
// G.711 and RFC 3550, as media has them.
//
// # Testing
//
// What consumers hear is held against what was sent, sample by sample, in each measurement and in the tests.
package main
