package attr_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshot/earshot/internal/attr"
)

func text(t *testing.T, every time.Duration) (*slog.Logger, *bytes.Buffer) {
	t.Helper()
	var b bytes.Buffer
	h := slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	return slog.New(attr.Limit(h, every)), &b
}

type stringer string

func (s stringer) String() string { return string(s) }

func TestAttributesHaveTheirKeys(t *testing.T) {
	log, out := text(t, 0)
	type trackID uint32
	log.Info("x", attr.Call("s-1"), attr.Leg("l"), attr.Track(trackID(2)), attr.Party("p-2"), attr.Agent("108"),
		attr.SSRC(0xabc), attr.Pos(160), attr.Remote(netip.MustParseAddrPort("192.0.2.1:5060")), attr.Sink("asr"),
		attr.Cause(stringer("hangup")), attr.Reason("stray"), attr.Err(errors.New("boom")), attr.Err(nil))
	want := "level=INFO msg=x call=s-1 leg=l track=2 party=p-2 agent=108 ssrc=00000abc pos=160 remote=192.0.2.1:5060 " +
		"sink=asr cause=hangup reason=stray err=boom\n"
	if got := out.String(); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestRepeatedWarningIsOneLineAMinuteWithItsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := text(t, time.Minute)
		for i := range 150 { // one a second: at 0 s, 60 s and 120 s
			log.Warn("sync failed", attr.Call(fmt.Sprint(i)), attr.Err(errors.New("disk full")))
			time.Sleep(time.Second)
		}
		want := `level=WARN msg="sync failed" call=0 err="disk full"
level=WARN msg="sync failed" call=60 err="disk full" count=60
level=WARN msg="sync failed" call=120 err="disk full" count=60
`
		if got := out.String(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

func TestLimitTellsTroublesApart(t *testing.T) {
	for name, c := range map[string]struct {
		say  func(*slog.Logger, int)
		want int // lines of 10
	}{
		"info always passes":            {func(l *slog.Logger, _ int) { l.Info("call joined") }, 10},
		"same warning":                  {func(l *slog.Logger, _ int) { l.Warn("w") }, 1},
		"same error":                    {func(l *slog.Logger, _ int) { l.Error("w") }, 1},
		"another err":                   {func(l *slog.Logger, i int) { l.Warn("w", attr.Err(fmt.Errorf("code %d", 400+i))) }, 10},
		"another port":                  {func(l *slog.Logger, i int) { l.Warn("w", attr.Err(fmt.Errorf("port %d reset", 40000+i))) }, 1},
		"another call":                  {func(l *slog.Logger, i int) { l.Warn("w", attr.Call(fmt.Sprint(i))) }, 1},
		"another reason":                {func(l *slog.Logger, i int) { l.Warn("w", attr.Reason(fmt.Sprint(i))) }, 10},
		"another message":               {func(l *slog.Logger, i int) { l.Warn(fmt.Sprint("w", i)) }, 10},
		"derived loggers share":         {func(l *slog.Logger, i int) { l.With("n", i).Warn("w") }, 1},
		"err of a derived logger tells": {func(l *slog.Logger, i int) { l.With(attr.Err(fmt.Errorf("e%d", i))).Warn("w") }, 10},
		"groups share":                  {func(l *slog.Logger, i int) { l.WithGroup(fmt.Sprint("g", i)).Warn("w") }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			log, out := text(t, time.Minute)
			for i := range 10 {
				c.say(log, i)
			}
			if got := strings.Count(out.String(), "\n"); got != c.want {
				t.Errorf("%d lines, want %d:\n%s", got, c.want, out)
			}
		})
	}
}

func TestEverNewTextsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, out := text(t, time.Minute)
		for i := range 3000 {
			log.Warn(fmt.Sprint("m", i))
		}
		if got := strings.Count(out.String(), "\n"); got != 257 {
			t.Errorf("%d lines in the first minute, want 256 and one for the others", got)
		}
		time.Sleep(time.Minute)
		out.Reset()
		log.Warn("a new one")
		if got := out.String(); !strings.Contains(got, "a new one") || strings.Contains(got, "count") {
			t.Errorf("after a minute: got %q, want the new line", got)
		}
	})
}
