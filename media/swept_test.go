package media

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
)

// diarist is a sink that writes down what it is asked for, in a book that several share.
type diarist struct {
	name   string
	book   *[]string
	panics bool
}

func (d *diarist) note(what string) { *d.book = append(*d.book, what+" "+d.name) }
func (d *diarist) Write(*Batch)     { d.note("write") }
func (d *diarist) End(call.Cause)   { d.note("end") }
func (d *diarist) Fetch() byte      { d.note("fetch"); return 1 }
func (d *diarist) Swept() {
	d.note("swept")
	if d.panics {
		panic("woke nobody")
	}
}

// writers are two calls that talk, with a diarist each; the book is empty.
func writers(t *testing.T, cfg Config) (c *crowd, all []*member, sinks []*diarist, book *[]string) {
	t.Helper()
	c, book = newCrowd(t, cfg), new([]string)
	for i, name := range []string{"a", "b"} {
		all = append(all, c.open(at("198.51.100.1", 4000+2*i), false))
		sinks = append(sinks, &diarist{name: name, book: book})
	}
	c.says(all[0], 20)
	c.says(all[1], 20)
	for i, m := range all {
		m.line.live.seats = nil
		m.line.Attach(sinks[i])
	}
	c.sweep()
	*book = nil
	return c, all, sinks, book
}

// count is how often something stands in the book, and where it does first and last.
func count(book []string, what string) (n, first, last int) {
	first = slices.IndexFunc(book, func(s string) bool { return strings.HasPrefix(s, what) })
	for i, s := range book {
		if strings.HasPrefix(s, what) {
			n, last = n+1, i
		}
	}
	return n, first, last
}

func TestWhoWakesOthersDoesSoOnceASweepAndAfterAllBatches(t *testing.T) {
	c, all, _, book := writers(t, Config{})
	for range 50 {
		*book = nil
		c.talk(all[0])
		c.talk(all[1])
		c.sweep()
		writes, _, newest := count(*book, "write")
		told, first, _ := count(*book, "swept")
		if writes != 2 || told != 2 || first < newest {
			t.Fatalf("got %v, want both written to, then both told", *book)
		}
	}
	*book = nil
	c.sweep() // brings nobody anything
	if n, _, _ := count(*book, "swept"); n > 0 {
		t.Errorf("got %v of a sweep without batches", *book)
	}
}

func TestABatchBetweenTwoSweepsIsFollowedBySwept(t *testing.T) {
	c, all, _, book := writers(t, Config{})
	all[0].line.Post(call.Event{Type: call.EventMaskOn})
	c.s.attend(c.e.start.Add(c.now))
	if !slices.Equal(*book, []string{"write a", "swept a"}) {
		t.Errorf("got %v", *book)
	}
}

func TestASinkThatPanicsInSweptIsEndedAndTheOthersLive(t *testing.T) {
	c, all, sinks, book := writers(t, Config{})
	sinks[0].panics = true
	for range 3 {
		c.talk(all[0])
		c.talk(all[1])
		c.sweep()
	}
	for what, want := range map[string]int{"write a": 1, "swept a": 1, "end a": 1, "write b": 3, "swept b": 3, "end b": 0} {
		if n, _, _ := count(*book, what); n != want {
			t.Errorf("%s: got %d, want %d, of %v", what, n, want, *book)
		}
	}
}

// TestSinksAreFetchedBeforeTheirTurnAndOnlyThen: what is fetched for nothing costs as much.
func TestSinksAreFetchedBeforeTheirTurnAndOnlyThen(t *testing.T) {
	c, all, _, book := writers(t, Config{})
	for range 20 {
		*book = nil
		c.talk(all[1])
		c.sweep()
		_, fetched, _ := count(*book, "fetch b")
		_, written, _ := count(*book, "write b")
		if n, _, _ := count(*book, "fetch"); n != 1 || fetched != 0 || written <= 0 {
			t.Fatalf("got %v, want b fetched once, and then written to", *book)
		}
	}
}

// TestATimelineOnTwoPortsIsFetchedOnce: with the first that is read.
func TestATimelineOnTwoPortsIsFetchedOnce(t *testing.T) {
	r := newRig(t, Config{}).commit(plainParams()).send(stream(1, 1, 0, 0, 200)...)
	other, port := r.open()
	commit, _, err := other.Prepare(plainParams())
	if err != nil {
		t.Fatal(err)
	}
	commit()
	for _, l := range stream(2, 1, 0, 0, 200) {
		l.from = wire
		port.queue = append(port.queue, l)
	}
	book := new([]string)
	for r.now < time.Second {
		if r.now == 500*ms {
			r.line.live.seats = []*seat{newSeat(&diarist{name: "a", book: book})}
		}
		*book = nil
		port.now = r.now + 20*ms
		r.until(r.now + 20*ms)
		if n, _, _ := count(*book, "fetch"); r.now > 500*ms && n != 1 {
			t.Fatalf("at %v: got %v, want one fetch", r.now, *book)
		}
	}
}
