// Package media turns packets into frames.
package media
