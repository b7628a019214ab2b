package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

const resultVersion = 1

// Result is what was measured.
type Result struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	Go      string    `json:"go"`
	OS      string    `json:"os"`
	Cores   int       `json:"cores"`
	SRTP    bool      `json:"srtp"`
	Encrypt bool      `json:"encrypt,omitempty"`
	Live    bool      `json:"live"`
	Message string    `json:"message,omitempty"` // what a live listener takes at a time
	Delay   bool      `json:"delay,omitempty"`   // each track has a consumer
	// LossShare of the packets were lost on their way to us.
	LossShare float64 `json:"loss_share,omitempty"`
	Sink      string  `json:"sink"`
	Steps     []Step  `json:"steps"`
}

// Step is what one number of calls took.
type Step struct {
	Calls  int `json:"calls"`
	Tracks int `json:"tracks"`
	// Ports are the local RTP ports that all tracks together had.
	Ports   int     `json:"ports"`
	Seconds float64 `json:"seconds"`
	// Packets that came within the window, and the CPU time of this process for each, user and system; Floor is what the
	// cheapest loop needs to take them from the kernel, the mean of before and after.
	Packets       int64   `json:"packets"`
	CPUMicros     float64 `json:"cpu_us_per_packet"`
	FloorMicros   float64 `json:"floor_us_per_packet,omitempty"`
	Ratio         float64 `json:"ratio,omitempty"`
	CPUPercent    float64 `json:"cpu_percent"` // of one core
	CallsPerCore  int     `json:"calls_per_core"`
	HeapPerCall   int64   `json:"heap_bytes_per_call"` // live after a collection, loaded less empty
	Collections   uint32  `json:"collections"`         // of garbage, within the window
	AllocsPerCall float64 `json:"allocs_per_call_second"`
	// SentSamples over the whole step; Lost never came out, Wrong are not the samples that were sent there. Both must be 0.
	SentSamples  int64 `json:"sent_samples"`
	LostSamples  int64 `json:"lost_samples"`
	WrongSamples int64 `json:"wrong_samples"`
	// ListenerDrops are samples that live listeners were too slow for.
	ListenerDrops int64 `json:"listener_dropped_samples"`
	KernelDrops   int64 `json:"kernel_dropped_packets"`
	// WorstSweep is the longest time between two sweeps of a shard within the window; SenderLate is how far behind its time the sender was.
	WorstSweep time.Duration `json:"worst_sweep_ns"`
	SenderLate time.Duration `json:"sender_late_ns"`
	// Load is the machine's load average before the step.
	Load float64 `json:"load_average"`
	// Streams is measured with Config.Delay only.
	Streams *Streams `json:"streams,omitempty"`

	used   spent
	floors []spent
}

// finish works out what follows from what was measured.
func (s *Step) finish() {
	s.Packets, s.Seconds = s.used.packets, s.used.wall.Seconds()
	s.CPUMicros = s.used.perPacket() / 1e3
	s.CPUPercent = 100 * s.used.cpu.Seconds() / s.used.wall.Seconds()
	var sum spent
	for _, f := range s.floors {
		sum.cpu, sum.packets = sum.cpu+f.cpu, sum.packets+f.packets
	}
	if s.FloorMicros = sum.perPacket() / 1e3; s.FloorMicros > 0 {
		s.Ratio = s.CPUMicros / s.FloorMicros
	}
	if s.CPUMicros > 0 {
		perSecond := float64(tracksPerCall) * float64(time.Second/packetTime)
		s.CallsPerCore = int(1e6 / (s.CPUMicros * perSecond))
	}
}

// Whole tells whether every sample that was sent came out where it belongs: in the recordings, and at consumers that took it.
func (r *Result) Whole() bool {
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.LostSamples != 0 || s.WrongSamples != 0 || s.Streams != nil && (s.Streams.LostSamples != 0 || s.Streams.WrongSamples != 0) {
			return false
		}
	}
	return len(r.Steps) > 0
}

// WriteText writes a table for people.
func (r *Result) WriteText(w io.Writer) error {
	kind := "RTP"
	if r.SRTP {
		kind = "SRTP"
	}
	to := map[string]string{SinkFile: "stereo recordings", SinkNone: "no file"}[r.Sink]
	if r.Encrypt {
		to = "encrypted " + to
	}
	if r.Live {
		to += " and a live listener per call, " + r.Message + " at a time"
	}
	if r.Delay {
		to += " and a consumer per track, 20 ms at a time"
	}
	if r.LossShare > 0 {
		to += fmt.Sprintf(", %.3g %% of the packets lost", 100*r.LossShare)
	}
	if _, err := fmt.Fprintf(w, "two-party calls, %s to %s; %d cores, %s, %s\n\n", kind, to, r.Cores, r.OS, r.Go); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "calls\tports\tpackets/s\tCPU us/packet\tfloor us\tx floor\tcore %\tcalls/core\theap/call\tlost\twrong\tkernel drops\tworst sweep\tload\t")
	for i := range r.Steps {
		s := &r.Steps[i]
		floor, ratio := "-", "-"
		if s.Ratio > 0 {
			floor, ratio = fmt.Sprintf("%.2f", s.FloorMicros), fmt.Sprintf("%.2f", s.Ratio)
		}
		_, _ = fmt.Fprintf(t, "%d\t%d\t%.0f\t%.2f\t%s\t%s\t%.1f\t%d\t%.1f KiB\t%d\t%d\t%d\t%v\t%.1f\t\n", s.Calls, s.Ports,
			float64(s.Packets)/s.Seconds, s.CPUMicros, floor, ratio, s.CPUPercent, s.CallsPerCore, float64(s.HeapPerCall)/1024,
			s.LostSamples, s.WrongSamples, s.KernelDrops, s.WorstSweep.Round(100*time.Microsecond), s.Load)
	}
	if err := t.Flush(); err != nil || !r.Delay {
		return err
	}
	return r.writeStreams(w)
}

// WriteJSON writes the result for machines.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
