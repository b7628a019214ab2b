package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// Input is where a configuration comes from.
type Input struct {
	File     string   // path of the YAML file; "" : none
	Required bool     // the file must exist
	EnvFile  string   // path of a .env file; "" : none
	EnvNeed  bool     // the .env file must exist
	Env      []string // NAME=value, as os.Environ
	Set      []string // key=value, from flags
}

// Loaded is a configuration whose values know their source.
type Loaded struct {
	Config   Config
	Warnings []string
	values   map[string]value
	keys     []field
	broken   map[string]bool // keys whose value could not be decoded: check says nothing more of them
}

// value is one setting as text, before it is decoded.
type value struct {
	text   string
	list   []string
	isList bool
	source string // "earshot.yaml:12", "RINGCENTRAL_JWT", "--set"
}

// Errors is all that is wrong, in the order of the file.
type Errors []error

func (e Errors) Error() string {
	s := make([]string, len(e))
	for i, err := range e {
		s[i] = err.Error()
	}
	return strings.Join(s, "\n")
}

// Load reads all layers and checks the result. The error is an Errors with one line per mistake; the result is then
// good for Warnings and Entries only: what could be read, beside the defaults.
func Load(in Input) (*Loaded, error) { return load(in, true) }

// Peek is Load for a client of the daemon: it asks for nothing that only the daemon needs, such as an account.
func Peek(in Input) (*Loaded, error) { return load(in, false) }

func load(in Input, whole bool) (*Loaded, error) {
	l := &Loaded{values: map[string]value{}, broken: map[string]bool{}}
	var bad Errors
	add := func(errs []error) { bad = append(bad, errs...) }

	counts := map[string]int{}
	if in.File != "" {
		b, err := os.ReadFile(in.File)
		switch {
		case err == nil:
			add(readYAML(in.File, b, l.values, counts, l.broken))
		case errors.Is(err, os.ErrNotExist) && !in.Required:
		default:
			add([]error{fmt.Errorf("%s: can't be read: %v: name an existing file with -c", in.File, errors.Unwrap(err))})
		}
	}
	env := envMap(in.Env)
	l.keys = fieldsOf(counts)
	if in.EnvFile != "" {
		add(fillFromEnvFile(env, l.keys, in.EnvFile, in.EnvNeed))
	}
	add(l.readEnv(env))
	add(l.readFlags(in.Set))
	add(l.decode())
	if readable := len(bad) == 0 || len(l.values) > 0; whole && readable {
		add(l.check())
	}
	if len(bad) > 0 {
		return l, bad
	}
	return l, nil
}

// Source tells where a key's value came from: a file with its line, a variable, a flag, or "default".
func (l *Loaded) Source(key string) string {
	if v, ok := l.values[key]; ok {
		return v.source
	}
	return "default"
}

// readEnv takes RingCentral's own variables, then EARSHOT_*; each also as ..._FILE.
func (l *Loaded) readEnv(env map[string]string) []error {
	var bad []error
	take := func(f field, name string) {
		if v, ok := env[name]; ok && v != "" {
			l.values[f.path] = value{text: v, source: name}
		}
		if !f.secret() {
			return
		}
		if path, ok := env[name+"_FILE"]; ok && path != "" {
			s, err := readSecretFile(path)
			if err != nil {
				bad = append(bad, fmt.Errorf("%s_FILE: %s: %v", name, f.path, err))
				l.broken[f.path] = true
				return
			}
			l.values[f.path] = value{text: s, source: name + "_FILE"}
		}
	}
	known := map[string]bool{}
	for _, f := range l.keys {
		for i := len(f.env) - 1; i >= 0; i-- { // the first name wins
			take(f, f.env[i])
		}
	}
	for _, f := range l.keys {
		name := envName(f.path)
		known[name], known[name+"_FILE"] = true, f.secret()
		take(f, name)
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if strings.HasPrefix(name, "EARSHOT_") && !known[name] {
			l.Warnings = append(l.Warnings, name+": no setting has this name, ignored: see `earshot config` for the keys")
		}
	}
	return bad
}

func (l *Loaded) readFlags(set []string) []error {
	var bad []error
	for _, s := range set {
		key, text, ok := strings.Cut(s, "=")
		if !ok {
			bad = append(bad, fmt.Errorf("--set %s: want key=value", s))
			continue
		}
		if _, known := findField(l.keys, key); !known {
			bad = append(bad, fmt.Errorf("--set %s: unknown key%s", key, suggest(key, l.keys)))
			continue
		}
		l.values[key] = value{text: text, source: "--set"}
	}
	return bad
}

func envName(path string) string {
	r := strings.NewReplacer(".", "_", "[", "_", "]", "")
	return "EARSHOT_" + strings.ToUpper(r.Replace(path))
}

func readSecretFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%w: name a readable file", err)
	}
	if len(b) > 64<<10 {
		return "", fmt.Errorf("%s: more than 64 KiB: that is no secret", path)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
