//go:build !linux

package bench

import (
	"errors"
	"net/netip"
	"os"
	"time"
)

// errSystem: what is compared with, and the path that is measured, are Linux's.
var errSystem = errors.New("bench: recvmmsg and its floor: " + errors.ErrUnsupported.Error() + " here, want Linux")

const floorInterval = 20 * time.Millisecond

type source struct{}

func openSource(netip.Addr) (source, netip.AddrPort, error) {
	return source{}, netip.AddrPort{}, errSystem
}
func (source) connect(netip.AddrPort) error { return errSystem }
func (source) write([]byte) error           { return errSystem }
func (source) close()                       {}

type floorSocket struct{ at netip.AddrPort }

func openFloor(netip.Addr) (*floorSocket, error) { return nil, errSystem }
func (*floorSocket) drain() int64                { return 0 }
func (*floorSocket) close()                      {}

func cpuTime() (time.Duration, error) { return 0, errSystem }
func load() float64                   { return 0 }

func sinceBoot() (time.Duration, error)        { return 0, errSystem }
func memoryFile(int) (*os.File, string, error) { return nil, "", errSystem }
func mapFile(string, int) ([]byte, error)      { return nil, errSystem }
func unmapFile([]byte) error                   { return errSystem }
func resident() int64                          { return 0 }
