//go:build !race

package media

// Raced tells whether the race detector watches.
const Raced = false
