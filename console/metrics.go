package console

import (
	"maps"
	"runtime"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// maxLabels bounds the values of one metric's label: they are closed sets, and a mistake in that must not fill Prometheus.
const maxLabels = 64

// metric is one row of the table below: a plain value, or one per label.
type metric struct {
	name, help, label string
	kind              prometheus.ValueType
	value             func(*Snapshot) float64
	values            func(*Snapshot) map[string]int64
	scale             float64 // of values; 0 is 1
}

// metrics are all that we measure; docs/metrics.md says what to do when one moves.
var metrics = []metric{
	gauge("earshot_sip_registered", "Accounts that are registered now.", func(s *Snapshot) float64 { return float64(s.Registered) }),
	gauge("earshot_sip_accounts", "Accounts there are.", func(s *Snapshot) float64 { return float64(s.Accounts) }),
	counters("earshot_sip_events_total", "Events of signalling.", "event", func(s *Snapshot) map[string]int64 { return s.SIP }),
	counters("earshot_sip_answers_total", "Our final answers to INVITEs, by status code.", "code", func(s *Snapshot) map[string]int64 { return s.SIPAnswers }),
	gauges("earshot_calls", "Calls by state.", "state", func(s *Snapshot) map[string]int64 { return s.Calls }),
	counters("earshot_calls_ended_total", "Calls that ended, by cause.", "cause", func(s *Snapshot) map[string]int64 { return s.CallsEnded }),
	gauges("earshot_calls_masked", "Live calls whose audio is held back, by whose word.", "by", func(s *Snapshot) map[string]int64 { return s.CallsMasked }),
	counters("earshot_masks_total", "Masks that were begun, by whose word.", "by", func(s *Snapshot) map[string]int64 { return s.Masks }),
	counters("earshot_unmasks_total", "Masks that ended while their call went on.", "by", func(s *Snapshot) map[string]int64 { return s.Unmasks }),
	gauge("earshot_media_tracks", "Tracks that are open now.", func(s *Snapshot) float64 { return float64(s.Tracks) }),
	gauges("earshot_media_tracks_quality", "Live tracks by the quality of their newest 10 s.", "quality", func(s *Snapshot) map[string]int64 { return s.MediaQuality }),
	gauge("earshot_media_sweep_age_seconds", "Time since the ports were last swept.", func(s *Snapshot) float64 { return s.SweepAge.Seconds() }),
	counters("earshot_media_samples_total", "Samples by kind; late ones are received, too.", "kind", func(s *Snapshot) map[string]int64 { return s.MediaSamples }),
	counters("earshot_media_drops_total", "Packets that were not taken, by reason.", "reason", func(s *Snapshot) map[string]int64 { return s.MediaDrops }),
	gauge("earshot_recorder_disk_free_bytes", "Free space of the recordings' file system.", func(s *Snapshot) float64 { return float64(s.DiskFreeBytes) }),
	gauge("earshot_recorder_disk_level", "0: room enough; 1: below record.disk.warn; 2: below record.disk.refuse, no new calls.", func(s *Snapshot) float64 { return float64(s.DiskLevel) }),
	gauge("earshot_recorder_disk_fault", "1 while recordings can't be written as they should.", func(s *Snapshot) float64 { return truth(s.DiskFault) }),
	counter("earshot_recorder_unwritten_samples_total", "Samples that came and could not be written.", func(s *Snapshot) int64 { return s.UnwrittenSamples }),
	gauge("earshot_recorder_sync_seconds", "How long the newest group sync took.", func(s *Snapshot) float64 { return s.LastSync.Seconds() }),
	gauge("earshot_recorder_open_recordings", "Recordings that are being written.", func(s *Snapshot) float64 { return float64(s.Recordings) }),
	counter("earshot_recorder_errors_total", "Writes, syncs and seals that failed.", func(s *Snapshot) int64 { return s.RecorderErrors }),
	counter("earshot_recorder_repaired_total", "Recordings that were finished after a crash.", func(s *Snapshot) int64 { return s.Repaired }),
	counter("earshot_recorder_moved_total", "Recordings whose audio left this disk for the vault.", func(s *Snapshot) int64 { return s.Moved }),
	gauge("earshot_recorder_erasures_waiting", "Erasures of which copies elsewhere are still to go.", func(s *Snapshot) float64 { return float64(s.ErasuresWaiting) }),
	gauge("earshot_recorder_erasures_oldest_seconds", "Time since the oldest of them was decided.", func(s *Snapshot) float64 { return s.ErasuresOldest.Seconds() }),
	gauge("earshot_vault_queue_recordings", "Sealed recordings that are not in the vault yet.", func(s *Snapshot) float64 { return float64(s.VaultQueued) }),
	gauge("earshot_vault_oldest_seconds", "Time since the oldest of them began.", func(s *Snapshot) float64 { return s.VaultOldest.Seconds() }),
	gauge("earshot_vault_stopped", "1 while the vault takes nothing.", func(s *Snapshot) float64 { return truth(s.VaultTrouble) }),
	counter("earshot_vault_recordings_total", "Recordings that are whole in the vault, and verified.", func(s *Snapshot) int64 { return s.VaultRecordings }),
	counter("earshot_vault_sent_bytes_total", "Bytes sent to the vault, again ones too.", func(s *Snapshot) int64 { return s.VaultSentBytes }),
	counters("earshot_vault_failures_total", "Tries to bring a recording that failed, by cause.", "cause", func(s *Snapshot) map[string]int64 { return s.VaultFailures }),
	gauge("earshot_webhooks_waiting", "Messages that services have not taken yet.", func(s *Snapshot) float64 { return float64(s.WebhooksWaiting) }),
	counter("earshot_webhooks_delivered_total", "Messages that services took.", func(s *Snapshot) int64 { return s.WebhooksDelivered }),
	counters("earshot_webhooks_failures_total", "What services did not take.", "what", func(s *Snapshot) map[string]int64 { return s.WebhooksFailed }),
	counter("earshot_stream_dropped_samples_total", "Samples that slow consumers lost.", func(s *Snapshot) int64 { return s.StreamDroppedSamples }),
	counter("earshot_stream_late_samples_total", "Samples that came too late for live streams.", func(s *Snapshot) int64 { return s.StreamLateSamples }),
	counter("earshot_stream_revoked_samples_total", "Samples that a mask took back from live consumers that had them.", func(s *Snapshot) int64 { return s.StreamRevokedSamples }),
	gauge("earshot_stream_programs", "Programs that run.", func(s *Snapshot) float64 { return float64(s.StreamPrograms) }),
	counter("earshot_stream_restarts_total", "Programs that were started again.", func(s *Snapshot) int64 { return s.StreamRestarts }),
	counter("earshot_stream_given_up_total", "Consumers that failed too often.", func(s *Snapshot) int64 { return s.StreamGivenUp }),
	counter("earshot_stream_refused_total", "Times that a consumer could not even wait to be started.", func(s *Snapshot) int64 { return s.StreamRefused }),
	counters("earshot_stream_answers_total", "What speech engines told: utterances, guessed or final, words in the final ones, and what was not told on.", "what", func(s *Snapshot) map[string]int64 { return s.StreamAnswers }),
	counter("earshot_recorder_lost_lines_total", "Lines of transcripts that came too late, or were too many.", func(s *Snapshot) int64 { return s.LostLines }),
	perConsumer(prometheus.GaugeValue, "earshot_stream_consumer_connected", "Consumers that have a call's audio now, by name.", func(c Consumer) int64 { return c.Connected }),
	perConsumer(prometheus.CounterValue, "earshot_stream_consumer_connections_total", "Connections to consumers, and processes, by name.", func(c Consumer) int64 { return c.Connections }),
	perConsumer(prometheus.CounterValue, "earshot_stream_consumer_reconnects_total", "Of these, those after the first of a call or track.", func(c Consumer) int64 { return c.Reconnects }),
	perConsumer(prometheus.CounterValue, "earshot_stream_consumer_dropped_samples_total", "Samples that consumers lost, by name.", func(c Consumer) int64 { return c.DroppedSamples }),
	perConsumer(prometheus.CounterValue, "earshot_stream_consumer_caught_up_samples_total", "Samples that consumers were given from the recording, by name.", func(c Consumer) int64 { return c.CaughtUpSamples }),
	perConsumer(prometheus.CounterValue, "earshot_stream_consumer_sent_octets_total", "Octets that consumers took, by name.", func(c Consumer) int64 { return c.SentOctets }),
	seconds(perConsumer(prometheus.GaugeValue, "earshot_stream_consumer_lag_seconds", "Audio that waits for a consumer: the longest now, by name.", func(c Consumer) int64 { return int64(c.Lag) })),
	gauge("earshot_supervise_waiting_calls", "Wanted calls that the pool has no room for.", func(s *Snapshot) float64 { return float64(s.SuperviseWaiting) }),
	gauge("earshot_supervise_logged_in", "1 while the login at RingCentral is good.", func(s *Snapshot) float64 { return truth(s.LoggedIn) }),
	counters("earshot_supervise_requests_total", "Requests to RingCentral's REST API, by class of the answer.", "class", func(s *Snapshot) map[string]int64 { return s.SuperviseRequests }),
}

func gauge(name, help string, f func(*Snapshot) float64) metric {
	return metric{name: name, help: help, kind: prometheus.GaugeValue, value: f}
}

func counter(name, help string, f func(*Snapshot) int64) metric {
	return metric{name: name, help: help, kind: prometheus.CounterValue, value: func(s *Snapshot) float64 { return float64(f(s)) }}
}

func gauges(name, help, label string, f func(*Snapshot) map[string]int64) metric {
	return metric{name: name, help: help, label: label, kind: prometheus.GaugeValue, values: f}
}

func counters(name, help, label string, f func(*Snapshot) map[string]int64) metric {
	return metric{name: name, help: help, label: label, kind: prometheus.CounterValue, values: f}
}

// perConsumer has a value for each name of a stream's consumer.
func perConsumer(kind prometheus.ValueType, name, help string, f func(Consumer) int64) metric {
	return metric{name: name, help: help, label: "consumer", kind: kind, values: func(s *Snapshot) map[string]int64 {
		out := map[string]int64{}
		for name, c := range s.StreamConsumers {
			out[name] = f(c)
		}
		return out
	}}
}

// seconds has values that are nanoseconds told in seconds.
func seconds(m metric) metric {
	m.scale = 1e-9
	return m
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// collector makes metrics of a Snapshot at each scrape: nobody counts twice, and a scrape sees one moment.
type collector struct {
	source Source
	descs  []*prometheus.Desc // by metrics
}

// newRegistry makes a registry of our own, so that an embedder's is left alone.
func newRegistry(cfg Config) *prometheus.Registry {
	c := &collector{source: cfg.Source}
	for _, m := range metrics {
		var labels []string
		if m.label != "" {
			labels = []string{m.label}
		}
		c.descs = append(c.descs, prometheus.NewDesc(m.name, m.help, labels, nil))
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "earshot_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": cfg.Version, "revision": cfg.Revision, "go": runtime.Version()},
	}, func() float64 { return 1 })
	r := prometheus.NewRegistry()
	r.MustRegister(c, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.source.Snapshot()
	for i, m := range metrics {
		if m.value != nil {
			out <- prometheus.MustNewConstMetric(c.descs[i], m.kind, m.value(&s))
			continue
		}
		for label, v := range bounded(m.values(&s)) {
			value := float64(v)
			if m.scale != 0 {
				value *= m.scale
			}
			out <- prometheus.MustNewConstMetric(c.descs[i], m.kind, value, label)
		}
	}
}

// bounded gives values under labels that Prometheus takes, and what is beyond maxLabels as "other".
func bounded(values map[string]int64) map[string]int64 {
	out := make(map[string]int64, len(values))
	for _, k := range slices.Sorted(maps.Keys(values)) {
		label := strings.ToValidUTF8(k, "?")
		if len(out) >= maxLabels {
			label = "other"
		}
		out[label] += values[k]
	}
	return out
}
