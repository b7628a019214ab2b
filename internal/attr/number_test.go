package attr_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/earshot/earshot/internal/attr"
)

func TestNumbersAreHiddenUnlessTheyAreToBeShown(t *testing.T) {
	for number, want := range map[string]string{"+16505550123": "+1650*****23", "101": "***", "": ""} {
		var text, json, whole bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("x", attr.Number(number))
		slog.New(slog.NewJSONHandler(&json, nil)).Info("x", attr.Number(number))
		slog.New(slog.NewTextHandler(&whole, &slog.HandlerOptions{ReplaceAttr: attr.ShowNumbers})).Info("x", attr.Number(number), attr.Agent("108"))
		if number == "" {
			if strings.Contains(text.String(), "number") {
				t.Errorf("no number: %s", text.String())
			}
			continue
		}
		if !strings.Contains(text.String(), "number="+want) || !strings.Contains(json.String(), `"number":"`+want+`"`) {
			t.Errorf("%s: got %s%s", number, text.String(), json.String())
		}
		if !strings.Contains(whole.String(), "number="+number) || !strings.Contains(whole.String(), "agent=108") {
			t.Errorf("%s, to be shown: got %s", number, whole.String())
		}
	}
}
