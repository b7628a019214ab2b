package console_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/earshot/earshot/console"
	"github.com/earshot/earshot/internal/who"
)

type carer struct {
	backend
	care func(ctx context.Context, r console.CareRequest) (any, error)
}

func (c carer) Care(ctx context.Context, r console.CareRequest) (any, error) { return c.care(ctx, r) }

func TestRecordingsAreCaredForInTheNameOfWhoAsks(t *testing.T) {
	var by string
	var got console.CareRequest
	path := t.TempDir() + "/earshot.sock"
	c, err := console.NewControl(console.ControlConfig{Socket: path, Backend: carer{nobody, func(ctx context.Context, r console.CareRequest) (any, error) {
		by, got = who.From(ctx), r
		if r.Folder == "held" {
			return nil, errors.New("on legal hold")
		}
		return map[string]int{"left": 2}, nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, c.Run)
	want := console.CareRequest{Act: console.CareUnhold, Folder: "2026/11/23/x", Matter: "m", Why: "settled"}
	raw, err := dial(t, path).Care(t.Context(), want)
	if err != nil || got != want || by != me() || string(raw) != `{"left":2}` {
		t.Errorf("got %s, %+v by %q, %v", raw, got, by, err)
	}
	if _, err := dial(t, path).Care(t.Context(), console.CareRequest{Act: console.CareErase, Folder: "held", Why: "x"}); err == nil || !strings.Contains(err.Error(), "on legal hold") {
		t.Errorf("held: got %v", err)
	}
	for _, r := range []console.CareRequest{
		{}, {Act: "delete", Folder: "x", Why: "x"}, {Act: console.CareErase, Why: "x"}, {Act: console.CareErase, Folder: "x"},
		{Act: console.CarePrune, Folder: "x"}, {Act: console.CareHold, Folder: "x", Why: strings.Repeat("x", 2000)},
	} {
		got = console.CareRequest{}
		if _, err := dial(t, path).Care(t.Context(), r); err == nil || got != (console.CareRequest{}) {
			t.Errorf("%.60v: got %v, and the backend %v", r, err, got)
		}
	}
}
