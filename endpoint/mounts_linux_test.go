package endpoint_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/earshot/earshot/call"
	"github.com/earshot/earshot/endpoint"
	"github.com/earshot/earshot/internal/oracle"
	"github.com/earshot/earshot/internal/ringsim"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/stream"
)

const (
	// ownMountsEnv is set in the process that has mounts of its own.
	ownMountsEnv = "EARSHOT_OWN_MOUNTS"
	// mountTime bounds what such a process waits for, on a machine that is busy with other tests.
	mountTime = 60 * time.Second
)

// inOwnMounts runs the test once more, in a process whose mounts nobody else sees; it is true there, and false when that is over.
func inOwnMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(ownMountsEnv) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), ownMountsEnv+"=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	switch {
	case len(out) == 0: // it was not even begun
		cannot(t, "a mount namespace of one's own", err)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("%s", out)
	}
	return false
}

// cannot skips what takes more rights or devices than there are, and fails in CI.
func cannot(t *testing.T, what string, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("%s can't be had: %v", what, err)
}

// mounted runs a program of mount's kind.
func mounted(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		cannot(t, strings.Join(append([]string{program}, args...), " "), &os.PathError{Op: program, Path: string(out), Err: err})
	}
}

// unmount takes a file system away, whose files are all shut.
func unmount(t *testing.T, dir string) {
	t.Helper()
	oracle.Eventually(t, mountTime, "nobody uses "+dir, func() bool {
		err := syscall.Unmount(dir, 0)
		return err == nil || err == syscall.EINVAL //nolint:errorlint // as the kernel gives it: it is not mounted
	})
}

// listener counts what a live stream brings.
type listener struct{ octets atomic.Int64 }

func (l *listener) Write(b []byte) (int, error) {
	l.octets.Add(int64(len(b)))
	return len(b), nil
}

// onBadGround is a call whose recording lies on a file system that is about to fail, and a stream of it.
type onBadGround struct {
	t      *testing.T
	dir    string
	ep     *endpoint.Endpoint
	c      *ringsim.Call
	live   listener
	log    logText
	stop   func()
	leave  context.CancelFunc
	listen chan error
}

func callOn(t *testing.T, dir string) *onBadGround {
	t.Helper()
	w := &onBadGround{t: t, dir: dir, listen: make(chan error, 1)}
	sim := unlimited(t, nil)
	cfg := against(t, sim, "udp", dir)
	cfg.Record.Sign = true
	cfg.Record.Warn, cfg.Record.Refuse = recorder.Mark{Bytes: -1}, recorder.Mark{Bytes: -1} // it is small
	cfg.Log = slog.New(slog.NewTextHandler(io.MultiWriter(&w.log, t.Output()), nil))
	w.ep, w.stop = started(t, cfg)
	oracle.Eventually(t, mountTime, "registered and logged in", w.ep.Ready)
	w.c = begin(t, sim, ringsim.CallSpec{Agent: "108"})
	w.c.Answer()
	talks(t, w.ep, w.c.SessionID(), 2)
	ctx, cancel := context.WithCancel(t.Context())
	w.leave = cancel
	go func() {
		w.listen <- w.ep.Listen(ctx, w.c.SessionID(), "", stream.ListenConfig{Format: stream.FormatS16LE}, &w.live)
	}()
	t.Cleanup(func() { cancel(); <-w.listen })
	w.streams("before")
	return w
}

// streams waits for a second more of the stream.
func (w *onBadGround) streams(when string) {
	w.t.Helper()
	from := w.live.octets.Load()
	oracle.Eventually(w.t, mountTime, "a second of the stream "+when, func() bool { return w.live.octets.Load() >= from+16000 })
}

// told waits until status and log say that something is wrong with the disk, in some words.
func (w *onBadGround) told(words string) {
	w.t.Helper()
	oracle.Eventually(w.t, mountTime, "the alarm", func() bool {
		for _, c := range w.ep.Status().Checks {
			if c.Name == "disk" && !c.OK && strings.Contains(c.Text, words) {
				return w.log.has("recording not written") && w.log.has(words)
			}
		}
		return false
	})
}

// unwritten waits until so many samples more could not be written.
func (w *onBadGround) unwritten(more int64) {
	w.t.Helper()
	from := w.ep.Figures().Recorder.DiskSamples
	oracle.Eventually(w.t, mountTime, "samples that can't be written", func() bool { return w.ep.Figures().Recorder.DiskSamples >= from+more })
}

// named holds a recording against what was sent: each sample that was delivered is in its place, or a span of kind disk or unknown names it, and it is silent, or, where it is
// unknown only whether it came, right. It gives how many the kind disk names.
func (w *onBadGround) named(r oracle.Recording) (disk int64) {
	w.t.Helper()
	for _, s := range w.c.Streams() {
		sent := s.Sent()
		i := slices.IndexFunc(r.Tracks, func(k oracle.Track) bool { return len(k.Epochs) > 0 && k.Epochs[0].SSRC == sent[0].SSRC })
		if i < 0 {
			w.t.Errorf("%s: no track", s.Role)
			continue
		}
		k, good := r.Tracks[i], 0
		kinds := map[int64]string{}
		for _, span := range k.Spans {
			for i := range span.Samples {
				kinds[span.Pos+i] = span.Kind
			}
		}
		for _, p := range sent {
			pos := k.Epochs[0].Pos + int64(int32(p.Timestamp-k.Epochs[0].Timestamp))
			for n := range int64(p.Octets) {
				at := pos + k.Offset + n
				if !p.Delivered || at < 0 || at >= int64(len(r.PCM[k.Channel])) || pos+n >= k.Samples {
					continue
				}
				kind, got, want := kinds[pos+n], r.PCM[k.Channel][at], oracle.Decode(s.Law(), s.Source.Octet(s.Law(), p.Pos+n))
				switch {
				case kind == "disk":
					disk++
				case got == want:
					good++
				}
				if got != want && (got != 0 || kind != "disk" && kind != "unknown") || kind == "disk" && got != 0 {
					w.t.Fatalf("%s: pos %d holds %d, want %d, and is named %q: %+v", s.Role, pos+n, got, want, kind, k.Spans)
				}
			}
		}
		if good < 8000 {
			w.t.Errorf("%s: %d samples are right, want a second and more", s.Role, good)
		}
	}
	return disk
}

// TestAFullFileSystemInMidCall is a real one, a small tmpfs: streams go on, what did not fit is named to the sample, and the recording goes on when there is room.
func TestAFullFileSystemInMidCall(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	ground := t.TempDir()
	if err := syscall.Mount("tmpfs", ground, "tmpfs", 0, "size=4m"); err != nil {
		cannot(t, "a tmpfs", err)
	}
	t.Cleanup(func() { unmount(t, ground) })
	w := callOn(t, filepath.Join(ground, "recordings"))
	ballast := filepath.Join(ground, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 8<<20), 0o600); err == nil {
		t.Fatal("8 MiB fit into 4")
	}
	w.streams("on a full disk")
	w.unwritten(8000)
	w.told(syscall.ENOSPC.Error())
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	w.streams("with room again")
	recorded := w.ep.Figures().Recorder.ReceivedSamples
	oracle.Eventually(t, mountTime, "the recording goes on", func() bool { return w.ep.Figures().Recorder.ReceivedSamples >= recorded+8000 })
	w.c.Hangup()
	oracle.Eventually(t, mountTime, "it is sealed", func() bool { sealed, _ := oracle.Folders(t, w.dir); return len(sealed) == 1 })
	w.stop()
	r := oracle.All(t, w.dir)[0]
	if named, lost := w.named(r), w.ep.Figures().Recorder.DiskSamples; r.State != "partial" || r.Cause != string(call.CodeDisk) || named != lost {
		t.Errorf("%s, cause %s; %d samples are named, %d could not be written", r.State, r.Cause, named, lost)
	}
}

// TestAFileSystemThatTurnsReadOnlyInMidCall is what the kernel does to an ext4 with an error in it: no file that is open can be written any more. (A remount by hand, of a tmpfs
// say, is refused while a file is open for writing.) Streams go on, it is told, and after a restart of the machine the recording has all that was durable.
func TestAFileSystemThatTurnsReadOnlyInMidCall(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	ground, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 64<<20); err != nil {
		t.Fatal(err)
	}
	mounted(t, "mkfs.ext4", "-q", "-F", image)
	mounted(t, "mount", "-o", "loop,errors=remount-ro", image, ground)
	t.Cleanup(func() { unmount(t, ground) })
	w := callOn(t, filepath.Join(ground, "recordings"))
	promised := int64(0)
	_, live := oracle.Folders(t, w.dir)
	oracle.Eventually(t, mountTime, "a second of it is durable", func() bool {
		b, err := os.ReadFile(filepath.Join(live[0], recorder.AudioName))
		if err == nil && len(b) >= 80 {
			promised = int64(binary.LittleEndian.Uint32(b[76:])) / 4
		}
		return promised >= 8000
	})
	mounted(t, "mount", "-o", "remount,abort", ground) // as the kernel does at an error
	w.streams("on a read-only disk")
	w.unwritten(8000)
	w.told(syscall.EROFS.Error())
	w.streams("still")
	n := w.ep.Figures().Recorder
	w.c.Hangup()
	oracle.Eventually(t, mountTime, "the end of the call", func() bool { return len(w.ep.Status().Calls) == 0 })
	w.leave()
	w.stop()
	if n.ReceivedSamples < promised {
		t.Errorf("%d samples were written before, %d are promised on the disk", n.ReceivedSamples, promised)
	}
	// The machine is started anew.
	unmount(t, ground)
	fsck := exec.CommandContext(t.Context(), "fsck.ext4", "-y", image)
	if out, err := fsck.CombinedOutput(); err != nil && fsck.ProcessState.ExitCode() != 1 { // 1: there was something to be put right
		t.Fatalf("fsck: %v\n%s", err, out)
	}
	mounted(t, "mount", "-o", "loop", image, ground)
	s, err := recorder.New(recorder.Config{Dir: w.dir, Sign: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	oracle.Eventually(t, mountTime, "it is finished", func() bool { return len(s.Repaired()) == 1 })
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	r := oracle.All(t, w.dir)[0]
	if r.State != "partial" || r.Cause != string(call.CodeCrash) || r.Samples < promised {
		t.Errorf("%s, cause %s, %d samples, %d were promised", r.State, r.Cause, r.Samples, promised)
	}
	w.named(r)
}
