package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/stream"
)

// backend answers the control socket from the endpoint.
type backend struct {
	ep     *endpoint.Endpoint
	record config.Record
}

func (b backend) Status() any { return b.ep.Status() }

func (b backend) Listen(ctx context.Context, req console.ListenRequest, w io.Writer) error {
	err := b.ep.Listen(ctx, req.Call, req.Agent, stream.ListenConfig{Track: req.Track, Format: req.Format, Rate: req.Rate, Header: req.Header, Since: req.Since}, w)
	if errors.Is(err, endpoint.ErrNoCall) {
		return noCall{err}
	}
	return err
}

// noCall is endpoint's "no such call" in the console's words; the text is endpoint's.
type noCall struct{ error }

func (noCall) Is(target error) bool { return target == console.ErrNoCall }

// source feeds health checks and metrics from the endpoint.
type source struct{ ep *endpoint.Endpoint }

// diskLevels are the levels as numbers.
var diskLevels = map[recorder.Level]int{recorder.LevelOK: 0, recorder.LevelWarn: 1, recorder.LevelRefuse: 2}

func (s source) Snapshot() console.Snapshot {
	st := s.ep.Status()
	n := s.ep.Figures()
	out := console.Snapshot{
		SweepAge: n.SweepAge, Accounts: len(st.Devices), Calls: map[string]int64{}, CallsEnded: map[string]int64{},
		SIP: st.SIP, SIPAnswers: st.Answers, MediaSamples: st.Samples, MediaDrops: st.Drops, Tracks: n.Tracks,
		MediaQuality: st.Quality,
		DiskLevel:    diskLevels[n.Disk.Level], DiskFault: n.Disk.Fault != "", UnwrittenSamples: n.Recorder.DiskSamples, LastSync: n.Recorder.LastSync,
		DiskFreeBytes: n.DiskFreeBytes, RecorderErrors: n.Recorder.Errors, Recordings: n.Recorder.Open, Repaired: n.Recorder.Repaired, Moved: n.Recorder.Moved,
		StreamDroppedSamples: n.Stream.DroppedSamples, StreamLateSamples: n.Stream.LateSamples, StreamPrograms: n.Stream.Running,
		Masks: n.Masks, Unmasks: n.Unmasks, CallsMasked: map[string]int64{}, StreamRevokedSamples: n.Stream.RevokedSamples,
		StreamRestarts: n.Stream.Restarts, StreamGivenUp: n.Stream.GivenUp, StreamRefused: n.Stream.Refused,
		StreamAnswers: answersSnapshot(n.Stream.Answers), LostLines: n.Recorder.LostLines,
		StreamConsumers:   map[string]console.Consumer{},
		SuperviseRequests: n.Requests, SuperviseWaiting: n.Waiting, LoggedIn: n.LoggedIn,
	}
	for _, c := range st.Checks {
		out.Checks = append(out.Checks, console.Check{Name: c.Name, OK: c.OK, Text: c.Text})
	}
	for _, d := range st.Devices {
		if d.Registered {
			out.Registered++
		}
	}
	for _, s := range []endpoint.State{endpoint.StateJoining, endpoint.StateLive, endpoint.StateHeld} {
		out.Calls[s.String()] = 0
	}
	for by := range n.Masks {
		out.CallsMasked[by] = 0
	}
	for _, c := range st.Calls {
		out.Calls[c.State]++
		for _, m := range c.Masks {
			out.CallsMasked[m.By]++
		}
	}
	out.Calls["wanted"], out.Calls["excused"], out.Calls["released"] = 0, 0, 0
	for _, c := range st.Waiting {
		switch c.State {
		case "excused", "released":
			out.Calls[c.State]++
		default:
			out.Calls["wanted"]++
		}
	}
	keptSnapshot(&out, st)
	for name, c := range n.Consumers {
		out.StreamConsumers[name] = console.Consumer(c)
	}
	for _, code := range call.Codes() {
		out.CallsEnded[string(code)] = st.Ended[code]
	}
	return out
}

func answersSnapshot(a stream.Answers) map[string]int64 {
	return map[string]int64{"partial": a.Partial, "final": a.Final, "words": a.Words, "malformed": a.Malformed, "refused": a.Refused, "revoked": a.Revoked, "repeated": a.Repeated}
}

// keptSnapshot says what becomes of sealed recordings.
func keptSnapshot(out *console.Snapshot, st endpoint.Status) {
	out.VaultFailures, out.WebhooksFailed = map[string]int64{}, map[string]int64{}
	if o := st.Owed; o != nil {
		out.ErasuresWaiting, out.ErasuresOldest = int64(o.Erasures), max(0, time.Since(o.Oldest))
	}
	if v := st.Vault; v != nil {
		out.VaultQueued, out.VaultRecordings, out.VaultSentBytes, out.VaultTrouble = int64(v.Queued), v.Vaulted, v.SentBytes, v.Trouble != ""
		if v.Queued > 0 && !v.Oldest.IsZero() {
			out.VaultOldest = max(0, time.Since(v.Oldest))
		}
		for cause, n := range v.Failures {
			out.VaultFailures[string(cause)] = n
		}
	}
	for _, h := range st.Webhooks {
		out.WebhooksWaiting += int64(h.Waiting)
		out.WebhooksDelivered += h.Delivered
		out.WebhooksFailed["tries"] += h.Failed
		out.WebhooksFailed["given_up"] += h.GivenUp
	}
}
