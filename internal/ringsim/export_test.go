package ringsim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Publish sends an event that no call made; its sequence is n.
func (s *Sim) Publish(extension, code, direction string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publishLocked(&notice{
		topic: topicTelephony, extension: extension, code: code, direction: direction, uuid: fmt.Sprint(n), path: "/restapi/v1.0/test",
		body: json.RawMessage(fmt.Sprintf(`{"sequence":%d}`, n)),
	}, time.Now())
}

// SettingNames, VerbNames and FaultNames list what scenarios can say.
func SettingNames() []string { return slices.Collect(maps.Keys(settings)) }

// VerbNames lists the steps.
func VerbNames() []string { return slices.Collect(maps.Keys(verbs)) }

// FaultNames lists the kinds of faults.
func FaultNames() (names []string) {
	for _, k := range slices.Concat(lastingFaults, suddenFaults) {
		names = append(names, string(k))
	}
	return names
}
