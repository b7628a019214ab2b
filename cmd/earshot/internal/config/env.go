package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/joho/godotenv"
)

func envMap(environ []string) map[string]string {
	m := make(map[string]string, len(environ))
	for _, e := range environ {
		if k, v, ok := strings.Cut(e, "="); ok {
			m[k] = v
		}
	}
	return m
}

// fillFromEnvFile adds what the environment lacks: a variable is left out where the environment sets the same key, by this
// name or by another one of it. An empty variable counts as lacking.
func fillFromEnvFile(env map[string]string, keys []field, path string, need bool) []error {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) && !need {
			return nil
		}
		return []error{fmt.Errorf("%s: can't be read: %v: name an existing file with --env-file", path, errors.Unwrap(err))}
	}
	defer f.Close() //nolint:errcheck // read only
	m, err := godotenv.Parse(f)
	if err != nil {
		// The library quotes the line, which may hold a secret.
		return []error{fmt.Errorf("%s: not an .env file: want lines of NAME=value", path)}
	}
	given := map[string]bool{}
	for _, f := range keys {
		names := f.variables()
		if slices.ContainsFunc(names, func(n string) bool { return env[n] != "" }) {
			for _, n := range names {
				given[n] = true
			}
		}
	}
	for k, v := range m {
		if env[k] == "" && !given[k] {
			env[k] = v
		}
	}
	return nil
}
