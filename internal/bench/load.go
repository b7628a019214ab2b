package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/stream"
)

const (
	// sealWithin bounds how long the last recording may take to be sealed.
	sealWithin = time.Minute
	// settle is let pass after the last packet: it is still to be swept.
	settle = 300 * time.Millisecond
)

// rig is the production path under load.
type rig struct {
	cfg    Config
	step   *Step
	last   bool // of the steps
	engine *media.Engine
	store  *recorder.Store     // nil without files
	reader *age.X25519Identity // nil: nothing is encrypted
	lines  []*line
	opened []netip.AddrPort // where tracks want their packets, in order
	live   sync.WaitGroup
	crowd  *crowd // nil: delays are not measured
}

// line is one call.
type line struct {
	timeline *media.Timeline
	rec      *recorder.Recording
	listener *stream.Listener
	checker  *checker
}

// loadEngine lets the engine carry a step's calls, and measures.
func loadEngine(ctx context.Context, cfg Config, s *Step, audio pattern, c *child, sources []netip.AddrPort) error {
	dir, err := os.MkdirTemp(cfg.Dir, "earshot-bench-")
	if err != nil {
		return fmt.Errorf("recordings: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left is in a folder for temporary files
	r := &rig{cfg: cfg, step: s, last: s.Calls == cfg.Steps[len(cfg.Steps)-1]}
	if r.engine, err = media.New(media.Config{ListenIP: cfg.IP, Log: cfg.Log}); err != nil {
		return err
	}
	if cfg.Sink == SinkFile {
		to := recorder.Config{Dir: dir, Format: cfg.Format, Left: call.RoleCustomer, Right: call.RoleAgent, Software: "bench", Log: cfg.Log}
		if cfg.Encrypt {
			if r.reader, err = age.GenerateX25519Identity(); err != nil {
				return err
			}
			to.Recipients = []string{r.reader.Recipient().String()}
		}
		r.store, err = recorder.New(to)
		if err != nil {
			return err
		}
	}
	if cfg.Delay {
		if r.crowd, err = gather(ctx, cfg, s.Tracks, dir, r.engine); err != nil {
			return err
		}
	}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	var engineErr, storeErr error
	engineUntil, stopEngine := context.WithCancel(working)
	wg.Go(func() { engineErr = r.engine.Run(engineUntil) })
	if r.store != nil {
		wg.Go(func() { storeErr = r.store.Run(working) })
	}
	if r.crowd != nil {
		wg.Go(func() { r.crowd.run(working) })
	}
	err = r.carry(ctx, audio, c, sources)
	stopEngine()
	stop()
	wg.Wait()
	r.live.Wait()
	if err = errors.Join(err, engineErr, storeErr, r.crowd.close()); err != nil {
		return err
	}
	say(cfg.Progress, "  comparing what came out")
	return r.compare(audio)
}

// carry opens the calls, has them sent to, reads the meters, and closes them.
func (r *rig) carry(ctx context.Context, audio pattern, c *child, sources []netip.AddrPort) error {
	s := r.step
	if err := r.introduce(ctx, c, sources[0]); err != nil {
		return err
	}
	empty := heap()
	if err := r.open(audio, sources); err != nil {
		return err
	}
	say(r.cfg.Progress, "  %d tracks on %d ports, %v and %v", s.Tracks, s.Ports, r.cfg.Warm, r.cfg.For)
	if _, err := c.ask(order{To: r.opened, SRTP: r.cfg.SRTP, Loss: lossOf(r.cfg.Loss)}); err != nil {
		return err
	}
	err := r.meter(ctx)
	if err == nil && r.crowd != nil {
		err = r.crowd.measure(ctx, r.cfg, s)
	}
	sent, stopped := c.ask(order{Stop: true})
	if err = errors.Join(err, stopped); err != nil {
		return err
	}
	s.SenderLate = sent.Late
	for _, n := range sent.Packets {
		s.SentSamples += n * packetSamples
	}
	pause(ctx, settle)
	s.HeapPerCall = (heap() - empty) / int64(s.Calls)
	s.KernelDrops = r.engine.Totals().KernelDropPackets
	return r.close(ctx)
}

// meter lets the load run, and reads CPU time and packets at both ends of the window.
func (r *rig) meter(ctx context.Context) error {
	pause(ctx, r.cfg.Warm)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu0, err := cpuTime()
	if err != nil {
		return err
	}
	if r.cfg.Profile != nil && r.last {
		if err := pprof.StartCPUProfile(r.cfg.Profile); err != nil {
			return fmt.Errorf("profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	if err := r.crowd.begin(); err != nil {
		return err
	}
	packets, begun := r.engine.Totals().Counts.Packets, time.Now()
	r.engine.WorstSweep()
	pause(ctx, r.cfg.For)
	cpu1, err := cpuTime()
	if err != nil {
		return err
	}
	r.step.used = spent{cpu: cpu1 - cpu0, packets: r.engine.Totals().Counts.Packets - packets, wall: time.Since(begun)}
	r.step.WorstSweep = r.engine.WorstSweep()
	runtime.ReadMemStats(&after)
	r.step.Collections = after.NumGC - before.NumGC
	r.step.AllocsPerCall = float64(after.Mallocs-before.Mallocs) / float64(r.step.Calls) / r.step.used.wall.Seconds()
	if r.step.used.packets == 0 {
		return errors.Join(errors.New("no packets came"), ctx.Err())
	}
	return ctx.Err()
}

// introduce carries one track alone, for a moment: media lets plain tracks of an address share ports once it has seen that
// the address sends from the ports that it names, which in life it learns from the first call.
func (r *rig) introduce(ctx context.Context, c *child, from netip.AddrPort) error {
	l, err := r.engine.NewTimeline(call.Info{ID: "introduction"})
	if err != nil {
		return err
	}
	k, err := r.openTrack(&line{timeline: l}, 0, 0, from)
	if err != nil {
		return err
	}
	at, _ := k.Local()
	if _, err := c.ask(order{To: []netip.AddrPort{at}, SRTP: r.cfg.SRTP, Only: 1}); err != nil {
		return err
	}
	for begun := time.Now(); k.State().Heard == 0 && ctx.Err() == nil; pause(ctx, packetTime) {
		if time.Since(begun) > childPatience {
			return errors.New("no packets came")
		}
	}
	_, err = c.ask(order{Stop: true})
	<-l.Close(call.Cause{Code: call.CodeHangup})
	return err
}

// open makes the calls.
func (r *rig) open(audio pattern, sources []netip.AddrPort) error {
	ports := map[netip.AddrPort]bool{}
	for i := range r.step.Calls {
		l, err := r.openLine(i, audio)
		if err != nil {
			return err
		}
		r.lines = append(r.lines, l)
		for j := range tracksPerCall {
			track := i*tracksPerCall + j
			k, err := r.openTrack(l, i, j, sources[track])
			if err != nil {
				return err
			}
			at, _ := k.Local()
			ports[at] = true
			r.opened = append(r.opened, at)
		}
	}
	r.step.Ports = len(ports)
	return nil
}

// callName is that of a call, made of its number.
const callName = "bench-%d"

var roles = [tracksPerCall]call.Role{call.RoleCustomer, call.RoleAgent}

func (r *rig) openLine(i int, audio pattern) (*line, error) {
	info := call.Info{ID: fmt.Sprintf(callName, i), Started: time.Now(), Expected: []call.Party{
		{ID: "customer", Role: roles[0]}, {ID: "agent", Role: roles[1]},
	}}
	l := &line{}
	var err error
	if l.timeline, err = r.engine.NewTimeline(info); err != nil {
		return nil, err
	}
	if r.store != nil {
		now := r.engine.Now()
		if l.rec, err = r.store.Open(info, recorder.Anchor{Wall: time.Now(), Mono: now}); err != nil {
			return nil, err
		}
		l.timeline.Attach(l.rec)
	} else {
		l.checker = &checker{audio: audio, first: i * tracksPerCall}
		l.timeline.Attach(l.checker)
	}
	r.crowd.join(l, info, i)
	if r.cfg.Live {
		if l.listener, err = stream.NewListener(stream.ListenConfig{Message: r.cfg.Message}); err != nil {
			return nil, err
		}
		l.timeline.Attach(l.listener)
		r.live.Go(func() { _, _ = l.listener.WriteTo(io.Discard) })
	}
	return l, nil
}

func (r *rig) openTrack(l *line, i, j int, from netip.AddrPort) (*media.Track, error) {
	track := i*tracksPerCall + j
	k, err := l.timeline.Open(media.Plan{
		Leg: fmt.Sprintf(callName, i), Line: j, Party: call.Party{ID: roles[j].String(), Role: roles[j]},
		IPv6: r.cfg.IP.Is6(), Toward: from.Addr(), Remote: from, Secure: r.cfg.SRTP, Mux: true,
	})
	if err != nil {
		return nil, err
	}
	p := media.Params{Remote: from, Mux: true, Receive: true, Payloads: []media.Payload{{Number: 0, Codec: media.CodecPCMU}}}
	if r.cfg.SRTP {
		p.RecvKey, p.SendKey = keyOf(track, false), keyOf(track, true)
	}
	commit, _, err := k.Prepare(p)
	if err != nil {
		return nil, err
	}
	commit()
	return k, nil
}

// close ends the calls and waits until their recordings are sealed.
func (r *rig) close(ctx context.Context) error {
	say(r.cfg.Progress, "  sealing")
	closed := make([]<-chan struct{}, len(r.lines))
	for i, l := range r.lines {
		closed[i] = l.timeline.Close(call.Cause{Code: call.CodeHangup})
	}
	for i, l := range r.lines {
		<-closed[i]
		if l.listener != nil {
			r.step.ListenerDrops += l.listener.DroppedSamples()
		}
	}
	if err := r.crowd.finish(ctx, r.step); err != nil {
		return err
	}
	late := time.NewTimer(sealWithin)
	defer late.Stop()
	for _, l := range r.lines {
		if l.rec == nil {
			continue
		}
		select {
		case <-l.rec.Sealed():
		case <-late.C:
			return fmt.Errorf("recordings are not sealed after %v", sealWithin)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// heap is what is live on the heap.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
