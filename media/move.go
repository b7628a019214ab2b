package media

import (
	"slices"

	"github.com/earshot/earshot/call"
)

// move gives the track to another part of the call from here on. Frames never lie on both sides: all that was given out ends
// at front.
func (k *liveTrack) move(part uint16, party call.Party) {
	if k.state.Ended {
		return
	}
	k.bringUp()
	if k.state.Part != 0 { // else no part had it
		before := *k.state
		before.Epochs = slices.Clone(before.Epochs)
		k.state.Before = &before
	}
	k.state.Part, k.state.From, k.state.Party, k.dirty = part, k.placer.front, party, true
}
