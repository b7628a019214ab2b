package console_test

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/earshot/earshot/console"
)

// asker is a Backend that answers questions as well.
type asker struct{ backend }

func (asker) Account(_ context.Context, question string, params url.Values) (any, error) {
	if question == "secrets" {
		return nil, errors.New("secrets: want calls")
	}
	return map[string]string{"question": question, "peak": params.Get("peak")}, nil
}

func TestAQuestionToTheAccountGoesThroughTheSocket(t *testing.T) {
	path := t.TempDir() + "/s.sock"
	c, err := console.NewControl(console.ControlConfig{Socket: path, Backend: asker{nobody}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, c.Run)
	client := dial(t, path)
	got, err := client.Account(t.Context(), "calls", url.Values{"peak": {"7"}})
	if err != nil || string(got) != `{"peak":"7","question":"calls"}` {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := client.Account(t.Context(), "secrets", nil); err == nil || err.Error() != "secrets: secrets: want calls" {
		t.Errorf("got %v, want the backend's error", err)
	}
}

func TestABackendWithoutAccountsSaysSo(t *testing.T) {
	path, _ := control(t, func(context.Context, console.ListenRequest, io.Writer) error { return nil })
	if _, err := dial(t, path).Account(t.Context(), "calls", nil); err == nil || !strings.Contains(err.Error(), "no RingCentral login") {
		t.Errorf("got %v", err)
	}
}
