//go:build !unix

package stream

import (
	"errors"
	"os"
)

func openFIFO(string) (*os.File, error) {
	return nil, errors.Join(errNoFIFO, errNoReader, errors.ErrUnsupported)
}
