//go:build !linux

package sip

import "syscall"

func dialControl(_, _ string, _ syscall.RawConn) error { return nil }
