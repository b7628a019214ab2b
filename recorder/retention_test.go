package recorder

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/recorder/evidence"
)

func TestPeriodsAreStepsOfTheCalendar(t *testing.T) {
	from := time.Date(2028, 2, 29, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{"90d": "2028-05-29", "2w": "2028-03-14", "5y": "2033-03-01", "1y6w": "2029-04-12", "": "0001-01-01", " 7d ": "2028-03-07"} {
		p, err := ParsePeriod(text)
		if err != nil || p.From(from).Format(time.DateOnly) != want {
			t.Errorf("%q: got %s, %v, want %s", text, p.From(from).Format(time.DateOnly), err, want)
		}
		if again, err := ParsePeriod(p.String()); err != nil || again != p {
			t.Errorf("%q: %q is read as %+v, %v", text, p, again, err)
		}
	}
	for _, text := range []string{"90", "0d", "3m", "-1d", "1.5y", "201y", "99999999999999999999d", "d", "5 y", "for ever"} {
		if p, err := ParsePeriod(text); err == nil {
			t.Errorf("%q: got %+v, want that it is refused", text, p)
		}
	}
}

func TestTheFirstClassThatFitsCounts(t *testing.T) {
	day := Period{Days: 1}
	r := Retention{Default: Period{Days: 90}, Classes: []Class{
		{Name: "claims", Keep: Period{Years: 5}, Queues: []string{"500"}, Directions: []string{call.Inbound}},
		{Name: "board", Agents: []string{"101", "102"}},
		{Name: "abroad", Keep: day, Numbers: []string{"+44", "+49 30"}},
	}}
	if err := r.check(); err != nil {
		t.Fatal(err)
	}
	ended := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, want, until string
		m                 Manifest
	}{
		{"nothing fits", "default", "2027-02-21", Manifest{}},
		{"both of two lists", "claims", "2031-11-23", Manifest{Call: ManifestCall{Queues: []string{"9", "500"}, Direction: call.Inbound, Agent: "101"}}},
		{"one of two lists", "default", "2027-02-21", Manifest{Call: ManifestCall{Queues: []string{"500"}, Direction: call.Outbound}}},
		{"for ever", "board", "", Manifest{Call: ManifestCall{Agent: "102"}}},
		{"an agent who came later", "board", "", Manifest{Tracks: []Track{{Role: call.RoleAgent, Extension: "101"}}}},
		{"a number of the far side", "abroad", "2026-11-24", Manifest{Tracks: []Track{{Role: call.RoleCustomer, Number: "+44 20 7183 8750"}}}},
		{"a number that was expected", "abroad", "2026-11-24", Manifest{Call: ManifestCall{Expected: []call.Party{{Role: call.RoleCustomer, Number: "+49301234"}}}}},
		{"a number that came without its plus", "abroad", "2026-11-24", Manifest{Tracks: []Track{{Role: call.RoleCustomer, Number: "442071838750"}}}},
		{"a colleague's extension", "default", "2027-02-21", Manifest{Tracks: []Track{{Role: call.RoleCustomer, Number: "4401"}}}},
		{"the agent's own number", "default", "2027-02-21", Manifest{Tracks: []Track{{Role: call.RoleAgent, Number: "+442071838750"}}}},
	} {
		c.m.Ended = &ended
		k, until := r.Of(&c.m), ""
		if k.Until != nil {
			until = k.Until.Format(time.DateOnly)
		}
		if k.Class != c.want || until != c.until {
			t.Errorf("%s: got %s until %q, want %s until %q", c.name, k.Class, until, c.want, c.until)
		}
	}
	if k := (Retention{}).Of(&Manifest{}); k != nil {
		t.Errorf("nothing configured: got %+v", k)
	}
	for _, bad := range []Retention{{Classes: []Class{{Keep: day}}}, {Classes: []Class{{Name: "a"}, {Name: "a"}}}, {Classes: []Class{{Name: "default"}}}, {Classes: []Class{{Name: "a", Directions: []string{"up"}}}}} {
		if bad.check() == nil {
			t.Errorf("%+v: taken", bad)
		}
	}
}

func TestAClockThatJumpedIsNotBelieved(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC).AddDate(0, 0, n) }
	at := func(days ...int) (out []stamp) {
		for _, d := range days {
			out = append(out, stamp{at: day(d)})
		}
		return out
	}
	for _, c := range []struct {
		name string
		log  []stamp
		now  time.Time
		ok   bool
	}{
		{"nothing is known", nil, day(9999), true},
		{"each day", at(0, 1, 2), day(3), true},
		{"a pause of a month", at(0, 1), day(32), true},
		{"years later", at(0, 1), day(3650), false},
		{"years later, and leaves were written since", at(0, 1, 3650, 3651), day(3652), false},
		{"it was set right", at(0, 1, 3650, 2), day(3), true},
		{"somebody said that it is right", append(at(0, 1), stamp{day(60), true}), day(61), true},
		{"and then it jumped again", append(at(0, 1), stamp{day(60), true}), day(600), false},
		{"it went back by a day", at(0, 5), day(4), false},
		{"it went back by a minute", at(0, 5), day(5).Add(-time.Minute), true},
		{"it shows 1970", at(0, 5), time.Unix(0, 0), false},
		{"a jump to the past", append(at(0, 5), stamp{at: time.Unix(0, 0)}), day(6), true},
	} {
		if err := plausible(c.log, c.now); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrClock) {
			t.Errorf("%s: got %v, want it believed: %v", c.name, err, c.ok)
		}
	}
}

func TestAJumpOfYearsErasesNothing(t *testing.T) {
	k := newShop(t, Config{Retention: Retention{Default: Period{Days: 90}}})
	folder := k.record(time.Hour)
	years := PruneConfig{Who: "uid 7", Now: time.Now().AddDate(10, 0, 0)}
	if p, err := k.s.Prune(t.Context(), years); !errors.Is(err, ErrClock) || p.Erased != 0 {
		t.Fatalf("got %+v, %v, want ErrClock", p, err)
	}
	k.check("after the jump")
	years.ClockIsRight = true
	p, err := k.s.Prune(t.Context(), years)
	if err != nil || p.Erased != 1 || p.Items[0].Folder != folder {
		t.Errorf("with somebody's word: got %+v, %v, want it erased", p, err)
	}
	named := false
	for _, l := range leavesOf(t, k.dir) {
		named = named || l.Act == actClock && l.Who == "uid 7"
	}
	if !named {
		t.Error("the log does not name who said that the clock is right")
	}
}

func TestARunIsBoundedAndTheNextGoesOn(t *testing.T) {
	k := newShop(t, Config{Retention: shortFor})
	for range 5 {
		k.record(time.Hour, func(i *call.Info) { i.Agent = "1" })
	}
	dry := inTenDays
	dry.DryRun = true
	if p, err := k.s.Prune(t.Context(), dry); err != nil || p.Erased != 5 || p.Items[0].State != "due" || p.More {
		t.Fatalf("dry: got %+v, %v, want 5 due", p, err)
	}
	k.check("after a dry run")
	some := inTenDays
	some.Most = 3
	for _, want := range []int{3, 2, 0} {
		p, err := k.s.Prune(t.Context(), some)
		if err != nil || p.Erased != want || p.More != (want == 3) {
			t.Errorf("got %s, %v, want %d erased", p, err, want)
		}
	}
}

func TestTheManifestHoldsUnlessItIsToldAnew(t *testing.T) {
	k := newShop(t, Config{Retention: Retention{Default: Period{Years: 5}}})
	k.record(time.Hour)
	k.stop()
	k.cfg.Retention = Retention{Default: Period{Days: 1}} // shorter, by a change of the configuration
	k.begin()
	k.record(time.Hour)
	if p, err := k.s.Prune(t.Context(), inTenDays); err != nil || p.Erased != 1 || p.Looked != 2 {
		t.Errorf("got %s, %v, want the one of after the change erased", p, err)
	}
	anew := inTenDays
	anew.Reclass = &k.cfg.Retention
	if p, err := k.s.Prune(t.Context(), anew); err != nil || p.Erased != 1 {
		t.Errorf("told anew: got %s, %v, want the other one erased", p, err)
	}
}

func TestOfAListTheManifestIsTheTruth(t *testing.T) {
	k := newShop(t, Config{Retention: shortFor})
	long, short := k.record(time.Hour), k.record(time.Hour, func(i *call.Info) { i.Agent = "1" })
	lying := inTenDays
	lying.Due = func(yield func(string, error) bool) { // a list that is damaged
		_ = yield(long, nil) && yield("../../etc", nil) && yield("2026/11/23/20261123T101500Z_none", nil) && yield(short, nil) && yield(short, nil)
	}
	p, err := k.s.Prune(t.Context(), lying)
	if err != nil || p.Erased != 1 || p.Failed != 1 { // named twice, erased once
		t.Errorf("got %+v, %v, want the short one erased", p, err)
	}
	delete(k.there, short)
	k.erased[short] = true
	k.check("after it")
}

func TestThePruneComesOnceADay(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 28, 1, 0, 0, 0, time.UTC)
	var got []string
	for range 3 { // the clock is put forward on the 29th
		now = nextDaily(now, 3*time.Hour, zone)
		got = append(got, now.In(zone).Format("02 15:04"))
	}
	if want := "[28 03:00 29 03:00 30 03:00]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	synctest.Test(t, func(t *testing.T) {
		k := &Store{cfg: Config{Dir: t.TempDir()}}
		asked := 0
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- k.PruneDaily(ctx, 3*time.Hour, time.UTC, func(time.Time) iter.Seq2[string, error] { asked++; return nil })
		}()
		time.Sleep(72 * time.Hour)
		cancel()
		if err := <-done; err != nil || asked != 0 { // without the directory's lock it is another process's work
			t.Errorf("%v, asked %d times without the lock", err, asked)
		}
	})
}

func TestErasureIsNamedToWhoAsksForIt(t *testing.T) {
	k := newShop(t, Config{})
	folder, taken := k.record(time.Hour), k.record(time.Hour)
	if _, err := k.s.Erase(t.Context(), folder, "uid 7 (anna)", "she asked"); err != nil {
		t.Fatal(err)
	}
	succeed(t, k.s.root.RemoveAll(taken))
	cat, err := OpenCatalog(k.dir)
	succeed(t, err)
	defer cat.Close()
	key, err := evidence.LoadPublic(cat.Dir(evidence.DirName + "/" + evidence.PublicKeyName))
	succeed(t, err)
	v, err := cat.Verify(t.Context(), VerifyConfig{Key: key, Names: []string{"s-1", "s-2", "s-3"}})
	succeed(t, err)
	if v.Erased != 1 || len(v.Erasures) != 1 || v.Erasures[0].Folder != folder || v.Erasures[0].Who != "uid 7 (anna)" || v.Erasures[0].Why != "she asked" {
		t.Errorf("got %+v, want who erased s-1, and why", v)
	}
	if len(v.Findings) != 2 || v.Findings[0].What != taken || v.Findings[1].What != "s-3" {
		t.Errorf("got %+v, want s-2 missing, and s-3 not known", v.Findings)
	}
}
