package config

import (
	"errors"
	"fmt"
	"os"
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

// fillFromEnvFile adds what the environment lacks; an empty variable counts as lacking.
func fillFromEnvFile(env map[string]string, path string, need bool) []error {
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
	for k, v := range m {
		if env[k] == "" {
			env[k] = v
		}
	}
	return nil
}
