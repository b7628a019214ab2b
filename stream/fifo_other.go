//go:build !unix

package stream

import (
	"errors"
	"os"
)

func makeFIFO(string) error { return errors.ErrUnsupported }

func openFIFO(string) (*os.File, error) { return nil, errors.Join(errNoFIFO, errNoReader) }
