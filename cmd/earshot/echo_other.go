//go:build !linux

package main

import (
	"errors"
	"os"
)

// echoOff is for Linux only.
func echoOff(*os.File) (show func(), err error) { return nil, errors.ErrUnsupported }
