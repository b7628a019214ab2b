//go:build !linux

package endpoint

import "errors"

// fileLimit is not looked at here.
func fileLimit() (uint64, error) { return 0, errors.ErrUnsupported }
