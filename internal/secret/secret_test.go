package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/earshot/earshot/internal/secret"
)

func TestTextIsNeverPrinted(t *testing.T) {
	s := struct{ Password secret.Text }{"hunter2"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s.Password, "struct", s)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s.Password, "struct", s)
	j, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s.Password, s.Password) + string(j) + log.String()
	if strings.Contains(all, "hunter2") {
		t.Errorf("a secret was printed: %s", all)
	}
	if got := s.Password.Reveal(); got != "hunter2" {
		t.Errorf("Reveal: got %q", got)
	}
}
