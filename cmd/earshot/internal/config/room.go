package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Room is free space on a disk: a size such as 5GB, or a share of all such as 5%. The zero Room is off.
type Room struct {
	Bytes   int64
	Percent float64
}

// units are what a size may end in.
var units = []struct {
	name  string
	bytes float64
}{{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"GIB", 1 << 30}, {"TIB", 1 << 40}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}}

func parseRoom(s string) (Room, error) {
	if s == "off" {
		return Room{}, nil
	}
	bad := fmt.Errorf("%s: want a size such as 5GB, a share such as 5%%, or off", s)
	if n, ok := strings.CutSuffix(s, "%"); ok {
		p, err := strconv.ParseFloat(strings.TrimSpace(n), 64)
		if err != nil || !(p > 0 && p < 100) {
			return Room{}, bad
		}
		return Room{Percent: p}, nil
	}
	for _, u := range units {
		n, ok := strings.CutSuffix(strings.ToUpper(s), u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(n), 64)
		if err != nil || !(v*u.bytes >= 1 && v*u.bytes < 1<<60) {
			return Room{}, bad
		}
		return Room{Bytes: int64(v * u.bytes)}, nil
	}
	return Room{}, bad
}

// String is the value as it is written.
func (r Room) String() string {
	switch {
	case r.Percent > 0:
		return strconv.FormatFloat(r.Percent, 'f', -1, 64) + "%"
	case r.Bytes == 0:
		return "off"
	}
	name, bytes := "KB", 1e3
	for _, u := range units[4:] {
		if float64(r.Bytes) >= u.bytes {
			name, bytes = u.name, u.bytes
		}
	}
	return strconv.FormatFloat(float64(r.Bytes)/bytes, 'f', -1, 64) + name
}
