// Package secret holds [Text], a string that is never printed.
//
// It imports the standard library only and may be imported by every room.
package secret
