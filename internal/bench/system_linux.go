package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cpuTime is what this process has used, user and system.
func cpuTime() (time.Duration, error) {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), nil
}

// sinceBoot reads the machine's monotonic clock, which Go's own is a part of.
func sinceBoot() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0, fmt.Errorf("clock: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// memoryFile makes a file that is in no folder, and the path by which other processes of this user open it. It lasts until it is closed.
func memoryFile(size int) (*os.File, string, error) {
	fd, err := unix.MemfdCreate("earshot-bench", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, "", fmt.Errorf("board: %w", err)
	}
	f := os.NewFile(uintptr(fd), "board")
	if err := f.Truncate(int64(size)); err != nil {
		return nil, "", errors.Join(fmt.Errorf("board: %w", err), f.Close())
	}
	return f, fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd), nil
}

// mapFile maps a file for all processes that do.
func mapFile(path string, size int) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("board: %w", err)
	}
	defer f.Close() //nolint:errcheck // the mapping stays
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("board: %s: %w", path, err)
	}
	return b, nil
}

func unmapFile(b []byte) error { return unix.Munmap(b) }

// resident is the memory that this process has, in bytes; 0: nobody knows.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	var all, pages int64
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(b), &all, &pages); err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// load is how many processes wanted to run in the last minute: what else this machine does.
func load() float64 {
	var i unix.Sysinfo_t
	if unix.Sysinfo(&i) != nil {
		return 0
	}
	return float64(i.Loads[0]) / (1 << 16)
}

// source is one of the sender's sockets.
type source struct{ fd int }

// sourceBuffer is what is asked of SO_RCVBUF: what comes back is silence that nobody reads.
const sourceBuffer = 4096

func openSource(ip netip.Addr) (source, netip.AddrPort, error) {
	fd, at, err := openUDP(ip, sourceBuffer)
	return source{fd}, at, err
}

func (s source) connect(to netip.AddrPort) error { return unix.Connect(s.fd, sockaddr(to)) }
func (s source) close()                          { _ = unix.Close(s.fd) }

// write sends a datagram. ECONNREFUSED tells of an earlier one that nobody took, and is no failure of this one.
func (s source) write(b []byte) error {
	for {
		_, err := unix.Write(s.fd, b)
		switch err { //nolint:errorlint // bare numbers of the kernel
		case unix.ECONNREFUSED, unix.EINTR:
			continue
		}
		return err
	}
}

func openUDP(ip netip.Addr, buffer int) (int, netip.AddrPort, error) {
	domain := unix.AF_INET
	if ip.Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, netip.AddrPort{}, err
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	if err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(ip, 0))); err == nil {
		var sa unix.Sockaddr
		if sa, err = unix.Getsockname(fd); err == nil {
			return fd, addrOf(sa), nil
		}
	}
	_ = unix.Close(fd)
	return -1, netip.AddrPort{}, err
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func addrOf(sa unix.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return netip.AddrPort{}
}

const (
	floorBatch    = 64
	floorOctets   = 512
	floorControl  = 64
	floorBuffer   = 16 << 20
	floorInterval = 20 * time.Millisecond
)

// mmsghdr is the kernel's struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// floorSocket is the cheapest way to take datagrams from the kernel that we know: one socket that Go's poller doesn't know,
// recvmmsg, kernel timestamps on, everything thrown away.
type floorSocket struct {
	fd   int
	at   netip.AddrPort
	msgs [floorBatch]mmsghdr
	iov  [floorBatch]unix.Iovec
	data [floorBatch][floorOctets]byte
	ctl  [floorBatch][floorControl]byte
}

func openFloor(ip netip.Addr) (*floorSocket, error) {
	fd, at, err := openUDP(ip, floorBuffer)
	if err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	f := &floorSocket{fd: fd, at: at}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		return nil, fmt.Errorf("floor: timestamps: %w", err)
	}
	for i := range f.msgs {
		f.iov[i].Base = &f.data[i][0]
		f.iov[i].SetLen(floorOctets)
		f.msgs[i].hdr.Iov = &f.iov[i]
		f.msgs[i].hdr.SetIovlen(1)
	}
	return f, nil
}

// drain takes what is there and tells how much it was.
func (f *floorSocket) drain() (n int64) {
	for {
		for i := range f.msgs { // the kernel shortens it on every call
			f.msgs[i].hdr.Control = &f.ctl[i][0]
			f.msgs[i].hdr.SetControllen(floorControl)
		}
		r, _, e := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(f.fd), uintptr(unsafe.Pointer(&f.msgs[0])), floorBatch, unix.MSG_DONTWAIT, 0, 0)
		if e != 0 {
			return n
		}
		n += int64(r)
		if r < floorBatch {
			return n
		}
	}
}

func (f *floorSocket) close() { _ = unix.Close(f.fd) }
