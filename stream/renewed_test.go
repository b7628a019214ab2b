package stream

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/call"
)

// brief is a session that ends with err once it was given so many messages.
type brief struct {
	deaf
	takes int
	err   error
	took  *[]stretch
}

func (b *brief) write(pos int64, octets []byte) error {
	if b.takes == 0 {
		return b.err
	}
	*b.took = append(*b.took, stretch{pos, pos + int64(len(octets))/2/3})
	if b.takes--; b.takes == 0 && errors.Is(b.err, errRenew) {
		return b.err
	}
	return nil
}

func (*brief) finish(context.Context) error { return nil }

// TestNoSampleIsLostWhereARenewedConnectionBreaksAtOnce: what the upsampler held back of the one before is in nobody's hands then.
func TestNoSampleIsLostWhereARenewedConnectionBreaksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var took []stretch
		dials := 0
		dial := func(context.Context, *link) (session, error) {
			dials++
			b := &brief{deaf: deaf{shut: make(chan struct{})}, took: &took, takes: 1 << 20}
			switch dials {
			case 1:
				b.takes, b.err = 20, errRenew
			case 2:
				b.takes, b.err = 0, errLeft
			}
			return b, nil
		}
		_, sink, stop, ran := speaks(t, Consumer{CatchUp: true, Rate: 24000}, 10*time.Second, dial, Options{Archive: quietArchive{}})
		sink.End(call.Cause{})
		synctest.Wait()
		stop()
		<-ran
		at := int64(0)
		for i, s := range took {
			if s.from > at {
				t.Fatalf("message %d begins at %d, those before end at %d", i, s.from, at)
			}
			at = max(at, s.to)
		}
		if dials != 3 || at != 80_000 {
			t.Errorf("%d connections were given all before %d, want 3 and 80000", dials, at)
		}
	})
}

// TestAConnectionIsToldWhereItBegins, to the sample, though the upsampler holds something back of the one before.
func TestAConnectionIsToldWhereItBegins(t *testing.T) {
	for name, c := range map[string]Consumer{"live": {Rate: 24000}, "catching up": {Rate: 24000, CatchUp: true}} {
		for _, why := range []error{errLeft, errRenew} {
			t.Run(name+", "+why.Error(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var froms []string
					var first []int64
					dial := func(_ context.Context, l *link) (session, error) {
						var took []stretch
						froms = append(froms, l.about.from)
						return &beginning{brief{deaf: deaf{shut: make(chan struct{})}, took: &took, takes: 5, err: why}, &first}, nil
					}
					_, sink, stop, ran := speaks(t, c, 10*time.Second, dial, Options{Archive: quietArchive{}})
					synctest.Wait()
					begun := slices.Clone(first) // where everything ends, what is behind is not waited for
					sink.End(call.Cause{})
					stop()
					<-ran
					if len(begun) < 3 {
						t.Fatalf("%d connections, want some", len(begun))
					}
					for i, pos := range begun {
						if froms[i] != strconv.FormatInt(pos, 10) {
							t.Errorf("connection %d: told that it begins at %s, want %d", i, froms[i], pos)
						}
					}
				})
			})
		}
	}
}

// beginning notes where a session's first message lies.
type beginning struct {
	brief
	first *[]int64
}

func (b *beginning) write(pos int64, octets []byte) error {
	if len(*b.took) == 0 {
		*b.first = append(*b.first, pos)
	}
	return b.brief.write(pos, octets)
}
