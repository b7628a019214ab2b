package endpoint

import (
	"cmp"
	"fmt"

	"github.com/earshot/earshot/media"
	"github.com/earshot/earshot/recorder"
	"github.com/earshot/earshot/supervise"
)

// Preflight looks at what this machine must have for calls to be recorded, and opens nothing for longer than a moment:
// ports and descriptors, unless a daemon has them (running), and disk, with what calls at peak write.
func Preflight(cfg Config, running bool, peakCalls, share int) []supervise.Finding {
	var out []supervise.Finding
	if !running {
		limit, err := fileLimit()
		out = append(out, portsFinding(cfg.Media), filesFinding(cfg, limit, err))
	}
	if cfg.Record != nil {
		out = append(out, diskFinding(*cfg.Record, channelsOf(cfg), peakCalls, share))
		out = append(out, encryptionFinding(*cfg.Record)...)
	}
	return out
}

// fewPairs is how many free port pairs a daemon should find at least: an eighth of a range, or what a few calls take.
const fewPairs = 8

func portsFinding(m media.Config) supervise.Finding {
	f := supervise.Finding{Mark: supervise.MarkOK, What: "media ports"}
	if m.PortMin == 0 {
		f.Found = "the kernel chooses: a firewall must let all UDP ports in"
		return f
	}
	free, taken, err := media.FreePorts(m.ListenIP, m.PortMin, m.PortMax)
	f.Found = fmt.Sprintf("%d-%d: %d pairs free, %d taken", m.PortMin, m.PortMax, free, taken)
	switch {
	case err != nil:
		f.Mark, f.Found, f.Do = supervise.MarkFail, err.Error(), "see media.listen_ip: an address of this machine"
	case free < fewPairs && free < taken:
		f.Mark, f.Do = supervise.MarkFail, "another program has them: choose another range with media.ports"
	case taken > free:
		f.Mark, f.Do = supervise.MarkWarn, "another program has most of them: choose another range with media.ports"
	}
	return f
}

// channelsOf is how many channels a call's recording has as planned.
func channelsOf(cfg Config) int {
	for _, s := range cfg.Supervisors {
		if s.RingCentral.Mode != supervise.ModeSession {
			return 2
		}
	}
	return 1
}

const (
	peakHours = 8 // of a day, for an estimate
	gigabyte  = 1e9
	// keepDays is how long the disk should last at that rate; there is no retention yet that would make room.
	keepDays = 7
)

func diskFinding(r recorder.Config, channels, peakCalls, share int) supervise.Finding {
	f := supervise.Finding{Mark: supervise.MarkOK, What: "disk"}
	free, total, err := recorder.Room(r.Dir)
	if err != nil {
		f.Mark, f.Found, f.Do = supervise.MarkFail, err.Error(), "name a folder that can be written to in record.dir"
		return f
	}
	perDay := float64(recorder.BytesPerSecond(r.Format, channels)) * float64(peakCalls) * float64(share) / 100 * peakHours * 3600
	f.Found = fmt.Sprintf("%.1f GB free in %s", float64(free)/gigabyte, r.Dir)
	if peakCalls > 0 {
		f.Found += fmt.Sprintf("; %d calls, %d %% of them heard, write %.1f GB a day of %d hours (%s, channels: %d): full in %.0f days",
			peakCalls, share, perDay/gigabyte, peakHours, r.Format, channels, float64(free)/perDay)
	}
	switch {
	case free < r.Refuse.Of(total):
		f.Mark, f.Do = supervise.MarkFail, "less than record.disk.refuse, no new calls are taken: make room, or name another folder in record.dir"
	case free < r.Warn.Of(total):
		f.Mark, f.Do = supervise.MarkWarn, "less than record.disk.warn: make room"
	case float64(free) < perDay*keepDays:
		f.Mark, f.Do = supervise.MarkWarn, fmt.Sprintf("that is %.1f days of such load: make room, or move recordings away before", float64(free)/perDay)
	}
	return f
}

// encryptionFinding is about to whom audio is encrypted; nothing where it is not.
func encryptionFinding(r recorder.Config) []supervise.Finding {
	f := supervise.Finding{Mark: supervise.MarkOK, What: "encryption"}
	names, err := recorder.Recipients(r.Recipients, r.RecipientsFile)
	switch {
	case err != nil:
		f.Mark, f.Found, f.Do = supervise.MarkFail, err.Error(), "see record.encrypt: age-keygen prints a recipient"
		return []supervise.Finding{f}
	case len(names) == 0:
		return nil
	case len(names) == 1:
		f.Mark, f.Do = supervise.MarkWarn, "name a second one in record.encrypt.recipients, whose identity lies elsewhere: what is encrypted to a lost one is lost"
	}
	f.Found = fmt.Sprintf("audio is encrypted to age recipients: %d", len(names))
	return []supervise.Finding{f}
}

// Findings tells what a running daemon's status says of its registrations, for doctor.
func (s Status) Findings() []supervise.Finding {
	var out []supervise.Finding
	for _, d := range s.Devices {
		f := supervise.Finding{Mark: supervise.MarkOK, What: "sip " + d.Device, Found: fmt.Sprintf("%s since %s over %s, %d dialogs",
			d.Status, d.Since.UTC().Format("2006-01-02T15:04:05Z"), d.Proxy, d.Dialogs)}
		if !d.Registered {
			f.Mark, f.Do = supervise.MarkFail, cmp.Or(d.Hint, "see docs/troubleshooting.md")
			f.Found = fmt.Sprintf("%s: %d %s", d.Status, d.Code, d.Reason)
			if d.Code == 0 {
				f.Found = d.Status + ": " + d.Reason
			}
		}
		out = append(out, f)
		if d.Others > 0 {
			out = append(out, supervise.Finding{
				Mark: supervise.MarkWarn, What: "sip " + d.Device, Found: fmt.Sprintf("the registrar lists %d Contacts of another program", d.Others),
				Do: "one program a device: RingCentral sends a call to the newest registration only. Stop the other one, or use another device",
			})
		}
	}
	for _, c := range s.Checks {
		if !c.OK && c.Name != "ringcentral" && c.Name != "disk" && len(s.Devices) == 0 {
			out = append(out, supervise.Finding{Mark: supervise.MarkFail, What: c.Name, Found: c.Text, Do: "see docs/troubleshooting.md"})
		}
	}
	return out
}
