package secret

// hidden is what a secret shows wherever it is printed.
const hidden = "***"

// Text is a secret: String, GoString, LogValue, JSON and YAML give ***, or nothing if it is empty. Reveal gives the text
// itself, to the one place that needs it.
type Text string

// Reveal gives the secret itself.
func (t Text) Reveal() string { return string(t) }

// String hides the secret.
func (t Text) String() string {
	if t == "" {
		return ""
	}
	return hidden
}

// GoString hides the secret from %#v.
func (t Text) GoString() string { return t.String() }

// MarshalText hides the secret from JSON and YAML, and from slog's JSON handler.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
