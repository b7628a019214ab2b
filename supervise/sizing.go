package supervise

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Load is what a pool of supervisors and devices has to carry. docs/sizing.md tells the arithmetic.
type Load struct {
	Agents    int
	PeakCalls int // at once; 0: every agent is on the line
	// CallsPerSecond is how many calls begin at peak; 0: PeakCalls that last assumedCallLength each.
	CallsPerSecond float64
	Mode           string // ModeParty (default) or ModeSession
	MaxDialogs     int    // of a device; 0: assumedDialogs
	LightPerMinute int    // requests that a login has; 0: RingCentral's documented number
	HeavyPerMinute int
	Extensions     int // of the account; 0: Agents
}

// Need is the pool that a [Load] asks for.
type Need struct {
	Supervisors int // logins, each in every group whose agents it may have to hear
	Devices     int // over all logins
	// CallsPerDevice are the calls that one device hears at once.
	CallsPerDevice int
	// RequestsPerCall are light requests: a POST for each party or the session, and a reading where events don't name both.
	RequestsPerCall int
	// PerMinute are the light requests a minute at peak: the mean, and with the bursts that chance makes.
	MeanPerMinute, PeakPerMinute float64
	// UsablePerLogin are the light requests a minute that a login has for new calls.
	UsablePerLogin int
	// LooksPerMinute are the heavy requests a minute with the feed up, and LooksWithoutFeed without it, by one login.
	LooksPerMinute, LooksWithoutFeed int
	Assumed                          []string // what was not known
}

const (
	// assumedDialogs is the number that some have reported; RingCentral documents none.
	assumedDialogs    = 5
	assumedCallLength = 3 * time.Minute
	// sizingShare is how much of a login's light requests, in percent, new calls may use. The rest is for second attempts,
	// transfers and other re-joins, and the look at the devices' status each minute.
	sizingShare = 80
	// sizingSigmas: calls begin by chance, so a minute has more than the mean; one in 700 has more than three standard
	// deviations more (Poisson).
	sizingSigmas = 3
)

// Size says what a load asks for.
func Size(l Load) (Need, error) {
	var n Need
	assume := func(format string, args ...any) { n.Assumed = append(n.Assumed, fmt.Sprintf(format, args...)) }
	if l.PeakCalls <= 0 {
		l.PeakCalls = l.Agents
		assume("all %d agents on the line at once", l.Agents)
	}
	if l.CallsPerSecond <= 0 {
		l.CallsPerSecond = float64(l.PeakCalls) / assumedCallLength.Seconds()
		assume("calls of %.0f minutes", assumedCallLength.Minutes())
	}
	if l.MaxDialogs <= 0 {
		l.MaxDialogs = assumedDialogs
		assume("%d dialogs a device", assumedDialogs)
	}
	if l.LightPerMinute <= 0 {
		l.LightPerMinute = documentedLimits[groupLight]
	}
	if l.HeavyPerMinute <= 0 {
		l.HeavyPerMinute = documentedLimits[groupHeavy]
	}
	dialogs := 2
	n.RequestsPerCall = 2
	if l.Mode == ModeSession {
		dialogs, n.RequestsPerCall = 1, 1
	} else if l.Agents <= maxFilters {
		n.RequestsPerCall++
	}
	n.CallsPerDevice = l.MaxDialogs / dialogs
	if n.CallsPerDevice == 0 {
		return Need{}, fmt.Errorf("sizing: max_dialogs %d: a call in party mode takes %d dialogs of one device: want more, or supervise.mode session",
			l.MaxDialogs, dialogs)
	}
	n.UsablePerLogin = l.LightPerMinute * sizingShare / 100
	if n.UsablePerLogin < n.RequestsPerCall {
		return Need{}, fmt.Errorf("sizing: %d light requests a minute: too few for one call a minute", l.LightPerMinute)
	}
	perMinute := l.CallsPerSecond * 60
	n.MeanPerMinute = float64(n.RequestsPerCall) * perMinute
	n.PeakPerMinute = float64(n.RequestsPerCall) * (perMinute + sizingSigmas*math.Sqrt(perMinute))
	n.Devices = max(1, ceil(l.PeakCalls, n.CallsPerDevice))
	n.Supervisors = max(1, int(math.Ceil(n.PeakPerMinute/float64(n.UsablePerLogin)-1e-9)))
	n.Devices = max(n.Devices, n.Supervisors) // a login without a device asks for nothing
	pages := max(1, ceil(max(l.Extensions, l.Agents), perPage))
	n.LooksPerMinute = pages
	n.LooksWithoutFeed = min(pages*ceil(60, int(defaultPoll.Seconds())), l.HeavyPerMinute*shareLook/100)
	return n, nil
}

func ceil(n, by int) int { return (n + by - 1) / by }

// String says it in a sentence.
func (n Need) String() string {
	s := fmt.Sprintf("needs %s and %s of %s", plural(n.Supervisors, "supervisor"), plural(n.Devices, "device"), plural(n.CallsPerDevice, "call"))
	if len(n.Assumed) > 0 {
		s += " (assumed: " + strings.Join(n.Assumed, ", ") + ")"
	}
	return s
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
