// Package acceptance holds the earshot binary to its promises: every sample of fifty calls, a kill -9 in the middle, a quiet
// log without secrets, bad input, live listeners, and the commands as a person uses them. It has tests only.
//
// The binary is built once and runs as a child process against a RingCentral in the test's own process (ringsim), or
// against a plain registrar (ringsim/trunk). What it recorded is judged by internal/oracle, sample by sample.
//
// # Usage
//
//	go test ./acceptance          # about two minutes on two cores
//	go test -short ./acceptance   # fewer and shorter calls
//
// sox and ffmpeg open what a kill left; a test without them looks with its own reader only and says so, with CI=true it
// fails.
//
// # Concurrency
//
// The test with fifty calls has the machine to itself, the others run side by side. Each test starts and awaits its
// processes; they die with the test process.
//
// # Limits
//
// Linux: loopback addresses other than 127.0.0.1 stand for strangers. No packet leaves the machine.
//
// # Standards
//
// What is sent by hand is RFC 3261, 4566 and 3550, or on purpose is not.
//
// # Testing
//
// The oracle itself is tested here too: a wrong, a shifted and a swapped sample are seen.
package acceptance
