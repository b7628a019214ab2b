package endpoint

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/webhook"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/vault"
	"github.com/earshot/earshot/sip"
	"github.com/earshot/earshot/supervise"
)

// Status is what an Endpoint hears, what not and why: plain data for people and programs.
type Status struct {
	Started time.Time           `json:"started"`
	Ready   bool                `json:"ready"`
	Checks  []Check             `json:"checks"`
	Devices []DeviceStatus      `json:"devices"`
	Calls   []CallStatus        `json:"calls"`
	Waiting []WaitingStatus     `json:"waiting"` // wanted calls that are not heard
	Ended   map[call.Code]int64 `json:"ended"`
	Stored  map[string]int64    `json:"stored"`  // recordings by state
	Samples map[string]int64    `json:"samples"` // by kind
	Drops   map[string]int64    `json:"drops"`
	Quality map[string]int64    `json:"quality"` // live tracks by that of their newest 10 s
	SIP     map[string]int64    `json:"sip"`
	Answers map[string]int64    `json:"answers"` // to INVITEs, by status code
	// Draining: no new calls, and the end with the last one.
	Draining bool `json:"draining,omitempty"`
	// Vault and Webhooks are what comes after recordings are sealed.
	Vault    *vault.Status    `json:"vault,omitempty"`
	Webhooks []webhook.Status `json:"webhooks,omitempty"`
	// Owed are erasures of which copies elsewhere are still to go.
	Owed *recorder.Owed `json:"owed,omitempty"`
	// Older is the process that this one took over from, while it still has calls.
	Older *OlderStatus `json:"older,omitempty"`
}

// Check is one thing that must hold for calls to be heard.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Warn: it holds, and will not for long.
	Warn bool   `json:"warn,omitempty"`
	Text string `json:"text"`
}

// DeviceStatus is one SIP account.
type DeviceStatus struct {
	Device     string    `json:"device,omitempty"` // RingCentral's device id, or the authorization id
	Registered bool      `json:"registered"`
	Status     string    `json:"status"` // as sip.State.Status
	Code       int       `json:"code,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	Hint       string    `json:"hint,omitempty"`   // what a person must do
	Others     int       `json:"others,omitempty"` // Contacts of other programs that registered as this device
	Since      time.Time `json:"since"`
	NextTry    time.Time `json:"next_try,omitzero"`
	Proxy      string    `json:"proxy,omitempty"`
	Local      string    `json:"local,omitempty"`
	Dialogs    int       `json:"dialogs"`
	Limit      int       `json:"limit,omitempty"`      // of dialogs, as configured or learned
	Supervisor string    `json:"supervisor,omitempty"` // extension number of the owner
}

// WaitingStatus is a wanted call that is not heard.
type WaitingStatus struct {
	ID    string    `json:"id"`
	State string    `json:"state"` // as supervise.CallStatus.State; excused: policy leaves it alone; released: a user gave it up
	Agent string    `json:"agent"`
	Mode  string    `json:"mode"`
	Since time.Time `json:"since"`
	Cause string    `json:"cause,omitempty"` // why the newest try failed
}

// CallStatus is one live call.
type CallStatus struct {
	ID      string        `json:"id"`
	State   string        `json:"state"`
	Agent   string        `json:"agent,omitempty"`
	Masked  string        `json:"masked,omitempty"` // on whose word its audio is held back: pci, hook, hold, consent, or several
	Masks   []MaskStatus  `json:"masks,omitempty"`
	Consent string        `json:"consent,omitempty"` // where it is required: waiting, given, refused
	Started time.Time     `json:"started"`
	Legs    int           `json:"legs"`
	Tracks  []TrackStatus `json:"tracks"`
	// Consumers are those of its live audio.
	Consumers []ConsumerStatus `json:"consumers,omitempty"`
	Dir       string           `json:"dir,omitempty"`
	// NotRecorded says why there is no recording.
	NotRecorded string `json:"not_recorded,omitempty"`
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
	// Quality is nil before anything of it was measured, which takes media.archive_window and a second.
	Quality *TrackQuality `json:"quality,omitempty"`
}

// TrackQuality is how a track comes through the network: of all of it, of its newest 10 s, and of its worst.
type TrackQuality struct {
	ExpectedPackets   int64   `json:"expected_packets"`
	LostPackets       int64   `json:"lost_packets"`
	LongestRunPackets int64   `json:"longest_run_packets"`
	JitterMeanMillis  float64 `json:"jitter_mean_ms"`
	JitterMaxMillis   float64 `json:"jitter_max_ms"`
	BurstRatio        float64 `json:"burst_ratio"`
	R                 float64 `json:"r"` // E-model, without delay and echo
	MOS               float64 `json:"mos"`
	RecentR           float64 `json:"recent_r"`
	RecentMOS         float64 `json:"recent_mos"`
	WorstR            float64 `json:"worst_r"`
}

// ratings counts live tracks by the quality of their newest 10 s, in the words of ITU-T G.109.
func ratings(calls []CallStatus) map[string]int64 {
	n := map[string]int64{}
	for _, c := range calls {
		for _, t := range c.Tracks {
			if t.Quality != nil {
				n[rating(t.Quality.RecentR)]++
			}
		}
	}
	return n
}

func rating(r float64) string {
	switch {
	case r >= 90:
		return "best"
	case r >= 80:
		return "high"
	case r >= 70:
		return "medium"
	case r >= 60:
		return "low"
	}
	return "poor"
}

// Status may be called from anywhere.
func (e *Endpoint) Status() Status {
	s := Status{
		Started: e.started, Checks: []Check{}, Devices: []DeviceStatus{}, Calls: []CallStatus{}, Waiting: []WaitingStatus{},
		Ended: map[call.Code]int64{}, Stored: map[string]int64{}, Samples: map[string]int64{}, Drops: map[string]int64{}, SIP: map[string]int64{}, Answers: map[string]int64{},
	}
	devices := map[*ear]supervise.DeviceStatus{}
	for _, p := range e.pools {
		p.status(&s, devices)
	}
	for _, r := range e.ears {
		r.status(&s, devices[r])
	}
	consumers := e.consumers()
	for _, c := range e.live() {
		st := c.status()
		st.Consumers = consumers[st.ID]
		s.Calls = append(s.Calls, st)
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
	if e.store != nil {
		s.Checks = append(s.Checks, e.diskCheck(s.Calls))
		if owed := e.store.Owed(); owed.Erasures > 0 {
			s.Owed = &owed
		}
	}
	e.keep.status(&s)
	e.shiftStatus(&s)
	t := e.engine.Totals()
	s.Quality = ratings(s.Calls)
	s.Samples, s.Drops = samples(t.Counts), drops(t)
	s.Ready = true
	for _, c := range s.Checks {
		s.Ready = s.Ready && c.OK
	}
	return s
}

func (r *ear) status(s *Status, in supervise.DeviceStatus) {
	device := r.device.AuthorizationID
	if device == "" {
		device = in.Device.ID
	}
	check := Check{Name: "sip"}
	if r.sup != nil && r.sup.Pool() > 1 {
		check.Name += " " + device
	}
	a := r.sip()
	if a == nil {
		r.mu.Lock()
		check.Text = r.why
		r.mu.Unlock()
		s.Checks = append(s.Checks, check)
		return
	}
	st := a.State()
	s.Devices = append(s.Devices, DeviceStatus{
		Device: device, Registered: st.Registered, Status: st.Status, Code: st.Code, Reason: st.Reason, Hint: st.Hint, Others: st.Others,
		Since: st.Since, NextTry: st.NextTry, Proxy: st.Proxy, Local: local(st), Dialogs: st.Dialogs,
		Limit: in.Limit, Supervisor: in.Device.Extension,
	})
	check.OK, check.Text = st.Registered, st.Status
	if !st.Registered && st.Reason != "" {
		check.Text += ": " + st.Reason
	}
	if st.Hint != "" {
		check.Text += "; " + st.Hint
	}
	s.Checks = append(s.Checks, check)
	for k, v := range a.Answers() {
		s.Answers[k] += v
	}
	for k, v := range a.Counters() {
		s.SIP[k] += v
	}
}

func local(st sip.State) string {
	if !st.Local.IsValid() {
		return ""
	}
	return st.Local.String()
}

// status adds what there is to say of RingCentral, and of each device.
func (p *pool) status(s *Status, devices map[*ear]supervise.DeviceStatus) {
	st := p.sup.Status()
	for i, r := range p.ears {
		devices[r] = st.Devices[i]
	}
	check := Check{Name: "ringcentral", OK: st.LoggedIn && len(st.Errors) == 0, Text: fmt.Sprintf("logged in, %d agents", st.Agents)}
	switch {
	case len(st.Errors) > 0:
		check.Text = strings.Join(st.Errors, "; ")
	case !st.LoggedIn:
		check.Text = "not logged in"
	case st.Agents == 0:
		check.Text = "logged in, and no agent is to be heard: set supervise.agents or supervise.groups"
	case st.LastLook.IsZero():
		check.OK, check.Text = false, "logged in, the calls were not looked at yet"
	}
	s.Checks = append(s.Checks, check)
	if st.Waiting > 0 {
		s.Checks = append(s.Checks, Check{Name: "capacity", OK: true, Text: fmt.Sprintf("%d wanted calls have no room in the pool: see docs/sizing.md", st.Waiting)})
	}
	heard := map[string]bool{}
	for _, c := range p.e.live() {
		for _, id := range c.description().Sessions {
			heard[id] = true
		}
	}
	for _, c := range st.Calls {
		if !heard[c.Session] && !p.e.isElsewhere(c.Session) {
			s.Waiting = append(s.Waiting, WaitingStatus{ID: c.Session, State: c.State, Agent: c.Agent, Mode: c.Mode, Since: c.Since, Cause: c.Cause})
		}
	}
}

func (c *Call) status() CallStatus {
	held := c.heldLines()
	c.mu.Lock()
	s := CallStatus{ID: c.id, Agent: c.agent, Started: c.started, Legs: len(c.legs)}
	c.mu.Unlock()
	s.Consent = c.description().Consent.State
	s.Masks, s.Masked = c.masks(), byWhom(c.heldBack())
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
	switch rec, err := c.recording(c.newest()); {
	case rec != nil:
		s.Dir = rec.Result().Dir
	case err != nil:
		s.NotRecorded = err.Error()
	}
	return s
}

func trackStatus(t media.TrackState, held bool) TrackStatus {
	s := TrackStatus{
		ID: uint32(t.ID), Role: t.Party.Role.String(), PartyID: t.Party.ID, Codec: t.Law.String(), SRTP: t.SRTP,
		Seconds: float64(t.Length) / media.SampleRate, LostSamples: t.Counts.LostSamples, LatePackets: t.Counts.LatePackets,
		JitterMillis: t.Counts.JitterSamples * 1000 / media.SampleRate, StrayPackets: t.Counts.StrayPackets,
		AuthFailed: t.Counts.AuthFailedPackets, Epochs: len(t.Epochs), Held: held,
		OffsetSamples: t.Offset, DriftPPM: t.DriftPPM,
	}
	if q := t.Quality; q.ExpectedPackets > 0 {
		s.Quality = &TrackQuality{
			ExpectedPackets: q.ExpectedPackets, LostPackets: q.LostPackets, LongestRunPackets: q.LongestRunPackets,
			JitterMeanMillis: q.JitterMeanSamples * 1000 / media.SampleRate, JitterMaxMillis: q.JitterMaxSamples * 1000 / media.SampleRate,
			BurstRatio: q.BurstRatio, R: q.R, MOS: q.MOS, RecentR: q.Recent.R, RecentMOS: q.Recent.MOS, WorstR: q.R,
		}
		if q.Worst.ExpectedPackets > 0 {
			s.Quality.WorstR = q.Worst.R
		}
	}
	return s
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
		"implausible": c.ImplausiblePackets, "rtcp": c.RTCPRefusedPackets, "kernel": t.KernelDropPackets, "panic": t.Panics,
	}
}
