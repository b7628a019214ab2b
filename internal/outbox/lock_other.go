//go:build !unix

package outbox

import "os"

// lockFile has no lock to take: one process a folder is the user's affair here.
func lockFile(*os.File) error { return nil }
