package who

import (
	"context"
	"fmt"
	"os/user"
	"strconv"
)

// Self is who acts where nobody asked: earshot by its configuration.
const Self = "earshot"

type (
	key    struct{}
	whyKey struct{}
)

// With gives a context in which name acts.
func With(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, key{}, name)
}

// From says who acts; Self, where nobody was named.
func From(ctx context.Context) string {
	if name, ok := ctx.Value(key{}).(string); ok && name != "" {
		return name
	}
	return Self
}

// Because gives a context in which things are done for a reason, as it was told.
func Because(ctx context.Context, why string) context.Context {
	if why == "" {
		return ctx
	}
	return context.WithValue(ctx, whyKey{}, why)
}

// Why gives the reason; empty: none was told.
func Why(ctx context.Context) string {
	why, _ := ctx.Value(whyKey{}).(string)
	return why
}

// Process names a process of this machine by its user, such as "uid 1000 (anna), pid 77". The name in brackets is the machine's at this time, the numbers are the kernel's.
func Process(uid uint32, pid int32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil && u.Username != "" {
		return fmt.Sprintf("uid %s (%s), pid %d", id, u.Username, pid)
	}
	return fmt.Sprintf("uid %s, pid %d", id, pid)
}
