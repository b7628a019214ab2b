package media

// Totals sums up an engine since its start, for metrics: plain data.
type Totals struct {
	Timelines int // live
	Tracks    int // live: opened and not ended
	// Counts is the sum over all tracks there ever were; JitterSamples is 0.
	Counts Counts
	// KernelDropPackets fell out of full socket buffers (SO_RXQ_OVFL).
	KernelDropPackets int64
	// DroppedEvents did not fit into a mailbox.
	DroppedEvents int64
	// Panics were recovered: each ended a track or a sink.
	Panics int64
	// Batches were written, all sinks of a timeline counting as one.
	Batches int64
}

// add sums the counters; jitter has no sum.
func (c *Counts) add(o *Counts) {
	c.Packets += o.Packets
	c.Octets += o.Octets
	c.ReceivedSamples += o.ReceivedSamples
	c.LateSamples += o.LateSamples
	c.LostSamples += o.LostSamples
	c.GapSamples += o.GapSamples
	c.MaskedSamples += o.MaskedSamples
	c.DuplicatePackets += o.DuplicatePackets
	c.ReorderedPackets += o.ReorderedPackets
	c.LostPackets += o.LostPackets
	c.LatePackets += o.LatePackets
	c.TooLatePackets += o.TooLatePackets
	c.AuthFailedPackets += o.AuthFailedPackets
	c.StrayPackets += o.StrayPackets
	c.MalformedPackets += o.MalformedPackets
	c.UnknownPTPackets += o.UnknownPTPackets
	c.OverlapPackets += o.OverlapPackets
	c.ImplausiblePackets += o.ImplausiblePackets
	c.EventPackets += o.EventPackets
	c.ComfortPackets += o.ComfortPackets
	c.RTCPPackets += o.RTCPPackets
	c.RTCPRefusedPackets += o.RTCPRefusedPackets
	c.RTCPSentPackets += o.RTCPSentPackets
	c.SSRCChanges += o.SSRCChanges
	c.SentPackets += o.SentPackets
}

// Since gives what was counted after o, of the same track.
func (c Counts) Since(o *Counts) Counts {
	c.Packets -= o.Packets
	c.Octets -= o.Octets
	c.ReceivedSamples -= o.ReceivedSamples
	c.LateSamples -= o.LateSamples
	c.LostSamples -= o.LostSamples
	c.GapSamples -= o.GapSamples
	c.MaskedSamples -= o.MaskedSamples
	c.DuplicatePackets -= o.DuplicatePackets
	c.ReorderedPackets -= o.ReorderedPackets
	c.LostPackets -= o.LostPackets
	c.LatePackets -= o.LatePackets
	c.TooLatePackets -= o.TooLatePackets
	c.AuthFailedPackets -= o.AuthFailedPackets
	c.StrayPackets -= o.StrayPackets
	c.MalformedPackets -= o.MalformedPackets
	c.UnknownPTPackets -= o.UnknownPTPackets
	c.OverlapPackets -= o.OverlapPackets
	c.ImplausiblePackets -= o.ImplausiblePackets
	c.EventPackets -= o.EventPackets
	c.ComfortPackets -= o.ComfortPackets
	c.RTCPPackets -= o.RTCPPackets
	c.SSRCChanges -= o.SSRCChanges
	c.SentPackets -= o.SentPackets
	return c
}
