package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/internal/who"
)

// masker is a Backend that writes down what is to be masked.
type masker struct {
	backend
	got *string
}

func (m masker) note(ctx context.Context, what, call, agent string, back, long time.Duration) (any, error) {
	*m.got = fmt.Sprintf("%s %q %q %v %v %q", what, call, agent, back, long, who.Why(ctx))
	switch {
	case who.From(ctx) != me():
		return nil, fmt.Errorf("by %q", who.From(ctx))
	case call == "gone":
		return nil, fmt.Errorf("gone: %w", console.ErrNoCall)
	case long > time.Minute:
		return nil, fmt.Errorf("%w: too long", console.ErrBadMask)
	case call == "broken":
		return nil, errors.New("broken")
	}
	return map[string]bool{"masked": what == "mask"}, nil
}

func (m masker) Mask(ctx context.Context, call, agent string, back, long time.Duration) (any, error) {
	return m.note(ctx, "mask", call, agent, back, long)
}

func (m masker) Unmask(ctx context.Context, call, agent string) (any, error) {
	return m.note(ctx, "unmask", call, agent, 0, 0)
}

func TestMasksAreAskedForOverTheSocket(t *testing.T) {
	var got string
	path := t.TempDir() + "/earshot.sock"
	c, err := console.NewControl(console.ControlConfig{Socket: path, Backend: masker{nobody, &got}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, c.Run)
	cl := dial(t, path)
	for _, x := range []struct {
		name, call string
		unmask     bool
		req        console.MaskRequest
		want       string // what the backend hears; empty: nothing
		is         error
		text       string
	}{
		{"by its id", "s-1/2", false, console.MaskRequest{Back: "1.5s", For: "30s", Why: "card"}, `mask "s-1/2" "" 1.5s 30s "card"`, nil, ""},
		{"by its agent", console.ByAgent, false, console.MaskRequest{Agent: "108"}, `mask "" "108" 0s 0s ""`, nil, ""},
		{"unmask", "s-1", true, console.MaskRequest{Why: "done"}, `unmask "s-1" "" 0s 0s "done"`, nil, ""},
		{"no such call", "gone", false, console.MaskRequest{}, `mask "gone" "" 0s 0s ""`, console.ErrNoCall, "gone"},
		{"the daemon's no", "s-1", false, console.MaskRequest{For: "2m"}, `mask "s-1" "" 0s 2m0s ""`, nil, "too long"},
		{"broken", "broken", false, console.MaskRequest{}, `mask "broken" "" 0s 0s ""`, nil, "broken"},
		{"no duration", "s-1", false, console.MaskRequest{Back: "5"}, "", nil, `back: got "5", want a duration such as 5s`},
		{"a negative one", "s-1", false, console.MaskRequest{For: "-5s"}, "", nil, "want a duration"},
		{"unmask for a while", "s-1", true, console.MaskRequest{For: "5s"}, "", nil, "unmask takes no back"},
		{"both names", "s-1", false, console.MaskRequest{Agent: "108"}, "", nil, "want a call's id"},
		{"no name", console.ByAgent, false, console.MaskRequest{}, "", nil, "want a call's id"},
		{"a long story", "s-1", false, console.MaskRequest{Why: strings.Repeat("x", 1025)}, "", nil, "1024 octets"},
	} {
		t.Run(x.name, func(t *testing.T) {
			got = ""
			do := cl.Mask
			if x.unmask {
				do = cl.Unmask
			}
			answer, err := do(t.Context(), x.call, x.req)
			if got != x.want || (err == nil) != (x.text == "") {
				t.Fatalf("got %q, %v; want %q, %q", got, err, x.want, x.text)
			}
			if err != nil && (!strings.Contains(err.Error(), x.text) || x.is != nil && !errors.Is(err, x.is)) {
				t.Errorf("got %v, want %q", err, x.text)
			}
			var m struct{ Masked *bool }
			if err == nil && (json.Unmarshal(answer, &m) != nil || m.Masked == nil || *m.Masked == x.unmask) {
				t.Errorf("answer: %s", answer)
			}
		})
	}
}

// TestAMaskNeedsNoBody: a person with curl.
func TestAMaskNeedsNoBody(t *testing.T) {
	var got string
	path := t.TempDir() + "/earshot.sock"
	c, err := console.NewControl(console.ControlConfig{Socket: path, Backend: masker{nobody, &got}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, c.Run)
	web := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	defer web.CloseIdleConnections()
	for body, want := range map[string]int{"": 200, `{"bakc":"5s"}`: 400, "{": 400} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://earshot/calls/s-1/mask", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := web.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%q: got %d %s, want %d", body, resp.StatusCode, text, want)
		}
	}
}
