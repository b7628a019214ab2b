package endpoint

import (
	"testing"
	"time"

	"github.com/earshot/earshot/media"
)

func TestAFreshLegIsNotSilentForAsLongAsTheEngineRuns(t *testing.T) {
	engine, err := media.New(media.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for engine.Now() < 20*time.Millisecond {
		<-time.After(time.Millisecond)
	}
	l := &leg{call: &Call{e: &Endpoint{engine: engine}}, born: engine.Now(), tracks: map[int]*media.Track{}}
	if s := l.Silence(); s > 10*time.Millisecond {
		t.Errorf("silence: got %v for a leg that was just made", s)
	}
}
