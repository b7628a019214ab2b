package recorder

import "github.com/earshot/earshot/media"

// kind says where a run of samples comes from: media's kinds, and two that only a recording knows.
type kind uint8

const (
	kindReceived kind = iota + 1
	kindLate
	kindLost
	kindGap
	kindMasked
	kindDisk    // was there, and could not be written: disk full, broken or too slow
	kindUnknown // earshot ended before the manifest could say
	kindSeam    // the end of a lost run, written once more to meet what follows; in no span and no total
	kinds       // how many there are, plus 1
)

var kindNames = [kinds]string{
	kindReceived: "received", kindLate: "late", kindLost: "lost", kindGap: "gap", kindMasked: "masked", kindDisk: "disk",
	kindUnknown: "unknown",
}

// String gives the name that stands in the manifest.
func (k kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return ""
}

// kindOf translates media's kind; 0 for what we don't know.
func kindOf(k media.Kind) kind {
	switch k {
	case media.KindReceived:
		return kindReceived
	case media.KindLate:
		return kindLate
	case media.KindLost:
		return kindLost
	case media.KindGap:
		return kindGap
	case media.KindMasked:
		return kindMasked
	}
	return 0
}
