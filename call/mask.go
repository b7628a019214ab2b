package call

import "time"

// Mask is a stretch of a call whose audio is held back: from From on, until To; a zero To: it lasts.
type Mask struct {
	By   string // on whose word: pci, hook, hold, consent
	Why  string
	From time.Time
	To   time.Time
}
