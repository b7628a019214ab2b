package endpoint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/supervise"
)

// Status is what an Endpoint hears, what not and why: plain data for people and programs.
type Status struct {
	Started time.Time              `json:"started"`
	Ready   bool                   `json:"ready"`
	Checks  []Check                `json:"checks"`
	Devices []DeviceStatus         `json:"devices"`
	Calls   []CallStatus           `json:"calls"`
	Waiting []supervise.CallStatus `json:"waiting"` // wanted calls that are not heard
	Ended   map[call.Code]int64    `json:"ended"`
	Stored  map[string]int64       `json:"stored"`  // recordings by state
	Samples map[string]int64       `json:"samples"` // by kind
	Drops   map[string]int64       `json:"drops"`
	SIP     map[string]int64       `json:"sip"`
}

// Check is one thing that must hold for calls to be heard.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

// DeviceStatus is one SIP account.
type DeviceStatus struct {
	Registration sip.State `json:"registration"`
	Device       string    `json:"device,omitempty"`
}

// CallStatus is one live call.
type CallStatus struct {
	ID      string        `json:"id"`
	State   string        `json:"state"`
	Agent   string        `json:"agent,omitempty"`
	Started time.Time     `json:"started"`
	Legs    int           `json:"legs"`
	Tracks  []TrackStatus `json:"tracks"`
	Dir     string        `json:"dir,omitempty"`
}

// TrackStatus is one track of a live call.
type TrackStatus struct {
	ID            uint32  `json:"id"`
	Role          string  `json:"role"`
	PartyID       string  `json:"party_id,omitempty"`
	Codec         string  `json:"codec"`
	SRTP          bool    `json:"srtp"`
	Seconds       float64 `json:"seconds"`
	LostSamples   int64   `json:"lost_samples"`
	LatePackets   int64   `json:"late_packets"`
	JitterMillis  float64 `json:"jitter_ms"`
	StrayPackets  int64   `json:"stray_packets"`
	AuthFailed    int64   `json:"auth_failed_packets"`
	Epochs        int     `json:"epochs"`
	Held          bool    `json:"held"`
	OffsetSamples int64   `json:"offset_samples"`
	DriftPPM      float64 `json:"drift_ppm"`
}

// Status may be called from anywhere.
func (e *Endpoint) Status() Status {
	s := Status{
		Started: e.started, Checks: []Check{}, Devices: []DeviceStatus{}, Calls: []CallStatus{}, Waiting: []supervise.CallStatus{},
		Ended: map[call.Code]int64{}, Stored: map[string]int64{}, Samples: map[string]int64{}, Drops: map[string]int64{}, SIP: map[string]int64{},
	}
	for _, r := range e.ears {
		r.status(&s)
	}
	for _, c := range e.live() {
		s.Calls = append(s.Calls, c.status())
	}
	slices.SortFunc(s.Calls, func(a, b CallStatus) int { return a.Started.Compare(b.Started) })
	e.mu.Lock()
	for k, v := range e.ended {
		s.Ended[k] = v
	}
	for k, v := range e.states {
		s.Stored[k] = v
	}
	e.mu.Unlock()
	t := e.engine.Totals()
	s.Samples, s.Drops = samples(t.Counts), drops(t)
	s.Ready = true
	for _, c := range s.Checks {
		s.Ready = s.Ready && c.OK
	}
	return s
}

func (r *ear) status(s *Status) {
	a := r.sip()
	if a == nil {
		r.mu.Lock()
		why := r.why
		r.mu.Unlock()
		s.Checks = append(s.Checks, Check{Name: "sip", Text: why})
	} else {
		st := a.State()
		d := DeviceStatus{Registration: st, Device: r.device.AuthorizationID}
		if r.sup != nil && d.Device == "" {
			d.Device = r.sup.Status().Device.ID
		}
		s.Devices = append(s.Devices, d)
		s.Checks = append(s.Checks, Check{Name: "sip", OK: st.Registered, Text: strings.TrimSpace(fmt.Sprintf("%s %s", st.Status, st.Reason))})
		for k, v := range a.Counters() {
			s.SIP[k] += v
		}
	}
	if r.sup == nil {
		return
	}
	st := r.sup.Status()
	text := fmt.Sprintf("logged in, %d agents", st.Agents)
	if !st.LoggedIn {
		text = "not logged in"
	}
	if len(st.Errors) > 0 {
		text = strings.Join(st.Errors, "; ")
	}
	s.Checks = append(s.Checks, Check{Name: "ringcentral", OK: st.LoggedIn, Text: text})
	for _, c := range st.Calls {
		if r.e.find(c.Session) == nil {
			s.Waiting = append(s.Waiting, c)
		}
	}
}

func (c *Call) status() CallStatus {
	held := c.heldLines()
	c.mu.Lock()
	s := CallStatus{ID: c.id, Agent: c.info.Agent, Started: c.started, Legs: len(c.legs)}
	c.mu.Unlock()
	live, onHold := 0, 0
	for _, t := range c.states() {
		h := held[trackLine{t.Leg, t.Line}]
		if !t.Ended {
			live++
			if h {
				onHold++
			}
		}
		s.Tracks = append(s.Tracks, trackStatus(t, h))
	}
	switch {
	case live > 0 && live == onHold:
		s.State = StateHeld.String()
	case live > 0:
		s.State = StateLive.String()
	default:
		s.State = StateJoining.String()
	}
	if c.rec != nil {
		s.Dir = c.rec.Result().Dir
	}
	return s
}

func trackStatus(t media.TrackState, held bool) TrackStatus {
	return TrackStatus{
		ID: uint32(t.ID), Role: t.Party.Role.String(), PartyID: t.Party.ID, Codec: t.Law.String(), SRTP: t.SRTP,
		Seconds: float64(t.Length) / media.SampleRate, LostSamples: t.Counts.LostSamples, LatePackets: t.Counts.LatePackets,
		JitterMillis: t.Counts.JitterSamples * 1000 / media.SampleRate, StrayPackets: t.Counts.StrayPackets,
		AuthFailed: t.Counts.AuthFailedPackets, Epochs: len(t.Epochs), Held: held,
		OffsetSamples: t.Offset, DriftPPM: t.DriftPPM,
	}
}

// samples sorts what tracks gave out by kind.
func samples(c media.Counts) map[string]int64 {
	return map[string]int64{
		media.KindReceived.String(): c.ReceivedSamples, media.KindLate.String(): c.LateSamples, media.KindLost.String(): c.LostSamples,
		media.KindGap.String(): c.GapSamples, media.KindMasked.String(): c.MaskedSamples,
	}
}

// drops sorts packets that are not in the audio by reason.
func drops(t media.Totals) map[string]int64 {
	c := t.Counts
	return map[string]int64{
		"duplicate": c.DuplicatePackets, "too_late": c.TooLatePackets, "auth_failed": c.AuthFailedPackets, "stray": c.StrayPackets,
		"malformed": c.MalformedPackets, "unknown_payload_type": c.UnknownPTPackets, "overlap": c.OverlapPackets,
		"implausible": c.ImplausiblePackets, "kernel": t.KernelDropPackets, "panic": t.Panics,
	}
}
