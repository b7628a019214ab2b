//go:build race

package media

// Raced: tests of many hours are cut short, for each step takes ten times as long.
const Raced = true
