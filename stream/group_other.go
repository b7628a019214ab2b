//go:build !unix

package stream

import "os/exec"

// Elsewhere there are no groups: the process itself is ended, and at once.
func ownGroup(*exec.Cmd)      {}
func terminate(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
