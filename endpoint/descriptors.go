package endpoint

import (
	"fmt"

	"github.com/earshot/earshot/supervise"
)

const (
	// ownFiles is what a process has open without calls: the connections, the log, the control socket.
	ownFiles = 128
	// dialogFiles is what a dialog may need: two ports of its own, and audio.wav, events.jsonl and the folder's lock of a recording.
	dialogFiles = 5
	// consumerFiles are the pipes of a program that hears a dialog.
	consumerFiles = 3
	// usualDialogs is sip.Config.MaxCalls where it is not set.
	usualDialogs = 1000
)

// filesNeeded is how many descriptors may be open with as many dialogs as the configuration lets in, and how many those are.
func filesNeeded(cfg Config) (files, dialogs int) {
	add := func(maxCalls, devices int) {
		if maxCalls <= 0 {
			maxCalls = usualDialogs
		}
		dialogs += maxCalls * devices
	}
	for _, d := range cfg.Devices {
		add(d.Account.MaxCalls, 1)
	}
	for _, s := range cfg.Supervisors {
		devices := 0
		for _, l := range s.RingCentral.Logins {
			devices += max(1, len(l.Devices))
		}
		add(s.Device.Account.MaxCalls, max(1, devices))
	}
	return ownFiles + dialogs*(dialogFiles+consumerFiles*len(cfg.Stream.Consumers)), dialogs
}

// filesDo is what to do where descriptors may run out.
const filesDo = "raise the hard limit of open files (LimitNOFILE in the unit, ulimit -Hn in a shell, --ulimit nofile in a container), or lower sip.max_calls"

// filesFinding compares what may be needed with what the process may have open; Go has raised the soft limit to the hard one at start.
func filesFinding(cfg Config, limit uint64, err error) supervise.Finding {
	files, dialogs := filesNeeded(cfg)
	f := supervise.Finding{Mark: supervise.MarkOK, What: "descriptors", Found: fmt.Sprintf("%d may be open, %d are enough for %d dialogs", limit, files, dialogs)}
	switch {
	case err != nil:
		f.Found = fmt.Sprintf("limit not known: %v; %d are enough for %d dialogs", err, files, dialogs)
	case limit < uint64(files): //nolint:gosec // positive
		f.Mark, f.Do = supervise.MarkWarn, filesDo
		f.Found = fmt.Sprintf("%d may be open, %d dialogs may need %d", limit, dialogs, files)
	}
	return f
}

// checkFiles tells in the log where descriptors may run out.
func (e *Endpoint) checkFiles() {
	limit, err := fileLimit()
	if f := filesFinding(e.cfg, limit, err); f.Mark != supervise.MarkOK {
		e.log.Warn("open files may run out", "found", f.Found, "hint", f.Do)
	}
}
