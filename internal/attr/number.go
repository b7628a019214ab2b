package attr

import (
	"log/slog"
	"strings"
)

const keyNumber = "number"

// PhoneNumber is a person's number. It prints as +1650*****23: enough to tell two calls apart, not to call back.
type PhoneNumber string

// String hides the middle.
func (n PhoneNumber) String() string {
	const shown = 5 + 2
	if len(n) <= shown {
		return strings.Repeat("*", len(n))
	}
	return string(n[:5]) + strings.Repeat("*", len(n)-shown) + string(n[len(n)-2:])
}

// MarshalText is String, for text and JSON handlers.
func (n PhoneNumber) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// Number is a person's number; empty gives an empty attribute, which handlers leave out. See ShowNumbers.
func Number(n string) slog.Attr {
	if n == "" {
		return slog.Attr{}
	}
	return slog.Any(keyNumber, PhoneNumber(n))
}

// ShowNumbers is a ReplaceAttr of slog.HandlerOptions with which numbers are written whole.
func ShowNumbers(_ []string, a slog.Attr) slog.Attr {
	if n, ok := a.Value.Any().(PhoneNumber); ok {
		a.Value = slog.StringValue(string(n))
	}
	return a
}
