//go:build !unix

package console

import "os"

// lockFile does nothing: here only a look whether somebody answers keeps two processes apart.
func lockFile(*os.File) error { return nil }
