//go:build !unix

package evidence

import "os"

// Without file locks one process only may append.
func lock(*os.File) error       { return nil }
func lockShared(*os.File) error { return nil }
func unlock(*os.File) error     { return nil }
