// Package recorder writes calls to disk.
package recorder
