package recorder_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/internal/powercut"
	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
)

// loseEvery is which frame of a talker's fifty is lost on its way.
const loseEvery = 50

// apart is how many samples the agent's track lies behind the customer's.
const apart = 400

// loss is a loss of power: what the disk holds after it, and what it must hold.
type loss struct {
	dir    string
	sure   map[string][]byte
	sealed map[string]recorder.Result // by call, those that were told to be sealed before
	// promised is how many samples of encrypted audio are sure, by folder.
	promised map[string]int64
	of       what
	err      error
}

// what is recorded: with laws parties in two laws, of which each is kept bit for bit, and a vCon; with an identity encrypted to that.
type what struct {
	laws bool
	to   *age.X25519Identity
}

// config is of a store whose power is cut, or on what was left.
func (w what) config(dir string) recorder.Config {
	cfg := recorder.Config{Dir: dir, Sign: true}
	if w.laws {
		cfg.Format, cfg.VCon = recorder.FormatMulaw, true
	}
	if w.to != nil {
		cfg.Recipients = []string{w.to.Recipient().String()}
	}
	return cfg
}

// mains is a store at work on a disk that loses power each time that somebody asks for it.
type mains struct {
	t     *testing.T
	store *recorder.Store
	disk  atomic.Pointer[powercut.Disk]
	syncs atomic.Int64
	cutAt atomic.Int64
	// spread is over how many syncs a cut may fall.
	spread int64
	cuts   chan loss
	of     what
	// sure is what of encrypted audio is durable; nil: nobody asks.
	sure *assurance

	// Of talk: what its calls' ids begin with, and who is told of each that was sealed; nil: nobody.
	prefix string
	told   func(recorder.Result)

	mu     sync.Mutex
	r      *rand.Rand
	sealed map[string]recorder.Result
}

func newMains(t *testing.T, r *rand.Rand, spread int64, of what) *mains {
	m := &mains{t: t, spread: spread, cuts: make(chan loss, 1), r: r, sealed: map[string]recorder.Result{}, of: of}
	if of.to != nil {
		m.sure = &assurance{calls: map[string]*assured{}}
	}
	cfg := of.config(t.TempDir())
	cfg.Beneath(m.sync, nil)
	var stop func()
	m.store, stop = start(t, cfg)
	d, err := powercut.New(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = d.Close() })
	m.disk.Store(d)
	return m
}

// sync makes a file durable, and cuts the power before if that is due.
func (m *mains) sync(f *os.File, _ func() error) error {
	d := m.disk.Load()
	if d == nil {
		return nil
	}
	if m.syncs.Add(1) == m.cutAt.Load() {
		m.cut(d)
	}
	if filepath.Base(f.Name()) == ".lock" { // of the whole file system
		return d.SyncAll()
	}
	done := m.sure.syncs(f.Name())
	err := d.Sync(f)
	done(err)
	return err
}

func (m *mains) cut(d *powercut.Disk) {
	m.mu.Lock()
	l := loss{sealed: maps.Clone(m.sealed), dir: m.t.TempDir(), promised: m.sure.promised(), of: m.of}
	l.sure, l.err = d.Cut(l.dir, m.r)
	m.mu.Unlock()
	select {
	case m.cuts <- l:
	default: // one more than was asked for
	}
}

// chance gives a source of one's own: a cut that comes late still asks ours.
func (m *mains) chance() *rand.Rand {
	m.mu.Lock()
	defer m.mu.Unlock()
	return rand.New(rand.NewPCG(m.r.Uint64(), 5)) //nolint:gosec // a test's
}

// next has the power cut at one of the next syncs.
func (m *mains) next() loss {
	m.mu.Lock()
	in := 1 + m.r.Int64N(m.spread)
	m.mu.Unlock()
	select {
	case <-m.cuts: // left from before
	default:
	}
	m.cutAt.Store(m.syncs.Load() + in)
	for {
		select {
		case l := <-m.cuts:
			return l
		case <-time.After(time.Second): // others were quicker to count
			m.cutAt.Store(m.syncs.Load() + 5)
		}
	}
}

// pace is how many frames a step of the talk has, and least how many steps a call: of encrypted audio the newest seconds are not on the disk, so it must be long.
func (m *mains) pace() int {
	if m.of.to != nil {
		return fast
	}
	return 1
}

func (m *mains) least() int {
	if m.of.to != nil {
		return 150
	}
	return 30
}

// talk has so many calls live at a time, each for some seconds, until stop is closed.
func (m *mains) talk(live int, stop <-chan struct{}) {
	type one struct {
		r    *recorder.Recording
		k    [2]*talker
		left int // frames
	}
	r := rand.New(rand.NewPCG(7, uint64(live))) //nolint:gosec // a test's
	var calls []*one
	var sealing sync.WaitGroup
	defer sealing.Wait()
	tick := time.NewTicker(childStep)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-stop:
			for _, c := range calls {
				c.r.End(hangup)
			}
			return
		case <-tick.C:
		}
		for len(calls) < live {
			info := stereoInfo(fmt.Sprintf("call%s-%06d-%02d", m.prefix, n, len(calls)))
			info.Started = morning.Add(time.Duration(n) * time.Second)
			rec, err := m.store.Open(info, anchor)
			if err != nil {
				m.t.Error(err)
				return
			}
			calls = append(calls, &one{rec, [2]*talker{newTalker(1, call.RoleCustomer, 0), newTalker(2, call.RoleAgent, apart)}, m.least() + r.IntN(300)})
			if m.of.laws {
				calls[len(calls)-1].k[1].Law = media.LawPCMA
			}
		}
		for i := 0; i < len(calls); i++ {
			c := calls[i]
			if m.of.to != nil && c.left%(50/fast) == 0 && !c.r.Taken() { // faster than life, but no faster than the machine: the buffer holds eight seconds
				continue
			}
			var frames []media.Frame
			for range m.pace() {
				for _, k := range c.k {
					kind := media.KindReceived
					if len(k.kinds)/160%loseEvery == 7 {
						kind = media.KindLost
					}
					frames = append(frames, k.frame(kind, 160))
				}
			}
			c.left--
			for _, k := range c.k {
				k.Ended = c.left == 0
			}
			b := batch(time.Minute+time.Duration(len(c.k[0].kinds))*time.Second/8000, frames, c.k[0], c.k[1])
			b.Events = []call.Event{{Time: morning, Type: call.EventDTMF, Track: 1, Facts: map[string]any{"digit": "5", "text": strings.Repeat("x", 300)}}}
			c.r.Write(b)
			m.sure.wrote(c.r, int64(len(c.k[0].kinds)))
			if c.left > 0 {
				continue
			}
			c.r.End(hangup)
			sealing.Go(func() {
				<-c.r.Sealed()
				if res := c.r.Result(); res.Err == nil {
					m.mu.Lock()
					m.sealed[res.CallID] = res
					m.mu.Unlock()
					if m.told != nil {
						m.told(res)
					}
				}
			})
			calls = append(calls[:i], calls[i+1:]...)
			i--
		}
	}
}
