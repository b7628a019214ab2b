package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/earshot/earshot/cmd/earshot/internal/config"
	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/internal/who"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/recorder/catalog"
	"github.com/earshot/earshot/recorder/evidence"
)

// Held is what became of a hold: Left is how many holds there are still.
type Held struct {
	Folder string `json:"folder"`
	Left   int    `json:"left"`
}

// careOf does something with a directory's recordings, in the name of whom the context tells.
func careOf(ctx context.Context, s *recorder.Store, dir string, policy recorder.Retention, vault recorder.Fetcher, req console.CareRequest) (any, error) {
	name := who.From(ctx)
	switch req.Act {
	case console.CareHold:
		return Held{Folder: req.Folder}, s.Hold(req.Folder, recorder.Hold{Matter: req.Matter, Who: name, Why: req.Why})
	case console.CareUnhold:
		left, err := s.Unhold(req.Folder, req.Matter, name, req.Why)
		return Held{req.Folder, left}, err
	case console.CareErase:
		return s.Erase(ctx, req.Folder, name, req.Why)
	case console.CareFetch:
		if vault == nil {
			return nil, errNoVault
		}
		return s.Fetch(ctx, vault, req.Folder, name, req.Why)
	}
	cfg := recorder.PruneConfig{Who: name, Why: "retention", Most: req.Most, ClockIsRight: req.ClockIsRight, Due: dueOf(ctx, dir, time.Now())}
	if req.Why != "" {
		cfg.Why = req.Why
	}
	if req.Reclass {
		cfg.Reclass, cfg.Due = &policy, nil
	}
	return s.Prune(ctx, cfg)
}

// dueOf gives what may be past its time, by the catalog; where there is none, all recordings.
func dueOf(ctx context.Context, dir string, now time.Time) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if r, err := catalog.Open(ctx, dir); err == nil {
			defer r.Close() //nolint:errcheck // it was only read
			r.Due(ctx, now)(yield)
			return
		}
		c, err := recorder.OpenCatalog(dir)
		if err != nil {
			yield("", err)
			return
		}
		defer c.Close() //nolint:errcheck // it was only read
		c.All()(yield)
	}
}

// Care does something with recordings; see console.Carer.
func (b backend) Care(ctx context.Context, req console.CareRequest) (any, error) {
	s := b.ep.Store()
	if s == nil {
		return nil, errors.New("this daemon records nothing")
	}
	var from recorder.Fetcher
	if v := b.ep.Vault(); v != nil {
		from = v
	}
	return careOf(ctx, s, b.record.Dir, b.record.Retention.Policy(), from, req)
}

// lives keeps what a daemon has of its recordings besides themselves: the list of them, and the erasure of what is past its time.
func (d *daemon) lives(run also) {
	c := d.config.Config
	s := d.ep.Store()
	if s == nil {
		return
	}
	run("catalog", d.catalog.Run)
	at, daily, err := c.Record.Retention.PruneAt()
	zone, e := time.LoadLocation(c.Timezone)
	if err != nil || e != nil || !daily { // check has refused what can't be read
		return
	}
	run("prune", func(ctx context.Context) error {
		return s.PruneDaily(ctx, at, zone, func(now time.Time) iter.Seq2[string, error] { return dueOf(ctx, c.Record.Dir, now) })
	})
}

// care has something done with recordings of a directory: by the daemon, where one runs, else by ourselves, under the directory's lock.
func (c *cli) care(ctx context.Context, p *process, dir string, reqs []console.CareRequest, each func(console.CareRequest, any, error) error) error {
	l, _ := config.Peek(c.input(p))
	record, socket := config.Record{Dir: dir, Sign: hasLog(dir)}, config.Config{Record: config.Record{Dir: dir}}.SocketPath()
	if l != nil && sameFolder(l.Config.Record.Dir, dir) {
		record, socket = l.Config.Record, l.Config.SocketPath()
		record.Sign = record.Sign || hasLog(dir) // a log that is there names what is done, whatever the daemon would do
	}
	cl, err := console.Dial(ctx, socket)
	if err == nil {
		defer cl.Close() //nolint:errcheck // idle connections only
		for _, req := range reqs {
			raw, err := cl.Care(ctx, req)
			if err := each(req, raw, err); err != nil {
				return err
			}
		}
		return nil
	}
	if n := (*console.NotRunningError)(nil); !errors.As(err, &n) {
		return err
	}
	if err := mayWriteLog(dir, record); err != nil {
		return err
	}
	cfg := recorder.Config{Dir: dir, Sign: record.Sign, KeyFile: record.KeyFile, Retention: record.Retention.Policy(), Log: newLog(config.Log{Level: "warn"}, p.err)}
	if _, err := os.Lstat(filepath.Join(dir, "vault")); err == nil {
		cfg.Erasers = []recorder.Eraser{vaultLater{}}
	}
	s, err := recorder.New(cfg)
	if errors.Is(err, recorder.ErrInUse) {
		return &hinted{err, "a daemon has the folder and does not answer on " + socket + ": name its configuration with -c, or stop it"}
	}
	if err != nil {
		return err
	}
	ctx = who.With(ctx, self())
	if err := s.FinishErasures(ctx); err != nil {
		fmt.Fprintln(p.err, "earshot: warning:", err)
	}
	from, endReading := c.vaultOf(p, dir)
	defer endReading()
	for _, req := range reqs {
		done, err := careOf(ctx, s, dir, record.Retention.Policy(), from, req)
		if err := each(req, done, err); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	return s.Close()
}

// vaultLater has the copy in the vault be erased by the daemon, who can.
type vaultLater struct{}

func (vaultLater) Erase(context.Context, string) error {
	return errors.New("the vault is asked by the daemon, when it runs")
}

// hasLog tells whether a directory's recordings are named in an evidence log.
func hasLog(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, evidence.DirName, evidence.LogName))
	return err == nil
}

// mayWriteLog sees that what is done can be named in the log that is there: none is begun anew for a command's sake, as a daemon would.
func mayWriteLog(dir string, record config.Record) error {
	if !hasLog(dir) {
		return nil
	}
	file := record.KeyFile
	if file == "" {
		file = filepath.Join(dir, evidence.DirName, evidence.KeyName)
	}
	key, err := evidence.LoadKey(file)
	if err != nil {
		return &hinted{fmt.Errorf("the evidence log has to name what is done: %w", err), "run it as the daemon's user, and with -c where record.key_file names the key"}
	}
	log, err := evidence.OpenLog(filepath.Join(dir, evidence.DirName, evidence.LogName), key)
	if err != nil {
		return &hinted{fmt.Errorf("the evidence log has to name what is done: %w", err), "earshot recordings verify says what is wrong with it; a daemon begins another one when it starts"}
	}
	return log.Close()
}
