package stream

import (
	"encoding/json"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
)

// maxValue bounds one variable, in bytes: Linux takes none above 128 KiB, and what a peer wrote must not keep a program
// from starting.
const maxValue = 32 << 10

// passed are the only variables of our own environment that a program gets: ours may hold secrets.
var passed = [...]string{"PATH", "HOME", "LANG"}

// facts is CALL_FACTS.
type facts struct {
	Call     callFacts   `json:"call"`
	Track    *trackFacts `json:"track,omitempty"`
	Format   string      `json:"format"`
	Rate     int         `json:"rate"`
	Channels []string    `json:"channels"`
}

type callFacts struct {
	ID         string       `json:"id"`
	Part       int          `json:"part,omitempty"`
	Sessions   []string     `json:"sessions,omitempty"`
	SIPCallIDs []string     `json:"sip_call_ids,omitempty"`
	Started    string       `json:"started,omitempty"`
	Agent      string       `json:"agent,omitempty"`
	Mode       string       `json:"mode,omitempty"`
	Expected   []call.Party `json:"expected,omitempty"`
}

type trackFacts struct {
	ID    uint32     `json:"id"`
	Leg   string     `json:"leg"`
	Line  int        `json:"line"`
	Party call.Party `json:"party"`
	Codec string     `json:"codec,omitempty"`
	SRTP  bool       `json:"srtp"`
}

// factsFor says what an outlet gives out. track is nil for one per call.
func factsFor(c *Consumer, info call.Info, track *media.TrackState, channels int) facts {
	f := facts{Call: factsOf(info), Format: c.Format, Rate: c.Rate, Channels: []string{call.RoleMix.String()}}
	switch {
	case track != nil:
		f.Track = &trackFacts{
			ID: uint32(track.ID), Leg: track.Leg, Line: track.Line, Party: track.Party, Codec: track.Law.String(), SRTP: track.SRTP,
		}
		f.Channels = []string{track.Party.Role.String()}
	case channels == 2:
		f.Channels = []string{call.RoleCustomer.String(), call.RoleAgent.String()}
	}
	return f
}

// environ makes a program's environment. track is nil for one per call.
func environ(c *Consumer, info call.Info, track *media.TrackState, channels int) []string {
	f := factsFor(c, info, track, channels)
	vars := map[string]string{"CALL_TRACK": "", "CALL_PARTY": "", "CALL_ROLE": strings.Join(f.Channels, ",")}
	if track != nil {
		vars["CALL_TRACK"] = strconv.FormatUint(uint64(track.ID), 10)
		vars["CALL_PARTY"] = track.Party.ID
		vars["CALL_ROLE"] = track.Party.Role.String()
	}
	vars["CALL_ID"] = info.ID
	vars["CALL_PART"] = strconv.Itoa(max(1, info.Part))
	vars["CALL_RATE"] = strconv.Itoa(c.Rate)
	vars["CALL_CHANNELS"] = strconv.Itoa(channels)
	if b, err := json.Marshal(f); err == nil && len(b) <= maxValue {
		vars["CALL_FACTS"] = string(b)
	} else { // a peer's flood of text: half of a JSON value is worse than none
		vars["CALL_FACTS"] = "{}"
	}
	return append(ours(), flat(c.Env, vars)...)
}

func factsOf(info call.Info) callFacts {
	f := callFacts{
		ID: info.ID, Part: info.Part, Sessions: info.Sessions, SIPCallIDs: info.SIPCallIDs, Agent: info.Agent, Mode: info.Mode, Expected: info.Expected,
	}
	if !info.Started.IsZero() {
		f.Started = info.Started.UTC().Format(time.RFC3339Nano)
	}
	return f
}

// ours gives the passed variables as this process has them.
func ours() []string {
	var out []string
	for _, kv := range (&exec.Cmd{}).Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if slices.Contains(passed[:], name) {
			out = append(out, kv)
		}
	}
	return out
}

// flat makes NAME=value of maps, later ones first in rank, in the order of the names.
func flat(of ...map[string]string) []string {
	all := map[string]string{}
	for _, m := range of {
		maps.Copy(all, m)
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(all)) {
		v := strings.ReplaceAll(all[k], "\x00", "")
		out = append(out, k+"="+v[:min(len(v), maxValue)])
	}
	return out
}
