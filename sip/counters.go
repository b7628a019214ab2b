package sip

import "sync/atomic"

// counter is one of the closed set that Counters gives.
type counter uint8

const (
	cntFlows counter = iota
	cntFlowsLost
	cntFlowsFailed
	cntPings
	cntRegisters
	cntRegisterRefused
	cntRegisterTimeouts
	cntForeignBindings
	cntUnlisted
	cntClockJumps
	cntInvites
	cntInvitesRefused
	cntInvitesCancelled
	cntInvitesBusy
	cntEstablished
	cntEnded
	cntReinvites
	cntReinvitesFailed
	cntOwnReinvites
	cntOwnReinvitesFailed
	cntRepeats
	cntNoACK
	cntUnknownDialog
	cntMalformed
	cntMerged
	cntPanics
	cntMailFull
	cntDropSource
	cntDropKeepalive
	cntDropSTUN
	cntDropFlood
	cntDropScanner
	cntCount
)

var counterNames = [cntCount]string{
	cntFlows: "flows", cntFlowsLost: "flows_lost", cntFlowsFailed: "flows_failed", cntPings: "keepalives_sent",
	cntRegisters: "registers_sent", cntRegisterRefused: "registers_refused", cntRegisterTimeouts: "registers_unanswered",
	cntForeignBindings: "foreign_bindings", cntUnlisted: "bindings_unlisted", cntClockJumps: "clock_jumps", cntInvites: "invites", cntInvitesRefused: "invites_refused",
	cntInvitesCancelled: "invites_cancelled", cntInvitesBusy: "invites_busy", cntEstablished: "dialogs_established",
	cntEnded: "dialogs_ended", cntReinvites: "reoffers_answered", cntReinvitesFailed: "reoffers_refused",
	cntOwnReinvites: "own_reinvites", cntOwnReinvitesFailed: "own_reinvites_failed", cntRepeats: "answers_repeated",
	cntNoACK: "answers_unacknowledged", cntUnknownDialog: "requests_unknown_dialog", cntMalformed: "requests_malformed",
	cntMerged: "requests_merged", cntPanics: "panics", cntMailFull: "requests_overflow", cntDropSource: "datagrams_foreign",
	cntDropKeepalive: "datagrams_keepalive", cntDropSTUN: "datagrams_stun",
	cntDropFlood: "datagrams_flood", cntDropScanner: "datagrams_scanner",
}

// counters count since New; safe for concurrent use.
type counters [cntCount]atomic.Int64

func (c *counters) add(n counter, by int64) { c[n].Add(by) }

// answered counts the final answers to INVITEs by status code. Those that a Handler makes up are counted as their hundred.
type answered [700]atomic.Int64

// count notes a final answer.
func (n *answered) count(code int) {
	if reasonPhrases[code] == "" {
		code -= code % 100
	}
	if code >= 200 && code < len(n) {
		n[code].Add(1)
	}
}

// Answers gives our final answers to INVITEs and re-INVITEs since New, by status code: a closed set, those that we know and 300 to 600 for
// others.
func (a *Account) Answers() map[string]int64 {
	m := make(map[string]int64)
	for code := range reasonPhrases {
		if code >= 200 {
			m[itoa(code)] = a.answers[code].Load()
		}
	}
	for code := 300; code < len(a.answers); code += 100 {
		m[itoa(code)] = a.answers[code].Load()
	}
	m["487"] = a.counters[cntInvitesCancelled].Load() // sipgo sends that one
	return m
}

// Counters gives what was counted since New, by a closed set of names.
func (a *Account) Counters() map[string]int64 {
	m := make(map[string]int64, cntCount)
	for i := range a.counters {
		m[counterNames[i]] = a.counters[i].Load()
	}
	return m
}
