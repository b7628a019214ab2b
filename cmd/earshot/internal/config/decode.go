package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decode puts defaults and values into l.Config.
func (l *Loaded) decode() []error {
	var bad []error
	for _, f := range l.keys {
		if f.isListOfSections {
			continue
		}
		v, ok := l.values[f.path]
		if !ok {
			if f.def == "" {
				continue
			}
			v = value{text: f.def, source: "default"}
		}
		if err := f.set(f.target(&l.Config), v); err != nil {
			bad = append(bad, fmt.Errorf("%s: %s: %w", v.source, f.path, err))
			l.broken[f.path] = true
		}
	}
	return bad
}

func (f field) set(at reflect.Value, v value) error {
	shown := func(s string) string {
		if f.secret() {
			return "***"
		}
		return s
	}
	if v.isList && f.typ.Kind() != reflect.Slice {
		return errors.New("a list: want one value")
	}
	if f.typ.Kind() == reflect.Slice {
		return f.setList(at, v)
	}
	if len(f.oneof) > 0 && !slices.Contains(f.oneof, v.text) {
		return fmt.Errorf("%s: want %s", shown(v.text), orList(f.oneof))
	}
	switch at.Interface().(type) {
	case time.Duration:
		d, err := time.ParseDuration(v.text)
		if err != nil {
			return fmt.Errorf("%s: want a duration such as 60ms", v.text)
		}
		if err := f.inRange(d); err != nil {
			return err
		}
		at.SetInt(int64(d))
		return nil
	case Room:
		r, err := parseRoom(v.text)
		if err != nil {
			return err
		}
		at.Set(reflect.ValueOf(r))
		return nil
	case Ports:
		p, err := parsePorts(v.text)
		if err != nil {
			return err
		}
		at.Set(reflect.ValueOf(p))
		return nil
	}
	switch f.typ.Kind() {
	case reflect.String:
		at.SetString(v.text)
	case reflect.Bool:
		b, err := strconv.ParseBool(v.text)
		if err != nil {
			return fmt.Errorf("%s: want true or false", v.text)
		}
		at.SetBool(b)
	case reflect.Int:
		n, err := strconv.Atoi(v.text)
		if err != nil {
			return fmt.Errorf("%s: want a whole number", v.text)
		}
		if lo, err := strconv.Atoi(f.min); err == nil && n < lo {
			return fmt.Errorf("%d: want %d or more", n, lo)
		}
		if hi, err := strconv.Atoi(f.max); err == nil && n > hi {
			return fmt.Errorf("%d: want %d or less", n, hi)
		}
		at.SetInt(int64(n))
	default:
		panic("config: no decoder for " + f.typ.String())
	}
	return nil
}

func (f field) setList(at reflect.Value, v value) error {
	list := v.list
	if !v.isList {
		list = nil
		for _, s := range strings.Split(v.text, ",") {
			if s = strings.TrimSpace(s); s != "" {
				list = append(list, s)
			}
		}
	}
	for _, s := range list {
		if len(f.oneof) > 0 && !slices.Contains(f.oneof, s) {
			return fmt.Errorf("%s: want %s", s, orList(f.oneof))
		}
	}
	at.Set(reflect.ValueOf(slices.Clone(list)))
	return nil
}

func (f field) inRange(d time.Duration) error {
	if lo, err := time.ParseDuration(f.min); err == nil && d < lo {
		return fmt.Errorf("%v: want %v or more", d, lo)
	}
	if hi, err := time.ParseDuration(f.max); err == nil && d > hi {
		return fmt.Errorf("%v: want %v or less", d, hi)
	}
	return nil
}

func parsePorts(s string) (Ports, error) {
	lo, hi, ok := strings.Cut(s, "-")
	a, errA := strconv.ParseUint(strings.TrimSpace(lo), 10, 16)
	b, errB := strconv.ParseUint(strings.TrimSpace(hi), 10, 16)
	switch {
	case !ok || errA != nil || errB != nil:
		return Ports{}, fmt.Errorf("%s: want a range of ports such as 20000-29999", s)
	case a == 0 && b == 0:
		return Ports{}, nil
	case a < 1024 || b < a+3:
		return Ports{}, fmt.Errorf("%s: want at least four ports from 1024 up", s)
	}
	return Ports{Min: uint16(a), Max: uint16(b)}, nil
}

func orList(s []string) string {
	if len(s) == 1 {
		return s[0]
	}
	return strings.Join(s[:len(s)-1], ", ") + " or " + s[len(s)-1]
}
