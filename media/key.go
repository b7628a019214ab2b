package media

import (
	"bytes"
	"fmt"
	"log/slog"
)

// hidden is what a key shows wherever it is printed.
const hidden = "***"

// Format hides the key from every verb of fmt.
func (k Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// String hides the key.
func (k Key) String() string { return hidden }

// MarshalText hides the key from JSON and YAML.
func (k Key) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the key from slog.
func (k Key) LogValue() slog.Value { return slog.StringValue(hidden) }

// clone copies the key's octets, so that the caller may wipe its own.
func (k Key) clone() Key {
	return Key{Suite: k.Suite, Master: bytes.Clone(k.Master), Salt: bytes.Clone(k.Salt), MKI: bytes.Clone(k.MKI)}
}

// equal tells whether both name one cryptographic context.
func (k Key) equal(o *Key) bool {
	return o != nil && k.Suite == o.Suite && bytes.Equal(k.Master, o.Master) && bytes.Equal(k.Salt, o.Salt) &&
		bytes.Equal(k.MKI, o.MKI)
}
